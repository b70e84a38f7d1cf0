#pragma once
// moonshard --healthcheck: asks the server that these settings describe whether it answers.

#include "base/status.h"
#include "server/settings.h"

namespace moonshard::server {

// OK if it answers PING with PONG within a few seconds; loading data or any other answer is an error.
base::Status CheckHealth(const Settings& settings);

}  // namespace moonshard::server
