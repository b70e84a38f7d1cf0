#pragma once
// Latencies in a log-linear histogram: every power of two is cut into 128 equal buckets, so a reported value
// is at most 1/256 (0.4 %) away from the recorded one. Values below 256 ns are exact. Recording is one
// increment; two histograms add up, so each thread keeps its own.
//
// Owned by one thread. 38 KiB; the few buckets a run really touches stay in the first-level cache.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace moonshard::bench {

class Histogram {
 public:
  void Record(uint64_t value, uint64_t count = 1) {
    if (value > kLargest) value = kLargest;
    counts_[BucketOf(value)] += count;
    total_ += count;
    sum_ += value * count;
    if (value > max_) max_ = value;
  }
  void Merge(const Histogram& other);

  uint64_t total() const { return total_; }
  uint64_t max() const { return max_; }
  double Mean() const { return total_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(total_); }
  // The value below or at which the share `quantile` (0..1) of all values lies; 0 when nothing was recorded.
  // Never above max().
  uint64_t Quantile(double quantile) const;

 private:
  static constexpr unsigned kSubBits = 7;
  static constexpr unsigned kLargestBits = 42;  // 73 minutes in ns: longer than any run
  static constexpr uint64_t kLargest = (uint64_t{1} << kLargestBits) - 1;
  static constexpr size_t kBucketCount = (kLargestBits - kSubBits + 1) << kSubBits;

  static size_t BucketOf(uint64_t value) {
    if (value < (uint64_t{2} << kSubBits)) return value;
    unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
    return (size_t{shift} << kSubBits) + (value >> shift);
  }
  static uint64_t MiddleOf(size_t bucket);

  std::array<uint64_t, kBucketCount> counts_{};
  uint64_t total_ = 0;
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace moonshard::bench
