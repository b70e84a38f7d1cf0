#pragma once
// SCAN's cursor as clients see it: the shard in bits 45..52 and the position in that shard's table below, so
// that it stays under 2^53 (JavaScript clients read it as a number). 0 starts and ends a scan.

#include <cstdint>
#include <optional>
#include <string_view>

namespace moonshard::command {

struct ScanCursor {
  static constexpr unsigned kPositionBits = 45;

  uint64_t shard = 0;
  uint64_t position = 0;

  // What Redis takes, which reads cursors with strtoul: one sign may lead (a minus wraps around), nothing at
  // all is 0, and a zero byte ends the text. A number that was never given out names no shard.
  static std::optional<ScanCursor> Parse(std::string_view text) {
    text = text.substr(0, text.find('\0'));
    bool negative = text.starts_with('-');
    std::string_view digits = text.substr(size_t{negative || text.starts_with('+')});
    if (digits.empty() && !text.empty()) return std::nullopt;
    uint64_t value = 0;
    for (char c : digits) {
      unsigned digit = static_cast<unsigned char>(c) - unsigned{'0'};
      if (digit > 9 || __builtin_mul_overflow(value, uint64_t{10}, &value) ||
          __builtin_add_overflow(value, uint64_t{digit}, &value)) {
        return std::nullopt;
      }
    }
    if (negative) value = 0 - value;
    return ScanCursor{value >> kPositionBits, value & ((uint64_t{1} << kPositionBits) - 1)};
  }
  uint64_t value() const { return shard << kPositionBits | position; }
};

}  // namespace moonshard::command
