#pragma once
// The longest common subsequence of two byte strings, with the choice among several that Redis makes.
//
// The table of lengths is not kept, only where its rows grow: one bit a cell, 64 cells a step (Hyyrö, "Bit-
// parallel LCS-length computation revisited", AWOCA 2004). Time O(|a| * |b| / 64); memory |a| * |b| / 8
// bytes, or O(|b|) if only the length is asked for.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moonshard::types {

// Bytes that match one for one; the ends are inside.
struct LcsRange {
  uint32_t a_begin;
  uint32_t a_end;
  uint32_t b_begin;
  uint32_t b_end;
  uint32_t size() const { return a_end - a_begin + 1; }
};

struct Lcs {
  uint32_t length = 0;
  std::string text;
  std::vector<LcsRange> ranges;  // from the end of the strings to their beginning
};

enum class LcsWanted : uint8_t { kLength, kAll };

// Each string is shorter than 2^32 - 1 bytes. The caller bounds the product of the lengths. Nothing if memory
// was refused.
std::optional<Lcs> FindLcs(std::string_view a, std::string_view b, LcsWanted wanted);

}  // namespace moonshard::types
