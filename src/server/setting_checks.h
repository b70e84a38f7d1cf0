#pragma once
// Checks for kept settings (Kept in setting.h): what Redis takes as a value of a kind, what it says to
// anything else, and how it writes the value back.

#include <cstdint>
#include <limits>
#include <string_view>

#include "server/setting.h"

namespace moonshard::server {

inline constexpr int64_t kInt32Min = std::numeric_limits<int32_t>::min();
inline constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();
inline constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

Check AnyText();
Check IsYesNo();
Check Range(int64_t low, int64_t high);
// Taken from the whole of 0 to 2^31-1 and brought into the range.
Check ClampedInto(int64_t low, int64_t high);
Check Bytes(uint64_t low = 0);
// Brought up to `floor`.
Check BytesAtLeast(uint64_t floor);
Check BytesOrPercent();
// Separated by ", ".
Check Choices(std::string_view choices);
// A name without a path; `what` is "filename" or "dirname".
Check PlainName(std::string_view setting, std::string_view what);
// Any other value than the one given (after `check`) is refused: to accept it would be to promise something.
Check Only(Check check, std::string_view value, std::string_view why_not);

// One setting each.
Check SavePoints();
Check OutputLimits();
Check HostName();
Check KeyspaceEvents();
Check OomScores();
Check ProcessTitle();
Check ShutdownOptions();
Check ReplicaOf();

}  // namespace moonshard::server
