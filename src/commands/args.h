#pragma once
// Reading arguments of handlers.

#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/number.h"
#include "command/context.h"
#include "db/errors.h"

namespace moonshard::commands {

using base::EqualsIgnoreCase;
using base::ParseInt64;
using command::Context;
using command::Outcome;

enum class TimeUnit : uint8_t { kSeconds, kMilliseconds };
enum class TimeBase : uint8_t { kRelative, kAbsolute };

// The deadline in ms since the epoch that `amount` names, or nothing if it does not fit (Redis' rule for
// "invalid expire time": the product or the sum overflows).
inline std::optional<TimeMs> DeadlineOf(int64_t amount, TimeUnit unit, TimeBase time_base, TimeMs now) {
  int64_t ms = amount;
  if (unit == TimeUnit::kSeconds && __builtin_mul_overflow(amount, int64_t{1000}, &ms)) return std::nullopt;
  if (time_base == TimeBase::kRelative && __builtin_add_overflow(ms, now, &ms)) return std::nullopt;
  // The last millisecond there is stands for none at all.
  return std::min(ms, kNoDeadline - 1);
}

// "ERR invalid expire time in 'set' command"
inline Outcome FailExpireTime(Context& context) {
  std::string line = "ERR invalid expire time in '";
  line += context.command->full_name;
  line += "' command";
  context.reply.ErrorLine(line);
  return Outcome::kDone;
}

}  // namespace moonshard::commands
