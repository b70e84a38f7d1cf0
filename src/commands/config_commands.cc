// Settings: CONFIG.

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "command/server_control.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/reset_stats.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;

// Accepts connections, and takes changes of settings one after the other.
constexpr ShardId kFirstShard{0};

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

shard::Task<void> ConfigSet(Context& context) {
  if (context.args.size() % 2 != 0) {
    context.Fail(db::kSyntax);
    co_return;
  }
  std::vector<std::pair<std::string, std::string>> settings;
  for (size_t i = 2; i < context.args.size(); i += 2)
    settings.emplace_back(context.arg(i), context.arg(i + 1));
  const bool local = context.session == nullptr || command::IsLocalPeer(context.session->peer);
  command::StateShards shards;
  base::Status status = co_await shards.On(
      kFirstShard, [&](command::ShardState& state) { return state.server->SetConfig(settings, local); });
  if (status.ok()) {
    context.reply.Ok();
  } else {
    context.Fail(status);
  }
}

shard::Task<void> ConfigRewrite(Context& context) {
  command::StateShards shards;
  base::Status status = co_await shards.On(
      kFirstShard, [](command::ShardState& state) { return state.server->RewriteConfig(); });
  if (status.ok()) {
    context.reply.Ok();
  } else {
    context.Fail(status);
  }
}

shard::Task<void> ConfigResetStat(Context& context) {
  command::StateShards shards;
  std::vector<ShardId> ids;
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) ids.push_back(ShardId(i));
  co_await shards.OnEach(ids, [](command::ShardState& state, size_t) { ResetStats(state); });
  context.reply.Ok();
}

Outcome ConfigHelp(Context& context) {
  constexpr std::string_view kLines[] = {
      "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
      "GET <pattern>",
      "    Return parameters matching the glob-like <pattern> and their values.",
      "SET <directive> <value>",
      "    Set the configuration <directive> to <value>.",
      "RESETSTAT",
      "    Reset statistics reported by the INFO command.",
      "REWRITE",
      "    Rewrite the configuration file.",
      "HELP",
      "    Prints this help.",
  };
  context.reply.Array(std::size(kLines));
  for (std::string_view line : kLines) context.reply.Simple(line);
  return Outcome::kDone;
}

// ---- rows

constexpr uint32_t kConfigFlags = command::kAdmin | command::kNoScript | command::kLoading | command::kStale;

constexpr ArgSpec kParameterArguments[] = {{.name = "parameter", .flags = command::kMultiple}};
constexpr ArgSpec kSettingArguments[] = {{.name = "parameter"}, {.name = "value"}};
constexpr ArgSpec kSettingsArguments[] = {
    {.name = "data", .type = ArgType::kBlock, .flags = command::kMultiple, .arguments = kSettingArguments}};

constexpr std::string_view kEverywhereTips[] = {"request_policy:all_nodes", "response_policy:all_succeeded"};

constexpr CommandRow kConfigRows[] = {
    {.name = "get",
     .arity = -3,
     .flags = kConfigFlags,
     .group = command::Group::kServer,
     .since = "2.0.0",
     .complexity = "O(N) for N settings and patterns",
     .summary = "Returns settings whose names match the patterns.",
     .arguments = kParameterArguments,
     .handler = ConfigGet},
    {.name = "help",
     .arity = 2,
     .flags = command::kLoading | command::kStale,
     .group = command::Group::kServer,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Returns what the subcommands do.",
     .handler = ConfigHelp},
    {.name = "resetstat",
     .arity = 2,
     .flags = kConfigFlags,
     .group = command::Group::kServer,
     .since = "2.0.0",
     .complexity = "O(1)",
     .summary = "Starts the figures of INFO anew.",
     .body = ConfigResetStat},
    {.name = "rewrite",
     .arity = 2,
     .flags = kConfigFlags,
     .group = command::Group::kServer,
     .since = "2.8.0",
     .complexity = "O(N) for N lines of the file",
     .summary = "Writes changed settings to the configuration file.",
     .body = ConfigRewrite},
    {.name = "set",
     .arity = -4,
     .flags = kConfigFlags,
     .group = command::Group::kServer,
     .since = "2.0.0",
     .complexity = "O(N) for N settings",
     .summary = "Changes settings, all of them or none.",
     .arguments = kSettingsArguments,
     .body = ConfigSet,
     .tips = kEverywhereTips},
};
static_assert(command::RowsAreSane(kConfigRows));

constexpr CommandRow kRows[] = {
    {.name = "config",
     .arity = -2,
     .group = command::Group::kServer,
     .since = "2.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about settings.",
     .subcommands = kConfigRows},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> ConfigCommands() {
  return kRows;
}

}  // namespace moonshard::commands
