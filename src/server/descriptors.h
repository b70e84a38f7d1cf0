#pragma once
// Descriptors: a client needs one, and the system sets a limit.

#include <cstdint>

namespace moonshard::server {

// Raises the limit of open files for so many clients, as far as the system lets it, and returns how many
// there is room for: `clients`, or fewer. Any thread.
uint32_t MakeRoomForClients(uint32_t clients);

}  // namespace moonshard::server
