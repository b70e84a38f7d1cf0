// What the server is to others: ROLE REPLICAOF SLAVEOF REPLCONF PSYNC SYNC FAILOVER, and what it keeps:
// LASTSAVE SAVE BGSAVE BGREWRITEAOF. There is no replication and no log yet: what asks for one gets an error.

#include "command/server_control.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;

inline constexpr base::StaticError kNothingSaves{
    base::Code::kErr, "this server does not keep data on disk yet, so there is nothing to save to"};
inline constexpr base::StaticError kNoReplicas{base::Code::kErr, "this server cannot feed a replica yet"};
inline constexpr base::StaticError kCannotFollow{base::Code::kErr,
                                                 "this server cannot follow another one yet"};
inline constexpr base::StaticError kBadMasterPort{base::Code::kErr, "Invalid master port"};

Outcome Role(Context& context) {
  context.reply.Array(3);
  context.reply.Bulk("master");
  context.reply.Integer(0);
  context.reply.Array(0);
  return Outcome::kDone;
}

Outcome Replicaof(Context& context) {
  if (EqualsIgnoreCase(context.arg(1), "no") && EqualsIgnoreCase(context.arg(2), "one")) {
    context.reply.Ok();
    return Outcome::kDone;
  }
  auto port = ParseInt64(context.arg(2));
  if (!port || *port < 0 || *port > 65535) return context.Fail(kBadMasterPort);
  return context.Fail(kCannotFollow);
}

Outcome Replconf(Context& context) {
  // Pairs of a name and a value.
  if (context.args.size() % 2 == 0) return context.Fail(db::kSyntax);
  return context.Fail(kNoReplicas);
}

Outcome NoReplication(Context& context) {
  return context.Fail(kNoReplicas);
}

// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT ms]; nobody is there to hand over to.
Outcome Failover(Context& context) {
  bool to = false;
  bool force = false;
  bool timeout = false;
  for (size_t i = 1; i < context.args.size(); ++i) {
    const size_t more = context.args.size() - i - 1;
    std::string_view word = context.arg(i);
    if (EqualsIgnoreCase(word, "timeout") && more >= 1 && !timeout) {
      auto ms = ParseInt64(context.arg(++i));
      if (!ms) return context.Fail(db::kNotAnInteger);
      if (*ms <= 0) {
        context.reply.ErrorLine("ERR FAILOVER timeout must be greater than 0");
        return Outcome::kDone;
      }
      timeout = true;
    } else if (EqualsIgnoreCase(word, "abort") && context.args.size() == 2) {
      context.reply.ErrorLine("ERR No failover in progress.");
      return Outcome::kDone;
    } else if (EqualsIgnoreCase(word, "to") && more >= 2 && !to) {
      auto port = ParseInt64(context.arg(i + 2));
      if (!port) return context.Fail(db::kNotAnInteger);
      i += 2;
      to = true;
    } else if (EqualsIgnoreCase(word, "force") && !force) {
      force = true;
    } else {
      return context.Fail(db::kSyntax);
    }
  }
  context.reply.ErrorLine("ERR FAILOVER requires connected replicas.");
  return Outcome::kDone;
}

// As in Redis, a server that never saved answers when it started.
Outcome Lastsave(Context& context) {
  context.reply.Integer(context.shard.server->facts().start_time_ms / 1000);
  return Outcome::kDone;
}

Outcome NothingToSave(Context& context) {
  return context.Fail(kNothingSaves);
}

Outcome Bgsave(Context& context) {
  const bool plain = context.args.size() == 1;
  if (!plain && !(context.args.size() == 2 && EqualsIgnoreCase(context.arg(1), "schedule"))) {
    return context.Fail(db::kSyntax);
  }
  return context.Fail(kNothingSaves);
}

// ---- rows

constexpr ArgSpec kBgsaveArguments[] = {{.name = "schedule",
                                         .type = ArgType::kPureToken,
                                         .token = "SCHEDULE",
                                         .flags = command::kOptional,
                                         .since = "3.2.2"}};
constexpr ArgSpec kFailoverTargetArguments[] = {
    {.name = "host"},
    {.name = "port", .type = ArgType::kInteger},
    {.name = "force", .type = ArgType::kPureToken, .token = "FORCE", .flags = command::kOptional}};
constexpr ArgSpec kFailoverArguments[] = {
    {.name = "target",
     .type = ArgType::kBlock,
     .token = "TO",
     .flags = command::kOptional,
     .arguments = kFailoverTargetArguments},
    {.name = "abort", .type = ArgType::kPureToken, .token = "ABORT", .flags = command::kOptional},
    {.name = "milliseconds", .type = ArgType::kInteger, .token = "TIMEOUT", .flags = command::kOptional}};
