#include "commands/tables.h"

#include <array>

namespace moonshard::commands {

std::span<const std::span<const command::CommandRow>> AllCommands() {
  static const std::array tables = {
      BitmapCommands(),  ClusterCommands(), ConnectionCommands(), GenericCommands(),   LatencyCommands(),
      MemoryCommands(),  ModuleCommands(),  ObjectCommands(),     RoleCommands(),      ServerCommands(),
      SlowlogCommands(), StringCommands(),  StringEditCommands(), StringLcsCommands(), StringManyCommands(),
  };
  return tables;
}

}  // namespace moonshard::commands
