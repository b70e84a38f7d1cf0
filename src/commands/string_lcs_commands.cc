// Strings: LCS.

#include <array>
#include <string>

#include "commands/string_common.h"
#include "commands/tables.h"
#include "types/lcs.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

constexpr base::StaticError kOnlyStrings{base::Code::kErr, "The specified keys must contain string values"};
constexpr base::StaticError kLenAndIdx{base::Code::kErr,
                                       "If you want both the length and indexes, please just use IDX."};
constexpr base::StaticError kTooMuchMemory{
    base::Code::kErr, "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"};
constexpr base::StaticError kNoMemory{base::Code::kErr,
                                      "Insufficient memory, failed allocating transient memory for LCS"};

struct LcsOptions {
  bool length = false;
  bool ranges = false;
  bool match_lengths = false;
  int64_t match_length_min = 0;
};

base::Status ParseLcsOptions(std::span<const std::string_view> words, LcsOptions& options) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (IsWord(words[i], "IDX")) {
      options.ranges = true;
    } else if (IsWord(words[i], "LEN")) {
      options.length = true;
    } else if (IsWord(words[i], "WITHMATCHLEN")) {
      options.match_lengths = true;
    } else if (IsWord(words[i], "MINMATCHLEN") && i + 1 < words.size()) {
      auto length = ParseInt64(words[++i]);
      if (!length) return db::kNotAnInteger;
      options.match_length_min = *length;
    } else {
      return db::kSyntax;
    }
  }
  if (options.ranges && options.length) return kLenAndIdx;
  return {};
}

// Redis bounds the table that it would fill, four bytes a cell; so do we, though ours is smaller.
constexpr bool TableFits(size_t a_size, size_t b_size) {
  constexpr uint64_t kCellsMax = types::kStringBytesMax / 4;
  return (uint64_t{a_size} + 1) * (uint64_t{b_size} + 1) <= kCellsMax;
}
static_assert(TableFits(11'584, 11'584) && !TableFits(11'584, 11'585));
// Alone too long for any partner: need not be fetched.
constexpr size_t kFetchedBytesMax = types::kStringBytesMax / 4;

void ReplyRange(Context& context, uint32_t begin, uint32_t end) {
  context.reply.Array(2);
  context.reply.Integer(begin);
  context.reply.Integer(end);
}

void ReplyRanges(Context& context, const LcsOptions& options, const types::Lcs& lcs) {
  auto shown = [&](const types::LcsRange& range) { return range.size() >= options.match_length_min; };
  size_t count = 0;
  for (const types::LcsRange& range : lcs.ranges) count += shown(range);
  context.reply.Map(2);
  context.reply.Bulk("matches");
  context.reply.Array(count);
  for (const types::LcsRange& range : lcs.ranges) {
    if (!shown(range)) continue;
    context.reply.Array(options.match_lengths ? 3 : 2);
    ReplyRange(context, range.a_begin, range.a_end);
    ReplyRange(context, range.b_begin, range.b_end);
    if (options.match_lengths) context.reply.Integer(range.size());
  }
  context.reply.Bulk("len");
  context.reply.Integer(lcs.length);
}

// `fits`: both strings are there whole.
void ReplyLcs(Context& context, std::string_view a, std::string_view b, bool fits) {
  LcsOptions options;
  base::Status status = ParseLcsOptions(context.args.subspan(3), options);
  if (status.ok() && !fits) status = kTooMuchMemory;
  if (!status.ok()) {
    context.reply.Error(status);
    return;
  }
  auto lcs = types::FindLcs(a, b, options.length ? types::LcsWanted::kLength : types::LcsWanted::kAll);
  if (!lcs) {
    context.reply.Error(kNoMemory);
  } else if (options.ranges) {
    ReplyRanges(context, options, *lcs);
  } else if (options.length) {
    context.reply.Integer(lcs->length);
  } else {
    context.reply.Bulk(lcs->text);
  }
}

Outcome Lcs(Context& context) {
  // To look at one may erase it, so both are looked up again.
  context.db->Find(context.key(0));
  context.db->Find(context.key(1));
  const dash::Entry* a_entry = EntryOf(context, RefOf(context, context.key(0)));
  const dash::Entry* b_entry = EntryOf(context, RefOf(context, context.key(1)));
  if ((a_entry != nullptr && !IsString(*a_entry)) || (b_entry != nullptr && !IsString(*b_entry))) {
    return context.Fail(kOnlyStrings);
  }
  char a_scratch[base::kMaxInt64Chars];
  char b_scratch[base::kMaxInt64Chars];
  std::string_view a;
  std::string_view b;
  if (a_entry != nullptr) a = types::StringBytes(*a_entry, a_scratch);
  if (b_entry != nullptr) b = types::StringBytes(*b_entry, b_scratch);
  ReplyLcs(context, a, b, TableFits(a.size(), b.size()));
  return Outcome::kDone;
}

// The same with the keys on two shards, both locked.
shard::Task<void> LcsAcross(Context& context) {
  struct Fetched {
    bool is_string = true;
    size_t size = 0;
    std::string bytes;
  };
  command::StateShards shards;
  const DbIndex db = context.db->index();
  const TimeMs now = context.shard.keyspace->now();
  std::array<ShardId, 2> owners = {context.keys[0].shard, context.keys[1].shard};
  std::array<Fetched, 2> values;
  co_await shards.OnEach(owners, [&](ShardState& state, size_t i) {
    state.keyspace->SetNow(now);
    const dash::Entry* entry = state.keyspace->database(db).Find(context.key(i));
    if (entry == nullptr) return;
    values[i].is_string = IsString(*entry);
    if (!values[i].is_string) return;
    char scratch[base::kMaxInt64Chars];
    std::string_view bytes = types::StringBytes(*entry, scratch);
    values[i].size = bytes.size();
    if (bytes.size() < kFetchedBytesMax) values[i].bytes = bytes;
  });
  if (!values[0].is_string || !values[1].is_string) {
    context.reply.Error(kOnlyStrings);
    co_return;
  }
  ReplyLcs(context, values[0].bytes, values[1].bytes, TableFits(values[0].size, values[1].size));
}

// ---- rows

constexpr KeySpec kTwoKeys[] = {{.flags = command::kKeyRo | command::kKeyAccess, .last = 1}};
constexpr ArgSpec kArguments[] = {
    {.name = "key1", .type = ArgType::kKey, .key_spec = 0},
    {.name = "key2", .type = ArgType::kKey, .key_spec = 0},
    {.name = "len", .type = ArgType::kPureToken, .token = "LEN", .flags = command::kOptional},
    {.name = "idx", .type = ArgType::kPureToken, .token = "IDX", .flags = command::kOptional},
    {.name = "len", .type = ArgType::kInteger, .token = "MINMATCHLEN", .flags = command::kOptional},
    {.name = "withmatchlen",
     .type = ArgType::kPureToken,
     .token = "WITHMATCHLEN",
     .flags = command::kOptional}};

constexpr CommandRow kRows[] = {
    {.name = "lcs",
     .arity = -3,
     .flags = command::kReadonly,
     .categories = command::kCatString,
     .keys = kTwoKeys,
     .group = command::Group::kString,
     .since = "7.0.0",
     .complexity = "O(N*M / 64) for strings of N and M bytes",
     .summary = "Finds the longest common subsequence of two strings.",
     .arguments = kArguments,
     .handler = Lcs,
     .body = LcsAcross},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> StringLcsCommands() {
  return kRows;
}

}  // namespace moonshard::commands
