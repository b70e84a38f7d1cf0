// SORT SORT_RO. A body: it reads its elements, then the keys that its patterns name, wherever they lie, then
// writes. Without such patterns it holds the locks of the keys it names, with them every shard's.

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "command/engine.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/sort_core.h"
#include "commands/sort_source.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;
using command::ShardState;

// Keys looked up per round over the shards: some 100 us for one of them.
constexpr size_t kLookupsPerRound = 2048;

using Value = std::optional<std::string>;

struct Lookup {
  const SortPattern* pattern;
  std::string key;
  uint64_t hash;
  ShardId shard;
  Value* value;
};

// One call of SORT while it runs.
class Sorter {
 public:
  Sorter(Context& context, const SortOptions& options) : context_(context), options_(options) {
    for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) all_shards_.push_back(ShardId(i));
  }
  Sorter(const Sorter&) = delete;
  Sorter& operator=(const Sorter&) = delete;

  shard::Task<base::Status> ReadElements();
  shard::Task<base::Status> Sort();
  // The result, row by row.
  shard::Task<std::vector<Value>> Collect();
  shard::Task<bool> Store(std::vector<Value>& values);

 private:
  void Plan(const SortPattern& pattern, std::string_view element, Value* value);
  shard::Task<void> RunLookups();

  Context& context_;
  SortOptions options_;
  command::StateShards shards_;
  std::vector<ShardId> all_shards_;
  SortInput input_;
  std::vector<SortItem> items_;
  std::vector<Lookup> lookups_;
};

shard::Task<base::Status> Sorter::ReadElements() {
  const db::Key key = context_.key(0);
  const DbIndex db = context_.db->index();
  const TimeMs now = context_.shard.keyspace->now();
  base::Status status = co_await shards_.On(context_.keys[0].shard, [&](ShardState& state) {
    state.keyspace->SetNow(now);
    auto input = ReadSortInput(state.keyspace->database(db).Find(key));
    if (!input.ok()) return input.status();
    input_ = std::move(*input);
    return base::Status();
  });
  if (!status.ok()) co_return status;
  if (options_.dont_sort && input_.kind == SourceKind::kSet && options_.store_arg) {
    options_.dont_sort = false;
    options_.alpha = true;
    options_.by.reset();
  }
  if (options_.dont_sort && options_.descending && input_.kind == SourceKind::kSortedSet) {
    std::ranges::reverse(input_.elements);
  }
  items_.resize(input_.elements.size());
  for (size_t i = 0; i < items_.size(); ++i) items_[i].element = input_.elements[i];
  co_return base::Status();
}

void Sorter::Plan(const SortPattern& pattern, std::string_view element, Value* value) {
  std::string key = pattern.KeyOf(element);
  const command::Engine& engine = *context_.shard.engine;
  const uint64_t hash = engine.HashKey(key);
  const ShardId shard = engine.ShardOf(key, hash);
  lookups_.push_back({&pattern, std::move(key), hash, shard, value});
}

shard::Task<void> Sorter::RunLookups() {
  const DbIndex db = context_.db->index();
  const TimeMs now = context_.shard.keyspace->now();
  for (size_t begin = 0; begin < lookups_.size(); begin += kLookupsPerRound) {
    const size_t end = std::min(begin + kLookupsPerRound, lookups_.size());
    co_await shards_.OnEach(all_shards_, [&](ShardState& state, size_t) {
      state.keyspace->SetNow(now);
      db::Database& database = state.keyspace->database(db);
      for (size_t i = begin; i < end; ++i) {
        Lookup& lookup = lookups_[i];
        if (lookup.shard != state.shard->id()) continue;
        *lookup.value = ReadPatternValue(database.Find({lookup.key, lookup.hash}), *lookup.pattern);
      }
    });
  }
  lookups_.clear();
}

shard::Task<base::Status> Sorter::Sort() {
  if (options_.dont_sort) co_return base::Status();
  if (options_.by) {
    for (SortItem& item : items_) Plan(*options_.by, item.element, &item.by);
    co_await RunLookups();
  }
  co_return SortItems(items_, options_);
}

shard::Task<std::vector<Value>> Sorter::Collect() {
  const SortRange range = RangeOf(options_, items_.size());
  const size_t columns = std::max<size_t>(options_.get.size(), 1);
  std::vector<Value> values((range.end - range.begin) * columns);
  for (size_t i = range.begin; i < range.end; ++i) {
    Value* row = &values[(i - range.begin) * columns];
    if (options_.get.empty()) *row = std::string(items_[i].element);
    for (size_t column = 0; column < options_.get.size(); ++column) {
      const SortPattern& pattern = options_.get[column];
      if (pattern.kind == SortPattern::Kind::kElement) row[column] = std::string(items_[i].element);
      if (pattern.names_keys()) Plan(pattern, items_[i].element, &row[column]);
    }
  }
  co_await RunLookups();
  co_return values;
}

// Returns whether something changed.
shard::Task<bool> Sorter::Store(std::vector<Value>& values) {
  const command::KeyRef& ref = context_.keys[1];
  const db::Key key = context_.key(1);
  const TimeMs now = context_.shard.keyspace->now();
  // Elements come from collections, and the destination becomes a list: both arrive together.
  MS_CHECK(values.empty());
  co_return co_await shards_.On(ref.shard, [&](ShardState& state) {
    state.keyspace->SetNow(now);
    return state.keyspace->database(ref.db).Erase(key, "del");
  });
}

