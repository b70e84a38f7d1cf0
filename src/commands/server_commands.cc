// The server as a whole: COMMAND INFO SHUTDOWN.

#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/command_commands.h"
#include "commands/info.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;

struct ShutdownWords {
  bool save = false;
  bool nosave = false;
  bool now = false;
  bool force = false;
  bool abort = false;
};

bool ParseShutdown(std::span<const std::string_view> words, ShutdownWords& given) {
  const std::pair<std::string_view, bool*> known[] = {{"SAVE", &given.save},
                                                      {"NOSAVE", &given.nosave},
                                                      {"NOW", &given.now},
                                                      {"FORCE", &given.force},
                                                      {"ABORT", &given.abort}};
  for (std::string_view word : words) {
    bool found = false;
    for (auto [name, flag] : known) {
      if (!EqualsIgnoreCase(word, name)) continue;
      *flag = found = true;
    }
    if (!found) return false;
  }
  bool other = given.save || given.nosave || given.now || given.force;
  return !(given.save && given.nosave) && !(given.abort && other);
}

Outcome Shutdown(Context& context) {
  ShutdownWords given;
  if (!ParseShutdown(context.args.subspan(1), given)) return context.Fail(db::kSyntax);
  if (given.abort) {
    // A shutdown waits for nobody, so there is never one to abort.
    context.reply.ErrorLine("ERR No shutdown in progress.");
    return Outcome::kDone;
  }
  if (given.save && !given.force) {
    // There is nothing to save to yet; stopping all the same would lose what the caller asked to keep.
    base::LogWarning("SHUTDOWN SAVE was refused: there are no dumps yet (SHUTDOWN SAVE FORCE stops anyway)");
    context.reply.ErrorLine("ERR Errors trying to SHUTDOWN. Check logs.");
    return Outcome::kDone;
  }
  base::LogWarning("User requested shutdown...");
  context.shard.server->RequestShutdown();
  context.session->close_after_reply = true;
  return Outcome::kDone;
}

// ---- rows

constexpr uint32_t kAlways = command::kLoading | command::kStale;

constexpr ArgSpec kSectionArguments[] = {
    {.name = "section", .flags = command::kOptional | command::kMultiple}};
constexpr ArgSpec kNamesArguments[] = {
    {.name = "command-name", .flags = command::kOptional | command::kMultiple}};
constexpr ArgSpec kGetkeysArguments[] = {{.name = "command"},
                                         {.name = "arg", .flags = command::kOptional | command::kMultiple}};
constexpr ArgSpec kListFilters[] = {{.name = "module-name", .token = "MODULE"},
                                    {.name = "category", .token = "ACLCAT"},
                                    {.name = "pattern", .type = ArgType::kPattern, .token = "PATTERN"}};
constexpr ArgSpec kListArguments[] = {{.name = "filterby",
                                       .type = ArgType::kOneOf,
                                       .token = "FILTERBY",
                                       .flags = command::kOptional,
                                       .arguments = kListFilters}};
constexpr ArgSpec kSaveSelector[] = {{.name = "nosave", .type = ArgType::kPureToken, .token = "NOSAVE"},
                                     {.name = "save", .type = ArgType::kPureToken, .token = "SAVE"}};
constexpr ArgSpec kShutdownArguments[] = {{.name = "save-selector",
                                           .type = ArgType::kOneOf,
                                           .flags = command::kOptional,
                                           .arguments = kSaveSelector},
                                          {.name = "now",
                                           .type = ArgType::kPureToken,
                                           .token = "NOW",
                                           .flags = command::kOptional,
                                           .since = "7.0.0"},
                                          {.name = "force",
                                           .type = ArgType::kPureToken,
                                           .token = "FORCE",
                                           .flags = command::kOptional,
                                           .since = "7.0.0"},
                                          {.name = "abort",
                                           .type = ArgType::kPureToken,
                                           .token = "ABORT",
                                           .flags = command::kOptional,
                                           .since = "7.0.0"}};

constexpr std::string_view kAnyOrderTips[] = {"nondeterministic_output_order"};

constexpr CommandRow kCommandRows[] = {
    {.name = "count",
     .arity = 2,
     .flags = kAlways,
     .categories = command::kCatConnection,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Counts the commands.",
     .handler = CommandCount},
    {.name = "docs",
     .arity = -2,
     .flags = kAlways,
     .categories = command::kCatConnection,
     .group = command::Group::kServer,
     .since = "7.0.0",
     .complexity = "O(N) for N commands",
     .summary = "Returns the documentation of commands.",
     .arguments = kNamesArguments,
     .handler = CommandDocs,
     .tips = kAnyOrderTips},
    {.name = "getkeys",
     .arity = -4,
     .flags = kAlways,
     .categories = command::kCatConnection,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(N) for N arguments",
     .summary = "Finds the keys in a call.",
     .arguments = kGetkeysArguments,
     .handler = CommandGetkeys},
    {.name = "getkeysandflags",
     .arity = -4,
     .flags = kAlways,
     .categories = command::kCatConnection,
     .group = command::Group::kServer,
     .since = "7.0.0",
     .complexity = "O(N) for N arguments",
     .summary = "Finds the keys in a call, and what it does with each.",
     .handler = CommandGetkeysAndFlags},
    {.name = "help",
     .arity = 2,
     .flags = kAlways,
     .categories = command::kCatConnection,
     .group = command::Group::kServer,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Explains the subcommands.",
     .handler = CommandHelp},
    {.name = "info",
     .arity = -2,
     .flags = kAlways,
     .categories = command::kCatConnection,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(N) for N commands",
     .summary = "Describes commands: arity, flags, keys, categories.",
     .arguments = kNamesArguments,
     .handler = CommandInfo,
     .tips = kAnyOrderTips},
    {.name = "list",
     .arity = -2,
     .flags = kAlways,
     .categories = command::kCatConnection,
     .group = command::Group::kServer,
     .since = "7.0.0",
     .complexity = "O(N) for N commands",
     .summary = "Lists the names of the commands.",
     .arguments = kListArguments,
     .handler = CommandList,
     .tips = kAnyOrderTips},
};
static_assert(command::RowsAreSane(kCommandRows));

constexpr std::string_view kInfoTips[] = {"nondeterministic_output", "request_policy:all_shards",
                                          "response_policy:special"};

constexpr CommandRow kRows[] = {
    {.name = "command",
     .arity = -1,
     .flags = kAlways,
     .categories = command::kCatConnection,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(N) for N commands",
     .summary = "Describes all commands.",
     .handler = CommandAll,
     .subcommands = kCommandRows,
     .tips = kAnyOrderTips},
    {.name = "info",
     .arity = -1,
     .flags = kAlways,
     .categories = command::kCatDangerous,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns figures of the server.",
     .arguments = kSectionArguments,
     .body = Info,
     .tips = kInfoTips},
    {.name = "shutdown",
     .arity = -1,
     .flags = command::kAdmin | command::kNoScript | command::kNoMulti | kAlways | command::kAllowBusy |
              command::kSession,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Stops the server.",
     .arguments = kShutdownArguments,
     .handler = Shutdown},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> ServerCommands() {
  return kRows;
}

}  // namespace moonshard::commands
