#include "commands/tables.h"

#include <array>

namespace moonshard::commands {

std::span<const std::span<const command::CommandRow>> AllCommands() {
  static const std::array tables = {StringCommands(),      GenericCommands(), GenericScanCommands(),
                                    GenericMoveCommands(), ExpireCommands(),  DumpCommands(),
                                    ConnectionCommands(),  ServerCommands()};
  return tables;
}

}  // namespace moonshard::commands
