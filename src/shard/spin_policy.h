#pragma once
// SpinPolicy: how long an idle shard looks for work before it sleeps. Waking a sleeping core costs 15 to 35
// us and a hop to an awake one 0.2 us (measured, hop_bench.cc), so a short spin pays when work comes back
// soon; it is a loss when the core is wanted by somebody else, which shows as involuntary context switches of
// this thread. Owned by one shard.

#include <cstdint>

#include "base/types.h"

namespace moonshard::shard {

struct BusyPoll {
  enum class Mode : uint8_t { kAuto, kNo, kFixed };
  Mode mode = Mode::kAuto;
  uint32_t spin_us = 0;  // kFixed
};

class SpinPolicy {
 public:
  // Called on the shard's thread. `cpu_count`: cores this process may use. In auto mode several shards do not
  // spin without a core to spare: two shards that shared two cores with their clients lost a third of their
  // throughput by it. A single shard spins on its only core, as clients may be elsewhere; the switches tell
  // (Observe).
  void Init(BusyPoll config, uint32_t cpu_count, uint32_t shard_count, TimeNs now);
  // How long after the last work item to keep spinning, at `now`.
  TimeNs SpinNs(TimeNs now) {
    if (mode_ == BusyPoll::Mode::kAuto && now >= next_check_ns_) [[unlikely]]
      Check(now);
    return spin_ns_;
  }

  // For tests: what one look at the rate of involuntary switches decides.
  void Observe(double switches_per_second, TimeNs now);

 private:
  static constexpr TimeNs kAutoSpinNs = 30'000;
  static constexpr TimeNs kCheckEveryNs = 500'000'000;
  static constexpr TimeNs kPauseMinNs = 1'000'000'000;
  static constexpr TimeNs kPauseMaxNs = 16'000'000'000;
  // Above this the core is shared. A thread that spins alone on a core is switched away some 40 times a
  // second by the kernel's own threads, for microseconds each; next to one busy process it is 125 times or
  // more, for milliseconds (Linux 6.18, HZ 250).
  static constexpr double kSwitchesPerSecondMax = 90.0;

  void Check(TimeNs now);
  static int64_t InvoluntarySwitches();

  BusyPoll::Mode mode_ = BusyPoll::Mode::kNo;
  TimeNs spin_ns_ = 0;
  TimeNs next_check_ns_ = 0;
  TimeNs last_check_ns_ = 0;
  TimeNs pause_ns_ = kPauseMinNs;
  int64_t last_switches_ = 0;
  bool warned_ = false;  // the last window was over the limit
};

}  // namespace moonshard::shard
