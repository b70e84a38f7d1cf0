#pragma once
// What the handlers of the bitmap family share: errors, offsets, and each other's names for the table of
// rows.

#include <optional>
#include <string_view>

#include "base/status.h"
#include "command/context.h"
#include "command/errors.h"
#include "commands/args.h"
#include "commands/string_limit.h"
#include "db/events.h"
#include "shard/task.h"
#include "types/string_value.h"

namespace moonshard::commands {

inline constexpr base::StaticError kBitOffsetError{base::Code::kErr,
                                                   "bit offset is not an integer or out of range"};
inline constexpr db::EventName kEventSetBit{db::EventClass::kString, "setbit"};

// Redis reads the words of this family as C strings: a zero byte ends them.
inline bool IsWord(std::string_view text, std::string_view word) {
  return EqualsIgnoreCase(command::UpToZero(text), word);
}

// The bit must lie in a string of at most `bytes_max`, also where it is only read.
inline std::optional<uint64_t> CheckBitOffset(int64_t offset, size_t bytes_max) {
  if (offset < 0 || static_cast<uint64_t>(offset) >> 3 >= bytes_max) return std::nullopt;
  return static_cast<uint64_t>(offset);
}

inline std::optional<uint64_t> ParseBitOffset(std::string_view text, size_t bytes_max) {
  auto offset = ParseInt64(text);
  return offset ? CheckBitOffset(*offset, bytes_max) : std::nullopt;
}

// bitmap_field_commands.cc
Outcome Bitfield(Context& context);
Outcome BitfieldRo(Context& context);
// bitmap_bitop.cc
Outcome Bitop(Context& context);
shard::Task<void> BitopAcross(Context& context);

}  // namespace moonshard::commands
