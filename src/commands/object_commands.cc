// What the server knows of a key beside its value: OBJECT ENCODING FREQ IDLETIME REFCOUNT HELP, and TOUCH.

#include <iterator>
#include <limits>

#include "command/server_control.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/object.h"
#include "commands/tables.h"
#include "types/string_value.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

// Redis keeps a string of up to this many bytes in one block with its header.
constexpr size_t kEmbeddedBytesMax = 44;

// Null: there is no such key, which has been replied.
const dash::Entry* Inspect(Context& context) {
  const dash::Entry* entry = context.db->Peek(context.key());
  if (entry == nullptr) context.reply.Null();
  return entry;
}

Outcome ObjectEncoding(Context& context) {
  const dash::Entry* entry = Inspect(context);
  if (entry != nullptr) context.reply.Bulk(EncodingName(*entry));
  return Outcome::kDone;
}

Outcome ObjectRefcount(Context& context) {
  const dash::Entry* entry = Inspect(context);
  if (entry != nullptr) context.reply.Integer(RefcountOf(context.shard, *entry));
  return Outcome::kDone;
}

Outcome ObjectIdletime(Context& context) {
  const dash::Entry* entry = Inspect(context);
  if (entry == nullptr) return Outcome::kDone;
  const db::AccessClock& clock = context.shard.keyspace->access_clock();
  if (clock.counts_frequency()) {
    context.reply.ErrorLine(
        "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching "
        "between policies at runtime LRU and LFU data will take some time to adjust.");
    return Outcome::kDone;
  }
  context.reply.Integer(clock.IdleSeconds(*entry));
  return Outcome::kDone;
}

Outcome ObjectFreq(Context& context) {
  const dash::Entry* entry = Inspect(context);
  if (entry == nullptr) return Outcome::kDone;
  const db::AccessClock& clock = context.shard.keyspace->access_clock();
  if (!clock.counts_frequency()) {
    context.reply.ErrorLine(
        "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
        "switching between policies at runtime LRU and LFU data will take some time to adjust.");
    return Outcome::kDone;
  }
  context.reply.Integer(clock.Frequency(*entry));
  return Outcome::kDone;
}

constexpr std::string_view kHelp[] = {
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Prints this help."};

Outcome ObjectHelp(Context& context) {
  context.reply.Array(std::size(kHelp));
  for (std::string_view line : kHelp) context.reply.Simple(line);
  return Outcome::kDone;
}

Outcome Touch(Context& context) {
  for (size_t i = 0; i < context.keys.size(); ++i) {
    dash::Entry* entry = context.db->Peek(context.key(i));
    if (entry == nullptr) continue;
    context.shard.keyspace->access_clock().TouchAlways(*entry);
    context.fan.Add(1);
  }
  return Outcome::kDone;
}

// ---- rows

constexpr KeySpec kInspectedKey[] = {{.flags = command::kKeyRo, .begin_index = 2}};
constexpr KeySpec kTouchedKeys[] = {{.flags = command::kKeyRo, .last = -1}};
constexpr ArgSpec kKeyArgument[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0}};
constexpr ArgSpec kKeysArgument[] = {
    {.name = "key", .type = ArgType::kKey, .flags = command::kMultiple, .key_spec = 0}};
constexpr std::string_view kVagueTips[] = {"nondeterministic_output"};
constexpr std::string_view kTouchTips[] = {"request_policy:multi_shard", "response_policy:agg_sum"};

constexpr CommandRow kObjectRows[] = {
    {.name = "encoding",
     .arity = 3,
     .flags = command::kReadonly,
     .categories = command::kCatKeyspace,
     .keys = kInspectedKey,
     .since = "2.2.3",
     .complexity = "O(1)",
     .summary = "Returns how the value of a key is kept in memory.",
     .arguments = kKeyArgument,
     .handler = ObjectEncoding,
     .tips = kVagueTips},
    {.name = "freq",
     .arity = 3,
     .flags = command::kReadonly,
     .categories = command::kCatKeyspace,
     .keys = kInspectedKey,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Returns how often a key is used, on a logarithmic scale.",
     .arguments = kKeyArgument,
     .handler = ObjectFreq,
     .tips = kVagueTips},
    {.name = "help",
     .arity = 2,
     .flags = command::kLoading | command::kStale,
     .categories = command::kCatKeyspace,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Describes the subcommands of OBJECT.",
     .handler = ObjectHelp},
    {.name = "idletime",
     .arity = 3,
     .flags = command::kReadonly,
     .categories = command::kCatKeyspace,
     .keys = kInspectedKey,
     .since = "2.2.3",
     .complexity = "O(1)",
     .summary = "Returns the seconds since a key was used last.",
     .arguments = kKeyArgument,
     .handler = ObjectIdletime,
     .tips = kVagueTips},
    {.name = "refcount",
     .arity = 3,
     .flags = command::kReadonly,
     .categories = command::kCatKeyspace,
     .keys = kInspectedKey,
     .since = "2.2.3",
     .complexity = "O(1)",
     .summary = "Returns the number of references to the value of a key.",
     .arguments = kKeyArgument,
     .handler = ObjectRefcount,
     .tips = kVagueTips},
};
static_assert(command::RowsAreSane(kObjectRows));

constexpr CommandRow kRows[] = {
    {.name = "object",
     .arity = -2,
     .since = "2.2.3",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about the inner form and the use of a key.",
     .subcommands = kObjectRows},
    {.name = "touch",
     .arity = -2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kTouchedKeys,
     .since = "3.2.1",
     .complexity = "O(N) for N keys",
     .summary = "Counts as a use of the keys; returns how many there are.",
     .arguments = kKeysArgument,
     .handler = Touch,
     .merge = command::Merge::kSum,
     .tips = kTouchTips},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::string_view EncodingName(const dash::Entry& entry) {
  switch (entry.encoding()) {
    case types::kStringInt:
      return "int";
    case types::kStringInline:
      return entry.value_bytes() <= kEmbeddedBytesMax ? "embstr" : "raw";
    default:  // in a block of its own, or changed in place
      return "raw";
  }
}

int64_t RefcountOf(const command::ShardState& shard, const dash::Entry& entry) {
  constexpr int64_t kSharedIntegers = 10'000;
  constexpr int64_t kSharedCount = std::numeric_limits<int32_t>::max();
  const db::EvictionSettings& settings = shard.server->live();
  bool shares = settings.maxmemory.load(std::memory_order_relaxed) == 0 ||
                !db::NeedsAccessClock(settings.policy.load(std::memory_order_relaxed));
  bool is_small = entry.type() == dash::Type::kString && entry.encoding() == types::kStringInt &&
                  types::LoadInt(entry) >= 0 && types::LoadInt(entry) < kSharedIntegers;
  return shares && is_small ? kSharedCount : 1;
}

std::span<const CommandRow> ObjectCommands() {
  return kRows;
}

}  // namespace moonshard::commands
