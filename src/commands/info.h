#pragma once
// INFO: figures of all shards, gathered by one hop each, under Redis' names.

#include "command/context.h"
#include "shard/task.h"

namespace moonshard::commands {

shard::Task<void> Info(command::Context& context);

}  // namespace moonshard::commands
