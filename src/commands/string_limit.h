#pragma once
// How long commands may make a string.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "command/context.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "types/string_value.h"

namespace moonshard::commands {

inline constexpr base::StaticError kStringTooLong{base::Code::kErr,
                                                  "string exceeds maximum allowed size (proto-max-bulk-len)"};

// proto-max-bulk-len, as in Redis; but no string is longer than kStringBytesMax.
inline size_t StringBytesMax(const command::Context& context) {
  const int64_t bulk_bytes_max = context.shard.server->live().bulk_bytes_max.load(std::memory_order_relaxed);
  return std::min(types::kStringBytesMax, static_cast<size_t>(bulk_bytes_max));
}

}  // namespace moonshard::commands
