// DEBUG: for tests of servers and clients. A body, since most of it asks every shard.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/sha1.h"
#include "command/errors.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/object.h"
#include "commands/tables.h"
#include "shard/task.h"
#include "types/rdb_coding.h"
#include "types/rdb_value.h"
#include "types/value_digest.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::ShardState;

// Texts of Redis are C strings.
std::string TextOf(std::string_view argument) {
  return std::string(command::UpToZero(argument));
}

std::vector<ShardId> AllShards(const Context& context) {
  std::vector<ShardId> shards;
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) shards.push_back(ShardId(i));
  return shards;
}

// ---- DIGEST, DIGEST-VALUE

// Hashing a key takes about a microsecond, so the tables are walked in slices.
constexpr size_t kDigestedPerTurn = 1024;

// One shard's place in its walk over all databases, and what it has gathered.
struct DigestWalk {
  uint16_t db = 0;
  uint64_t cursor = 0;
  std::array<types::Digest, db::kDatabaseCount> digests;
  std::array<size_t, db::kDatabaseCount> key_counts{};
  bool done() const { return db == db::kDatabaseCount; }
};

void Advance(DigestWalk& walk, db::Keyspace& keyspace) {
  size_t seen = 0;
  while (!walk.done() && seen < kDigestedPerTurn) {
    db::Database& database = keyspace.database(DbIndex(walk.db));
    walk.key_counts[walk.db] = database.size();
    walk.cursor = database.table().Scan(walk.cursor, [&](const dash::Entry* entry) {
      walk.digests[walk.db].XorDigest(types::KeyDigest(*entry));
      ++seen;
    });
    if (walk.cursor == 0) ++walk.db;
  }
}

// All shards are locked whole, so positions in the tables stand still between the slices.
shard::Task<void> DebugDigest(Context& context) {
  command::StateShards shards;
  const std::vector<ShardId> ids = AllShards(context);
  std::vector<DigestWalk> walks(ids.size());
  while (!std::ranges::all_of(walks, &DigestWalk::done)) {
    co_await shards.OnEach(ids, [&](ShardState& state, size_t i) { Advance(walks[i], *state.keyspace); });
    co_await shard::NextTurn();
  }
  types::Digest digest;
  for (uint16_t db = 0; db < db::kDatabaseCount; ++db) {
    if (std::ranges::all_of(walks, [&](const DigestWalk& walk) { return walk.key_counts[db] == 0; }))
      continue;
    digest.MixNumber(db);
    for (const DigestWalk& walk : walks) digest.XorDigest(walk.digests[db].bytes());
  }
  context.reply.Simple(base::HexOf(digest.bytes()));
}

// Keys that have expired and are still there count too.
const dash::Entry* EntryThere(ShardState& state, DbIndex db, const db::Key& key) {
  dash::Table& table = state.keyspace->database(db).table();
  dash::Table::Ref ref = table.Find(key.hash, key.text);
  return ref ? table.entry(ref) : nullptr;
}

shard::Task<void> DebugDigestValue(Context& context) {
  command::StateShards shards;
  std::vector<ShardId> ids;
  for (const command::KeyRef& key : context.keys) ids.push_back(key.shard);
  std::vector<types::Digest> digests(ids.size());
  co_await shards.OnEach(ids, [&](ShardState& state, size_t i) {
    const dash::Entry* entry = EntryThere(state, context.keys[i].db, context.key(i));
    if (entry != nullptr) types::MixValue(digests[i], *entry);
  });
  context.reply.Array(digests.size());
  for (const types::Digest& digest : digests) context.reply.Simple(base::HexOf(digest.bytes()));
}

// ---- OBJECT

size_t SerializedBytes(const dash::Entry& entry) {
  base::Buffer out;
  types::AppendRdbValue(out, entry);
  return out.size() - 1;  // without the type
}

std::string Describe(ShardState& state, const dash::Entry& entry) {
  const db::AccessClock& clock = state.keyspace->access_clock();
  return fmt::format("Value at:{} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
                     static_cast<const void*>(&entry), RefcountOf(state, entry), EncodingName(entry),
                     SerializedBytes(entry), entry.access_clock(),
                     clock.counts_frequency() ? 0 : clock.IdleSeconds(entry));
}

shard::Task<void> DebugObject(Context& context) {
  command::StateShards shards;
  const command::KeyRef& ref = context.keys[0];
  const db::Key key = context.key(0);
  std::string text = co_await shards.On(ref.shard, [&](ShardState& state) {
    const dash::Entry* entry = EntryThere(state, ref.db, key);
    return entry == nullptr ? std::string() : Describe(state, *entry);
  });
  if (text.empty()) {
    context.reply.Error(db::kNoSuchKey);
  } else {
    context.reply.Simple(text);
  }
}

// ---- small ones

