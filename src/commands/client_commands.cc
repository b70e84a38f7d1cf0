// CLIENT and MONITOR. The subcommands that look at other clients are in client_list.cc.

#include "commands/client_commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "command/engine.h"
#include "command/errors.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/client_list.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::Client;
using command::CommandRow;
using command::ReplyMode;
using command::ShardState;

inline constexpr base::StaticError kNoCaching{
    base::Code::kErr,
    "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
    "enabled"};
inline constexpr base::StaticError kNoTracking{base::Code::kErr,
                                               "client side caching is not supported by this server"};

Outcome FailLine(Context& context, std::string_view line) {
  context.reply.ErrorLine(line);
  return Outcome::kDone;
}

// ON or OFF as the argument after the subcommand; anything else is a syntax error, which has been replied.
bool ReadOnOff(Context& context, bool& on) {
  on = EqualsIgnoreCase(context.arg(2), "ON");
  if (on || EqualsIgnoreCase(context.arg(2), "OFF")) return true;
  context.reply.Error(db::kSyntax);
  return false;
}

Outcome Id(Context& context) {
  context.reply.Integer(static_cast<int64_t>(context.session->id));
  return Outcome::kDone;
}

Outcome Getname(Context& context) {
  if (context.session->name.empty()) {
    context.reply.Null();
  } else {
    context.reply.Bulk(context.session->name);
  }
  return Outcome::kDone;
}

