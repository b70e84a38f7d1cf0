#pragma once
// AccessClock: what the 24 access bits of an entry mean, and when they change. As in Redis 7, so that OBJECT
// IDLETIME and OBJECT FREQ show the same numbers and RESTORE can set them:
//
//     no LFU policy    | seconds since the epoch, modulo 2^24                    |  of the last access
//     an LFU policy    | minutes since the epoch, modulo 2^16 |  counter, 8 bits |
//
// The counter is a Morris counter (Morris, CACM 1978): an access raises it from c to c + 1 with probability
// 1 / ((c - 5) * lfu-log-factor + 1), and it loses one for every lfu-decay-time minutes without access. A new
// key starts at 5, or it would be the first to go. When the policy changes between the two kinds the bits
// are not rewritten: they are read in the new way, and right again once the key has been used.
//
// Cost of a touch: one compare of a line that the lookup has just read, and a store into it at most once a
// second per key. The bits are no part of the value: they pass neither the mutation sink nor a snapshot's
// hook. Owned by one shard.

#include <cstdint>

#include "base/macros.h"
#include "base/random.h"
#include "base/types.h"
#include "dash/entry.h"
#include "db/eviction_settings.h"

namespace moonshard::db {

class AccessClock {
 public:
  static constexpr uint32_t kNewFrequency = 5;
  static constexpr uint32_t kFrequencyMax = 255;
  static constexpr uint32_t kSecondsMask = (1u << 24) - 1;
  static constexpr uint32_t kMinutesMask = (1u << 16) - 1;

  // The settings outlive the clock.
  AccessClock(const EvictionSettings& settings, uint64_t random_seed);

  // To be called when the keyspace's clock is set: follows the time and the policy.
  MS_ALWAYS_INLINE void Advance(TimeMs now) {
    if (now >= next_second_ms_ || settings_.policy.load(std::memory_order_relaxed) != policy_) [[unlikely]]
      Refresh(now);
  }

  // An access to an existing key.
  MS_ALWAYS_INLINE void Touch(dash::Entry& entry) {
    if (entry.access_clock() == current_) [[likely]]
      return;
    if (plain_) [[likely]] {
      entry.set_access_clock(current_);
    } else {
      TouchSlow(entry);
    }
  }
  // The same although the client asked that its accesses leave no trace (the command TOUCH).
  void TouchAlways(dash::Entry& entry);
  // Until the next call: whether Touch does anything (CLIENT NO-TOUCH).
  enum class Touching : uint8_t { kOn, kOff };
  void set_touching(Touching touching) {
    touching_ = touching;
    plain_ = touching_ == Touching::kOn && !counts_frequency();
  }

  // The bits of a new entry. The address stays, the tables read it.
  const uint32_t* fresh() const { return &fresh_; }

  bool counts_frequency() const { return CountsFrequency(policy_); }
  // Seconds since the last access; without an LFU policy.
  uint32_t IdleSeconds(const dash::Entry& entry) const;
  // The counter less what it has lost since; with an LFU policy.
  uint32_t Frequency(const dash::Entry& entry) const;
  // For RESTORE: sets what the policy uses and ignores the other. `seconds` is not negative, `frequency` is
  // at most kFrequencyMax.
  void SetIdle(dash::Entry& entry, int64_t seconds) const;
  void SetFrequency(dash::Entry& entry, uint32_t frequency) const;

 private:
  // No entry has this value: every touch takes the slow path.
  static constexpr uint32_t kNoValue = UINT32_MAX;

  void Refresh(TimeMs now);
  MS_NOINLINE void TouchSlow(dash::Entry& entry);

  const EvictionSettings& settings_;
  // What an entry holds that was used just now: nothing is to do. kNoValue with an LFU policy.
  uint32_t current_ = kNoValue;
  uint32_t fresh_ = 0;
  TimeMs next_second_ms_ = 0;
  uint32_t seconds_ = 0;
  uint32_t minutes_ = 0;
  EvictionPolicy policy_ = EvictionPolicy::kNoEviction;
  Touching touching_ = Touching::kOn;
  bool plain_ = true;  // a touch stores `current_` and does nothing else
  base::Random random_;
};

}  // namespace moonshard::db
