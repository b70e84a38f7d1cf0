#include "base/histogram.h"

#include <cmath>

namespace moonshard::base {

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < kBucketCount; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::CountUpTo(uint64_t value) const {
  uint64_t count = 0;
  for (size_t i = 0; i <= BucketOf(value); ++i) count += counts_[i];
  return count;
}

uint64_t Histogram::ValueAt(double quantile) const {
  if (count_ == 0) return 0;
  double rank = std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(count_));
  uint64_t needed = std::clamp(static_cast<uint64_t>(rank), uint64_t{1}, count_);
  // The extremes are known exactly, and the last bucket has no middle.
  if (needed == 1) return min_;
  if (needed == count_) return max_;
  uint64_t seen = 0;
  for (size_t i = 0; i < kBucketCount; ++i) {
    seen += counts_[i];
    if (seen >= needed) return std::clamp(LowerBound(i) + Width(i) / 2, min_, max_);
  }
  return max_;
}

}  // namespace moonshard::base
