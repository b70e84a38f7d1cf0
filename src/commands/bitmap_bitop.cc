// BITOP. With all keys on one shard the sources are read where they lie. Otherwise each shard reduces its own
// sources to a share, the home shard combines the shares and sends the result to the destination's shard.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "command/shard_state.h"
#include "commands/bitmap_args.h"
#include "commands/bitmap_combine.h"

namespace moonshard::commands {

namespace {

using command::KeyRef;
using command::ShardState;
using IntegerText = std::array<char, base::kMaxInt64Chars>;

// Bytes on the heap, not initialised.
class Block {
 public:
  // False: no memory.
  bool Allocate(size_t size) {
    data_.reset(static_cast<char*>(std::malloc(std::max<size_t>(size, 1))));
    if (data_ != nullptr) size_ = size;
    return data_ != nullptr;
  }
  char* data() { return data_.get(); }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(char* data) const { std::free(data); }
  };
  std::unique_ptr<char, Free> data_;
  size_t size_ = 0;
};

// Where the sources of a call stand among the keys; the first key is the destination.
constexpr size_t kFirstSource = 1;

// Reads the operation and checks the number of sources. Nothing: the error has been replied.
std::optional<BitOp> ReadOp(Context& context) {
  auto op = ParseBitOp(context.arg(1));
  const size_t source_count = context.args.size() - 3;
  if (!op) {
    context.reply.Error(db::kSyntax);
  } else if (*op == BitOp::kNot && source_count != 1) {
    context.reply.ErrorLine("ERR BITOP NOT must be called with a single source key.");
    return std::nullopt;
  } else if (SplitsFirst(*op) && source_count < 2) {
    context.reply.ErrorLine("ERR BITOP " + std::string(BitOpName(*op)) +
                            " must be called with at least two source keys.");
    return std::nullopt;
  }
  return op;
}

// The strings at some keys of one shard, as they lie there: good until its next change.
class SourceSet {
 public:
  explicit SourceSet(size_t count) {
    if (count <= kFew) return;
    many_.resize(count);
    many_texts_.resize(count);
  }

  void Clear() { count_ = 0; }
  // False: the key holds no string. An absent key counts as an empty one.
  bool Add(const dash::Entry* entry) {
    if (entry != nullptr && entry->type() != dash::Type::kString) return false;
    IntegerText& text = many_.empty() ? few_texts_[count_] : many_texts_[count_];
    Operand& operand = many_.empty() ? few_[count_] : many_[count_];
    operand = {};
    if (entry != nullptr) operand.bits = types::StringBytes(*entry, text.data());
    ++count_;
    return true;
  }
  std::span<const Operand> all() const { return {many_.empty() ? few_.data() : many_.data(), count_}; }

 private:
  // Up to so many without memory of their own.
  static constexpr size_t kFew = 8;
  std::array<Operand, kFew> few_;
  std::array<IntegerText, kFew> few_texts_;
  std::vector<Operand> many_;
  std::vector<IntegerText> many_texts_;
  size_t count_ = 0;
};

// Looks up those of `keys` that `wanted(index)` names. An expired one is erased on the way, which ends the
// life of what was looked up before, so the look-up starts again: at most once, since the clock stands still.
template <typename Wanted>
bool ReadSources(db::Database& db, std::span<const std::string_view> args, std::span<const KeyRef> keys,
                 Wanted wanted, SourceSet& sources) {
  size_t size_before;
  do {
    size_before = db.size();
    sources.Clear();
    for (size_t i = kFirstSource; i < keys.size(); ++i) {
      if (wanted(i) && !sources.Add(db.Find({args[keys[i].arg], keys[i].hash}))) return false;
    }
  } while (db.size() != size_before);
  return true;
}

size_t LongestOf(std::span<const Operand> operands) {
  size_t longest = 0;
  for (const Operand& operand : operands) longest = std::max(longest, operand.bits.size());
  return longest;
}

struct Stored {
  base::Status status;
  bool changed = false;
};

// An empty result leaves no key.
Stored StoreResult(db::Database& db, const db::Key& key, std::string_view bytes) {
  if (bytes.empty()) return {.status = {}, .changed = db.Erase(key, "del")};
  base::Status status = db.SetString(key, bytes, kNoDeadline, db::kEventSet, types::StringForm::kRaw);
  const bool changed = status.ok();
  return {std::move(status), changed};
}

Outcome ReplyStored(Context& context, const Stored& stored, size_t size) {
  if (!stored.status.ok()) return context.Fail(stored.status);
  context.reply.Integer(static_cast<int64_t>(size));
  return Outcome::kDone;
}

}  // namespace

