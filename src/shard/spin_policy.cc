#include "shard/spin_policy.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

namespace moonshard::shard {

void SpinPolicy::Init(BusyPoll config, uint32_t cpu_count, uint32_t shard_count, TimeNs now) {
  mode_ = config.mode;
  const bool core_to_spare = cpu_count > shard_count || shard_count == 1;
  if (mode_ == BusyPoll::Mode::kAuto && !core_to_spare) mode_ = BusyPoll::Mode::kNo;
  switch (mode_) {
    case BusyPoll::Mode::kAuto:
      spin_ns_ = kAutoSpinNs;
      break;
    case BusyPoll::Mode::kNo:
      spin_ns_ = 0;
      break;
    case BusyPoll::Mode::kFixed:
      spin_ns_ = TimeNs{config.spin_us} * 1000;
      break;
  }
  last_check_ns_ = now;
  next_check_ns_ = now + kCheckEveryNs;
  last_switches_ = InvoluntarySwitches();
}

void SpinPolicy::Check(TimeNs now) {
  const int64_t switches = InvoluntarySwitches();
  const double seconds = static_cast<double>(now - last_check_ns_) * 1e-9;
  const double rate = static_cast<double>(switches - last_switches_) / seconds;
  last_switches_ = switches;
  last_check_ns_ = now;
  Observe(rate, now);
}

// A thread that does not spin is hardly ever switched away, so a low rate while paused says nothing: after a
// pause spinning is tried again, and each trial that fails doubles the next pause.
void SpinPolicy::Observe(double switches_per_second, TimeNs now) {
  const bool was_paused = spin_ns_ == 0;
  if (switches_per_second > kSwitchesPerSecondMax) {
    if (!was_paused && !std::exchange(warned_, true)) {  // one burst says little
      next_check_ns_ = now + kCheckEveryNs;
      return;
    }
    warned_ = false;
    spin_ns_ = 0;
    next_check_ns_ = now + pause_ns_;
    pause_ns_ = std::min(pause_ns_ * 2, kPauseMaxNs);
    return;
  }
  warned_ = false;
  if (!was_paused) pause_ns_ = kPauseMinNs;
  spin_ns_ = kAutoSpinNs;
  next_check_ns_ = now + kCheckEveryNs;
}

int64_t SpinPolicy::InvoluntarySwitches() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

}  // namespace moonshard::shard
