// Strings: several keys in one command.

#include <algorithm>
#include <limits>
#include <vector>

#include "command/errors.h"
#include "commands/string_common.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeyRef;
using command::KeySpec;

Outcome Mget(Context& context) {
  for (size_t i = 0; i < context.keys.size(); ++i) {
    const dash::Entry* entry = context.db->Find(context.key(i));
    // A key of another type counts as absent.
    if (entry != nullptr && !IsString(*entry)) entry = nullptr;
    ReplyString(context, entry);
    context.fan.EndKey(context.reply.buffer().size());
  }
  return Outcome::kDone;
}

Outcome Mset(Context& context) {
  // Framing found the keys at every second argument; an odd rest is left without its value.
  if (context.args.size() % 2 == 0) {
    context.fan.Fail(db::kMsetArity);
    return Outcome::kDone;
  }
  for (size_t i = 0; i < context.keys.size(); ++i) {
    base::Status status =
        context.db->SetString(context.key(i), context.arg(context.keys[i].arg + 1u), kNoDeadline);
    if (!status.ok()) context.fan.Fail(std::move(status));
  }
  return Outcome::kDone;
}

// ---- all of the keys or none: MSETNX, MSETEX

// What a command wants of its pairs: each key is followed by its value.
struct PairPlan {
  uint32_t condition = 0;  // kOptNx: none exists, kOptXx: all do
  bool keep_deadline = false;
  bool gives_time = false;
  TimeMs deadline = kNoDeadline;
};

bool MaySet(db::Database& db, const db::Key& key, const PairPlan& plan) {
  return plan.condition == 0 || static_cast<bool>(db.FindForWrite(key)) == (plan.condition == kOptXx);
}

base::Status SetPair(ShardState& shard, db::Database& db, const db::Key& key, std::string_view bytes,
                     const PairPlan& plan) {
  TimeMs deadline = plan.deadline;
  if (plan.keep_deadline) {
    dash::Table::Ref ref = db.FindForWrite(key);
    if (ref) deadline = db.table().entry(ref)->deadline();
  }
  MS_RETURN_IF_ERROR(db.SetString(key, bytes, deadline));
  if (plan.gives_time) NotifyGeneric(shard, db, key.text, "expire");
  return {};
}

Outcome SetPairs(Context& context, const PairPlan& plan) {
  for (size_t i = 0; i < context.keys.size(); ++i) {
    if (MaySet(*context.db, context.key(i), plan)) continue;
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  for (size_t i = 0; i < context.keys.size(); ++i) {
    base::Status status =
        SetPair(context.shard, *context.db, context.key(i), context.arg(context.keys[i].arg + 1u), plan);
    if (!status.ok()) return context.Fail(status);
  }
  context.reply.Integer(1);
  return Outcome::kDone;
}

// The same with keys on several shards, all locked: first all look, then all set.
shard::Task<void> SetPairsAcross(Context& context, const PairPlan& plan) {
  command::StateShards shards;
  const DbIndex db = context.db->index();
  const TimeMs now = context.shard.keyspace->now();
  std::vector<ShardId> owners;
  for (const KeyRef& key : context.keys) owners.push_back(key.shard);
  std::vector<base::Status> results(owners.size());
  std::vector<uint8_t> refused(owners.size());
  co_await shards.OnEach(owners, [&](ShardState& state, size_t i) {
    state.keyspace->SetNow(now);
    refused[i] = !MaySet(state.keyspace->database(db), context.key(i), plan);
  });
  if (std::find(refused.begin(), refused.end(), 1) != refused.end()) {
    context.reply.Integer(0);
    co_return;
  }
  context.wrote = true;
  co_await shards.OnEach(owners, [&](ShardState& state, size_t i) {
    results[i] = SetPair(state, state.keyspace->database(db), context.key(i),
                         context.arg(context.keys[i].arg + 1u), plan);
  });
  for (const base::Status& status : results) {
    if (status.ok()) continue;
    context.reply.Error(status);
    co_return;
  }
  context.reply.Integer(1);
}

// False: the error has been replied.
bool MsetnxArgumentsOk(Context& context) {
  if (context.args.size() % 2 != 0) return true;
  context.reply.ErrorLine(command::WrongArityText(context.command->full_name));
  return false;
}

Outcome Msetnx(Context& context) {
  if (!MsetnxArgumentsOk(context)) return Outcome::kDone;
  return SetPairs(context, {.condition = kOptNx});
}

shard::Task<void> MsetnxAcross(Context& context) {
  if (!MsetnxArgumentsOk(context)) co_return;
  PairPlan plan{.condition = kOptNx};
  co_await SetPairsAcross(context, plan);
}

// MSETEX numkeys key value [key value ...] [NX | XX] [a time | KEEPTTL]. False: the error has been replied.
bool ParseMsetex(Context& context, PairPlan& plan) {
  auto count = ParseInt64(context.arg(1));
  if (!count || *count < 1 || *count > std::numeric_limits<int32_t>::max()) {
    context.reply.ErrorLine("ERR invalid numkeys value");
    return false;
  }
  const size_t options_begin = 2 + 2 * static_cast<size_t>(*count);
  if (options_begin > context.args.size()) {
    context.reply.ErrorLine("ERR wrong number of key-value pairs");
    return false;
  }
  StringOptions options;
  constexpr uint32_t kAccepted = kOptNx | kOptXx | kOptKeepTtl | kOptTime;
  if (!ParseStringOptions(context.args.subspan(options_begin), kAccepted, options)) {
    context.reply.Error(db::kSyntax);
    return false;
  }
  plan.condition = options.given & (kOptNx | kOptXx);
  plan.keep_deadline = options.has(kOptKeepTtl);
  plan.gives_time = options.has(kOptTime);
  if (!plan.gives_time) return true;
  auto deadline = ResolveDeadline(context, *options.time, options.time_text);
  if (deadline) plan.deadline = *deadline;
  return deadline.has_value();
}

Outcome Msetex(Context& context) {
  PairPlan plan;
  if (!ParseMsetex(context, plan)) return Outcome::kDone;
  return SetPairs(context, plan);
}

shard::Task<void> MsetexAcross(Context& context) {
  PairPlan plan;
  if (!ParseMsetex(context, plan)) co_return;
  co_await SetPairsAcross(context, plan);
}

// ---- rows

constexpr KeySpec kReadKeys[] = {{.flags = command::kKeyRo | command::kKeyAccess, .last = -1}};
constexpr KeySpec kOverwritePairs[] = {
    {.flags = command::kKeyOw | command::kKeyUpdate, .last = -1, .step = 2}};
constexpr KeySpec kInsertPairs[] = {{.flags = command::kKeyOw | command::kKeyInsert, .last = -1, .step = 2}};
constexpr KeySpec kCountedPairs[] = {{.flags = command::kKeyOw | command::kKeyUpdate,
                                      .find = KeySpec::Find::kKeyNum,
                                      .step = 2,
                                      .first_key = 1}};

constexpr ArgSpec kKeysArgument[] = {
    {.name = "key", .type = ArgType::kKey, .flags = command::kMultiple, .key_spec = 0}};
constexpr ArgSpec kPairArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                      {.name = "value"}};
constexpr ArgSpec kMsetArguments[] = {
    {.name = "key_value", .type = ArgType::kBlock, .flags = command::kMultiple, .arguments = kPairArguments}};
