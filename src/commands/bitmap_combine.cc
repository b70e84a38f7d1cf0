#include "commands/bitmap_combine.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bytes.h"
#include "command/errors.h"
#include "simd/bits.h"

namespace moonshard::commands {

namespace {

struct NamedOp {
  std::string_view name;
  BitOp op;
};
constexpr NamedOp kNames[] = {{"AND", BitOp::kAnd},     {"OR", BitOp::kOr},     {"XOR", BitOp::kXor},
                              {"NOT", BitOp::kNot},     {"DIFF", BitOp::kDiff}, {"DIFF1", BitOp::kDiff1},
                              {"ANDOR", BitOp::kAndOr}, {"ONE", BitOp::kOne}};

// The operands are worked through in blocks of this size, so that what is written stays in the first cache
// level however many there are.
constexpr size_t kBlockBytes = 8192;

// What a string has of the block.
std::string_view PieceOf(std::string_view bits, size_t begin, size_t size) {
  return begin < bits.size() ? bits.substr(begin, size) : std::string_view();
}

void CopyPadded(char* to, std::string_view piece, size_t size) {
  if (!piece.empty()) std::memcpy(to, piece.data(), piece.size());
  std::memset(to + piece.size(), 0, size - piece.size());
}

void AddPiece(BitOp op, std::string_view piece, char* bits, size_t size) {
  switch (op) {
    case BitOp::kAnd:
      simd::And(bits, bits, piece.data(), piece.size());
      std::memset(bits + piece.size(), 0, size - piece.size());
      return;
    case BitOp::kXor:
      simd::Xor(bits, bits, piece.data(), piece.size());
      return;
    default:
      simd::Or(bits, bits, piece.data(), piece.size());
      return;
  }
}

void ReduceBlock(BitOp op, std::span<const Operand> operands, size_t begin, size_t size, char* bits,
                 char* twice) {
  const Operand head = operands.empty() ? Operand() : operands.front();
  CopyPadded(bits, PieceOf(head.bits, begin, size), size);
  if (op == BitOp::kOne) CopyPadded(twice, PieceOf(head.twice, begin, size), size);
  for (size_t i = 1; i < operands.size(); ++i) {
    const std::string_view piece = PieceOf(operands[i].bits, begin, size);
    if (op != BitOp::kOne) {
      AddPiece(op, piece, bits, size);
      continue;
    }
    simd::CountTwice(bits, twice, piece.data(), piece.size());
    const std::string_view twice_piece = PieceOf(operands[i].twice, begin, size);
    simd::Or(twice, twice, twice_piece.data(), twice_piece.size());
  }
}

void FinishBlock(BitOp op, std::string_view first, char* bits, const char* twice, size_t size) {
  switch (op) {
    case BitOp::kAnd:
    case BitOp::kOr:
    case BitOp::kXor:
      return;
    case BitOp::kNot:
      simd::Not(bits, bits, size);
      return;
    case BitOp::kOne:
      simd::AndNot(bits, bits, twice, size);
      return;
    case BitOp::kDiff1:
      simd::AndNot(bits, bits, first.data(), first.size());
      return;
    case BitOp::kDiff:
      simd::AndNot(bits, first.data(), bits, first.size());
      break;
    case BitOp::kAndOr:
      simd::And(bits, bits, first.data(), first.size());
      break;
  }
  std::memset(bits + first.size(), 0, size - first.size());
}

}  // namespace

std::optional<BitOp> ParseBitOp(std::string_view name) {
  for (const NamedOp& named : kNames) {
    if (base::EqualsIgnoreCase(command::UpToZero(name), named.name)) return named.op;
  }
  return std::nullopt;
}

std::string_view BitOpName(BitOp op) {
  return std::ranges::find(kNames, op, &NamedOp::op)->name;
}

void ReduceBits(BitOp op, std::span<const Operand> operands, char* bits, char* twice, size_t size) {
  for (size_t begin = 0; begin < size; begin += kBlockBytes) {
    const size_t block = std::min(kBlockBytes, size - begin);
    ReduceBlock(op, operands, begin, block, bits + begin, op == BitOp::kOne ? twice + begin : nullptr);
  }
}

void CombineBits(BitOp op, std::string_view first, std::span<const Operand> operands, char* to, size_t size) {
  std::array<char, kBlockBytes> twice;
  for (size_t begin = 0; begin < size; begin += kBlockBytes) {
    const size_t block = std::min(kBlockBytes, size - begin);
    ReduceBlock(op, operands, begin, block, to + begin, twice.data());
    FinishBlock(op, PieceOf(first, begin, block), to + begin, twice.data(), block);
  }
}

}  // namespace moonshard::commands
