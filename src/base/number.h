#pragma once
// Numbers as text, by Redis' rules: an integer is what prints back to the same bytes (no sign '+', no leading
// zero, no space).

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace moonshard::base {

inline constexpr size_t kMaxInt64Chars = 20;  // "-9223372036854775808"

// Canonical decimal only: "-0", "01", "+1" and "" are refused. O(length).
std::optional<int64_t> ParseInt64(std::string_view text);
// Writes `value` at `to` (at least kMaxInt64Chars bytes) and returns the number of bytes.
size_t FormatInt64(int64_t value, char* to);
size_t FormatUint64(uint64_t value, char* to);

}  // namespace moonshard::base
