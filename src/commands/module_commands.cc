// MODULE, ACL and the like: what other servers have and this one has built in, or not yet. TIME and LOLWUT.

#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <string>

#include "command/server_control.h"
#include "command/shard_state.h"
#include "command/version.h"
#include "commands/args.h"
#include "commands/help.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;

inline constexpr base::StaticError kModulesRefused{
    base::Code::kErr,
    "MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it "
    "from a local connection, otherwise you need to set this option in the configuration file, and then "
    "restart the server."};

Outcome ModuleList(Context& context) {
  context.reply.Array(0);
  return Outcome::kDone;
}

Outcome ModuleRefused(Context& context) {
  return context.Fail(kModulesRefused);
}

Outcome ModuleHelp(Context& context) {
  return ReplyHelp(context, {"LIST", "    Return a list of loaded modules.", "LOAD <path> [<arg> ...]",
                             "    Load a module library from <path>, passing to it any optional arguments.",
                             "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
                             "    Load a module library from <path>, while passing it module configurations "
                             "and optional arguments.",
                             "UNLOAD <name>", "    Unload a module."});
}

// Only the default user exists until access control lists do.
Outcome AclWhoami(Context& context) {
  context.reply.Bulk("default");
  return Outcome::kDone;
}

Outcome Time(Context& context) {
  const TimeNs now_ns = context.shard.shard->env().WallNowNs();
  context.reply.Array(2);
  context.reply.BulkInteger(now_ns / 1'000'000'000);
  context.reply.BulkInteger(now_ns / 1000 % 1'000'000);
  return Outcome::kDone;
}

// ---- LOLWUT: tonight's moon, over as many shards as there are

// Since a new moon (6 January 2000, 18:14 UTC), in whole turns: 0 new, 0.5 full.
double MoonPhase(TimeMs now) {
  constexpr double kNewMoonMs = 947'182'440'000.0;
  constexpr double kMonthMs = 29.530588853 * 86'400'000.0;
  const double months = (static_cast<double>(now) - kNewMoonMs) / kMonthMs;
  return months - static_cast<double>(static_cast<int64_t>(months));
}

std::string DrawMoon(double phase) {
  constexpr int kRadius = 7;
  const bool waxing = phase < 0.5;
  // Where the border of the shadow stands: 1 at the lit edge (new moon), -1 at the other (full).
  const double border = std::cos(2 * std::numbers::pi * phase);
  std::string picture;
  for (int y = -kRadius; y <= kRadius; ++y) {
    const double edge = std::sqrt(kRadius * kRadius - y * y + 0.5);
    std::string line(8, ' ');
    for (int x = -2 * kRadius; x <= 2 * kRadius; ++x) {
      // A cell is twice as high as it is wide.
      const double across = static_cast<double>(waxing ? x : -x) / 2;
      const bool on_disc = std::abs(across) <= edge;
      line += !on_disc ? ' ' : across > border * edge ? '@' : '.';
    }
    picture += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
  }
  return picture;
}

Outcome Lolwut(Context& context) {
  if (context.args.size() >= 3 && EqualsIgnoreCase(context.arg(1), "version") &&
      !ParseInt64(context.arg(2))) {
    return context.Fail(db::kNotAnInteger);
  }
  std::string text = "\n" + DrawMoon(MoonPhase(context.shard.shard->now_ms())) + "\n        ";
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) text += i % 2 == 0 ? "/\\" : "^v";
  text +=
      fmt::format("\n\nRedis ver. {} (Moonshard {})\n", command::kRedisVersion, command::kMoonshardVersion);
  context.reply.Verbatim("txt", text);
  return Outcome::kDone;
}

// ---- rows

constexpr std::string_view kModuleListTips[] = {"nondeterministic_output_order"};
constexpr ArgSpec kModuleLoadArguments[] = {
    {.name = "path"}, {.name = "arg", .flags = command::kOptional | command::kMultiple}};
constexpr ArgSpec kModuleLoadexConfigsArguments[] = {{.name = "name"}, {.name = "value"}};
constexpr ArgSpec kModuleLoadexArgsArguments[] = {{.name = "arg"}};
constexpr ArgSpec kModuleLoadexArguments[] = {
    {.name = "path"},
    {.name = "configs",
     .type = ArgType::kBlock,
     .token = "CONFIG",
     .flags = command::kOptional | command::kMultiple | command::kMultipleToken,
     .arguments = kModuleLoadexConfigsArguments},
    {.name = "args",
     .type = ArgType::kBlock,
     .token = "ARGS",
     .flags = command::kOptional | command::kMultiple,
     .arguments = kModuleLoadexArgsArguments}};
constexpr ArgSpec kModuleUnloadArguments[] = {{.name = "name"}};
constexpr ArgSpec kLolwutArguments[] = {
    {.name = "version", .type = ArgType::kInteger, .token = "VERSION", .flags = command::kOptional}};
constexpr std::string_view kTimeTips[] = {"nondeterministic_output"};

constexpr CommandRow kAclRows[] = {
    {.name = "whoami",
     .arity = 2,
     .flags = command::kNoScript | command::kLoading | command::kStale,
     .group = command::Group::kServer,
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "Returns the user of the connection.",
     .handler = AclWhoami},
};
static_assert(command::RowsAreSane(kAclRows));

constexpr CommandRow kModuleRows[] = {
    {.name = "help",
     .arity = 2,
     .flags = command::kLoading | command::kStale,
     .group = command::Group::kServer,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Explains the subcommands.",
     .handler = ModuleHelp},
    {.name = "list",
     .arity = 2,
     .flags = command::kAdmin | command::kNoScript,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(N)",
     .summary = "Lists the loaded modules.",
     .handler = ModuleList,
     .tips = kModuleListTips},
    {.name = "load",
     .arity = -3,
     .flags = command::kAdmin | command::kNoScript | command::kNoAsyncLoading,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Loads a module, where that is allowed.",
     .arguments = kModuleLoadArguments,
     .handler = ModuleRefused},
    {.name = "loadex",
     .arity = -3,
     .flags = command::kAdmin | command::kNoScript | command::kNoAsyncLoading,
     .group = command::Group::kServer,
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Loads a module with settings, where that is allowed.",
     .arguments = kModuleLoadexArguments,
     .handler = ModuleRefused},
    {.name = "unload",
     .arity = 3,
     .flags = command::kAdmin | command::kNoScript | command::kNoAsyncLoading,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Unloads a module, where that is allowed.",
     .arguments = kModuleUnloadArguments,
     .handler = ModuleRefused},
};
static_assert(command::RowsAreSane(kModuleRows));

constexpr CommandRow kRows[] = {
    {.name = "acl",
     .arity = -2,
     .group = command::Group::kServer,
     .since = "6.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about users.",
     .subcommands = kAclRows},
    {.name = "module",
     .arity = -2,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about modules.",
     .subcommands = kModuleRows},
    {.name = "lolwut",
     .arity = -1,
     .flags = command::kReadonly | command::kFast,
     .group = command::Group::kServer,
     .since = "5.0.0",
     .summary = "Draws something, and says the version.",
     .arguments = kLolwutArguments,
     .handler = Lolwut},
    {.name = "time",
     .arity = 1,
     .flags = command::kLoading | command::kStale | command::kFast,
     .group = command::Group::kServer,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Returns the server's time.",
     .handler = Time,
     .tips = kTimeTips},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> ModuleCommands() {
  return kRows;
}

}  // namespace moonshard::commands
