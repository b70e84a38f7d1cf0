#include "command/errors.h"

#include <fmt/core.h>

#include "base/bytes.h"

namespace moonshard::command {

namespace {
// Redis shows at most this much of the name and of the arguments together.
constexpr size_t kShownBytes = 128;
}  // namespace

std::string_view UpToZero(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

std::string UnknownCommandText(std::span<const std::string_view> args) {
  std::string shown;
  for (size_t i = 1; i < args.size() && shown.size() < kShownBytes; ++i) {
    shown += fmt::format("'{}' ", UpToZero(args[i]).substr(0, kShownBytes - shown.size()));
  }
  return fmt::format("ERR unknown command '{}', with args beginning with: {}",
                     UpToZero(args[0]).substr(0, kShownBytes), shown);
}

std::string UnknownSubcommandText(std::string_view subcommand, std::string_view command) {
  return fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", UpToZero(subcommand).substr(0, kShownBytes),
                     base::ToUpper(command));
}

std::string SubcommandSyntaxText(std::string_view subcommand, std::string_view command) {
  return fmt::format("ERR unknown subcommand or wrong number of arguments for '{}'. Try {} HELP.",
                     UpToZero(subcommand).substr(0, kShownBytes), base::ToUpper(command));
}

std::string WrongArityText(std::string_view full_name) {
  return fmt::format("ERR wrong number of arguments for '{}' command", full_name);
}

}  // namespace moonshard::command
