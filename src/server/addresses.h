#pragma once
// From the settings `bind` and `port` to addresses to listen on.

#include <vector>

#include "base/status.h"
#include "server/settings.h"
#include "shard/io.h"

namespace moonshard::server {

// "*" and "::*" are all addresses of IPv4 and IPv6, "-ADDRESS" is left out with a line in the log if this
// machine does not have it, a name stands for its first address. None if the port is 0.
base::Result<std::vector<shard::ListenAddress>> TcpAddresses(const Settings& settings);

}  // namespace moonshard::server
