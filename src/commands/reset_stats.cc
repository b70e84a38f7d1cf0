#include "commands/reset_stats.h"

#include "command/engine.h"

namespace moonshard::commands {

void ResetStats(command::ShardState& state) {
  command::ShardStats fresh;
  fresh.connections_open = state.stats.connections_open;
  fresh.client_bytes = state.stats.client_bytes;
  state.stats = fresh;
  state.keyspace->stats() = {};
  state.engine->observation().Reset();
}

}  // namespace moonshard::commands
