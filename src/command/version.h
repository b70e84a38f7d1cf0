#pragma once
// What the server calls itself.

#include <string_view>

namespace moonshard::command {

inline constexpr std::string_view kMoonshardVersion = "0.1.0";
// The Redis whose features clients may expect; they switch behaviour on it.
inline constexpr std::string_view kRedisVersion = "7.2.4";

}  // namespace moonshard::command
