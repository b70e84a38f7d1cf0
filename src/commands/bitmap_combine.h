#pragma once
// BITOP's arithmetic: several strings of bits become one. A string counts as followed by zeros up to the
// length of the longest.
//
// Every operation is a reduction, in any order, and a last step: AND, OR and XOR reduce by themselves, DIFF,
// DIFF1 and ANDOR reduce all but the first source by OR, ONE counts to two. So each shard can reduce its own
// sources to a share, and the shares reduce further where they meet.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace moonshard::commands {

enum class BitOp : uint8_t { kAnd, kOr, kXor, kNot, kDiff, kDiff1, kAndOr, kOne };

std::optional<BitOp> ParseBitOp(std::string_view name);
// In capitals, as errors show it.
std::string_view BitOpName(BitOp op);
// Whether the first source is set against all others.
constexpr bool SplitsFirst(BitOp op) {
  return op == BitOp::kDiff || op == BitOp::kDiff1 || op == BitOp::kAndOr;
}

// A source or a share of several.
struct Operand {
  std::string_view bits;
  // kOne: the bits that were seen more than once. A source has none.
  std::string_view twice;
};

// Reduces operands to a share of `size` bytes, that of the longest of them. `twice` for kOne only.
void ReduceBits(BitOp op, std::span<const Operand> operands, char* bits, char* twice, size_t size);
// Reduces and ends the operation. `first` for those that split it off; `size` is that of the longest of all.
void CombineBits(BitOp op, std::string_view first, std::span<const Operand> operands, char* to, size_t size);

}  // namespace moonshard::commands
