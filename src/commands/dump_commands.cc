// Values as payloads: DUMP RESTORE.

#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/tables.h"
#include "types/rdb_value.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

Outcome Dump(Context& context) {
  const dash::Entry* entry = context.db->Find(context.key());
  if (entry == nullptr) {
    context.reply.Null();
    return Outcome::kDone;
  }
  base::Buffer payload;
  types::AppendDump(payload, *entry);
  context.reply.Bulk(payload.view());
  return Outcome::kDone;
}

struct RestoreOptions {
  bool replace = false;
  TimeBase time_base = TimeBase::kRelative;
  int64_t idle_seconds = -1;
  int64_t frequency = -1;
};

constexpr base::StaticError kBadIdleTime{base::Code::kErr, "Invalid IDLETIME value, must be >= 0"};
constexpr base::StaticError kBadFrequency{base::Code::kErr, "Invalid FREQ value, must be >= 0 and <= 255"};
constexpr base::StaticError kBadTtl{base::Code::kErr, "Invalid TTL value, must be >= 0"};
constexpr base::StaticError kKeyTaken{base::Code::kBusyKey, "Target key name already exists."};
constexpr int64_t kFrequencyMax = 255;

base::Status ParseRestoreOptions(std::span<const std::string_view> args, RestoreOptions& options) {
  for (size_t i = 4; i < args.size(); ++i) {
    std::string_view word = args[i];
    const bool has_value = i + 1 < args.size();
    if (EqualsIgnoreCase(word, "REPLACE")) {
      options.replace = true;
    } else if (EqualsIgnoreCase(word, "ABSTTL")) {
      options.time_base = TimeBase::kAbsolute;
    } else if (EqualsIgnoreCase(word, "IDLETIME") && has_value && options.frequency == -1) {
      auto value = ParseInt64(args[++i]);
      if (!value) return db::kNotAnInteger;
      if (*value < 0) return kBadIdleTime;
      options.idle_seconds = *value;
    } else if (EqualsIgnoreCase(word, "FREQ") && has_value && options.idle_seconds == -1) {
      auto value = ParseInt64(args[++i]);
      if (!value) return db::kNotAnInteger;
      if (*value < 0 || *value > kFrequencyMax) return kBadFrequency;
      options.frequency = *value;
    } else {
      return db::kSyntax;
    }
  }
  return {};
}

// Whichever of the two the eviction policy goes by.
void SetLastUse(Context& context, const RestoreOptions& options) {
  const db::AccessClock& clock = context.shard.keyspace->access_clock();
  dash::Table& table = context.db->table();
  db::Key key = context.key();
  dash::Entry& entry = *table.entry(table.Find(key.hash, key.text));
  if (options.idle_seconds >= 0) clock.SetIdle(entry, options.idle_seconds);
  if (options.frequency >= 0) clock.SetFrequency(entry, static_cast<uint32_t>(options.frequency));
}

Outcome Restore(Context& context) {
  RestoreOptions options;
  base::Status status = ParseRestoreOptions(context.args, options);
  if (!status.ok()) return context.Fail(status);
  db::Database& db = *context.db;
  db::Key key = context.key();
  if (!options.replace && db.FindForWrite(key)) return context.Fail(kKeyTaken);
  auto ttl = ParseInt64(context.arg(2));
  if (!ttl) return context.Fail(db::kNotAnInteger);
  if (*ttl < 0) return context.Fail(kBadTtl);
  auto value = types::RestoreDump(context.arg(3));
  if (!value.ok()) return context.Fail(value.status());

  if (*ttl != 0) {
    const TimeMs now = context.shard.keyspace->now();
    TimeMs deadline = *ttl;
    // A time that does not fit lies in the past, as in Redis, where the sum wraps around.
    bool past = options.time_base == TimeBase::kRelative && __builtin_add_overflow(deadline, now, &deadline);
    if (past || deadline <= now) {
      db.Erase(key, "del");
      context.reply.Ok();
      return Outcome::kDone;
    }
    value->set_deadline(std::min(deadline, kNoDeadline - 1));
  }
  status = db.Place(key, *value);
  if (!status.ok()) return context.Fail(status);
  SetLastUse(context, options);
  db.Notify(db::kEventRestore, key);
  context.reply.Ok();
  return Outcome::kDone;
}

// ---- rows

constexpr KeySpec kDumpKey[] = {{.flags = command::kKeyRo | command::kKeyAccess}};
constexpr KeySpec kRestoreKey[] = {{.flags = command::kKeyOw | command::kKeyUpdate}};

constexpr ArgSpec kDumpArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0}};
constexpr ArgSpec kRestoreArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                         {.name = "ttl", .type = ArgType::kInteger},
                                         {.name = "serialized-value"},
                                         {.name = "replace",
                                          .type = ArgType::kPureToken,
                                          .token = "REPLACE",
                                          .flags = command::kOptional,
                                          .since = "3.0.0"},
                                         {.name = "absttl",
                                          .type = ArgType::kPureToken,
                                          .token = "ABSTTL",
                                          .flags = command::kOptional,
                                          .since = "5.0.0"},
                                         {.name = "seconds",
                                          .type = ArgType::kInteger,
                                          .token = "IDLETIME",
                                          .flags = command::kOptional,
                                          .since = "5.0.0"},
                                         {.name = "frequency",
                                          .type = ArgType::kInteger,
                                          .token = "FREQ",
                                          .flags = command::kOptional,
                                          .since = "5.0.0"}};
constexpr std::string_view kDumpTips[] = {"nondeterministic_output"};

constexpr CommandRow kRows[] = {
    {.name = "dump",
     .arity = 2,
     .flags = command::kReadonly,
     .categories = command::kCatKeyspace,
     .keys = kDumpKey,
     .since = "2.6.0",
     .complexity = "O(1) to find the key, O(N) for a value of N bytes",
     .summary = "Returns a value as a payload that RESTORE takes.",
     .arguments = kDumpArguments,
     .handler = Dump,
     .tips = kDumpTips},
    {.name = "restore",
     .arity = -4,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatKeyspace | command::kCatDangerous,
     .keys = kRestoreKey,
     .since = "2.6.0",
     .complexity = "O(1) to make the key, O(N) for a value of N bytes",
     .summary = "Makes a key from a payload that DUMP returned.",
     .arguments = kRestoreArguments,
     .handler = Restore},
    {.name = "restore-asking",
     .arity = -4,
     .flags = command::kWrite | command::kDenyOom | command::kAsking,
     .categories = command::kCatKeyspace | command::kCatDangerous,
     .keys = kRestoreKey,
     .group = command::Group::kServer,
     .since = "3.0.0",
     .complexity = "O(1) to make the key, O(N) for a value of N bytes",
     .summary = "What MIGRATE sends instead of RESTORE while a slot moves.",
     .arguments = kRestoreArguments,
     .handler = Restore,
     .doc_flags = command::kDocSyscmd},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> DumpCommands() {
  return kRows;
}

}  // namespace moonshard::commands
