// Keys of any type: DEL EXISTS TYPE UNLINK, and whole databases: DBSIZE FLUSHALL FLUSHDB SWAPDB; WAIT.

#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/generic.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

Outcome Del(Context& context) {
  for (size_t i = 0; i < context.keys.size(); ++i) context.fan.Add(context.db->Erase(context.key(i), "del"));
  return Outcome::kDone;
}

Outcome Exists(Context& context) {
  for (size_t i = 0; i < context.keys.size(); ++i)
    context.fan.Add(context.db->Peek(context.key(i)) != nullptr);
  return Outcome::kDone;
}

Outcome Type(Context& context) {
  const dash::Entry* entry = context.db->Peek(context.key());
  context.reply.Simple(entry == nullptr ? "none" : TypeName(entry->type()));
  return Outcome::kDone;
}

Outcome Dbsize(Context& context) {
  context.fan.Add(static_cast<int64_t>(context.db->size()));
  return Outcome::kDone;
}

bool FlushArgumentsOk(Context& context) {
  bool ok = context.args.size() == 1 ||
            (context.args.size() == 2 &&
             (EqualsIgnoreCase(context.arg(1), "ASYNC") || EqualsIgnoreCase(context.arg(1), "SYNC")));
  if (!ok) context.fan.Fail(db::kSyntax);
  return ok;
}

Outcome Flushall(Context& context) {
  if (!FlushArgumentsOk(context)) return Outcome::kDone;
  for (uint16_t i = 0; i < db::kDatabaseCount; ++i) context.shard.keyspace->database(DbIndex(i)).Flush();
  return Outcome::kDone;
}

Outcome Flushdb(Context& context) {
  if (FlushArgumentsOk(context)) context.db->Flush();
  return Outcome::kDone;
}

constexpr base::StaticError kBadFirstDb{base::Code::kErr, "invalid first DB index"};
constexpr base::StaticError kBadSecondDb{base::Code::kErr, "invalid second DB index"};

Outcome Swapdb(Context& context) {
  auto parse = [&](size_t i) {
    auto value = ParseInt64(context.arg(i));
    return value && *value == static_cast<int32_t>(*value) ? value : std::nullopt;
  };
  auto in_range = [](int64_t index) { return index >= 0 && index < int64_t{db::kDatabaseCount}; };
  auto first = parse(1);
  auto second = parse(2);
  if (!first) {
    context.fan.Fail(kBadFirstDb);
  } else if (!second) {
    context.fan.Fail(kBadSecondDb);
  } else if (!in_range(*first) || !in_range(*second)) {
    context.fan.Fail(kDbOutOfRange);
  } else {
    context.shard.keyspace->Swap(DbIndex(static_cast<uint16_t>(*first)),
                                 DbIndex(static_cast<uint16_t>(*second)));
  }
  return Outcome::kDone;
}

// No replica can be connected yet, so none ever acknowledges: the answer is 0, after the timeout unless no
// more is asked for.
constexpr base::StaticError kTimeoutNotAnInteger{base::Code::kErr,
                                                 "timeout is not an integer or out of range"};
constexpr base::StaticError kTimeoutNegative{base::Code::kErr, "timeout is negative"};

Outcome Wait(Context& context) {
  auto replicas = ParseInt64(context.arg(1));
  if (!replicas) return context.Fail(db::kNotAnInteger);
  auto timeout_ms = ParseInt64(context.arg(2));
  if (!timeout_ms) return context.Fail(kTimeoutNotAnInteger);
  if (*timeout_ms < 0) return context.Fail(kTimeoutNegative);
  if (*replicas > 0 && !context.timed_out) {
    TimeMs deadline = kNoDeadline;
    bool endless =
        *timeout_ms == 0 || __builtin_add_overflow(context.shard.keyspace->now(), *timeout_ms, &deadline);
    return context.Park(endless ? kNoDeadline : deadline);
  }
  context.reply.Integer(0);
  return Outcome::kDone;
}

// ---- rows

constexpr KeySpec kReadKey[] = {{.flags = command::kKeyRo}};
constexpr KeySpec kReadKeys[] = {{.flags = command::kKeyRo, .last = -1}};
constexpr KeySpec kDeleteKeys[] = {{.flags = command::kKeyRm | command::kKeyDelete, .last = -1}};

constexpr ArgSpec kKeyArgument[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0}};
constexpr ArgSpec kKeysArgument[] = {
    {.name = "key", .type = ArgType::kKey, .flags = command::kMultiple, .key_spec = 0}};
