#include "bench/load_histogram.h"

#include <algorithm>
#include <cmath>

namespace moonshard::bench {

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  total_ += other.total_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

uint64_t Histogram::MiddleOf(size_t bucket) {
  if (bucket < (size_t{2} << kSubBits)) return bucket;
  unsigned shift = static_cast<unsigned>(bucket >> kSubBits) - 1;
  uint64_t low = (bucket - (size_t{shift} << kSubBits)) << shift;
  return low + (uint64_t{1} << shift) / 2;
}

uint64_t Histogram::Quantile(double quantile) const {
  if (total_ == 0) return 0;
  auto rank = static_cast<uint64_t>(std::ceil(std::clamp(quantile, 0.0, 1.0) * static_cast<double>(total_)));
  if (rank >= total_) return max_;
  rank = std::max<uint64_t>(rank, 1);
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= rank) return std::min(MiddleOf(bucket), max_);
  }
  return max_;
}

}  // namespace moonshard::bench
