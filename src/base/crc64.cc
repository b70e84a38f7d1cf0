#include "base/crc64.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace moonshard::base {

namespace {

// 0xad93d23594c935a9 with its bits reversed.
constexpr uint64_t kReversedPolynomial = 0x95ac9329ac4bc9b5;

using Tables = std::array<std::array<uint64_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint64_t byte = 0; byte < 256; ++byte) {
    uint64_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? kReversedPolynomial : 0);
    tables[0][byte] = crc;
  }
  // tables[k]: the byte is followed by k zero bytes.
  for (size_t k = 1; k < tables.size(); ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      uint64_t before = tables[k - 1][byte];
      tables[k][byte] = before >> 8 ^ tables[0][before & 255];
    }
  }
  return tables;
}
constexpr Tables kTables = MakeTables();

}  // namespace

uint64_t Crc64(uint64_t crc, std::string_view bytes) {
  while (bytes.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof word);
    crc ^= word;
    uint64_t next = 0;
    for (size_t i = 0; i < 8; ++i) next ^= kTables[7 - i][crc >> (8 * i) & 255];
    crc = next;
    bytes.remove_prefix(8);
  }
  for (char c : bytes) crc = kTables[0][(crc ^ static_cast<unsigned char>(c)) & 255] ^ crc >> 8;
  return crc;
}

}  // namespace moonshard::base
