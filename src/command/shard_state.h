#pragma once
// Everything one shard holds, reached by hops (`Shards<ShardState>::On`) and by the pipeline on the shard
// itself. Owned by one shard; `server` is shared and says itself what may be touched from where.

#include <cstdint>

#include "command/client.h"
#include "command/registry.h"
#include "db/eviction_budget.h"
#include "db/keyspace.h"
#include "shard/hop.h"
#include "shard/shard.h"
#include "tx/manager.h"

namespace moonshard::command {

class Engine;
class ServerControl;

// Counted per shard, summed by INFO.
struct ShardStats {
  uint64_t commands = 0;
  uint64_t connections_accepted = 0;
  uint64_t connections_rejected = 0;
  uint64_t connections_open = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  uint64_t reads = 0;               // from sockets
  uint64_t writes = 0;              // to sockets
  uint64_t expire_ticks = 0;        // spent on erasing what was due
  int64_t client_bytes = 0;         // that connections take
  uint64_t clients_evicted = 0;     // closed because of maxmemory-clients
  uint64_t clients_over_limit = 0;  // closed because of client-output-buffer-limit
  uint64_t batches_local = 0;       // runs of commands that never left the shard
  uint64_t batches_hopped = 0;      // runs that waited for another shard or a lock
};

struct ShardState {
  shard::Shard* shard = nullptr;
  db::Keyspace* keyspace = nullptr;
  db::DataBudget* budget = nullptr;  // null: memory is not limited
  tx::Manager* tx = nullptr;
  Engine* engine = nullptr;
  ServerControl* server = nullptr;
  ClientTable clients;
  ShardStats stats;
};

using StateShards = shard::Shards<ShardState>;

}  // namespace moonshard::command
