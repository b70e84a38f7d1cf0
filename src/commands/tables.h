#pragma once
// Every command table of the server, listed explicitly: nothing registers itself.

#include <span>

#include "command/spec.h"

namespace moonshard::commands {

std::span<const command::CommandRow> StringCommands();
std::span<const command::CommandRow> GenericCommands();
std::span<const command::CommandRow> GenericScanCommands();
std::span<const command::CommandRow> GenericMoveCommands();
std::span<const command::CommandRow> ExpireCommands();
std::span<const command::CommandRow> DumpCommands();
std::span<const command::CommandRow> ConnectionCommands();
std::span<const command::CommandRow> ServerCommands();

// All of the above.
std::span<const std::span<const command::CommandRow>> AllCommands();

}  // namespace moonshard::commands
