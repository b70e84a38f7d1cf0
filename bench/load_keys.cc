#include "bench/load_keys.h"

#include <algorithm>
#include <cmath>

namespace moonshard::bench {

namespace {
// (exp(t) - 1) / t and log(1 + t) / t, continuous at 0, so that theta = 1 needs no case of its own.
double ExpRatio(double t) {
  return std::abs(t) > 1e-8 ? std::expm1(t) / t : 1 + t / 2;
}
double LogRatio(double t) {
  return std::abs(t) > 1e-8 ? std::log1p(t) / t : 1 - t / 2;
}
}  // namespace

Zipf::Zipf(uint64_t count, double theta) : count_(static_cast<double>(count)), theta_(theta) {
  integral_first_ = Integral(1.5) - 1;
  integral_last_ = Integral(count_ + 0.5);
  accept_ = 2 - IntegralInverse(Integral(2.5) - Density(2));
}

double Zipf::Integral(double x) const {
  double log_x = std::log(x);
  return log_x * ExpRatio((1 - theta_) * log_x);
}

double Zipf::IntegralInverse(double y) const {
  double t = std::max(y * (1 - theta_), -1.0);  // rounding may carry it just past the pole
  return std::exp(y * LogRatio(t));
}

double Zipf::Density(double x) const {
  return std::exp(-theta_ * std::log(x));
}

uint64_t Zipf::Next(base::Random& random) const {
  for (;;) {
    double y = integral_last_ + random.NextDouble() * (integral_first_ - integral_last_);
    double x = IntegralInverse(y);
    double rank = std::clamp(std::floor(x + 0.5), 1.0, count_);
    if (rank - x <= accept_ || y >= Integral(rank + 0.5) - Density(rank))
      return static_cast<uint64_t>(rank) - 1;
  }
}

}  // namespace moonshard::bench
