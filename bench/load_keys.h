#pragma once
// Which key comes next: indexes into a keyspace of fixed size, and their text of fixed width (so that
// requests can be rendered once and only the digits replaced).
//
// Owned by one thread.

#include <cstdint>
#include <cstring>

#include "base/macros.h"
#include "base/random.h"

namespace moonshard::bench {

inline constexpr size_t kKeyDigits = 12;
inline constexpr uint64_t kMaxKeyspace = 1'000'000'000'000;

// Writes `index` as exactly kKeyDigits decimal digits.
MS_ALWAYS_INLINE void WriteKeyDigits(char* to, uint64_t index) {
  for (int at = static_cast<int>(kKeyDigits) - 4; at >= 0; at -= 4) {
    auto group = static_cast<uint32_t>(index % 10000);
    index /= 10000;
    uint32_t high = group / 100, low = group % 100;
    to[at] = static_cast<char>('0' + high / 10);
    to[at + 1] = static_cast<char>('0' + high % 10);
    to[at + 2] = static_cast<char>('0' + low / 10);
    to[at + 3] = static_cast<char>('0' + low % 10);
  }
}

// Ranks 0..count-1 with probability proportional to 1/(rank+1)^theta, theta > 0, in constant memory, by
// rejection-inversion (Hoermann, Derflinger: Rejection-inversion to generate variates from monotone discrete
// distributions, ACM TOMACS 6(3), 1996). About 1.1 trials a sample, three logarithms or exponentials each.
class Zipf {
 public:
  Zipf(uint64_t count, double theta);
  uint64_t Next(base::Random& random) const;

 private:
  double Integral(double x) const;         // of x^-theta, up to a constant
  double IntegralInverse(double y) const;  //
  double Density(double x) const;          // x^-theta

  double count_;
  double theta_;
  double integral_first_;  // where the hat function begins
  double integral_last_;   // and where it ends
  double accept_;          // distance below which a rounded value is certainly accepted
};

enum class Distribution : uint8_t { kUniform, kZipf, kSequential };

class KeyChooser {
 public:
  // Sequential keys walk [begin, end) round and round; the others draw from the whole keyspace.
  KeyChooser(Distribution distribution, double theta, uint64_t keyspace, uint64_t begin, uint64_t end)
      : distribution_(distribution),
        zipf_(keyspace, distribution == Distribution::kZipf ? theta : 1.0),
        keyspace_(keyspace),
        begin_(begin),
        end_(end),
        next_(begin) {}

  MS_ALWAYS_INLINE uint64_t Next(base::Random& random) {
    if (distribution_ == Distribution::kUniform) [[likely]]
      return random.Below(keyspace_);
    if (distribution_ == Distribution::kZipf) return zipf_.Next(random);
    uint64_t index = next_++;
    if (next_ == end_) next_ = begin_;
    return index;
  }

 private:
  Distribution distribution_;
  Zipf zipf_;
  uint64_t keyspace_;
  uint64_t begin_;
  uint64_t end_;
  uint64_t next_;
};

}  // namespace moonshard::bench
