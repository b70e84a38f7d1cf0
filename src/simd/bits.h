#pragma once
// Kernels over strings of bits: count the ones, find the first bit of a kind, combine two strings. Bit 0 of a
// string is the most significant bit of its first byte, as in Redis' bitmaps.
//
// The names without a suffix are the ones to call; the *Scalar twins are what the vector kernels are tested
// against, and the path of machines without AVX2. No alignment is asked for, and nothing outside the given
// bytes is read or written.
//
// On a Zen 5 core (simd/bits_bench.cc), in the first cache level: FindBit passes 65 GiB/s, its twin 14. To
// combine onto one of the sources, as BITOP does with many, takes 87 GiB/s against 27: the compiler's own
// vector code for the twin steps aside where `to` overlaps a source. Wider registers are not dispatched to.

#include <cstddef>
#include <cstdint>

namespace moonshard::simd {

// A plain loop over words, which the compiler turns into vector code: on a Zen 5 core 58 GiB/s in the first
// cache level, where carry-save adders over AVX2 registers came to 52.
size_t CountOnes(const char* data, size_t size);

enum class Bit : uint8_t { kClear, kSet };
// The position of the first bit of this kind; 8 * size if there is none.
size_t FindBit(const char* data, size_t size, Bit wanted);
size_t FindBitScalar(const char* data, size_t size, Bit wanted);

// to = a op b, byte by byte. `to` may be `a` or `b`; other overlaps are not allowed.
void And(char* to, const char* a, const char* b, size_t size);
void Or(char* to, const char* a, const char* b, size_t size);
void Xor(char* to, const char* a, const char* b, size_t size);
// to = a & ~b
void AndNot(char* to, const char* a, const char* b, size_t size);
// to = ~a
void Not(char* to, const char* a, size_t size);
// Counts one more string into two: `once` has the bits seen at least once, `twice` those seen again.
void CountTwice(char* once, char* twice, const char* more, size_t size);

void AndScalar(char* to, const char* a, const char* b, size_t size);
void OrScalar(char* to, const char* a, const char* b, size_t size);
void XorScalar(char* to, const char* a, const char* b, size_t size);
void AndNotScalar(char* to, const char* a, const char* b, size_t size);
void NotScalar(char* to, const char* a, size_t size);
void CountTwiceScalar(char* once, char* twice, const char* more, size_t size);

}  // namespace moonshard::simd
