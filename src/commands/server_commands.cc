// The server as a whole: COMMAND CONFIG INFO SHUTDOWN.

#include <string>
#include <utility>
#include <vector>

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

Outcome ConfigGet(Context& context) {
  std::vector<std::pair<std::string, std::string>> found;
  for (std::string_view pattern : context.args.subspan(2)) {
    for (auto& setting : context.shard.server->GetConfig(pattern)) {
      bool known = false;
      for (const auto& other : found) known = known || EqualsIgnoreCase(other.first, setting.first);
      if (!known) found.push_back(std::move(setting));
    }
  }
  context.reply.Map(found.size());
  for (const auto& [name, value] : found) {
    context.reply.Bulk(name);
    context.reply.Bulk(value);
  }
  return Outcome::kDone;
}

Outcome ConfigSet(Context& context) {
  if (context.args.size() % 2 != 0) {
    return context.Fail(db::kSyntax);
  }
  std::vector<std::pair<std::string, std::string>> settings;
  for (size_t i = 2; i < context.args.size(); i += 2)
    settings.emplace_back(context.arg(i), context.arg(i + 1));
  base::Status status = context.shard.server->SetConfig(settings);
  if (!status.ok()) return context.Fail(status);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome Shutdown(Context& context) {
  bool abort = false;
  bool save = false;
  bool nosave = false;
  bool other = false;
  for (std::string_view word : context.args.subspan(1)) {
    if (EqualsIgnoreCase(word, "SAVE")) {
      save = true;
    } else if (EqualsIgnoreCase(word, "ABORT")) {
      abort = true;
    } else if (EqualsIgnoreCase(word, "NOSAVE")) {
      nosave = true;
    } else if (EqualsIgnoreCase(word, "NOW") || EqualsIgnoreCase(word, "FORCE")) {
      other = true;
    } else {
      return context.Fail(db::kSyntax);
    }
  }
  if ((save && nosave) || (abort && (save || nosave || other))) return context.Fail(db::kSyntax);
  if (abort) {
    context.reply.ErrorLine("ERR No shutdown in progress.");
    return Outcome::kDone;
  }
  if (save) {
    // There is nothing to save to yet; stopping all the same would lose what the caller asked to keep.
    context.reply.ErrorLine("ERR Errors trying to SHUTDOWN. Check logs.");
    return Outcome::kDone;
  }
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
constexpr ArgSpec kParameterArguments[] = {{.name = "parameter", .flags = command::kMultiple}};
constexpr ArgSpec kSettingArguments[] = {{.name = "parameter"}, {.name = "value"}};
constexpr ArgSpec kSettingsArguments[] = {
    {.name = "data", .type = ArgType::kBlock, .flags = command::kMultiple, .arguments = kSettingArguments}};
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

constexpr std::string_view kConfigSetTips[] = {"request_policy:all_nodes", "response_policy:all_succeeded"};

constexpr CommandRow kConfigRows[] = {
    {.name = "get",
     .arity = -3,
     .flags = command::kAdmin | command::kNoScript | kAlways,
     .group = command::Group::kServer,
     .since = "2.0.0",
     .complexity = "O(N) for N settings and patterns",
     .summary = "Returns settings whose names match the patterns.",
     .arguments = kParameterArguments,
     .handler = ConfigGet},
    // A barrier: what follows in the pipeline runs under the new settings, on whichever shard.
    {.name = "set",
     .arity = -4,
     .flags = command::kAdmin | command::kNoScript | kAlways | command::kSession,
     .group = command::Group::kServer,
     .since = "2.0.0",
     .complexity = "O(N) for N settings",
     .summary = "Changes settings, all of them or none.",
     .arguments = kSettingsArguments,
     .handler = ConfigSet,
     .tips = kConfigSetTips},
};
static_assert(command::RowsAreSane(kConfigRows));

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
    {.name = "config",
     .arity = -2,
     .group = command::Group::kServer,
     .since = "2.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about settings.",
     .subcommands = kConfigRows},
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
