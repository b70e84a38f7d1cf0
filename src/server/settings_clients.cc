// What clients may do and take.

#include <limits>

#include "server/setting.h"

namespace moonshard::server {

std::vector<Setting> ClientSettings() {
  using enum Change;
  return {
      Integer("maxclients", kAnyTime, &Settings::maxclients, 1, std::numeric_limits<uint32_t>::max(),
              "most connections at a time"),
      Text("requirepass", kAnyTime, &Settings::requirepass, "password of the default user"),
  };
}

}  // namespace moonshard::server
