// Values that go to another key: COPY MOVE RENAME RENAMENX.

#include <optional>
#include <utility>

#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/generic.h"
#include "commands/tables.h"
#include "types/detached_value.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;
using command::ShardState;

using types::DetachedValue;

// ---- RENAME RENAMENX

enum class IfTaken : uint8_t { kReplace, kRefuse };

Outcome RenameHere(Context& context, IfTaken if_taken) {
  db::Database& db = *context.db;
  db::Key from = context.key(0);
  db::Key to = context.key(1);
  dash::Table::Ref ref = db.FindForWrite(from);
  if (!ref) return context.Fail(db::kNoSuchKey);
  bool same = from.text == to.text;
  DetachedValue value = DetachedValue::Lend(*db.table().entry(ref));
  if (if_taken == IfTaken::kRefuse && (same || db.FindForWrite(to))) {
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  if (!same) {
    base::Status status = db.Place(to, value);
    if (!status.ok()) return context.Fail(status);
    db.EraseLent(from, "rename_from");
    db.Notify(db::kEventRenameTo, to);
  }
  if (if_taken == IfTaken::kRefuse) {
    context.reply.Integer(1);
  } else {
    context.reply.Ok();
  }
  return Outcome::kDone;
}

// What became of a value that was to be put somewhere.
enum class Placed : uint8_t { kYes, kTaken, kNoMemory };

// The same with the keys on two shards, both locked.
shard::Task<void> RenameAcross(Context& context, IfTaken if_taken) {
  command::StateShards shards;
  const command::KeyRef& from_ref = context.keys[0];
  const command::KeyRef& to_ref = context.keys[1];
  db::Key from = context.key(0);
  db::Key to = context.key(1);
  TimeMs now = context.shard.keyspace->now();
  DetachedValue value = co_await shards.On(from_ref.shard, [&](ShardState& state) {
    state.keyspace->SetNow(now);
    db::Database& db = state.keyspace->database(from_ref.db);
    dash::Table::Ref ref = db.FindForWrite(from);
    return ref ? DetachedValue::Lend(*db.table().entry(ref)) : DetachedValue();
  });
  if (!value) {
    context.reply.Error(db::kNoSuchKey);
    co_return;
  }
  Placed placed = co_await shards.On(to_ref.shard, [&](ShardState& state) {
    state.keyspace->SetNow(now);
    db::Database& db = state.keyspace->database(to_ref.db);
    if (if_taken == IfTaken::kRefuse && db.FindForWrite(to)) return Placed::kTaken;
    if (!db.Place(to, value).ok()) return Placed::kNoMemory;
    db.Notify(db::kEventRenameTo, to);
    return Placed::kYes;
  });
  if (placed == Placed::kNoMemory) {
    context.reply.Error(db::kOutOfMemory);
    co_return;
  }
  if (placed == Placed::kTaken) {
    context.reply.Integer(0);
    co_return;
  }
  context.wrote = true;
  co_await shards.On(from_ref.shard, [&](ShardState& state) {
    state.keyspace->database(from_ref.db).EraseLent(from, "rename_from");
  });
  if (if_taken == IfTaken::kRefuse) {
    context.reply.Integer(1);
  } else {
    context.reply.Ok();
  }
}

Outcome Rename(Context& context) {
  return RenameHere(context, IfTaken::kReplace);
}
shard::Task<void> RenameBody(Context& context) {
  return RenameAcross(context, IfTaken::kReplace);
}
Outcome Renamenx(Context& context) {
  return RenameHere(context, IfTaken::kRefuse);
}
shard::Task<void> RenamenxBody(Context& context) {
  return RenameAcross(context, IfTaken::kRefuse);
}

// ---- COPY

struct CopyOptions {
  DbIndex db;  // of the copy
  IfTaken if_taken = IfTaken::kRefuse;
};

// False: the error has been replied.
bool ParseCopyOptions(Context& context, CopyOptions& options) {
  options.db = context.db->index();
  for (size_t i = 3; i < context.args.size(); ++i) {
    std::string_view word = context.arg(i);
    if (EqualsIgnoreCase(word, "REPLACE")) {
      options.if_taken = IfTaken::kReplace;
    } else if (EqualsIgnoreCase(word, "DB") && i + 1 < context.args.size()) {
      auto index = ParseInt32(context, context.arg(++i));
      if (!index) return false;
      if (*index < 0 || *index >= int64_t{db::kDatabaseCount}) {
        context.reply.Error(kDbOutOfRange);
        return false;
      }
      options.db = DbIndex(static_cast<uint16_t>(*index));
    } else {
      context.reply.Error(db::kSyntax);
      return false;
    }
  }
  if (options.db == context.db->index() && context.arg(1) == context.arg(2)) {
    context.reply.Error(kSameObject);
    return false;
  }
  return true;
}

// The last DB of the options, as the parser above takes it, for the locks.
std::optional<uint16_t> CopyDb(std::span<const std::string_view> args) {
  std::optional<uint16_t> found;
  for (size_t i = 3; i + 1 < args.size(); ++i) {
    if (!EqualsIgnoreCase(args[i], "DB")) continue;
    auto index = ParseInt64(args[++i]);
    if (!index || *index < 0 || *index >= int64_t{db::kDatabaseCount}) return std::nullopt;
    found = static_cast<uint16_t>(*index);
  }
  return found;
}

// Consumes `value`.
Placed PlaceCopy(db::Database& db, const db::Key& to, IfTaken if_taken, DetachedValue& value) {
  if (if_taken == IfTaken::kRefuse && db.FindForWrite(to)) return Placed::kTaken;
  if (!db.Place(to, value).ok()) return Placed::kNoMemory;
  db.Notify(db::kEventCopyTo, to);
  return Placed::kYes;
}

void ReplyPlaced(Context& context, Placed placed) {
  if (placed == Placed::kNoMemory) {
    context.reply.Error(db::kOutOfMemory);
  } else {
    context.reply.Integer(placed == Placed::kYes ? 1 : 0);
  }
}

// A clone, or what stands in the way of one.
struct Cloned {
  DetachedValue value;
  bool found = false;
};

Cloned CloneOf(db::Database& db, const db::Key& key) {
  Cloned cloned;
  const dash::Entry* entry = db.Find(key);
  if (entry == nullptr) return cloned;
  cloned.found = true;
  cloned.value = DetachedValue::Clone(*entry);
  return cloned;
}

// False: the reply has been written.
bool CheckCloned(Context& context, const Cloned& cloned) {
  if (cloned.value) return true;
  if (cloned.found) {
    context.reply.Error(db::kOutOfMemory);
  } else {
    context.reply.Integer(0);
  }
  return false;
}

Outcome Copy(Context& context) {
  CopyOptions options;
  if (!ParseCopyOptions(context, options)) return Outcome::kDone;
  Cloned cloned = CloneOf(*context.db, context.key(0));
  if (!CheckCloned(context, cloned)) return Outcome::kDone;
  db::Database& to = context.shard.keyspace->database(options.db);
  ReplyPlaced(context, PlaceCopy(to, context.key(1), options.if_taken, cloned.value));
  return Outcome::kDone;
}

shard::Task<void> CopyAcross(Context& context) {
  CopyOptions options;
  if (!ParseCopyOptions(context, options)) co_return;
  command::StateShards shards;
  db::Key from = context.key(0);
  db::Key to = context.key(1);
  DbIndex from_db = context.db->index();
  TimeMs now = context.shard.keyspace->now();
  Cloned cloned = co_await shards.On(context.keys[0].shard, [&](ShardState& state) {
    state.keyspace->SetNow(now);
    return CloneOf(state.keyspace->database(from_db), from);
  });
  if (!CheckCloned(context, cloned)) co_return;
  Placed placed = co_await shards.On(context.keys[1].shard, [&](ShardState& state) {
    state.keyspace->SetNow(now);
    return PlaceCopy(state.keyspace->database(options.db), to, options.if_taken, cloned.value);
  });
  context.wrote = placed == Placed::kYes;
  ReplyPlaced(context, placed);
}

// ---- MOVE: a key's shard does not depend on its database

Outcome Move(Context& context) {
  auto index = ParseInt32(context, context.arg(2));
  if (!index) return Outcome::kDone;
  if (*index < 0 || *index >= int64_t{db::kDatabaseCount}) return context.Fail(kDbOutOfRange);
  DbIndex target(static_cast<uint16_t>(*index));
  if (target == context.db->index()) return context.Fail(kSameObject);
  db::Database& from = *context.db;
  db::Database& to = context.shard.keyspace->database(target);
  db::Key key = context.key();
  dash::Table::Ref ref = from.FindForWrite(key);
  if (!ref || to.FindForWrite(key)) {
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  DetachedValue value = DetachedValue::Lend(*from.table().entry(ref));
  base::Status status = to.Place(key, value);
  if (!status.ok()) return context.Fail(status);
  from.EraseLent(key, "move_from");
  to.Notify(db::kEventMoveTo, key);
  context.reply.Integer(1);
  return Outcome::kDone;
}

std::optional<uint16_t> MoveDb(std::span<const std::string_view> args) {
  auto index = ParseInt64(args[2]);
  if (!index || *index < 0 || *index >= int64_t{db::kDatabaseCount}) return std::nullopt;
  return static_cast<uint16_t>(*index);
}

// ---- rows

constexpr KeySpec kCopyKeys[] = {{.flags = command::kKeyRo | command::kKeyAccess},
                                 {.flags = command::kKeyOw | command::kKeyUpdate, .begin_index = 2}};
constexpr KeySpec kMoveKey[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate}};
constexpr KeySpec kRenameKeys[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyDelete},
                                   {.flags = command::kKeyOw | command::kKeyUpdate, .begin_index = 2}};

