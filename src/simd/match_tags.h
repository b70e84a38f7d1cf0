#pragma once
// MatchTags64: which of 64 consecutive 16-bit tags equal a given one? The probe of the hash table
// (dash/table.h). Bit i of the answer is set exactly when tags[i] == tag.

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace moonshard::simd {

// The twin every kernel is tested against, and the path of machines without AVX2.
inline uint64_t MatchTags64Scalar(const uint16_t* tags, uint16_t tag) {
  uint64_t mask = 0;
  for (uint32_t i = 0; i < 64; ++i) mask |= static_cast<uint64_t>(tags[i] == tag) << i;
  return mask;
}

#if defined(__AVX2__)
// Two registers of 16 words each give 32 bytes of 0x00/0xFF; packs works inside 128-bit lanes, the
// permutation restores the order of the words.
inline uint64_t MatchTags64Avx2(const uint16_t* tags, uint16_t tag) {
  const __m256i wanted = _mm256_set1_epi16(static_cast<int16_t>(tag));
  auto half = [&](const uint16_t* from) {
    const auto* at = reinterpret_cast<const __m256i*>(from);
    __m256i low = _mm256_cmpeq_epi16(_mm256_loadu_si256(at), wanted);
    __m256i high = _mm256_cmpeq_epi16(_mm256_loadu_si256(at + 1), wanted);
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xD8);
    return static_cast<uint32_t>(_mm256_movemask_epi8(bytes));
  };
  return half(tags) | static_cast<uint64_t>(half(tags + 32)) << 32;
}
#endif

#if defined(__x86_64__)
// Only where the machine has AVX-512BW. Kept for the comparison above.
__attribute__((target("avx512f,avx512bw"), noinline)) inline uint64_t MatchTags64Avx512(const uint16_t* tags,
                                                                                        uint16_t tag) {
  const __m512i wanted = _mm512_set1_epi16(static_cast<int16_t>(tag));
  const uint64_t low = _mm512_cmpeq_epi16_mask(_mm512_loadu_si512(tags), wanted);
  const uint64_t high = _mm512_cmpeq_epi16_mask(_mm512_loadu_si512(tags + 32), wanted);
  return low | high << 32;
}
#endif

inline uint64_t MatchTags64(const uint16_t* tags, uint16_t tag) {
#if defined(__AVX2__)
  return MatchTags64Avx2(tags, tag);
#else
  return MatchTags64Scalar(tags, tag);
#endif
}

}  // namespace moonshard::simd
