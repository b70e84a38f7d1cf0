#include "types/lcs.h"

#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

namespace moonshard::types {

namespace {

struct FreeDeleter {
  void operator()(void* block) const { std::free(block); }
};
template <typename T>
using Block = std::unique_ptr<T[], FreeDeleter>;
template <typename T>
Block<T> Allocate(size_t count) {
  return Block<T>(static_cast<T*>(std::malloc(count * sizeof(T))));
}

unsigned At(std::string_view text, size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// For each byte of `a`, where it occurs in `b`: bit j for b[j].
class Masks {
 public:
  bool Build(std::string_view a, std::string_view b, size_t words) {
    size_t count = 0;
    for (size_t i = 0; i < a.size() && count < row_of_.size(); ++i) {
      uint16_t& row = row_of_[At(a, i)];
      if (row == 0) row = static_cast<uint16_t>(++count);
    }
    words_ = words;
    rows_.reset(static_cast<uint64_t*>(std::calloc(count * words, sizeof(uint64_t))));
    if (rows_ == nullptr) return false;
    for (size_t j = 0; j < b.size(); ++j) {
      const uint16_t row = row_of_[At(b, j)];
      if (row != 0) rows_[(row - size_t{1}) * words_ + j / 64] |= uint64_t{1} << (j % 64);
    }
    return true;
  }
  const uint64_t* Of(unsigned byte) const { return &rows_[(row_of_[byte] - size_t{1}) * words_]; }

 private:
  std::array<uint16_t, 256> row_of_{};  // from 1
  size_t words_ = 0;
  Block<uint64_t> rows_;
};

// Row i of the table of lengths from row i - 1: a zero bit j says that the row grows from column j to j + 1.
void Advance(uint64_t* row, const uint64_t* mask, size_t words) {
  bool carry = false;
  for (size_t w = 0; w < words; ++w) {
    const uint64_t matches = row[w] & mask[w];
    uint64_t sum = 0;
    const bool first = __builtin_add_overflow(row[w], matches, &sum);
    const bool second = __builtin_add_overflow(sum, uint64_t{carry}, &sum);
    carry = first || second;
    row[w] = sum | (row[w] & ~mask[w]);
  }
}

uint32_t Length(const uint64_t* row, size_t columns) {
  size_t ones = 0;
  for (size_t w = 0; w < columns / 64; ++w) ones += static_cast<size_t>(std::popcount(row[w]));
  if (columns % 64 != 0) {
    const uint64_t valid = (uint64_t{1} << (columns % 64)) - 1;
    ones += static_cast<size_t>(std::popcount(row[columns / 64] & valid));
  }
  return static_cast<uint32_t>(columns - ones);
}

// Walks from the end of both strings to the beginning. `rows` has one packed row of bits for each byte of a.
void WalkBack(std::string_view a, std::string_view b, const unsigned char* rows, size_t row_bytes, Lcs& lcs) {
  lcs.text.resize(lcs.length);
  size_t left = lcs.length;
  size_t i = a.size();
  size_t j = b.size();
  bool in_range = false;
  LcsRange range{};
  while (i > 0 && j > 0) {
    if (a[i - 1] == b[j - 1]) {
      --i;
      --j;
      lcs.text[--left] = a[i];
      if (!in_range) {
        range.a_end = static_cast<uint32_t>(i);
        range.b_end = static_cast<uint32_t>(j);
        in_range = true;
      }
      range.a_begin = static_cast<uint32_t>(i);
      range.b_begin = static_cast<uint32_t>(j);
      continue;
    }
    if (std::exchange(in_range, false)) lcs.ranges.push_back(range);
    // Where the row does not grow here, the cell to the left is as long and is preferred.
    const unsigned bits = rows[(i - 1) * row_bytes + (j - 1) / 8];
    if ((bits >> ((j - 1) % 8) & 1) == 0) {
      --i;
    } else {
      --j;
    }
  }
  if (in_range) lcs.ranges.push_back(range);
}

}  // namespace

std::optional<Lcs> FindLcs(std::string_view a, std::string_view b, LcsWanted wanted) {
  static_assert(std::endian::native == std::endian::little, "rows of words are read as rows of bytes");
  Lcs lcs;
  if (a.empty() || b.empty()) return lcs;
  const size_t words = (b.size() + 63) / 64;
  const size_t row_bytes = (b.size() + 7) / 8;
  Masks masks;
  if (!masks.Build(a, b, words)) return std::nullopt;
  Block<uint64_t> row = Allocate<uint64_t>(words);
  Block<unsigned char> rows = Allocate<unsigned char>(wanted == LcsWanted::kAll ? a.size() * row_bytes : 1);
  if (row == nullptr || rows == nullptr) return std::nullopt;
  std::memset(row.get(), 0xFF, words * sizeof(uint64_t));
  for (size_t i = 0; i < a.size(); ++i) {
    Advance(row.get(), masks.Of(At(a, i)), words);
    if (wanted == LcsWanted::kAll) std::memcpy(&rows[i * row_bytes], row.get(), row_bytes);
  }
  lcs.length = Length(row.get(), b.size());
  if (wanted == LcsWanted::kAll) WalkBack(a, b, rows.get(), row_bytes, lcs);
  return lcs;
}

}  // namespace moonshard::types
