#include "db/access_clock.h"

#include <algorithm>

namespace moonshard::db {

AccessClock::AccessClock(const EvictionSettings& settings, uint64_t random_seed)
    : settings_(settings), random_(random_seed) {
  Refresh(0);
}

void AccessClock::Refresh(TimeMs now) {
  policy_ = settings_.policy.load(std::memory_order_relaxed);
  const auto seconds = static_cast<uint64_t>(std::max<TimeMs>(now, 0)) / 1000;
  next_second_ms_ = static_cast<TimeMs>(seconds + 1) * 1000;
  seconds_ = static_cast<uint32_t>(seconds) & kSecondsMask;
  minutes_ = static_cast<uint32_t>(seconds / 60) & kMinutesMask;
  fresh_ = counts_frequency() ? minutes_ << 8 | kNewFrequency : seconds_;
  current_ = counts_frequency() ? kNoValue : seconds_;
  set_touching(touching_);
}

void AccessClock::TouchSlow(dash::Entry& entry) {
  if (touching_ == Touching::kOn) TouchAlways(entry);
}

void AccessClock::TouchAlways(dash::Entry& entry) {
  if (!counts_frequency()) {
    entry.set_access_clock(seconds_);
    return;
  }
  uint32_t counter = Frequency(entry);
  if (counter < kFrequencyMax) {
    const uint32_t above = counter > kNewFrequency ? counter - kNewFrequency : 0;
    const double factor = settings_.lfu_log_factor.load(std::memory_order_relaxed);
    if (random_.NextDouble() * (above * factor + 1) < 1) ++counter;
  }
  entry.set_access_clock(minutes_ << 8 | counter);
}

uint32_t AccessClock::IdleSeconds(const dash::Entry& entry) const {
  const uint32_t clock = entry.access_clock();
  // Past the wrap Redis counts one second less than modulo 2^24 would.
  return seconds_ >= clock ? seconds_ - clock : seconds_ + (kSecondsMask - clock);
}

uint32_t AccessClock::Frequency(const dash::Entry& entry) const {
  const uint32_t then = entry.access_clock() >> 8;
  const uint32_t counter = entry.access_clock() & kFrequencyMax;
  const uint32_t decay_minutes = settings_.lfu_decay_minutes.load(std::memory_order_relaxed);
  if (decay_minutes == 0) return counter;
  const uint32_t elapsed = minutes_ >= then ? minutes_ - then : kMinutesMask - then + minutes_;
  return counter - std::min(counter, elapsed / decay_minutes);
}

void AccessClock::SetIdle(dash::Entry& entry, int64_t seconds) const {
  if (counts_frequency()) return;
  int64_t then = int64_t{seconds_} - seconds;
  if (then < 0) then += kSecondsMask;
  entry.set_access_clock(static_cast<uint32_t>(then) & kSecondsMask);
}

void AccessClock::SetFrequency(dash::Entry& entry, uint32_t frequency) const {
  if (counts_frequency()) entry.set_access_clock(minutes_ << 8 | frequency);
}

}  // namespace moonshard::db
