#include "commands/tables.h"

#include <array>

namespace moonshard::commands {

std::span<const std::span<const command::CommandRow>> AllCommands() {
  static const std::array tables = {StringCommands(), GenericCommands(), ClientCommands(),
                                    ConnectionCommands(), ServerCommands()};
  return tables;
}

}  // namespace moonshard::commands