constexpr ArgSpec kCondition[] = {{.name = "nx", .type = ArgType::kPureToken, .token = "NX"},
                                  {.name = "xx", .type = ArgType::kPureToken, .token = "XX"}};
constexpr ArgSpec kExpiration[] = {
    {.name = "seconds", .type = ArgType::kInteger, .token = "EX"},
    {.name = "milliseconds", .type = ArgType::kInteger, .token = "PX"},
    {.name = "unix-time-seconds", .type = ArgType::kUnixTime, .token = "EXAT"},
    {.name = "unix-time-milliseconds", .type = ArgType::kUnixTime, .token = "PXAT"},
    {.name = "keepttl", .type = ArgType::kPureToken, .token = "KEEPTTL"}};
constexpr ArgSpec kMsetexArguments[] = {
    {.name = "numkeys", .type = ArgType::kInteger},
    {.name = "data", .type = ArgType::kBlock, .flags = command::kMultiple, .arguments = kPairArguments},
    {.name = "condition", .type = ArgType::kOneOf, .flags = command::kOptional, .arguments = kCondition},
    {.name = "expiration", .type = ArgType::kOneOf, .flags = command::kOptional, .arguments = kExpiration}};
constexpr std::string_view kMgetTips[] = {"request_policy:multi_shard"};
constexpr std::string_view kMsetTips[] = {"request_policy:multi_shard", "response_policy:all_succeeded"};
constexpr std::string_view kMsetnxTips[] = {"request_policy:multi_shard", "response_policy:agg_min"};

constexpr CommandRow kRows[] = {
    {.name = "mget",
     .arity = -2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatString,
     .keys = kReadKeys,
     .group = command::Group::kString,
     .since = "1.0.0",
     .complexity = "O(N) for N keys",
     .summary = "Returns the string values of several keys, read at one moment.",
     .arguments = kKeysArgument,
     .handler = Mget,
     .merge = command::Merge::kPerKey,
     .tips = kMgetTips},
    {.name = "mset",
     .arity = -3,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatString,
     .keys = kOverwritePairs,
     .group = command::Group::kString,
     .since = "1.0.1",
     .complexity = "O(N) for N keys",
     .summary = "Sets several keys to string values, all at one moment.",
     .arguments = kMsetArguments,
     .handler = Mset,
     .merge = command::Merge::kOk,
     .tips = kMsetTips},
    {.name = "msetex",
     .arity = -4,
     .flags = command::kWrite | command::kDenyOom | command::kMovableKeys,
     .categories = command::kCatString,
     .keys = kCountedPairs,
     .group = command::Group::kString,
     .since = "8.4.0",
     .complexity = "O(N) for N keys",
     .summary = "Sets several keys to string values with one time to live, all at one moment.",
     .arguments = kMsetexArguments,
     .handler = Msetex,
     .body = MsetexAcross,
     .tips = kMsetTips},
    {.name = "msetnx",
     .arity = -3,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatString,
     .keys = kInsertPairs,
     .group = command::Group::kString,
     .since = "1.0.1",
     .complexity = "O(N) for N keys",
     .summary = "Sets several keys to string values if none of them exists, all at one moment.",
     .arguments = kMsetArguments,
     .handler = Msetnx,
     .body = MsetnxAcross,
     .tips = kMsetnxTips},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> StringManyCommands() {
  return kRows;
}

}  // namespace moonshard::commands
