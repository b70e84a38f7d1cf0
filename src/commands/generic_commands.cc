// Keys of any type: DEL EXISTS EXPIRE PEXPIRE TTL PTTL RENAME SCAN TYPE UNLINK, DBSIZE FLUSHALL FLUSHDB.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/glob.h"
#include "command/errors.h"
#include "command/scan_cursor.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/tables.h"
#include "types/string_value.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;
using command::ShardState;

std::string_view TypeName(dash::Type type) {
  switch (type) {
    case dash::Type::kString:
      return "string";
    case dash::Type::kList:
      return "list";
    case dash::Type::kSet:
      return "set";
    case dash::Type::kZset:
      return "zset";
    case dash::Type::kHash:
      return "hash";
    case dash::Type::kStream:
      return "stream";
    default:
      return "unknown";
  }
}

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

// ---- deadlines

struct ExpireFlags {
  bool if_none = false;     // NX
  bool if_any = false;      // XX
  bool if_greater = false;  // GT
  bool if_less = false;     // LT
};

// False: the error has been replied.
bool ParseExpireFlags(Context& context, ExpireFlags& flags) {
  for (size_t i = 3; i < context.args.size(); ++i) {
    std::string_view word = context.args[i];
    if (EqualsIgnoreCase(word, "NX")) {
      flags.if_none = true;
    } else if (EqualsIgnoreCase(word, "XX")) {
      flags.if_any = true;
    } else if (EqualsIgnoreCase(word, "GT")) {
      flags.if_greater = true;
    } else if (EqualsIgnoreCase(word, "LT")) {
      flags.if_less = true;
    } else {
      context.reply.ErrorLine("ERR Unsupported option " + std::string(command::UpToZero(word)));
      return false;
    }
  }
  if (flags.if_none && (flags.if_any || flags.if_greater || flags.if_less)) {
    context.reply.ErrorLine("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (flags.if_greater && flags.if_less) {
    context.reply.ErrorLine("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

// No deadline counts as infinitely late.
bool ExpireAllowed(const ExpireFlags& flags, TimeMs current, TimeMs wanted) {
  if (flags.if_none && current != kNoDeadline) return false;
  if (flags.if_any && current == kNoDeadline) return false;
  if (flags.if_greater && (current == kNoDeadline || wanted <= current)) return false;
  if (flags.if_less && current != kNoDeadline && wanted >= current) return false;
  return true;
}

Outcome ExpireIn(Context& context, TimeUnit unit) {
  ExpireFlags flags;
  if (!ParseExpireFlags(context, flags)) return Outcome::kDone;
  auto amount = ParseInt64(context.arg(2));
  if (!amount) return context.Fail(db::kNotAnInteger);
  TimeMs now = context.shard.keyspace->now();
  auto deadline = DeadlineOf(*amount, unit, TimeBase::kRelative, now);
  if (!deadline) return FailExpireTime(context);
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  if (!ref || !ExpireAllowed(flags, context.db->table().entry(ref)->deadline(), *deadline)) {
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  if (*deadline <= now) {
    context.db->EraseRef(ref, types::MutationReason::kCommand, "del");
  } else {
    base::Status status = context.db->SetDeadline(ref, *deadline);
    if (!status.ok()) return context.Fail(status);
    context.shard.keyspace->events().Notify(
        {db::EventClass::kGeneric, "expire", context.db->index(), context.key().text});
  }
  context.reply.Integer(1);
  return Outcome::kDone;
}

Outcome Expire(Context& context) {
  return ExpireIn(context, TimeUnit::kSeconds);
}
Outcome Pexpire(Context& context) {
  return ExpireIn(context, TimeUnit::kMilliseconds);
}

Outcome TimeLeft(Context& context, TimeUnit unit) {
  const dash::Entry* entry = context.db->Peek(context.key());
  if (entry == nullptr) {
    context.reply.Integer(-2);
  } else if (!entry->has_deadline()) {
    context.reply.Integer(-1);
  } else {
    TimeMs left = std::max<TimeMs>(entry->deadline() - context.shard.keyspace->now(), 0);
    context.reply.Integer(unit == TimeUnit::kSeconds ? (left + 500) / 1000 : left);
  }
  return Outcome::kDone;
}

Outcome Ttl(Context& context) {
  return TimeLeft(context, TimeUnit::kSeconds);
}
Outcome Pttl(Context& context) {
  return TimeLeft(context, TimeUnit::kMilliseconds);
}

// ---- RENAME

// A value taken off its shard.
struct Detached {
  bool found = false;
  std::string bytes;
  TimeMs deadline = kNoDeadline;
};

Detached Copy(const dash::Entry& entry) {
  char scratch[base::kMaxInt64Chars];
  return {true, std::string(types::StringBytes(entry, scratch)), entry.deadline()};
}

Outcome Rename(Context& context) {
  db::Database& db = *context.db;
  db::Key from = context.key(0);
  db::Key to = context.key(1);
  dash::Table::Ref ref = db.FindForWrite(from);
  if (!ref) return context.Fail(db::kNoSuchKey);
  if (from.text != to.text) {
    Detached value = Copy(*db.table().entry(ref));
    base::Status status = db.SetString(to, value.bytes, value.deadline, db::kEventRenameTo);
    if (!status.ok()) return context.Fail(status);
    db.Erase(from, "rename_from");
  }
  context.reply.Ok();
  return Outcome::kDone;
}

// The same with the keys on two shards, both locked.
shard::Task<void> RenameAcross(Context& context) {
  command::StateShards shards;
  const command::KeyRef& from_ref = context.keys[0];
  const command::KeyRef& to_ref = context.keys[1];
  db::Key from = context.key(0);
  db::Key to = context.key(1);
  DbIndex db = context.db->index();
  TimeMs now = context.shard.keyspace->now();
  Detached value = co_await shards.On(from_ref.shard, [&](ShardState& state) {
    state.keyspace->SetNow(now);
    const dash::Entry* entry = state.keyspace->database(db).Find(from);
    return entry == nullptr ? Detached() : Copy(*entry);
  });
  if (!value.found) {
    context.reply.Error(db::kNoSuchKey);
    co_return;
  }
  base::Status status = co_await shards.On(to_ref.shard, [&](ShardState& state) {
    state.keyspace->SetNow(now);
    return state.keyspace->database(db).SetString(to, value.bytes, value.deadline, db::kEventRenameTo);
  });
  if (!status.ok()) {
    context.reply.Error(status);
    co_return;
  }
  context.wrote = true;
  co_await shards.On(from_ref.shard,
                     [&](ShardState& state) { state.keyspace->database(db).Erase(from, "rename_from"); });
  context.reply.Ok();
}

// ---- the whole keyspace

struct ScanOptions {
  std::optional<std::string_view> pattern;
  std::optional<std::string_view> type;
  int64_t count = 10;
};

// False: the error has been replied.
bool ParseScanOptions(Context& context, ScanOptions& options) {
  for (size_t i = 2; i < context.args.size(); i += 2) {
    std::string_view word = context.args[i];
    if (i + 1 >= context.args.size()) {
      context.reply.Error(db::kSyntax);
      return false;
    }
    std::string_view value = context.args[i + 1];
    if (EqualsIgnoreCase(word, "COUNT")) {
      auto count = ParseInt64(value);
      if (!count || *count < 1) {
        context.reply.Error(count ? base::Status(db::kSyntax) : base::Status(db::kNotAnInteger));
        return false;
      }
      options.count = *count;
    } else if (EqualsIgnoreCase(word, "MATCH")) {
      // "*" lets everything through, also the empty key, which it does not match.
      options.pattern = value == "*" ? std::nullopt : std::optional(value);
    } else if (EqualsIgnoreCase(word, "TYPE")) {
      options.type = value;
    } else {
      context.reply.Error(db::kSyntax);
      return false;
    }
  }
  return true;
}

Outcome Scan(Context& context) {
  auto cursor = command::ScanCursor::Parse(context.arg(1));
  if (!cursor) {
    context.reply.ErrorLine("ERR invalid cursor");
    return Outcome::kDone;
  }
  ScanOptions options;
  if (!ParseScanOptions(context, options)) return Outcome::kDone;
  TimeMs now = context.shard.keyspace->now();
  std::vector<std::string_view> found;
  command::ScanCursor next;
  uint64_t shard_count = context.shard.shard->shard_count();
  if (cursor->shard < shard_count) {
    uint64_t position = cursor->position;
    int64_t visited = 0;
    do {
      position = context.db->table().Scan(position, [&](const dash::Entry* entry) {
        ++visited;
        if (entry->deadline() <= now) return;
        if (options.type && !EqualsIgnoreCase(*options.type, TypeName(entry->type()))) return;
        if (options.pattern && !base::GlobMatch(*options.pattern, entry->key())) return;
        found.push_back(entry->key());
      });
    } while (position != 0 && visited < options.count);
    if (position != 0) {
      next = {cursor->shard, position};
    } else if (cursor->shard + 1 < shard_count) {
      next = {cursor->shard + 1, 0};
    }
  }
  context.reply.Array(2);
  char text[base::kMaxInt64Chars];
  context.reply.Bulk({text, base::FormatUint64(next.value(), text)});
  context.reply.Array(found.size());
  for (std::string_view key : found) context.reply.Bulk(key);
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

// ---- rows

constexpr KeySpec kReadKey[] = {{.flags = command::kKeyRo}};
constexpr KeySpec kReadKeys[] = {{.flags = command::kKeyRo, .last = -1}};
constexpr KeySpec kTimeKey[] = {{.flags = command::kKeyRo | command::kKeyAccess}};
constexpr KeySpec kUpdateKey[] = {{.flags = command::kKeyRw | command::kKeyUpdate}};
constexpr KeySpec kDeleteKeys[] = {{.flags = command::kKeyRm | command::kKeyDelete, .last = -1}};
constexpr KeySpec kRenameKeys[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyDelete},
                                   {.flags = command::kKeyOw | command::kKeyUpdate, .begin_index = 2}};

constexpr ArgSpec kKeyArgument[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0}};
constexpr ArgSpec kKeysArgument[] = {
    {.name = "key", .type = ArgType::kKey, .flags = command::kMultiple, .key_spec = 0}};
constexpr ArgSpec kExpireCondition[] = {{.name = "nx", .type = ArgType::kPureToken, .token = "NX"},
                                        {.name = "xx", .type = ArgType::kPureToken, .token = "XX"},
                                        {.name = "gt", .type = ArgType::kPureToken, .token = "GT"},
                                        {.name = "lt", .type = ArgType::kPureToken, .token = "LT"}};
constexpr ArgSpec kExpireArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                        {.name = "seconds", .type = ArgType::kInteger},
                                        {.name = "condition",
                                         .type = ArgType::kOneOf,
                                         .flags = command::kOptional,
                                         .arguments = kExpireCondition,
                                         .since = "7.0.0"}};
constexpr ArgSpec kPexpireArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                         {.name = "milliseconds", .type = ArgType::kInteger},
                                         {.name = "condition",
                                          .type = ArgType::kOneOf,
                                          .flags = command::kOptional,
                                          .arguments = kExpireCondition,
                                          .since = "7.0.0"}};
constexpr ArgSpec kRenameArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                        {.name = "newkey", .type = ArgType::kKey, .key_spec = 1}};
constexpr ArgSpec kScanArguments[] = {
    {.name = "cursor", .type = ArgType::kInteger},
    {.name = "pattern", .type = ArgType::kPattern, .token = "MATCH", .flags = command::kOptional},
    {.name = "count", .type = ArgType::kInteger, .token = "COUNT", .flags = command::kOptional},
    {.name = "type", .token = "TYPE", .flags = command::kOptional, .since = "6.0.0"}};
constexpr ArgSpec kFlushType[] = {
    {.name = "async", .type = ArgType::kPureToken, .token = "ASYNC", .since = "4.0.0"},
    {.name = "sync", .type = ArgType::kPureToken, .token = "SYNC", .since = "6.2.0"}};
constexpr ArgSpec kFlushArguments[] = {
    {.name = "flush-type", .type = ArgType::kOneOf, .flags = command::kOptional, .arguments = kFlushType}};
constexpr std::string_view kSumTips[] = {"request_policy:multi_shard", "response_policy:agg_sum"};
constexpr std::string_view kAllSumTips[] = {"request_policy:all_shards", "response_policy:agg_sum"};
constexpr std::string_view kAllOkTips[] = {"request_policy:all_shards", "response_policy:all_succeeded"};
constexpr std::string_view kRandomTips[] = {"nondeterministic_output"};
constexpr std::string_view kScanTips[] = {"nondeterministic_output", "request_policy:special"};

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
    {.name = "expire",
     .arity = -3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kUpdateKey,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Gives a key a time to live in seconds.",
     .arguments = kExpireArguments,
     .handler = Expire},
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
    {.name = "pexpire",
     .arity = -3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kUpdateKey,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Gives a key a time to live in milliseconds.",
     .arguments = kPexpireArguments,
     .handler = Pexpire},
    {.name = "pttl",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kTimeKey,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Returns the time to live of a key in milliseconds.",
     .arguments = kKeyArgument,
     .handler = Pttl,
     .tips = kRandomTips},
    {.name = "rename",
     .arity = 3,
     .flags = command::kWrite,
     .categories = command::kCatKeyspace,
     .keys = kRenameKeys,
     .since = "1.0.0",
     .complexity = "O(1); a replaced key with M elements adds O(M)",
     .summary = "Renames a key and replaces what the new name held.",
     .arguments = kRenameArguments,
     .handler = Rename,
     .body = RenameAcross},
    {.name = "scan",
     .arity = -2,
     .flags = command::kReadonly,
     .categories = command::kCatKeyspace,
     .since = "2.8.0",
     .complexity = "O(1) a call, O(N) for a whole scan",
     .summary = "Walks over the keys of the selected database, a few at a time.",
     .arguments = kScanArguments,
     .handler = Scan,
     .route = command::Route::kCursor,
     .tips = kScanTips},
    {.name = "ttl",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kTimeKey,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns the time to live of a key in seconds.",
     .arguments = kKeyArgument,
     .handler = Ttl,
     .tips = kRandomTips},
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
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> GenericCommands() {
  return kRows;
}

}  // namespace moonshard::commands
