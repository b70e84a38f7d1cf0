#pragma once
// The reply of <CONTAINER> HELP.

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "command/context.h"
#include "command/errors.h"

namespace moonshard::commands {

// `lines` alternate between a form and what it does, as Redis lays them out; HELP itself is added.
inline command::Outcome ReplyHelp(command::Context& context, std::initializer_list<std::string_view> lines) {
  std::string_view container = context.command->parent->row->name;
  context.reply.Array(lines.size() + 3);
  context.reply.Simple(base::ToUpper(container) +
                       " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (std::string_view line : lines) context.reply.Simple(line);
  context.reply.Simple("HELP");
  context.reply.Simple("    Prints this help.");
  return command::Outcome::kDone;
}

// A subcommand whose arguments the arity cannot judge.
inline command::Outcome FailSubcommand(command::Context& context) {
  std::string line = "ERR unknown subcommand or wrong number of arguments for '";
  line += command::UpToZero(context.arg(1)).substr(0, 128);
  line += "'. Try " + base::ToUpper(context.command->parent->row->name) + " HELP.";
  context.reply.ErrorLine(line);
  return command::Outcome::kDone;
}

}  // namespace moonshard::commands