shard::Task<void> SortWith(Context& context, SortStore store) {
  auto options = ParseSort(context.args, store);
  if (!options.ok()) {
    context.reply.Error(options.status());
    co_return;
  }
  Sorter sorter(context, *options);
  base::Status status = co_await sorter.ReadElements();
  if (status.ok()) status = co_await sorter.Sort();
  if (!status.ok()) {
    context.reply.Error(status);
    co_return;
  }
  std::vector<Value> values = co_await sorter.Collect();
  if (options->store_arg) {
    context.wrote = co_await sorter.Store(values);
    context.reply.Integer(static_cast<int64_t>(values.size()));
    co_return;
  }
  context.reply.Array(values.size());
  for (const Value& value : values) {
    if (value) {
      context.reply.Bulk(*value);
    } else {
      context.reply.Null();
    }
  }
}

shard::Task<void> Sort(Context& context) {
  return SortWith(context, SortStore::kAllowed);
}
shard::Task<void> SortRo(Context& context) {
  return SortWith(context, SortStore::kUnknown);
}

// ---- routing

// The key itself, and the last STORE's.
bool FindSortKeys(std::span<const std::string_view> args, std::vector<uint32_t>& positions) {
  positions.push_back(1);
  auto options = ParseSort(args, SortStore::kAllowed);
  if (options.ok() && options->store_arg) positions.push_back(*options->store_arg);
  return true;
}
bool FindSortRoKeys(std::span<const std::string_view>, std::vector<uint32_t>& positions) {
  positions.push_back(1);
  return true;
}
bool SortReadsPatterns(std::span<const std::string_view> args) {
  auto options = ParseSort(args, SortStore::kAllowed);
  return options.ok() && options->reads_patterns();
}

// ---- rows

constexpr KeySpec kSortKeys[] = {
    {.flags = command::kKeyRo | command::kKeyAccess},
    {.flags = command::kKeyRo | command::kKeyAccess,
     .begin = KeySpec::Begin::kUnknown,
     .find = KeySpec::Find::kUnknown,
     .notes = "For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the "
              "content of the key we sort"},
    {.flags = command::kKeyOw | command::kKeyUpdate,
     .begin = KeySpec::Begin::kUnknown,
     .find = KeySpec::Find::kUnknown,
     .notes =
         "For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in "
         "the argument array"}};

constexpr ArgSpec kLimitArguments[] = {{.name = "offset", .type = ArgType::kInteger},
                                       {.name = "count", .type = ArgType::kInteger}};
constexpr ArgSpec kOrders[] = {{.name = "asc", .type = ArgType::kPureToken, .token = "ASC"},
                               {.name = "desc", .type = ArgType::kPureToken, .token = "DESC"}};
constexpr ArgSpec kKeyArgument = {.name = "key", .type = ArgType::kKey, .key_spec = 0};
constexpr ArgSpec kByArgument = {
    .name = "pattern", .type = ArgType::kPattern, .token = "BY", .flags = command::kOptional, .key_spec = 1};
constexpr ArgSpec kLimitArgument = {.name = "offset_count",
                                    .type = ArgType::kBlock,
                                    .token = "LIMIT",
                                    .flags = command::kOptional,
                                    .arguments = kLimitArguments};
constexpr ArgSpec kGetArgument = {.name = "pattern",
                                  .type = ArgType::kPattern,
                                  .token = "GET",
                                  .flags = command::kOptional | command::kMultiple | command::kMultipleToken,
                                  .key_spec = 1};
constexpr ArgSpec kOrderArgument = {
    .name = "order", .type = ArgType::kOneOf, .flags = command::kOptional, .arguments = kOrders};
constexpr ArgSpec kAlphaArgument = {
    .name = "sorting", .type = ArgType::kPureToken, .token = "ALPHA", .flags = command::kOptional};
constexpr ArgSpec kSortArguments[] = {kKeyArgument,
                                      kByArgument,
                                      kLimitArgument,
                                      kGetArgument,
                                      kOrderArgument,
                                      kAlphaArgument,
                                      {.name = "destination",
                                       .type = ArgType::kKey,
                                       .token = "STORE",
                                       .flags = command::kOptional,
                                       .key_spec = 2}};
constexpr ArgSpec kSortRoArguments[] = {kKeyArgument, kByArgument,    kLimitArgument,
                                        kGetArgument, kOrderArgument, kAlphaArgument};

constexpr uint32_t kSortCategories =
    command::kCatSet | command::kCatSortedSet | command::kCatList | command::kCatDangerous;

constexpr CommandRow kRows[] = {
    {.name = "sort",
     .arity = -2,
     .flags = command::kWrite | command::kDenyOom | command::kMovableKeys,
     .categories = kSortCategories,
     .keys = kSortKeys,
     .since = "1.0.0",
     .complexity = "O(N log N + M) for N elements and M that are returned",
     .summary = "Sorts the elements of a list, a set or a sorted set, and may store them.",
     .arguments = kSortArguments,
     .body = Sort,
     .routing = {.find_keys = FindSortKeys, .whole = SortReadsPatterns}},
    {.name = "sort_ro",
     .arity = -2,
     .flags = command::kReadonly | command::kMovableKeys,
     .categories = kSortCategories,
     .keys = std::span(kSortKeys).first<2>(),
     .since = "7.0.0",
     .complexity = "O(N log N + M) for N elements and M that are returned",
     .summary = "Sorts the elements of a list, a set or a sorted set without storing them.",
     .arguments = kSortRoArguments,
     .body = SortRo,
     .routing = {.find_keys = FindSortRoKeys, .whole = SortReadsPatterns}},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> SortCommands() {
  return kRows;
}

}  // namespace moonshard::commands
