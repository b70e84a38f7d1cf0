#pragma once
// What CONFIG RESETSTAT starts anew. Whoever counts something that INFO shows as a total adds it here.

#include "command/shard_state.h"

namespace moonshard::commands {

// On the shard itself. What describes the present (connections open, keys, memory) stays, and so do the slow
// log and the latency events, as in Redis.
void ResetStats(command::ShardState& state);

}  // namespace moonshard::commands
