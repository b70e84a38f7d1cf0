#pragma once
// Every command table of the server, listed explicitly: nothing registers itself.

#include <span>

#include "command/spec.h"

namespace moonshard::commands {

std::span<const command::CommandRow> BitmapCommands();
std::span<const command::CommandRow> ClientCommands();
std::span<const command::CommandRow> ClusterCommands();
std::span<const command::CommandRow> ConfigCommands();
std::span<const command::CommandRow> ConnectionCommands();
std::span<const command::CommandRow> DebugCommands();
std::span<const command::CommandRow> DumpCommands();
std::span<const command::CommandRow> ExpireCommands();
std::span<const command::CommandRow> GenericCommands();
std::span<const command::CommandRow> GenericMoveCommands();
std::span<const command::CommandRow> GenericScanCommands();
std::span<const command::CommandRow> LatencyCommands();
std::span<const command::CommandRow> MemoryCommands();
std::span<const command::CommandRow> ModuleCommands();
std::span<const command::CommandRow> ObjectCommands();
std::span<const command::CommandRow> RoleCommands();
std::span<const command::CommandRow> ServerCommands();
std::span<const command::CommandRow> SlowlogCommands();
std::span<const command::CommandRow> SortCommands();
std::span<const command::CommandRow> StringCommands();
std::span<const command::CommandRow> StringCompareCommands();
std::span<const command::CommandRow> StringEditCommands();
std::span<const command::CommandRow> StringIncrexCommands();
std::span<const command::CommandRow> StringLcsCommands();
std::span<const command::CommandRow> StringManyCommands();

// All of the above.
std::span<const std::span<const command::CommandRow>> AllCommands();

}  // namespace moonshard::commands
