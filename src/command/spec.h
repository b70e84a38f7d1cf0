#pragma once
// The command row: everything the server knows about a command, in one constexpr value. COMMAND, COMMAND
// DOCS, routing, gates, statistics and docs/commands.md derive from it; there is no second list.
//
// A row lives in a constexpr table at the end of its family's file under src/commands; registry.cc lists the
// tables. Row text (summary, complexity, arguments) is what COMMAND DOCS shows.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "shard/task.h"

namespace moonshard::command {

struct Context;

// Flags with Redis' names (COMMAND INFO prints those that Redis has).
enum Flag : uint32_t {
  kNoFlags = 0,
  kWrite = 1u << 0,
  kReadonly = 1u << 1,
  kDenyOom = 1u << 2,
  kAdmin = 1u << 3,
  kPubsub = 1u << 4,
  kNoScript = 1u << 5,
  kBlocking = 1u << 6,
  kLoading = 1u << 7,
  kStale = 1u << 8,
  kSkipMonitor = 1u << 9,
  kSkipSlowlog = 1u << 10,
  kNoAuth = 1u << 11,
  kFast = 1u << 12,
  kMovableKeys = 1u << 13,
  kNoMulti = 1u << 14,
  kNoMandatoryKeys = 1u << 15,
  kAllowBusy = 1u << 16,
  kNoAsyncLoading = 1u << 17,
  kAsking = 1u << 18,
  // Not shown to clients:
  // Reads or changes the connection's own state, so it runs alone, after every earlier command of its
  // pipeline has answered.
  kSession = 1u << 24,
  // Refused unless the configuration allows it (enable-debug-command), whoever asks.
  kProtected = 1u << 26,
  // May wake or notify other clients: in a pipeline it waits for the earlier commands (design section 5).
  kWakes = 1u << 25,
};

// ACL categories beyond those that follow from the flags.
enum Category : uint32_t {
  kNoCategory = 0,
  kCatKeyspace = 1u << 0,
  kCatRead = 1u << 1,
  kCatWrite = 1u << 2,
  kCatSet = 1u << 3,
  kCatSortedSet = 1u << 4,
  kCatList = 1u << 5,
  kCatHash = 1u << 6,
  kCatString = 1u << 7,
  kCatBitmap = 1u << 8,
  kCatHyperloglog = 1u << 9,
  kCatGeo = 1u << 10,
  kCatStream = 1u << 11,
  kCatPubsub = 1u << 12,
  kCatAdmin = 1u << 13,
  kCatFast = 1u << 14,
  kCatSlow = 1u << 15,
  kCatBlocking = 1u << 16,
  kCatDangerous = 1u << 17,
  kCatConnection = 1u << 18,
  kCatTransaction = 1u << 19,
  kCatScripting = 1u << 20,
};

enum class Group : uint8_t {
  kGeneric,
  kString,
  kList,
  kSet,
  kSortedSet,
  kHash,
  kPubsub,
  kTransactions,
  kConnection,
  kServer,
  kScripting,
  kHyperloglog,
  kCluster,
  kSentinel,
  kGeo,
  kStream,
  kBitmap,
  kModule,
};

// ---- keys

enum KeyFlag : uint32_t {
  kKeyRo = 1u << 0,
  kKeyRw = 1u << 1,
  kKeyOw = 1u << 2,
  kKeyRm = 1u << 3,
  kKeyAccess = 1u << 4,
  kKeyUpdate = 1u << 5,
  kKeyInsert = 1u << 6,
  kKeyDelete = 1u << 7,
  kKeyNotKey = 1u << 8,
  kKeyIncomplete = 1u << 9,
  kKeyVariable = 1u << 10,
};

// Where keys stand among the arguments, in the terms of COMMAND INFO (Redis documentation, "key
// specifications").
struct KeySpec {
  // kUnknown: only CommandRow::find_keys can tell.
  enum class Begin : uint8_t { kIndex, kKeyword, kUnknown };
  enum class Find : uint8_t { kRange, kKeyNum, kUnknown };
  uint32_t flags = 0;
  Begin begin = Begin::kIndex;
  int16_t begin_index = 1;        // kIndex
  std::string_view keyword = {};  // kKeyword: search from begin_index (negative: from the end)
  Find find = Find::kRange;
  int16_t last = 0;  // kRange: relative to the first key; -1 is the last argument
  int16_t step = 1;
  int16_t limit = 0;            // kRange with last -1: 0/1 whole rest, 2 half of it, ...
  int16_t keynum_index = 0;     // kKeyNum: where the count stands, relative to begin
  int16_t first_key = 0;        // kKeyNum: where the first key stands, relative to begin
  std::string_view notes = {};  // why the flags say what they say, as Redis words it
};

// ---- documentation

enum class ArgType : uint8_t {
  kString,
  kInteger,
  kDouble,
  kKey,
  kPattern,
  kUnixTime,
  kPureToken,
  kOneOf,
  kBlock
};
enum ArgFlag : uint8_t { kArgPlain = 0, kOptional = 1, kMultiple = 2, kMultipleToken = 4 };

struct ArgSpec {
  std::string_view name;
  ArgType type = ArgType::kString;
  std::string_view token = {};
  uint8_t flags = kArgPlain;
  std::span<const ArgSpec> arguments = {};
  int key_spec = -1;
  std::string_view since = {};
};

enum DocFlag : uint8_t { kDocPlain = 0, kDocDeprecated = 1, kDocSyscmd = 2 };

// ---- behaviour

// A handler that runs to completion on one shard returns this; kPark asks that the client wait for the keys
// it named in the context (see Context::Park).
enum class Outcome : uint8_t { kDone, kPark };

// kLocal: one shard owns all keys of the call (or there are none). kFanOut: called once per owning shard with
// that shard's keys; the replies are merged. A body runs on the client's home shard and may hop; with keys it
// runs inside a transaction that holds their locks.
using Handler = Outcome (*)(Context& context);
using Body = shard::Task<void> (*)(Context& context);

// How the parts of a fan-out become one reply.
enum class Merge : uint8_t {
  kNone,    // not a fan-out
  kSum,     // integers are added
  kOk,      // +OK, or the first part's error
  kPerKey,  // an array with one element per key, in the order of the arguments
  kConcat,  // an array of all parts' elements; a part says how many it has (Context::BeginElements)
  kDraw,    // one part's reply, drawn at random with the parts' sums as weights; null if all are 0
};

// Which shards a call visits when its keys do not say it.
enum class Route : uint8_t {
  kKeys,       // owners of the keys; without keys the home shard
  kAllShards,  // every shard, locked whole
  kCursor,     // the shard named in the cursor argument (SCAN)
};

// For calls whose routing their key specifications do not say. All see the arguments before the handler has
// checked them: what makes no sense counts as absent, and the handler says what is wrong.
struct CallRouting {
  // In place of the key specifications: appends the positions of the keys; false if the arguments cannot hold
  // them.
  bool (*find_keys)(std::span<const std::string_view> args, std::vector<uint32_t>& positions) = nullptr;
  // The database, beside the selected one, in which the call touches keys of the same names (COPY, MOVE):
  // they are locked there too, and follow the others in Context::keys.
  std::optional<uint16_t> (*other_db)(std::span<const std::string_view> args) = nullptr;
  // Whether it may touch keys that it does not name (SORT with patterns): every shard is locked whole. Bodies
  // only.
  bool (*whole)(std::span<const std::string_view> args) = nullptr;
};

struct CommandRow {
  std::string_view name;  // lower case; a subcommand's row holds only its own word
  int16_t arity;          // negative: at least
  uint32_t flags = kNoFlags;
  uint32_t categories = kNoCategory;
  std::span<const KeySpec> keys = {};
  Group group = Group::kGeneric;
  std::string_view since = {};
  std::string_view complexity = {};
  std::string_view summary = {};
  std::span<const ArgSpec> arguments = {};
  Handler handler = nullptr;
  Body body = nullptr;
  Merge merge = Merge::kNone;
  Route route = Route::kKeys;
  std::span<const CommandRow> subcommands = {};
  std::span<const std::string_view> tips = {};
  std::string_view deprecated_since = {};
  std::string_view replaced_by = {};
  CallRouting routing = {};
  uint8_t doc_flags = kDocPlain;