Outcome Bitop(Context& context) {
  auto op = ReadOp(context);
  if (!op) return Outcome::kDone;
  SourceSet sources(context.keys.size());
  auto all = [](size_t) { return true; };
  if (!ReadSources(*context.db, context.args, context.keys, all, sources))
    return context.Fail(db::kWrongType);
  std::span<const Operand> operands = sources.all();
  const size_t size = LongestOf(operands);
  std::string_view first;
  if (SplitsFirst(*op)) {
    first = operands.front().bits;
    operands = operands.subspan(1);
  }
  // What fits into an entry needs no block on the way there.
  std::array<char, types::kInlineStringMax> few;
  Block many;
  char* result = few.data();
  if (size > few.size()) {
    if (!many.Allocate(size)) return context.Fail(db::kOutOfMemory);
    result = many.data();
  }
  CombineBits(*op, first, operands, result, size);
  return ReplyStored(context, StoreResult(*context.db, context.key(), {result, size}), size);
}

// ---- keys on several shards

namespace {

// What one shard knows of its sources.
struct Share {
  base::Status status;
  bool has_sources = false;  // the first one, where it is split off, is none of them
  Block first;
  Block bits;
  Block twice;
};

bool CopyInto(Block& block, std::string_view bytes) {
  if (!block.Allocate(bytes.size())) return false;
  if (!bytes.empty()) std::memcpy(block.data(), bytes.data(), bytes.size());
  return true;
}

base::Status MakeShare(db::Database& db, const Context& context, BitOp op, ShardId shard, Share& share) {
  const std::span<const KeyRef> keys = context.keys;
  SourceSet sources(keys.size());
  auto here = [&](size_t i) { return keys[i].shard == shard; };
  if (!ReadSources(db, context.args, keys, here, sources)) return db::kWrongType;
  std::span<const Operand> operands = sources.all();
  if (SplitsFirst(op) && here(kFirstSource)) {
    if (!CopyInto(share.first, operands.front().bits)) return db::kOutOfMemory;
    operands = operands.subspan(1);
  }
  share.has_sources = !operands.empty();
  const size_t size = LongestOf(operands);
  if (!share.bits.Allocate(size)) return db::kOutOfMemory;
  if (op == BitOp::kOne && !share.twice.Allocate(size)) return db::kOutOfMemory;
  ReduceBits(op, operands, share.bits.data(), share.twice.data(), size);
  return {};
}

// The shards that own sources, each once.
std::vector<ShardId> SourceShards(std::span<const KeyRef> keys) {
  std::vector<ShardId> shards;
  for (const KeyRef& key : keys.subspan(kFirstSource)) {
    if (std::ranges::find(shards, key.shard) == shards.end()) shards.push_back(key.shard);
  }
  return shards;
}

// Combines the shares into `result`. An absent first source is empty.
base::Status CombineShares(BitOp op, std::span<const Share> shares, Block& result) {
  std::string_view first;
  std::vector<Operand> operands;
  for (const Share& share : shares) {
    if (!share.status.ok()) return share.status;
    if (!share.first.view().empty()) first = share.first.view();
    if (share.has_sources) operands.push_back({share.bits.view(), share.twice.view()});
  }
  const size_t size = std::max(first.size(), LongestOf(operands));
  if (!result.Allocate(size)) return db::kOutOfMemory;
  CombineBits(op, first, operands, result.data(), size);
  return {};
}

}  // namespace

shard::Task<void> BitopAcross(Context& context) {
  auto op = ReadOp(context);
  if (!op) co_return;
  command::StateShards shards;
  const DbIndex db = context.db->index();
  const TimeMs now = context.shard.keyspace->now();
  const std::vector<ShardId> ids = SourceShards(context.keys);
  std::vector<Share> shares(ids.size());
  co_await shards.OnEach(ids, [&](ShardState& state, size_t i) {
    state.keyspace->SetNow(now);
    shares[i].status = MakeShare(state.keyspace->database(db), context, *op, ids[i], shares[i]);
  });
  Block result;
  base::Status status = CombineShares(*op, shares, result);
  shares.clear();
  if (!status.ok()) {
    context.reply.Error(status);
    co_return;
  }
  const db::Key destination = context.key();
  Stored stored = co_await shards.On(context.keys[0].shard, [&](ShardState& state) {
    state.keyspace->SetNow(now);
    return StoreResult(state.keyspace->database(db), destination, result.view());
  });
  context.wrote = stored.changed;
  ReplyStored(context, stored, result.view().size());
}

}  // namespace moonshard::commands