Outcome Setname(Context& context) {
  if (!IsClientName(context.arg(2))) return context.Fail(kBadClientName);
  context.session->name = context.arg(2);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome Setinfo(Context& context) {
  bool is_name = EqualsIgnoreCase(context.arg(2), "LIB-NAME");
  if (!is_name && !EqualsIgnoreCase(context.arg(2), "LIB-VER")) {
    return FailLine(context, fmt::format("ERR Unrecognized option '{}'", command::UpToZero(context.arg(2))));
  }
  if (!IsClientName(context.arg(3))) {
    return FailLine(context, fmt::format("ERR {} cannot contain spaces, newlines or special characters.",
                                         context.arg(2)));
  }
  (is_name ? context.session->library_name : context.session->library_version) = context.arg(3);
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome NoEvict(Context& context) {
  bool on = false;
  if (!ReadOnOff(context, on)) return Outcome::kDone;
  context.session->no_evict = on;
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome NoTouch(Context& context) {
  bool on = false;
  if (!ReadOnOff(context, on)) return Outcome::kDone;
  context.session->no_touch = on;
  context.reply.Ok();
  return Outcome::kDone;
}

Outcome ReplySwitch(Context& context) {
  ReplyMode& mode = context.session->reply_mode;
  if (EqualsIgnoreCase(context.arg(2), "ON")) {
    mode = ReplyMode::kOn;
    context.reply.Ok();
  } else if (EqualsIgnoreCase(context.arg(2), "OFF")) {
    mode = ReplyMode::kOff;
  } else if (EqualsIgnoreCase(context.arg(2), "SKIP")) {
    if (mode != ReplyMode::kOff) mode = ReplyMode::kSkipNext;
  } else {
    return context.Fail(db::kSyntax);
  }
  return Outcome::kDone;
}

// ---- client side caching, which does not exist yet: what can be said is what Redis says to a client that
// does not use it.

Outcome Caching(Context& context) {
  return context.Fail(kNoCaching);
}

Outcome Getredir(Context& context) {
  context.reply.Integer(-1);
  return Outcome::kDone;
}

Outcome Trackinginfo(Context& context) {
  context.reply.Map(3);
  context.reply.Bulk("flags");
  context.reply.Set(1);
  context.reply.Bulk("off");
  context.reply.Bulk("redirect");
  context.reply.Integer(-1);
  context.reply.Bulk("prefixes");
  context.reply.Array(0);
  return Outcome::kDone;
}

struct TrackingOptions {
  bool broadcast = false;
  bool opt_in = false;
  bool opt_out = false;
  std::vector<std::string_view> prefixes;
  std::string error;
};

// Two of the prefixes of which one begins with the other.
std::string OverlapError(std::span<const std::string_view> prefixes) {
  for (size_t i = 0; i < prefixes.size(); ++i) {
    for (size_t j = i + 1; j < prefixes.size(); ++j) {
      std::string_view a = prefixes[i];
      std::string_view b = prefixes[j];
      if (!a.starts_with(b) && !b.starts_with(a)) continue;
      return fmt::format(
          "ERR Prefix '{}' overlaps with another provided prefix '{}'. Prefixes for a single client must not "
          "overlap.",
          a, b);
    }
  }
  return {};
}

shard::Task<void> ReadTracking(Context& context, TrackingOptions& options) {
  for (size_t i = 3; i < context.args.size(); ++i) {
    std::string_view word = context.arg(i);
    bool more = i + 1 < context.args.size();
    if (EqualsIgnoreCase(word, "REDIRECT") && more) {
      auto id = ParseInt64(context.arg(++i));
      if (!id) {
        options.error = "ERR value is not an integer or out of range";
        co_return;
      }
      bool exists = co_await ClientExists(context, static_cast<uint64_t>(*id));
      if (!exists) {
        options.error = "ERR The client ID you want redirect to does not exist";
        co_return;
      }
    } else if (EqualsIgnoreCase(word, "PREFIX") && more) {
      options.prefixes.push_back(context.arg(++i));
    } else if (EqualsIgnoreCase(word, "BCAST")) {
      options.broadcast = true;
    } else if (EqualsIgnoreCase(word, "OPTIN")) {
      options.opt_in = true;
    } else if (EqualsIgnoreCase(word, "OPTOUT")) {
      options.opt_out = true;
    } else if (!EqualsIgnoreCase(word, "NOLOOP")) {
      options.error = "ERR syntax error";
      co_return;
    }
  }
}

shard::Task<void> Tracking(Context& context) {
  TrackingOptions options;
  co_await ReadTracking(context, options);
  bool on = EqualsIgnoreCase(context.arg(2), "ON");
  if (!options.error.empty()) {
    context.reply.ErrorLine(options.error);
  } else if (!on && EqualsIgnoreCase(context.arg(2), "OFF")) {
    context.reply.Ok();
  } else if (!on) {
    context.reply.Error(db::kSyntax);
  } else if (!options.broadcast && !options.prefixes.empty()) {
    context.reply.ErrorLine("ERR PREFIX option requires BCAST mode to be enabled");
  } else if (options.broadcast && (options.opt_in || options.opt_out)) {
    context.reply.ErrorLine("ERR OPTIN and OPTOUT are not compatible with BCAST");
  } else if (options.opt_in && options.opt_out) {
    context.reply.ErrorLine("ERR You can't specify both OPTIN mode and OPTOUT mode");
  } else if (std::string overlap = OverlapError(options.prefixes); !overlap.empty()) {
    context.reply.ErrorLine(overlap);
  } else {
    context.reply.Error(kNoTracking);
  }
}

// ---- pause

// Until everything that was under way without knowing of the pause has come to its end, on all shards.
shard::Task<void> WaitForOldPhase(Context& context) {
  command::StateShards shards;
  std::vector<ShardId> ids;
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) ids.push_back(ShardId(i));
  std::vector<uint8_t> phases(ids.size());
  std::vector<size_t> running(ids.size());
  // This very command is no reason to wait.
  context.shard.engine->LeavePhase(*context.batch);
  co_await shards.OnEach(ids, [&](ShardState& here, size_t i) { phases[i] = here.engine->ChangePhase(); });
  while (true) {
    co_await shards.OnEach(ids,
                           [&](ShardState& here, size_t i) { running[i] = here.engine->running(phases[i]); });
    if (std::ranges::count(running, 0u) == static_cast<ptrdiff_t>(running.size())) break;
    co_await shard::NextTurn();
  }
}

shard::Task<void> Pause(Context& context) {
  bool all = true;
  if (context.args.size() > 4) {
    context.reply.ErrorLine(
        command::SubcommandSyntaxText(context.arg(1), context.command->parent->full_name));
    co_return;
  }
  if (context.args.size() == 4) {
    all = EqualsIgnoreCase(context.arg(3), "ALL");
    if (!all && !EqualsIgnoreCase(context.arg(3), "WRITE")) {
      context.reply.ErrorLine("ERR CLIENT PAUSE mode must be WRITE or ALL");
      co_return;
    }
  }
  auto timeout = ParseInt64(context.arg(2));
  if (!timeout) {
    context.reply.ErrorLine("ERR timeout is not an integer or out of range");
    co_return;
  }
  if (*timeout < 0) {
    context.reply.ErrorLine("ERR timeout is negative");
    co_return;
  }
  TimeMs now = context.shard.shard->now_ms();
  // A pause that began already is only made longer and wider.
  std::atomic<uint64_t>& pause = context.shard.server->live().pause;
  uint64_t old = pause.load(std::memory_order_relaxed);
  auto until = static_cast<uint64_t>(now) + static_cast<uint64_t>(*timeout);
  // An end that cannot be told in 63 bits has passed already, as in Redis, where the sum overflows.
  if (*timeout > std::numeric_limits<TimeMs>::max() - now) until = 0;
  if (old >> 1 > static_cast<uint64_t>(now)) {
    until = std::max(until, old >> 1);
    all = all || (old & 1) != 0;
  }
  pause.store(until << 1 | uint64_t{all}, std::memory_order_relaxed);
  co_await WaitForOldPhase(context);
  context.reply.Ok();
}

shard::Task<void> Unpause(Context& context) {
  context.shard.server->live().pause.store(0, std::memory_order_relaxed);
  command::StateShards shards;
  std::vector<ShardId> ids;
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) ids.push_back(ShardId(i));
  co_await shards.OnEach(ids, [](ShardState& here, size_t) { here.engine->ResumeHeld(); });
  context.reply.Ok();
}

Outcome Monitor(Context& context) {
  if (context.session->monitor) return Outcome::kDone;
  context.reply.Ok();
  context.shard.engine->monitors().Add(*context.client);
  return Outcome::kDone;
}

Outcome Help(Context& context) {
  constexpr std::string_view kLines[] = {
      "CLIENT <subcommand> [<argument> ...]. Subcommands are:",
      "CACHING (YES|NO)",
      "    Whether the keys of the next command are tracked.",
      "GETNAME",
      "    The name of this connection.",
      "GETREDIR",
      "    The client that gets this connection's invalidations.",
      "ID",
      "    The number of this connection.",
      "INFO",
      "    What CLIENT LIST says of this connection.",
      "KILL <address>",
      "    Closes the connection from that address.",
      "KILL <filter> <value> [<filter> <value> ...]",
      "    Closes all connections that pass ID, TYPE, USER, ADDR, LADDR, MAXAGE; SKIPME (YES|NO).",
      "LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <id> [<id> ...]]",
      "    One line for each connection.",
      "NO-EVICT (ON|OFF)",
      "    Whether this connection stays when clients take too much memory.",
      "NO-TOUCH (ON|OFF)",
      "    Whether this connection's commands leave the age of keys alone.",
      "PAUSE <milliseconds> [WRITE|ALL]",
      "    Holds commands back.",
      "REPLY (ON|OFF|SKIP)",
      "    Whether this connection's commands are answered.",
      "SETINFO (LIB-NAME|LIB-VER) <text>",
      "    Says which library the connection uses.",
      "SETNAME <name>",
      "    Names this connection.",
      "TRACKING (ON|OFF) [<option> ...]",
      "    Client side caching.",
      "TRACKINGINFO",
      "    The state of client side caching.",
      "UNBLOCK <id> [TIMEOUT|ERROR]",
      "    Ends the wait of a blocked client.",
      "UNPAUSE",
      "    Ends a pause.",
      "HELP",
      "    This text.",
  };
  context.reply.Array(std::size(kLines));
  for (std::string_view line : kLines) context.reply.Simple(line);
  return Outcome::kDone;
}

// ---- rows

constexpr uint32_t kAlways = command::kNoScript | command::kLoading | command::kStale;
constexpr uint32_t kMine = kAlways | command::kSession;
constexpr uint32_t kAdmins = kAlways | command::kAdmin;

constexpr ArgSpec kYesNo[] = {{.name = "yes", .type = ArgType::kPureToken, .token = "YES"},
                              {.name = "no", .type = ArgType::kPureToken, .token = "NO"}};
constexpr ArgSpec kCachingArguments[] = {{.name = "mode", .type = ArgType::kOneOf, .arguments = kYesNo}};
constexpr ArgSpec kOnOff[] = {{.name = "on", .type = ArgType::kPureToken, .token = "ON"},
                              {.name = "off", .type = ArgType::kPureToken, .token = "OFF"}};
constexpr ArgSpec kEnabledArguments[] = {{.name = "enabled", .type = ArgType::kOneOf, .arguments = kOnOff}};
constexpr ArgSpec kReplyModes[] = {{.name = "on", .type = ArgType::kPureToken, .token = "ON"},
                                   {.name = "off", .type = ArgType::kPureToken, .token = "OFF"},
                                   {.name = "skip", .type = ArgType::kPureToken, .token = "SKIP"}};
constexpr ArgSpec kReplyArguments[] = {
    {.name = "on_off_skip", .type = ArgType::kOneOf, .arguments = kReplyModes}};
constexpr ArgSpec kNameArguments[] = {{.name = "connection-name"}};
constexpr ArgSpec kSetinfoChoices[] = {{.name = "libname", .token = "LIB-NAME"},
                                       {.name = "libver", .token = "LIB-VER"}};
constexpr ArgSpec kSetinfoArguments[] = {
    {.name = "attr", .type = ArgType::kOneOf, .arguments = kSetinfoChoices}};
constexpr ArgSpec kTypes[] = {{.name = "normal", .type = ArgType::kPureToken, .token = "NORMAL"},
                              {.name = "master", .type = ArgType::kPureToken, .token = "MASTER"},
                              {.name = "replica", .type = ArgType::kPureToken, .token = "REPLICA"},
                              {.name = "pubsub", .type = ArgType::kPureToken, .token = "PUBSUB"}};
constexpr ArgSpec kIds[] = {{.name = "client-id", .type = ArgType::kInteger, .flags = command::kMultiple}};
constexpr ArgSpec kListArguments[] = {{.name = "normal_master_replica_pubsub",
                                       .type = ArgType::kOneOf,
                                       .token = "TYPE",
                                       .flags = command::kOptional,
                                       .arguments = kTypes,
                                       .since = "5.0.0"},
                                      {.name = "id",
                                       .type = ArgType::kBlock,
                                       .token = "ID",
                                       .flags = command::kOptional,
                                       .arguments = kIds,
                                       .since = "6.2.0"}};
constexpr ArgSpec kKillTypes[] = {
    {.name = "normal", .type = ArgType::kPureToken, .token = "NORMAL"},
    {.name = "master", .type = ArgType::kPureToken, .token = "MASTER", .since = "3.2.0"},
    {.name = "slave", .type = ArgType::kPureToken, .token = "SLAVE"},
    {.name = "replica", .type = ArgType::kPureToken, .token = "REPLICA", .since = "5.0.0"},
    {.name = "pubsub", .type = ArgType::kPureToken, .token = "PUBSUB"}};
constexpr ArgSpec kKillFilters[] = {
    {.name = "client-id",
     .type = ArgType::kInteger,
     .token = "ID",
     .flags = command::kOptional,
     .since = "2.8.12"},
    {.name = "normal_master_slave_pubsub",
     .type = ArgType::kOneOf,
     .token = "TYPE",
     .flags = command::kOptional,
     .arguments = kKillTypes,
     .since = "2.8.12"},
    {.name = "username", .token = "USER", .flags = command::kOptional},
    {.name = "ip:port", .token = "ADDR", .flags = command::kOptional},
    {.name = "ip:port", .token = "LADDR", .flags = command::kOptional, .since = "6.2.0"},
    {.name = "yes/no", .token = "SKIPME", .flags = command::kOptional},
    {.name = "maxage",
     .type = ArgType::kInteger,
     .token = "MAXAGE",
     .flags = command::kOptional,
     .since = "7.4.0"}};
constexpr ArgSpec kKillForms[] = {
    {.name = "ip:port"},
    {.name = "new-format", .type = ArgType::kOneOf, .flags = command::kMultiple, .arguments = kKillFilters}};
constexpr ArgSpec kKillArguments[] = {{.name = "filter", .type = ArgType::kOneOf, .arguments = kKillForms}};
constexpr ArgSpec kPauseModes[] = {{.name = "write", .type = ArgType::kPureToken, .token = "WRITE"},
                                   {.name = "all", .type = ArgType::kPureToken, .token = "ALL"}};
constexpr ArgSpec kPauseArguments[] = {{.name = "timeout", .type = ArgType::kInteger},
                                       {.name = "mode",
                                        .type = ArgType::kOneOf,
                                        .flags = command::kOptional,
                                        .arguments = kPauseModes,
                                        .since = "6.2.0"}};
constexpr ArgSpec kUnblockReasons[] = {{.name = "timeout", .type = ArgType::kPureToken, .token = "TIMEOUT"},
                                       {.name = "error", .type = ArgType::kPureToken, .token = "ERROR"}};
constexpr ArgSpec kUnblockArguments[] = {{.name = "client-id", .type = ArgType::kInteger},
                                         {.name = "timeout_error",
                                          .type = ArgType::kOneOf,
                                          .flags = command::kOptional,
                                          .arguments = kUnblockReasons}};
constexpr ArgSpec kTrackingArguments[] = {
    {.name = "status", .type = ArgType::kOneOf, .arguments = kOnOff},
    {.name = "client-id", .type = ArgType::kInteger, .token = "REDIRECT", .flags = command::kOptional},
    {.name = "prefix",
     .token = "PREFIX",
     .flags = command::kOptional | command::kMultiple | command::kMultipleToken},
    {.name = "bcast", .type = ArgType::kPureToken, .token = "BCAST", .flags = command::kOptional},
    {.name = "optin", .type = ArgType::kPureToken, .token = "OPTIN", .flags = command::kOptional},
    {.name = "optout", .type = ArgType::kPureToken, .token = "OPTOUT", .flags = command::kOptional},
    {.name = "noloop", .type = ArgType::kPureToken, .token = "NOLOOP", .flags = command::kOptional}};

constexpr std::string_view kVaryingTips[] = {"nondeterministic_output"};

// What all rows of CLIENT share.
consteval CommandRow Row(std::string_view name, int16_t arity, uint32_t flags, std::string_view since,
                         std::string_view summary) {
  CommandRow row;
  row.name = name;
  row.arity = arity;
  row.flags = flags;
  row.categories = command::kCatConnection;
  row.group = command::Group::kConnection;
  row.since = since;
  row.complexity = "O(1)";
  row.summary = summary;
  return row;
}
consteval CommandRow With(CommandRow row, command::Handler handler, std::span<const ArgSpec> arguments = {},
                          std::span<const std::string_view> tips = {}) {
  row.handler = handler;
  row.arguments = arguments;
  row.tips = tips;
  return row;
}
consteval CommandRow WithBody(CommandRow row, command::Body body, std::string_view complexity,
                              std::span<const ArgSpec> arguments = {},
                              std::span<const std::string_view> tips = {}) {
  row.body = body;
  row.complexity = complexity;
  row.arguments = arguments;
  row.tips = tips;
  return row;
}

constexpr std::string_view kPerClient = "O(N) for N connections";

constexpr CommandRow kClientRows[] = {
    With(Row("caching", 3, kMine, "6.0.0", "Says whether the keys of the next command are tracked."), Caching,
         kCachingArguments),
    With(Row("getname", 2, kMine, "2.6.9", "Returns the name of the connection."), Getname),
    With(Row("getredir", 2, kMine, "6.0.0", "Returns the client that gets this one's invalidations."),
         Getredir),
    With(Row("help", 2, command::kLoading | command::kStale, "5.0.0", "Describes the subcommands."), Help),
    With(Row("id", 2, kMine, "5.0.0", "Returns the number of the connection."), Id),
    With(Row("info", 2, kMine, "6.2.0", "Describes the connection."), ClientInfo, {}, kVaryingTips),
    WithBody(Row("kill", -3, kAdmins, "2.4.0", "Closes connections."), ClientKill, kPerClient,
             kKillArguments),
    WithBody(Row("list", -2, kAdmins, "2.4.0", "Describes all connections."), ClientList, kPerClient,
             kListArguments, kVaryingTips),
    With(Row("no-evict", 3, kMine | command::kAdmin, "7.0.0",
             "Keeps the connection when clients take too much memory."),
         NoEvict, kEnabledArguments),
    With(Row("no-touch", 3, kMine, "7.2.0", "Lets the connection use keys without making them younger."),
         NoTouch, kEnabledArguments),
    WithBody(Row("pause", -3, kAdmins, "3.0.0", "Holds the commands of clients back."), Pause,
             "O(N) for N batches under way", kPauseArguments),
    With(Row("reply", 3, kMine, "3.2.0", "Says whether the connection's commands are answered."), ReplySwitch,
         kReplyArguments),
    With(Row("setinfo", 4, kMine, "7.2.0", "Says which client library the connection uses."), Setinfo,
         kSetinfoArguments),
    With(Row("setname", 3, kMine, "2.6.9", "Names the connection."), Setname, kNameArguments),
    WithBody(Row("tracking", -3, kAlways, "6.0.0", "Turns client side caching on or off."), Tracking, "O(1)",
             kTrackingArguments),
    With(Row("trackinginfo", 2, kMine, "6.2.0", "Returns the state of client side caching."), Trackinginfo),
    WithBody(Row("unblock", -3, kAdmins, "5.0.0", "Ends the wait of a blocked client."), ClientUnblock,
             "O(log N) for N connections", kUnblockArguments),
    WithBody(Row("unpause", 2, kAdmins, "6.2.0", "Ends a pause."), Unpause, "O(N) for N clients held back"),
};
static_assert(command::RowsAreSane(kClientRows));

constexpr CommandRow kRows[] = {
    {.name = "client",
     .arity = -2,
     .group = command::Group::kConnection,
     .since = "2.4.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about connections.",
     .subcommands = kClientRows},
    {.name = "monitor",
     .arity = 1,
     .flags = kMine | command::kAdmin,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1); then each command costs a line for each monitor",
     .summary = "Shows every command that the server runs.",
     .handler = Monitor},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

bool IsClientName(std::string_view name) {
  return std::ranges::all_of(name, [](char c) { return c >= '!' && c <= '~'; });
}

std::span<const CommandRow> ClientCommands() {
  return kRows;
}

}  // namespace moonshard::commands