  constexpr bool is(uint32_t flag) const { return (flags & flag) != 0; }
  // The form of most commands: exactly one key, at argument 1.
  constexpr bool single_key() const {
    return routing.find_keys == nullptr && routing.other_db == nullptr && routing.whole == nullptr &&
           keys.size() == 1 && keys[0].begin == KeySpec::Begin::kIndex && keys[0].begin_index == 1 &&
           keys[0].find == KeySpec::Find::kRange && keys[0].last == 0;
  }
};

// Compile-time sanity of a table of rows; used in a static_assert beside each table.
consteval bool RowsAreSane(std::span<const CommandRow> rows) {
  for (const CommandRow& row : rows) {
    if (row.name.empty() || row.arity == 0) return false;
    for (char c : row.name) {
      if (c >= 'A' && c <= 'Z') return false;
    }
    if (row.handler == nullptr && row.body == nullptr && row.subcommands.empty()) return false;
    if (row.is(kWrite) && row.is(kReadonly)) return false;
    if (row.summary.empty() || row.since.empty()) return false;
    if (row.merge != Merge::kNone && row.handler == nullptr) return false;
    if (row.route == Route::kAllShards && row.merge == Merge::kNone) return false;
    if (row.routing.whole != nullptr && (row.handler != nullptr || row.body == nullptr)) return false;
    // The handler of a blocking row also serves spread keys (engine_wait.cc).
    bool may_block = row.handler != nullptr && row.body == nullptr && row.merge == Merge::kNone;
    if (row.is(kBlocking) && !may_block) return false;
  }
  return true;
}

}  // namespace moonshard::command