// Only this client waits; in Redis all do. The slow log sees it as there.
shard::Task<void> DebugSleep(Context& context) {
  constexpr double kSecondsMax = 1e9;
  double seconds = std::strtod(TextOf(context.arg(2)).c_str(), nullptr);
  if (seconds > 0) {
    const shard::CycleClock& clock = context.shard.shard->cycles();
    const uint64_t begin = clock.Now();
    co_await shard::SleepFor(static_cast<TimeNs>(std::min(seconds, kSecondsMax) * 1e9));
    context.waited_ticks = shard::CycleClock::Between(begin, clock.Now());
  }
  context.reply.Ok();
}

shard::Task<void> DebugSetActiveExpire(Context& context) {
  command::StateShards shards;
  const std::vector<ShardId> ids = AllShards(context);
  // Digits at the front count; what is no number is 0.
  const bool on = std::strtol(TextOf(context.arg(2)).c_str(), nullptr, 10) != 0;
  co_await shards.OnEach(ids, [&](ShardState& state, size_t) { state.keyspace->SetActiveExpire(on); });
  context.reply.Ok();
}

shard::Task<void> DebugLog(Context& context) {
  base::LogWarning("DEBUG LOG: {}", TextOf(context.arg(2)));
  context.reply.Ok();
  co_return;
}

// The text is the error, its line ends as spaces.
shard::Task<void> DebugError(Context& context) {
  std::string line(context.arg(2));
  for (char& c : line) {
    if (c == '\r' || c == '\n') c = ' ';
  }
  base::Buffer& out = context.reply.buffer();
  out.Append("-");
  out.Append(line);
  out.Append("\r\n");
  co_return;
}

// There is no replication yet, so nobody has seen an ID that could change.
shard::Task<void> DebugChangeReplId(Context& context) {
  context.reply.Ok();
  co_return;
}

