#pragma once
// Histogram: how often which value occurred, for latencies and lags. Memory is fixed, recording is a few
// instructions, and a quantile is off by less than 1 % of its value.
//
// Values below 128 have a bucket each. Above, every power of two is cut into 64 equal buckets:
//
//   bucket   0 .. 127     128 .. 191       192 .. 255       256 .. 319         ...
//   values   0 .. 127     128,130 .. 254   256,260 .. 508   512,520 .. 1016
//   width    1            2                4                8
//
// A bucket is at most 1/64 of its lower bound wide and answers with its middle, so the error is at most 1/128
// = 0.8 %. Values from 2^40 on (18 minutes in nanoseconds, 12 days in microseconds) share the last bucket;
// max() stays exact. The layout is that of HdrHistogram (Tene) with its two parameters fixed.
//
// Owned by one thread. To read from another, send a copy (18 KiB) and Merge it there.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace moonshard::base {

class Histogram {
 public:
  static constexpr unsigned kSubBits = 6;     // 64 buckets per power of two
  static constexpr unsigned kValueBits = 40;  // values are clamped to 2^40 - 1
  static constexpr size_t kBucketCount = (kValueBits - kSubBits + 1) << kSubBits;

  void Add(uint64_t value, uint64_t times = 1) {
    counts_[BucketOf(value)] += times;
    count_ += times;
    sum_ += value * times;
    min_ = std::min(min_, value);
    max_ = std::max(max_, value);
  }
  void Merge(const Histogram& other);
  void Reset() { *this = Histogram(); }

  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }
  // Exact; 0 when nothing was recorded.
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  uint64_t max() const { return max_; }
  double Mean() const { return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_); }

  // The value that a fraction `quantile` (0..1) of the records does not exceed; 0 when nothing was recorded.
  // O(kBucketCount).
  uint64_t ValueAt(double quantile) const;

  // How many of the records lie in buckets that begin at or below `value`. O(kBucketCount).
  uint64_t CountUpTo(uint64_t value) const;

  // Calls `visit(upper_bound, count)` for each bucket that is not empty, by rising value; the bound is
  // inclusive.
  template <typename Visit>
  void ForEachBucket(Visit&& visit) const {
    for (size_t i = 0; i < kBucketCount; ++i) {
      if (counts_[i] != 0) visit(LowerBound(i) + Width(i) - 1, counts_[i]);
    }
  }

  static constexpr size_t BucketOf(uint64_t value) {
    constexpr uint64_t kMax = (uint64_t{1} << kValueBits) - 1;
    if (value > kMax) value = kMax;
    if (value < (uint64_t{2} << kSubBits)) return value;
    auto shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
    return (size_t{shift} << kSubBits) + (value >> shift);
  }
  static constexpr uint64_t LowerBound(size_t bucket) {
    if (bucket < (size_t{2} << kSubBits)) return bucket;
    size_t shift = (bucket >> kSubBits) - 1;
    return uint64_t{bucket - (shift << kSubBits)} << shift;
  }
  static constexpr uint64_t Width(size_t bucket) {
    return bucket < (size_t{2} << kSubBits) ? 1 : uint64_t{1} << ((bucket >> kSubBits) - 1);
  }

 private:
  std::array<uint64_t, kBucketCount> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t min_ = std::numeric_limits<uint64_t>::max();
  uint64_t max_ = 0;
};

static_assert(Histogram::BucketOf((uint64_t{1} << Histogram::kValueBits) - 1) == Histogram::kBucketCount - 1);
static_assert(sizeof(Histogram) <= 18 * 1024);

}  // namespace moonshard::base
