#pragma once
// Handlers of COMMAND and its subcommands; their rows stand with those of the other server commands.

#include "command/context.h"
#include "command/spec.h"

namespace moonshard::commands {

command::Outcome CommandAll(command::Context& context);
command::Outcome CommandCount(command::Context& context);
command::Outcome CommandInfo(command::Context& context);
command::Outcome CommandDocs(command::Context& context);
command::Outcome CommandList(command::Context& context);
command::Outcome CommandGetkeys(command::Context& context);
command::Outcome CommandGetkeysAndFlags(command::Context& context);
command::Outcome CommandHelp(command::Context& context);

}  // namespace moonshard::commands
