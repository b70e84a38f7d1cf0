#pragma once
// SCAN's cursor as clients see it: the shard in bits 45..52 and the position in that shard's table below, so
// that it stays under 2^53 (JavaScript clients read it as a number). 0 starts and ends a scan.

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/number.h"

namespace moonshard::command {

struct ScanCursor {
  static constexpr unsigned kPositionBits = 45;

  uint64_t shard = 0;
  uint64_t position = 0;

  // Any unsigned 64-bit number, as in Redis; one that was never given out names no shard.
  static std::optional<ScanCursor> Parse(std::string_view text) {
    uint64_t value = 0;
    if (text.empty() || text.size() > base::kMaxInt64Chars) return std::nullopt;
    for (char c : text) {
      unsigned digit = static_cast<unsigned char>(c) - unsigned{'0'};
      if (digit > 9 || __builtin_mul_overflow(value, uint64_t{10}, &value) ||
          __builtin_add_overflow(value, uint64_t{digit}, &value)) {
        return std::nullopt;
      }
    }
    return ScanCursor{value >> kPositionBits, value & ((uint64_t{1} << kPositionBits) - 1)};
  }
  uint64_t value() const { return shard << kPositionBits | position; }
};

}  // namespace moonshard::command