constexpr ArgSpec kFlushType[] = {
    {.name = "async", .type = ArgType::kPureToken, .token = "ASYNC", .since = "4.0.0"},
    {.name = "sync", .type = ArgType::kPureToken, .token = "SYNC", .since = "6.2.0"}};
constexpr ArgSpec kFlushArguments[] = {
    {.name = "flush-type", .type = ArgType::kOneOf, .flags = command::kOptional, .arguments = kFlushType}};
constexpr std::string_view kSumTips[] = {"request_policy:multi_shard", "response_policy:agg_sum"};
constexpr std::string_view kAllSumTips[] = {"request_policy:all_shards", "response_policy:agg_sum"};
constexpr std::string_view kAllOkTips[] = {"request_policy:all_shards", "response_policy:all_succeeded"};
constexpr ArgSpec kSwapdbArguments[] = {{.name = "index1", .type = ArgType::kInteger},
                                        {.name = "index2", .type = ArgType::kInteger}};

constexpr ArgSpec kWaitArguments[] = {{.name = "numreplicas", .type = ArgType::kInteger},
                                      {.name = "timeout", .type = ArgType::kInteger}};
constexpr std::string_view kWaitTips[] = {"request_policy:all_shards", "response_policy:agg_min"};

constexpr CommandRow kRows[] = {
    {.name = "dbsize",
     .arity = 1,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns the number of keys in the selected database.",
     .handler = Dbsize,
     .merge = command::Merge::kSum,
     .route = command::Route::kAllShards,
     .tips = kAllSumTips},
    {.name = "del",
     .arity = -2,
     .flags = command::kWrite,
     .categories = command::kCatKeyspace,
     .keys = kDeleteKeys,
     .since = "1.0.0",
     .complexity = "O(N) for N keys; a key with M elements adds O(M)",
     .summary = "Deletes keys and returns how many there were.",
     .arguments = kKeysArgument,
     .handler = Del,
     .merge = command::Merge::kSum,
     .tips = kSumTips},
    {.name = "exists",
     .arity = -2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kReadKeys,
     .since = "1.0.0",
     .complexity = "O(N) for N keys",
     .summary = "Counts which of the keys exist.",
     .arguments = kKeysArgument,
     .handler = Exists,
     .merge = command::Merge::kSum,
     .tips = kSumTips},
    {.name = "flushall",
     .arity = -1,
     .flags = command::kWrite,
     .categories = command::kCatKeyspace | command::kCatDangerous,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(N) for N keys in all databases",
     .summary = "Deletes all keys of all databases.",
     .arguments = kFlushArguments,
     .handler = Flushall,
     .merge = command::Merge::kOk,
     .route = command::Route::kAllShards,
     .tips = kAllOkTips},
    {.name = "flushdb",
     .arity = -1,
     .flags = command::kWrite,
     .categories = command::kCatKeyspace | command::kCatDangerous,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "O(N) for N keys in the database",
     .summary = "Deletes all keys of the selected database.",
     .arguments = kFlushArguments,
     .handler = Flushdb,
     .merge = command::Merge::kOk,
     .route = command::Route::kAllShards,
     .tips = kAllOkTips},
    {.name = "swapdb",
     .arity = 3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace | command::kCatDangerous,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(N) for N clients that wait for keys",
     .summary = "Exchanges the keys of two databases.",
     .arguments = kSwapdbArguments,
     .handler = Swapdb,
     .merge = command::Merge::kOk,
     .route = command::Route::kAllShards},
    {.name = "type",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kReadKey,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns the type of the value at a key.",
     .arguments = kKeyArgument,
     .handler = Type},
    {.name = "unlink",
     .arity = -2,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kDeleteKeys,
     .since = "4.0.0",
     .complexity = "O(N) for N keys",
     .summary = "Deletes keys and returns how many there were.",
     .arguments = kKeysArgument,
     .handler = Del,
     .merge = command::Merge::kSum,
     .tips = kSumTips},
    {.name = "wait",
     .arity = 3,
     .flags = command::kBlocking,
     .categories = command::kCatConnection,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Waits until replicas have acknowledged the writes of this connection.",
     .arguments = kWaitArguments,
     .handler = Wait,
     .tips = kWaitTips},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> GenericCommands() {
  return kRows;
}

}  // namespace moonshard::commands
