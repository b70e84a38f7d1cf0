#include "simd/bits.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

namespace moonshard::simd {
namespace {

// Every bit by itself: what the kernels must agree with, the scalar ones included.
bool BitAt(const std::string& bytes, size_t at) {
  return ((static_cast<unsigned char>(bytes[at / 8]) >> (7 - at % 8)) & 1) != 0;
}

size_t CountPlain(const std::string& bytes) {
  size_t count = 0;
  for (size_t i = 0; i < bytes.size() * 8; ++i) count += BitAt(bytes, i);
  return count;
}

size_t FindPlain(const std::string& bytes, Bit wanted) {
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    if (BitAt(bytes, i) == (wanted == Bit::kSet)) return i;
  }
  return bytes.size() * 8;
}

// Mostly random bytes, but also long runs of zeros and ones, which the searches skip.
std::string RandomBytes(std::mt19937_64& random, size_t size) {
  std::string bytes(size, '\0');
  const uint64_t style = random() % 4;
  for (char& byte : bytes) {
    byte = style == 0 ? '\0' : style == 1 ? '\xFF' : static_cast<char>(random());
  }
  if (style < 2 && size != 0 && random() % 4 != 0) {
    bytes[random() % size] ^= static_cast<char>(1u << random() % 8);
  }
  return bytes;
}

// The lengths of a round: all up to 300, then some that reach every loop of the kernels.
size_t LengthOf(size_t round, std::mt19937_64& random) {
  return round <= 300 ? round : 300 + random() % 3000;
}
constexpr size_t kRounds = 500;
constexpr size_t kAlignments = 32;

class Bits : public testing::Test {
 protected:
  const uint64_t seed_ = std::random_device{}();
  std::mt19937_64 random_{seed_};
  testing::ScopedTrace trace_{__FILE__, __LINE__, testing::Message() << "seed " << seed_};
};

TEST_F(Bits, CountAndFindAgreeWithAPlainLoop) {
  for (size_t round = 0; round < kRounds; ++round) {
    const size_t size = LengthOf(round, random_);
    const size_t step = size <= 300 ? 1 : 7;
    for (size_t shift = 0; shift < kAlignments; shift += step) {
      const std::string bytes = RandomBytes(random_, size);
      const size_t count = CountPlain(bytes);
      // The bytes around would be counted and found if a kernel read them.
      for (char around : {'\0', '\xFF'}) {
        std::string buffer(shift, around);
        buffer += bytes;
        buffer.append(40, around);
        const char* data = buffer.data() + shift;
        ASSERT_EQ(CountOnes(data, size), count) << size;
        for (Bit wanted : {Bit::kClear, Bit::kSet}) {
          const size_t found = FindPlain(bytes, wanted);
          ASSERT_EQ(FindBit(data, size, wanted), found) << size;
          ASSERT_EQ(FindBitScalar(data, size, wanted), found) << size;
        }
      }
    }
  }
}

TEST_F(Bits, EverySinglePositionIsFound) {
  for (size_t size : {1u, 7u, 8u, 9u, 31u, 32u, 33u, 100u}) {
    for (size_t at = 0; at < size * 8; ++at) {
      std::string zeros(size, '\0');
      std::string ones(size, '\xFF');
      zeros[at / 8] = static_cast<char>(0x80u >> at % 8);
      ones[at / 8] = static_cast<char>(~(0x80u >> at % 8));
      ASSERT_EQ(FindBit(zeros.data(), size, Bit::kSet), at);
      ASSERT_EQ(FindBit(ones.data(), size, Bit::kClear), at);
      ASSERT_EQ(CountOnes(zeros.data(), size), 1u);
      ASSERT_EQ(CountOnes(ones.data(), size), size * 8 - 1);
    }
  }
}

using Combiner = void (*)(char*, const char*, const char*, size_t);
struct Combination {
  const char* name;
  Combiner vector;
  Combiner scalar;
  std::function<int(int, int)> plain;
};

const Combination kCombinations[] = {
    {"and", And, AndScalar, [](int a, int b) { return a & b; }},
    {"or", Or, OrScalar, [](int a, int b) { return a | b; }},
    {"xor", Xor, XorScalar, [](int a, int b) { return a ^ b; }},
    {"and not", AndNot, AndNotScalar, [](int a, int b) { return a & ~b; }},
    {"not", [](char* to, const char* a, const char*, size_t size) { Not(to, a, size); },
     [](char* to, const char* a, const char*, size_t size) { NotScalar(to, a, size); },
     [](int a, int) { return ~a; }},
};

TEST_F(Bits, CombinationsAgreeWithAPlainLoop) {
  for (const Combination& combination : kCombinations) {
    SCOPED_TRACE(combination.name);
    for (size_t round = 0; round < kRounds; ++round) {
      const size_t size = LengthOf(round, random_);
      const size_t shift = random_() % kAlignments;
      const std::string a = RandomBytes(random_, size + shift);
      const std::string b = RandomBytes(random_, size + kAlignments);
      std::string expected(size, '\0');
      for (size_t i = 0; i < size; ++i)
        expected[i] = static_cast<char>(combination.plain(a[i + shift], b[i]));
      for (Combiner combine : {combination.vector, combination.scalar}) {
        std::string to(size + 40, 'x');
        combine(to.data() + 3, a.data() + shift, b.data(), size);
        ASSERT_EQ(to.substr(3, size), expected) << size;
        ASSERT_EQ(to.substr(0, 3) + to.substr(size + 3), std::string(40, 'x')) << size;
        std::string onto_a = a;
        combine(onto_a.data() + shift, onto_a.data() + shift, b.data(), size);
        ASSERT_EQ(onto_a.substr(shift), expected) << size;
        std::string onto_b = b;
        combine(onto_b.data(), a.data() + shift, onto_b.data(), size);
        ASSERT_EQ(onto_b.substr(0, size), expected) << size;
      }
    }
  }
}

TEST_F(Bits, CountTwiceTellsOnceFromMoreOften) {
  for (size_t round = 0; round < kRounds; ++round) {
    const size_t size = LengthOf(round, random_);
    std::string once(size, '\0');
    std::string twice(size, '\0');
    std::string once_scalar = once;
    std::string twice_scalar = twice;
    std::vector<size_t> seen(size * 8);
    for (size_t i = 0; i < 1 + round % 4; ++i) {
      const std::string more = RandomBytes(random_, size);
      for (size_t bit = 0; bit < size * 8; ++bit) seen[bit] += BitAt(more, bit);
      CountTwice(once.data(), twice.data(), more.data(), size);
      CountTwiceScalar(once_scalar.data(), twice_scalar.data(), more.data(), size);
    }
    for (size_t bit = 0; bit < size * 8; ++bit) {
      ASSERT_EQ(BitAt(once, bit), seen[bit] >= 1);
      ASSERT_EQ(BitAt(twice, bit), seen[bit] >= 2);
    }
    ASSERT_EQ(once, once_scalar);
    ASSERT_EQ(twice, twice_scalar);
  }
}

}  // namespace
}  // namespace moonshard::simd
