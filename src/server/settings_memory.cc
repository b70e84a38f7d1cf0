// The budget of keys and values, and what goes when it is used up.

#include <limits>

#include "server/setting.h"

namespace moonshard::server {

namespace {
constexpr int64_t kIntMax = std::numeric_limits<int32_t>::max();
// Redis' bounds.
constexpr int64_t kTenacityMax = 100;

std::vector<std::string_view> PolicyNames() {
  std::vector<std::string_view> names;
  for (const db::EvictionPolicyName& row : db::kEvictionPolicies) names.push_back(row.name);
  return names;
}
}  // namespace

std::vector<Setting> MemorySettings() {
  using enum Change;
  return {
      Integer("lfu-decay-time", kAnyTime, &Settings::lfu_decay_time, 0, kIntMax,
              "minutes without access that take one off a key's use count"),
      Integer("lfu-log-factor", kAnyTime, &Settings::lfu_log_factor, 0, kIntMax,
              "how much slower a key's use count grows, the higher it is"),
      Memory("maxmemory", kAnyTime, &Settings::maxmemory, "limit of keys and values, as in 100mb; 0: none"),
      Integer("maxmemory-eviction-tenacity", kAnyTime, &Settings::maxmemory_eviction_tenacity, 0,
              kTenacityMax, "share of its time a shard may spend on eviction; 100: no bound"),
      Choice("maxmemory-policy", kAnyTime, &Settings::maxmemory_policy, PolicyNames(),
             "what goes when maxmemory is reached"),
      Integer("maxmemory-samples", kAnyTime, &Settings::maxmemory_samples, 1, kIntMax,
              "keys looked at to find one that may go"),
  };
}

void ApplyMemorySettings(const Settings& settings, db::EvictionSettings& live) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  live.maxmemory.store(settings.DataBudget(), kRelaxed);
  for (const db::EvictionPolicyName& row : db::kEvictionPolicies) {
    if (row.name == settings.maxmemory_policy) live.policy.store(row.policy, kRelaxed);
  }
  live.samples.store(settings.maxmemory_samples, kRelaxed);
  live.tenacity.store(settings.maxmemory_eviction_tenacity, kRelaxed);
  live.lfu_log_factor.store(settings.lfu_log_factor, kRelaxed);
  live.lfu_decay_minutes.store(settings.lfu_decay_time, kRelaxed);
}

}  // namespace moonshard::server
