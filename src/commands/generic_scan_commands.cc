// Commands that walk over or draw from the keys of a database: KEYS RANDOMKEY SCAN.

#include <optional>
#include <vector>

#include "base/glob.h"
#include "command/scan_cursor.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/generic.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;

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

Outcome Keys(Context& context) {
  // "*" lets everything through, also the empty key, which it does not match.
  bool all = context.arg(1) == "*";
  TimeMs now = context.shard.keyspace->now();
  std::vector<std::string_view> found;
  uint64_t position = 0;
  do {
    position = context.db->table().Scan(position, [&](const dash::Entry* entry) {
      if (entry->deadline() <= now) return;
      if (all || base::GlobMatch(context.arg(1), entry->key())) found.push_back(entry->key());
    });
  } while (position != 0);
  context.BeginElements(found.size());
  for (std::string_view key : found) context.reply.Bulk(key);
  return Outcome::kDone;
}

// Every shard draws one of its keys; the merge draws one of them, by the number of keys behind it.
Outcome Randomkey(Context& context) {
  dash::Table& table = context.db->table();
  const dash::Entry* drawn = nullptr;
  while (dash::Table::Ref ref = table.Random(context.shard.keyspace->random())) {
    drawn = table.entry(ref);
    if (drawn->deadline() > context.shard.keyspace->now()) break;
    // It is erased and another drawn, so the loop ends.
    context.db->EraseRef(ref, types::MutationReason::kExpired, "expired");
    drawn = nullptr;
  }
  if (drawn != nullptr) {
    context.fan.Add(static_cast<int64_t>(table.size()));
    context.reply.Bulk(drawn->key());
  } else if (context.fan.direct()) {
    context.reply.Null();
  }
  return Outcome::kDone;
}

// ---- rows

constexpr ArgSpec kKeysArguments[] = {{.name = "pattern", .type = ArgType::kPattern}};
constexpr ArgSpec kScanArguments[] = {
    {.name = "cursor", .type = ArgType::kInteger},
    {.name = "pattern", .type = ArgType::kPattern, .token = "MATCH", .flags = command::kOptional},
    {.name = "count", .type = ArgType::kInteger, .token = "COUNT", .flags = command::kOptional},
    {.name = "type", .token = "TYPE", .flags = command::kOptional, .since = "6.0.0"}};
constexpr std::string_view kKeysTips[] = {"request_policy:all_shards", "nondeterministic_output_order"};
constexpr std::string_view kRandomkeyTips[] = {"request_policy:all_shards", "nondeterministic_output"};
constexpr std::string_view kScanTips[] = {"nondeterministic_output", "request_policy:special"};

constexpr CommandRow kRows[] = {
    {.name = "keys",
     .arity = 2,
     .flags = command::kReadonly,
     .categories = command::kCatKeyspace | command::kCatDangerous,
     .since = "1.0.0",
     .complexity = "O(N) for N keys in the database",
     .summary = "Returns the names of all keys that match a pattern.",
     .arguments = kKeysArguments,
     .handler = Keys,
     .merge = command::Merge::kConcat,
     .route = command::Route::kAllShards,
     .tips = kKeysTips},
    {.name = "randomkey",
     .arity = 1,
     .flags = command::kReadonly,
     .categories = command::kCatKeyspace,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns the name of a key drawn at random.",
     .handler = Randomkey,
     .merge = command::Merge::kDraw,
     .route = command::Route::kAllShards,
     .tips = kRandomkeyTips},
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
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> GenericScanCommands() {
  return kRows;
}

}  // namespace moonshard::commands
