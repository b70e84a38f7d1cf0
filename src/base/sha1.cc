#include "base/sha1.h"

#include <bit>
#include <cstddef>
#include <cstring>

namespace moonshard::base {

namespace {

constexpr size_t kBlockBytes = 64;
using State = std::array<uint32_t, 5>;

uint32_t LoadBigEndian(const char* at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return std::byteswap(word);
}

void AddBlock(State& state, const char* block) {
  std::array<uint32_t, 80> w;
  for (size_t t = 0; t < 16; ++t) w[t] = LoadBigEndian(block + 4 * t);
  for (size_t t = 16; t < 80; ++t) w[t] = std::rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  auto [a, b, c, d, e] = state;
  for (size_t t = 0; t < 80; ++t) {
    uint32_t f;
    uint32_t k;
    if (t < 20) {
      f = (b & c) | (~b & d);
      k = 0x5a827999;
    } else if (t < 40) {
      f = b ^ c ^ d;
      k = 0x6ed9eba1;
    } else if (t < 60) {
      f = (b & c) | (b & d) | (c & d);
      k = 0x8f1bbcdc;
    } else {
      f = b ^ c ^ d;
      k = 0xca62c1d6;
    }
    uint32_t next = std::rotl(a, 5) + f + e + k + w[t];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

}  // namespace

Sha1Digest Sha1(std::string_view bytes) {
  State state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  const uint64_t bit_count = uint64_t{bytes.size()} * 8;
  for (; bytes.size() >= kBlockBytes; bytes.remove_prefix(kBlockBytes)) AddBlock(state, bytes.data());
  // The rest, a one bit, zeros, and the length in the last eight bytes of a block.
  std::array<char, 2 * kBlockBytes> tail{};
  if (!bytes.empty()) std::memcpy(tail.data(), bytes.data(), bytes.size());
  tail[bytes.size()] = static_cast<char>(0x80);
  const size_t tail_bytes = bytes.size() < kBlockBytes - 8 ? kBlockBytes : 2 * kBlockBytes;
  const uint64_t length = std::byteswap(bit_count);
  std::memcpy(tail.data() + tail_bytes - sizeof length, &length, sizeof length);
  for (size_t at = 0; at < tail_bytes; at += kBlockBytes) AddBlock(state, tail.data() + at);

  Sha1Digest digest;
  for (size_t i = 0; i < state.size(); ++i) {
    const uint32_t word = std::byteswap(state[i]);
    std::memcpy(digest.data() + 4 * i, &word, sizeof word);
  }
  return digest;
}

std::string HexOf(const Sha1Digest& digest) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace moonshard::base
