#pragma once
// Long doubles as text, by the rules of INCRBYFLOAT and HINCRBYFLOAT.

#include <cstddef>
#include <optional>
#include <string_view>

namespace moonshard::base {

// Longer texts are no number.
inline constexpr size_t kLongDoubleTextMax = 5 * 1024 - 1;
// What FormatLongDouble may write: 4,933 digits before the point, 17 behind it.
inline constexpr size_t kLongDoubleCharsMax = 5 * 1024;

// All of `text` is a number as strtold reads it, hexadecimal and "inf" included, without blanks around it;
// NaN and what overflows or vanishes is none.
std::optional<long double> ParseLongDouble(std::string_view text);
// A finite value with at most 17 digits behind the point, never with an exponent; zeros at the end go.
// `to` has kLongDoubleCharsMax bytes. Returns the number of bytes.
size_t FormatLongDouble(long double value, char* to);

}  // namespace moonshard::base
