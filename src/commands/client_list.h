#pragma once
// CLIENT INFO, KILL, LIST and UNBLOCK: commands that look at clients, on whatever shards they are.

#include "command/context.h"
#include "shard/task.h"

namespace moonshard::commands {

command::Outcome ClientInfo(command::Context& context);
shard::Task<void> ClientKill(command::Context& context);
shard::Task<void> ClientList(command::Context& context);
shard::Task<void> ClientUnblock(command::Context& context);

// Whether a client with this id is connected.
shard::Task<bool> ClientExists(command::Context& context, uint64_t id);

}  // namespace moonshard::commands
