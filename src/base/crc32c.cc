#include "base/crc32c.h"

#include <array>

namespace moonshard::base {

namespace {

// 0x1EDC6F41 with its bits reversed.
constexpr uint32_t kReversedPolynomial = 0x82F63B78;

using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? kReversedPolynomial : 0);
    tables[0][byte] = crc;
  }
  // tables[k]: the byte is followed by k zero bytes.
  for (size_t k = 1; k < tables.size(); ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = before >> 8 ^ tables[0][before & 255];
    }
  }
  return tables;
}
constexpr Tables kTables = MakeTables();

#if defined(__SSE4_2__)

// One of three runs that go side by side; two lengths, so that an input of 1 KiB gains already.
constexpr size_t kLongRunBytes = 2048;
constexpr size_t kShortRunBytes = 256;

// tables[k][b]: what byte k of a state becomes when `run_bytes` zero bytes follow. The map is linear, so the
// four bytes are looked up separately and added.
using ShiftTables = std::array<std::array<uint32_t, 256>, 4>;

constexpr uint32_t AppendZeros(uint32_t state, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i) state = state >> 8 ^ kTables[0][state & 255];
  return state;
}
constexpr ShiftTables MakeShiftTables(size_t run_bytes) {
  ShiftTables tables{};
  for (uint32_t k = 0; k < 4; ++k) {
    for (uint32_t bit = 0; bit < 8; ++bit) {
      const uint32_t shifted = AppendZeros(1u << (8 * k + bit), run_bytes);
      for (uint32_t byte = 0; byte < 256; ++byte) {
        if ((byte >> bit & 1) != 0) tables[k][byte] ^= shifted;
      }
    }
  }
  return tables;
}
constexpr ShiftTables kAfterLongRun = MakeShiftTables(kLongRunBytes);
constexpr ShiftTables kAfterShortRun = MakeShiftTables(kShortRunBytes);

uint32_t Shift(const ShiftTables& tables, uint32_t state) {
  return tables[0][state & 255] ^ tables[1][state >> 8 & 255] ^ tables[2][state >> 16 & 255] ^
         tables[3][state >> 24];
}

// Takes runs of three off the front of `bytes`.
template <size_t kRunBytes>
uint64_t TakeRuns(const ShiftTables& tables, uint64_t state, std::string_view& bytes) {
  while (bytes.size() >= 3 * kRunBytes) {
    const char* at = bytes.data();
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < kRunBytes; i += 8) {
      state = _mm_crc32_u64(state, LoadLe<uint64_t>(at + i));
      second = _mm_crc32_u64(second, LoadLe<uint64_t>(at + kRunBytes + i));
      third = _mm_crc32_u64(third, LoadLe<uint64_t>(at + 2 * kRunBytes + i));
    }
    state = Shift(tables, static_cast<uint32_t>(state)) ^ second;
    state = Shift(tables, static_cast<uint32_t>(state)) ^ third;
    bytes.remove_prefix(3 * kRunBytes);
  }
  return state;
}

#endif

}  // namespace

uint32_t Crc32cScalar(uint32_t crc, std::string_view bytes) {
  uint64_t state = ~crc;
  while (bytes.size() >= 8) {
    state ^= LoadLe<uint64_t>(bytes.data());
    uint32_t next = 0;
    for (size_t i = 0; i < 8; ++i) next ^= kTables[7 - i][state >> (8 * i) & 255];
    state = next;
    bytes.remove_prefix(8);
  }
  auto word = static_cast<uint32_t>(state);
  for (char c : bytes) word = kTables[0][(word ^ static_cast<unsigned char>(c)) & 255] ^ word >> 8;
  return ~word;
}

uint32_t Crc32cStreams(uint32_t crc, std::string_view bytes) {
#if defined(__SSE4_2__)
  uint64_t state = ~crc & 0xffffffff;
  state = TakeRuns<kLongRunBytes>(kAfterLongRun, state, bytes);
  state = TakeRuns<kShortRunBytes>(kAfterShortRun, state, bytes);
  while (bytes.size() >= 8) {
    state = _mm_crc32_u64(state, LoadLe<uint64_t>(bytes.data()));
    bytes.remove_prefix(8);
  }
  auto word = static_cast<uint32_t>(state);
  for (char c : bytes) word = _mm_crc32_u8(word, static_cast<uint8_t>(c));
  return ~word;
#else
  return Crc32cScalar(crc, bytes);
#endif
}

}  // namespace moonshard::base
