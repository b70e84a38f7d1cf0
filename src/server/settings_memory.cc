// The budget of keys and values.

#include "server/setting.h"

namespace moonshard::server {

std::vector<Setting> MemorySettings() {
  using enum Change;
  return {
      Memory("maxmemory", kAnyTime, &Settings::maxmemory, "limit of keys and values, as in 100mb; 0: none"),
      Fixed("maxmemory-policy", kAnyTime, "noeviction",
            "eviction does not exist yet: only 'noeviction' is possible",
            "what goes when maxmemory is reached"),
  };
}

}  // namespace moonshard::server
