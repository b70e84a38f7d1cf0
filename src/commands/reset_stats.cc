#include "commands/reset_stats.h"

#include <utility>

namespace moonshard::commands {

void ResetStats(command::ShardState& state) {
  command::ShardStats fresh;
  fresh.connections_open = state.stats.connections_open;
  // Indexed by command, so its size stays.
  fresh.calls.resize(state.stats.calls.size());
  state.stats = std::move(fresh);
  state.keyspace->stats() = {};
}

}  // namespace moonshard::commands
