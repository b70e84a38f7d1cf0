#include "commands/tables.h"

#include <array>

namespace moonshard::commands {

std::span<const std::span<const command::CommandRow>> AllCommands() {
  static const std::array tables = {
      BitmapCommands(),        ClientCommands(),      ClusterCommands(),      ConfigCommands(),
      ConnectionCommands(),    DebugCommands(),       DumpCommands(),         ExpireCommands(),
      GenericCommands(),       GenericMoveCommands(), GenericScanCommands(),  LatencyCommands(),
      MemoryCommands(),        ModuleCommands(),      ObjectCommands(),       RoleCommands(),
      ServerCommands(),        SlowlogCommands(),     SortCommands(),         StringCommands(),
      StringCompareCommands(), StringEditCommands(),  StringIncrexCommands(), StringLcsCommands(),
      StringManyCommands(),
  };
  return tables;
}

}  // namespace moonshard::commands
