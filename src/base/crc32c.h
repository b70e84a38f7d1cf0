#pragma once
// CRC-32C (Castagnoli's polynomial 0x1EDC6F41, reflected, inverted before and after): the checksum of all our
// own formats. It finds every error of up to 5 bits in records of up to 655 bytes and every burst of up to 32
// bits (Koopman, "32-Bit Cyclic Redundancy Codes for Internet Applications", DSN 2002), and the processor has
// an instruction for it.
//
// One instruction takes 8 bytes and the next one waits 3 cycles for it. From kCrc32cStreamsMin bytes on three
// runs of the input go side by side and are joined by a table that appends zeros to a checksum (Gopal et al.,
// "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction", Intel, 2011).
//
// Safe from any thread.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/macros.h"

#if defined(__SSE4_2__)
#include <immintrin.h>
#endif

namespace moonshard::base {

inline constexpr size_t kCrc32cStreamsMin = 768;

// The twin that the instruction is tested against, and the path of machines without it.
uint32_t Crc32cScalar(uint32_t crc, std::string_view bytes);
// For long input; Crc32c calls it.
uint32_t Crc32cStreams(uint32_t crc, std::string_view bytes);

// The checksum of what `crc` is the checksum of, followed by `bytes`. Begin with 0, or with a seed: a
// checksum that begins with another seed does not fit.
MS_ALWAYS_INLINE uint32_t Crc32c(uint32_t crc, std::string_view bytes) {
#if defined(__SSE4_2__)
  if (bytes.size() >= kCrc32cStreamsMin) [[unlikely]]
    return Crc32cStreams(crc, bytes);
  uint64_t state = ~crc;
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) state = _mm_crc32_u64(state, LoadLe<uint64_t>(at));
  auto word = static_cast<uint32_t>(state);
  if ((left & 4) != 0) {
    word = _mm_crc32_u32(word, LoadLe<uint32_t>(at));
    at += 4;
  }
  if ((left & 2) != 0) {
    word = _mm_crc32_u16(word, LoadLe<uint16_t>(at));
    at += 2;
  }
  if ((left & 1) != 0) word = _mm_crc32_u8(word, static_cast<uint8_t>(*at));
  return ~word;
#else
  return Crc32cScalar(crc, bytes);
#endif
}

}  // namespace moonshard::base
