#pragma once
// Fault points: named places where a test can make the code fail as the operating system or the allocator
// would.
//
//   if (MS_FAULT("wal.write")) return kDiskFull;          // in the code, next to the call that can really
//   fail
//
//   ScopedFault fault("wal.write", {.skip = 3});          // in a test: the fourth pass fails, once
//
// A point costs one relaxed atomic load and a predicted branch while nothing is armed, in release builds too,
// so that tests exercise the program that ships. Names are `folder.what`. Only tests arm points.
//
// Safe from any thread.

#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/macros.h"

namespace moonshard::base {

// Which passes of an armed point fail: after `skip` passes each further one with `probability`, until
// `count_max` failed.
struct FaultPlan {
  uint64_t skip = 0;
  uint64_t count_max = 1;
  double probability = 1.0;
  uint64_t seed = 1;  // of the draws, when probability < 1

  static constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();
};

struct FaultCounts {
  uint64_t passes = 0;  // how often the point was reached while armed
  uint64_t fired = 0;   // how many of those passes failed
};

// Arms or re-arms a point; its counts start at zero.
void ArmFault(std::string_view name, const FaultPlan& plan);
void DisarmFault(std::string_view name);
// Counts of an armed point; zeros for one that is not armed.
FaultCounts CountsOfFault(std::string_view name);

// Arms for a scope. To walk through every failure of an operation, raise `skip` until counts().fired stays 0.
class ScopedFault {
 public:
  ScopedFault(std::string_view name, const FaultPlan& plan) : name_(name) { ArmFault(name_, plan); }
  ~ScopedFault() { DisarmFault(name_); }
  ScopedFault(const ScopedFault&) = delete;
  ScopedFault& operator=(const ScopedFault&) = delete;

  FaultCounts counts() const { return CountsOfFault(name_); }

 private:
  std::string name_;
};

namespace internal {
// The number of armed points. Relaxed is enough: a test arms before it starts the work, and the table has its
// own lock.
extern std::atomic<uint32_t> armed_fault_count;
bool PassFault(std::string_view name);
}  // namespace internal

}  // namespace moonshard::base

#define MS_FAULT(name)                                                                                   \
  (__builtin_expect(::moonshard::base::internal::armed_fault_count.load(std::memory_order_relaxed) != 0, \
                    0) != 0 &&                                                                           \
   ::moonshard::base::internal::PassFault(name))
