#include "simd/bits.h"

#include <bit>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace moonshard::simd {

namespace {

uint64_t Load64(const char* from) {
  uint64_t word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

void Store64(char* to, uint64_t word) {
  std::memcpy(to, &word, sizeof word);
}

// The last bytes of a string, fewer than 8, as a word whose other bytes are zero.
uint64_t LoadTail(const char* from, size_t size) {
  uint64_t word = 0;
  if (size != 0) std::memcpy(&word, from, size);
  return word;
}

// fn(word of a, word of b) for words and, where a string ends inside one, for bytes.
template <typename Fn>
void CombineScalar(char* to, const char* a, const char* b, size_t size, Fn fn) {
  size_t at = 0;
  for (; at + 8 <= size; at += 8) Store64(to + at, fn(Load64(a + at), Load64(b + at)));
  if (at == size) return;
  const uint64_t tail = fn(LoadTail(a + at, size - at), LoadTail(b + at, size - at));
  std::memcpy(to + at, &tail, size - at);
}

struct AndOp {
  uint64_t operator()(uint64_t a, uint64_t b) const { return a & b; }
#if defined(__AVX2__)
  __m256i operator()(__m256i a, __m256i b) const { return _mm256_and_si256(a, b); }
#endif
};
struct OrOp {
  uint64_t operator()(uint64_t a, uint64_t b) const { return a | b; }
#if defined(__AVX2__)
  __m256i operator()(__m256i a, __m256i b) const { return _mm256_or_si256(a, b); }
#endif
};
struct XorOp {
  uint64_t operator()(uint64_t a, uint64_t b) const { return a ^ b; }
#if defined(__AVX2__)
  __m256i operator()(__m256i a, __m256i b) const { return _mm256_xor_si256(a, b); }
#endif
};
struct AndNotOp {
  uint64_t operator()(uint64_t a, uint64_t b) const { return a & ~b; }
#if defined(__AVX2__)
  // The instruction negates its first operand.
  __m256i operator()(__m256i a, __m256i b) const { return _mm256_andnot_si256(b, a); }
#endif
};
// Of `a` alone.
struct NotOp {
  uint64_t operator()(uint64_t a, uint64_t) const { return ~a; }
#if defined(__AVX2__)
  __m256i operator()(__m256i a, __m256i) const { return _mm256_xor_si256(a, _mm256_set1_epi8(-1)); }
#endif
};

#if defined(__AVX2__)

__m256i Load256(const char* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

void Store256(char* to, __m256i value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
}

template <typename Fn>
void Combine(char* to, const char* a, const char* b, size_t size, Fn fn) {
  size_t at = 0;
  for (; at + 128 <= size; at += 128) {
    // All loads before the stores: `to` may be one of the sources.
    __m256i first = fn(Load256(a + at), Load256(b + at));
    __m256i second = fn(Load256(a + at + 32), Load256(b + at + 32));
    __m256i third = fn(Load256(a + at + 64), Load256(b + at + 64));
    __m256i fourth = fn(Load256(a + at + 96), Load256(b + at + 96));
    Store256(to + at, first);
    Store256(to + at + 32, second);
    Store256(to + at + 64, third);
    Store256(to + at + 96, fourth);
  }
  for (; at + 32 <= size; at += 32) Store256(to + at, fn(Load256(a + at), Load256(b + at)));
  CombineScalar(to + at, a + at, b + at, size - at, fn);
}

#else

template <typename Fn>
void Combine(char* to, const char* a, const char* b, size_t size, Fn fn) {
  CombineScalar(to, a, b, size, fn);
}

#endif

}  // namespace

size_t CountOnes(const char* data, size_t size) {
  size_t count = 0;
  size_t at = 0;
  for (; at + 8 <= size; at += 8) count += static_cast<size_t>(std::popcount(Load64(data + at)));
  return count + static_cast<size_t>(std::popcount(LoadTail(data + at, size - at)));
}

size_t FindBitScalar(const char* data, size_t size, Bit wanted) {
  // Turns the search for a clear bit into one for a set bit.
  const uint64_t flip = wanted == Bit::kSet ? 0 : ~uint64_t{0};
  size_t at = 0;
  for (; at < size; at += 8) {
    const size_t here = size - at < 8 ? size - at : 8;
    const uint64_t word = __builtin_bswap64(here == 8 ? Load64(data + at) : LoadTail(data + at, here)) ^ flip;
    if (word == 0) continue;
    const auto bit = static_cast<size_t>(std::countl_zero(word));
    // The bits after a short tail belong to nobody.
    return bit < here * 8 ? at * 8 + bit : size * 8;
  }
  return size * 8;
}

size_t FindBit(const char* data, size_t size, Bit wanted) {
  size_t at = 0;
#if defined(__AVX2__)
  const __m256i passed = wanted == Bit::kSet ? _mm256_setzero_si256() : _mm256_set1_epi8(-1);
  for (; at + 32 <= size; at += 32) {
    const __m256i other = _mm256_xor_si256(Load256(data + at), passed);
    if (_mm256_testz_si256(other, other) == 0) break;
  }
#endif
  return at * 8 + FindBitScalar(data + at, size - at, wanted);
}

void And(char* to, const char* a, const char* b, size_t size) {
  Combine(to, a, b, size, AndOp());
}
void Or(char* to, const char* a, const char* b, size_t size) {
  Combine(to, a, b, size, OrOp());
}
void Xor(char* to, const char* a, const char* b, size_t size) {
  Combine(to, a, b, size, XorOp());
}
void AndNot(char* to, const char* a, const char* b, size_t size) {
  Combine(to, a, b, size, AndNotOp());
}
void Not(char* to, const char* a, size_t size) {
  Combine(to, a, a, size, NotOp());
}

void CountTwice(char* once, char* twice, const char* more, size_t size) {
  size_t at = 0;
#if defined(__AVX2__)
  for (; at + 32 <= size; at += 32) {
    const __m256i seen = Load256(once + at);
    const __m256i now = Load256(more + at);
    Store256(twice + at, _mm256_or_si256(Load256(twice + at), _mm256_and_si256(seen, now)));
    Store256(once + at, _mm256_or_si256(seen, now));
  }
#endif
  CountTwiceScalar(once + at, twice + at, more + at, size - at);
}

void AndScalar(char* to, const char* a, const char* b, size_t size) {
  CombineScalar(to, a, b, size, AndOp());
}
void OrScalar(char* to, const char* a, const char* b, size_t size) {
  CombineScalar(to, a, b, size, OrOp());
}
void XorScalar(char* to, const char* a, const char* b, size_t size) {
  CombineScalar(to, a, b, size, XorOp());
}
void AndNotScalar(char* to, const char* a, const char* b, size_t size) {
  CombineScalar(to, a, b, size, AndNotOp());
}
void NotScalar(char* to, const char* a, size_t size) {
  CombineScalar(to, a, a, size, NotOp());
}

void CountTwiceScalar(char* once, char* twice, const char* more, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    twice[i] = static_cast<char>(twice[i] | (once[i] & more[i]));
    once[i] = static_cast<char>(once[i] | more[i]);
  }
}

}  // namespace moonshard::simd