constexpr KeySpec kRenamenxKeys[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyDelete},
                                     {.flags = command::kKeyOw | command::kKeyInsert, .begin_index = 2}};

constexpr ArgSpec kCopyArguments[] = {
    {.name = "source", .type = ArgType::kKey, .key_spec = 0},
    {.name = "destination", .type = ArgType::kKey, .key_spec = 1},
    {.name = "destination-db", .type = ArgType::kInteger, .token = "DB", .flags = command::kOptional},
    {.name = "replace", .type = ArgType::kPureToken, .token = "REPLACE", .flags = command::kOptional}};
constexpr ArgSpec kMoveArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                      {.name = "db", .type = ArgType::kInteger}};
constexpr ArgSpec kRenameArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                        {.name = "newkey", .type = ArgType::kKey, .key_spec = 1}};

constexpr CommandRow kRows[] = {
    {.name = "copy",
     .arity = -3,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatKeyspace,
     .keys = kCopyKeys,
     .since = "6.2.0",
     .complexity = "O(N) for a value of N elements, O(1) for a string",
     .summary = "Copies a value to another key, in this database or another one.",
     .arguments = kCopyArguments,
     .handler = Copy,
     .body = CopyAcross,
     .routing = {.other_db = CopyDb}},
    {.name = "move",
     .arity = 3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kMoveKey,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Moves a key to another database.",
     .arguments = kMoveArguments,
     .handler = Move,
     .routing = {.other_db = MoveDb}},
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
     .body = RenameBody},
    {.name = "renamenx",
     .arity = 3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kRenamenxKeys,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Renames a key unless the new name is taken.",
     .arguments = kRenameArguments,
     .handler = Renamenx,
     .body = RenamenxBody},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> GenericMoveCommands() {
  return kRows;
}

}  // namespace moonshard::commands
