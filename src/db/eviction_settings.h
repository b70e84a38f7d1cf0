#pragma once
// What the data budget and the access clock are told by the configuration. One per server, shared by all
// shards: plain atomics, so that CONFIG SET needs no hop. Safe from any thread.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace moonshard::db {

// Redis' eight policies. What a policy weighs is one thing, among which keys it chooses another.
enum class EvictionPolicy : uint8_t {
  kNoEviction,
  kAllKeysLru,
  kAllKeysLfu,
  kAllKeysRandom,
  kVolatileLru,
  kVolatileLfu,
  kVolatileRandom,
  kVolatileTtl,
};

// In the order in which Redis lists them, and their names in maxmemory-policy.
struct EvictionPolicyName {
  std::string_view name;
  EvictionPolicy policy;
};
inline constexpr std::array<EvictionPolicyName, 8> kEvictionPolicies = {{
    {"volatile-lru", EvictionPolicy::kVolatileLru},
    {"volatile-lfu", EvictionPolicy::kVolatileLfu},
    {"volatile-random", EvictionPolicy::kVolatileRandom},
    {"volatile-ttl", EvictionPolicy::kVolatileTtl},
    {"allkeys-lru", EvictionPolicy::kAllKeysLru},
    {"allkeys-lfu", EvictionPolicy::kAllKeysLfu},
    {"allkeys-random", EvictionPolicy::kAllKeysRandom},
    {"noeviction", EvictionPolicy::kNoEviction},
}};

constexpr bool CountsFrequency(EvictionPolicy policy) {
  return policy == EvictionPolicy::kAllKeysLfu || policy == EvictionPolicy::kVolatileLfu;
}
// Whether it weighs when or how often a key was used.
constexpr bool NeedsAccessClock(EvictionPolicy policy) {
  return CountsFrequency(policy) || policy == EvictionPolicy::kAllKeysLru ||
         policy == EvictionPolicy::kVolatileLru;
}
// Whether only keys with a deadline may go.
constexpr bool IsVolatile(EvictionPolicy policy) {
  return policy >= EvictionPolicy::kVolatileLru;
}

struct EvictionSettings {
  std::atomic<uint64_t> maxmemory{0};  // bytes of keys, values and index; 0: no limit
  std::atomic<EvictionPolicy> policy{EvictionPolicy::kNoEviction};
  std::atomic<uint32_t> samples{5};
  std::atomic<uint32_t> tenacity{10};
  std::atomic<uint32_t> lfu_log_factor{10};
  std::atomic<uint32_t> lfu_decay_minutes{1};
};

// What the shards tell each other about the budget beside its counter.
struct BudgetSignals {
  std::atomic<uint64_t> wanted{0};          // room that a write waits for, bytes
  std::atomic<uint32_t> shards_freeing{0};  // shards that have flushed keys still to free
};

}  // namespace moonshard::db