shard::Task<void> DebugReload(Context& context) {
  for (std::string_view word : context.args.subspan(2)) {
    if (EqualsIgnoreCase(word, "MERGE") || EqualsIgnoreCase(word, "NOFLUSH") ||
        EqualsIgnoreCase(word, "NOSAVE")) {
      continue;
    }
    context.reply.ErrorLine("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
    co_return;
  }
  context.reply.ErrorLine("ERR DEBUG RELOAD is not possible: snapshots do not exist yet");
}

shard::Task<void> DebugLoadaof(Context& context) {
  context.reply.ErrorLine("ERR DEBUG LOADAOF is not possible: the write-ahead log does not exist yet");
  co_return;
}

// ---- PROTOCOL: a reply of every type

void ReplyMap(resp::Reply& reply) {
  reply.Map(3);
  for (int64_t i = 0; i < 3; ++i) {
    reply.Integer(i);
    reply.Bool(i == 1);
  }
}

void ReplyAttribute(resp::Reply& reply) {
  if (reply.protocol() == resp::Protocol::kResp3) {
    reply.Attribute(1);
    reply.Bulk("key-popularity");
    reply.Array(2);
    reply.Bulk("key:123");
    reply.Integer(90);
  }
  reply.Bulk("Some real reply following the attribute");
}

void ReplyPush(resp::Reply& reply) {
  if (reply.protocol() != resp::Protocol::kResp3) {
    reply.ErrorLine("ERR RESP2 is not supported by this command");
    return;
  }
  reply.Push(2);
  reply.Bulk("server-cpu-usage");
  reply.Integer(42);
  reply.Bulk("Some real reply following the push reply");
}

struct ProtocolType {
  std::string_view name;
  void (*reply)(resp::Reply&);
};
constexpr ProtocolType kProtocolTypes[] = {
    {"string", [](resp::Reply& reply) { reply.Bulk("Hello World"); }},
    {"integer", [](resp::Reply& reply) { reply.Integer(12345); }},
    {"double", [](resp::Reply& reply) { reply.Double(3.141); }},
    {"bignum", [](resp::Reply& reply) { reply.BigNumber("1234567999999999999999999999999999999"); }},
    {"null", [](resp::Reply& reply) { reply.Null(); }},
    {"array",
     [](resp::Reply& reply) {
       reply.Array(3);
       for (int64_t i = 0; i < 3; ++i) reply.Integer(i);
     }},
    {"set",
     [](resp::Reply& reply) {
       reply.Set(3);
       for (int64_t i = 0; i < 3; ++i) reply.Integer(i);
     }},
    {"map", ReplyMap},
    {"attrib", ReplyAttribute},
    {"push", ReplyPush},
    {"verbatim", [](resp::Reply& reply) { reply.Verbatim("txt", "This is a verbatim\nstring"); }},
    {"true", [](resp::Reply& reply) { reply.Bool(true); }},
    {"false", [](resp::Reply& reply) { reply.Bool(false); }},
};

shard::Task<void> DebugProtocol(Context& context) {
  for (const ProtocolType& type : kProtocolTypes) {
    if (!EqualsIgnoreCase(command::UpToZero(context.arg(2)), type.name)) continue;
    type.reply(context.reply);
    co_return;
  }
  context.reply.ErrorLine(
      "ERR Wrong protocol type name. Please use one of the following: "
      "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false");
}

// ---- HELP

constexpr std::string_view kHelp[] = {
    "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CHANGE-REPL-ID",
    "    Change the IDs of the replication; there is none yet.",
    "DIGEST",
    "    Return a digest of all data, equal on all servers with the same data.",
    "DIGEST-VALUE <key> [<key> ...]",
    "    Return digests of the values of the keys.",
    "ERROR <string>",
    "    Return <string> as an error.",
    "LOG <message>",
    "    Write <message> to the log of the server.",
    "OBJECT <key>",
    "    Show what is known of the value at <key>.",
    "PROTOCOL <type>",
    "    Return an example of a type of the protocol: string, integer, double, bignum,",
    "    null, array, set, map, attrib, push, verbatim, true, false.",
    "SET-ACTIVE-EXPIRE <0|1>",
    "    Let keys expire by the clock (1) or on access only (0).",
    "SLEEP <seconds>",
    "    Answer after <seconds>, which may be a fraction.",
    "HELP",
    "    Print this help."};

shard::Task<void> DebugHelp(Context& context) {
  context.reply.Array(std::size(kHelp));
  for (std::string_view line : kHelp) context.reply.Simple(line);
  co_return;
}

// ---- dispatch

enum class KeyArgs : uint8_t { kNone, kFirst, kAll, kWhole };

struct Subcommand {
  std::string_view name;
  size_t args_min;  // the words DEBUG and the name included
  size_t args_max;
  KeyArgs keys;
  shard::Task<void> (*run)(Context&);
};
constexpr size_t kAny = ~size_t{0};
constexpr Subcommand kSubcommands[] = {
    {"change-repl-id", 2, 2, KeyArgs::kNone, DebugChangeReplId},
    {"digest", 2, 2, KeyArgs::kWhole, DebugDigest},
    {"digest-value", 2, kAny, KeyArgs::kAll, DebugDigestValue},
    {"error", 3, 3, KeyArgs::kNone, DebugError},
    {"help", 2, 2, KeyArgs::kNone, DebugHelp},
    {"loadaof", 2, kAny, KeyArgs::kNone, DebugLoadaof},
    {"log", 3, 3, KeyArgs::kNone, DebugLog},
    {"object", 3, 3, KeyArgs::kFirst, DebugObject},
    {"protocol", 3, 3, KeyArgs::kNone, DebugProtocol},
    {"reload", 2, kAny, KeyArgs::kNone, DebugReload},
    {"set-active-expire", 3, 3, KeyArgs::kNone, DebugSetActiveExpire},
    {"sleep", 3, 3, KeyArgs::kNone, DebugSleep},
};

const Subcommand* FindSubcommand(std::span<const std::string_view> args) {
  for (const Subcommand& sub : kSubcommands) {
    if (EqualsIgnoreCase(command::UpToZero(args[1]), sub.name) && args.size() >= sub.args_min &&
        args.size() <= sub.args_max) {
      return &sub;
    }
  }
  return nullptr;
}

bool FindDebugKeys(std::span<const std::string_view> args, std::vector<uint32_t>& positions) {
  const Subcommand* sub = FindSubcommand(args);
  if (sub == nullptr || (sub->keys != KeyArgs::kFirst && sub->keys != KeyArgs::kAll)) return true;
  size_t end = sub->keys == KeyArgs::kFirst ? 3 : args.size();
  for (size_t i = 2; i < end; ++i) positions.push_back(static_cast<uint32_t>(i));
  return true;
}

bool IsWhole(std::span<const std::string_view> args) {
  const Subcommand* sub = FindSubcommand(args);
  return sub != nullptr && sub->keys == KeyArgs::kWhole;
}

shard::Task<void> Debug(Context& context) {
  const Subcommand* sub = FindSubcommand(context.args);
  if (sub == nullptr) {
    context.reply.ErrorLine(
        fmt::format("ERR unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
                    command::UpToZero(context.arg(1)).substr(0, 128)));
    co_return;
  }
  co_await sub->run(context);
}

// ---- rows

constexpr CommandRow kRows[] = {
    {.name = "debug",
     .arity = -2,
     .flags =
         command::kAdmin | command::kNoScript | command::kLoading | command::kStale | command::kProtected,
     .group = command::Group::kServer,
     .since = "1.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands for tests of the server and of clients.",
     .body = Debug,
     .routing = {.find_keys = FindDebugKeys, .whole = IsWhole},
     .doc_flags = command::kDocSyscmd},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> DebugCommands() {
  return kRows;
}

}  // namespace moonshard::commands