constexpr std::string_view kLastsaveTips[] = {"nondeterministic_output"};
constexpr ArgSpec kPsyncArguments[] = {{.name = "replicationid"},
                                       {.name = "offset", .type = ArgType::kInteger}};
constexpr ArgSpec kReplicaofArgsHostPortArguments[] = {{.name = "host"},
                                                       {.name = "port", .type = ArgType::kInteger}};
constexpr ArgSpec kReplicaofArgsNoOneArguments[] = {
    {.name = "no", .type = ArgType::kPureToken, .token = "NO"},
    {.name = "one", .type = ArgType::kPureToken, .token = "ONE"}};
constexpr ArgSpec kReplicaofArgsArguments[] = {
    {.name = "host-port", .type = ArgType::kBlock, .arguments = kReplicaofArgsHostPortArguments},
    {.name = "no-one", .type = ArgType::kBlock, .arguments = kReplicaofArgsNoOneArguments}};
constexpr ArgSpec kReplicaofArguments[] = {
    {.name = "args", .type = ArgType::kOneOf, .arguments = kReplicaofArgsArguments}};

constexpr CommandRow kRows[] = {
    {.name = "bgrewriteaof",
     .arity = 1,
     .flags = command::kAdmin | command::kNoScript | command::kNoAsyncLoading,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Rewrites the append-only file.",
     .handler = NothingToSave},
    {.name = "bgsave",
     .arity = -1,
     .flags = command::kAdmin | command::kNoScript | command::kNoAsyncLoading,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Saves the data in the background.",
     .arguments = kBgsaveArguments,
     .handler = Bgsave},
    {.name = "failover",
     .arity = -1,
     .flags = command::kAdmin | command::kNoScript | command::kStale,
     .group = command::Group::kServer,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Hands over to a replica.",
     .arguments = kFailoverArguments,
     .handler = Failover},
    {.name = "lastsave",
     .arity = 1,
     .flags = command::kLoading | command::kStale | command::kFast,
     .categories = command::kCatAdmin | command::kCatDangerous,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns when the data was last saved.",
     .handler = Lastsave,
     .tips = kLastsaveTips},
    {.name = "psync",
     .arity = -3,
     .flags = command::kAdmin | command::kNoScript | command::kNoAsyncLoading | command::kNoMulti,
     .group = command::Group::kServer,
     .since = "2.8.0",
     .summary = "Asks for the stream of changes.",
     .arguments = kPsyncArguments,
     .handler = NoReplication},
    {.name = "replconf",
     .arity = -1,
     .flags =
         command::kAdmin | command::kNoScript | command::kLoading | command::kStale | command::kAllowBusy,
     .group = command::Group::kServer,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Settles how a replica is fed.",
     .handler = Replconf,
     .doc_flags = command::kDocSyscmd},
    {.name = "replicaof",
     .arity = 3,
     .flags = command::kAdmin | command::kNoScript | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kServer,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Follows another server, or none.",
     .arguments = kReplicaofArguments,
     .handler = Replicaof},
    {.name = "role",
     .arity = 1,
     .flags = command::kNoScript | command::kLoading | command::kStale | command::kFast,
     .categories = command::kCatAdmin | command::kCatDangerous,
     .group = command::Group::kServer,
     .since = "2.8.12",
     .complexity = "O(1)",
     .summary = "Returns the role in replication.",
     .handler = Role},
    {.name = "save",
     .arity = 1,
     .flags = command::kAdmin | command::kNoScript | command::kNoAsyncLoading | command::kNoMulti,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(N)",
     .summary = "Saves the data while everybody waits.",
     .handler = NothingToSave},
    {.name = "slaveof",
     .arity = 3,
     .flags = command::kAdmin | command::kNoScript | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Follows another server, or none.",
     .arguments = kReplicaofArguments,
     .handler = Replicaof,
     .deprecated_since = "5.0.0",
     .replaced_by = "`REPLICAOF`",
     .doc_flags = command::kDocDeprecated},
    {.name = "sync",
     .arity = 1,
     .flags = command::kAdmin | command::kNoScript | command::kNoAsyncLoading | command::kNoMulti,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .summary = "Asks for the data and the stream of changes.",
     .handler = NoReplication},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> RoleCommands() {
  return kRows;
}

}  // namespace moonshard::commands
