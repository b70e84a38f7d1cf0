#include "wal/effects.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/number.h"
#include "wal/manifest.h"

namespace moonshard::wal {

namespace {

constexpr size_t kNumberLineMax = 1 + base::kMaxInt64Chars + 2;
constexpr size_t kHeadFixedBytes = 8 + 2 + 8 + 2;

size_t PutNumber(char* to, char kind, uint64_t number) {
  to[0] = kind;
  const size_t digits = base::FormatUint64(number, to + 1);
  to[digits + 1] = '\r';
  to[digits + 2] = '\n';
  return digits + 3;
}

}  // namespace

void AppendEffect(base::Buffer& out, DbIndex db, std::span<const std::string_view> args) {
  MS_CHECK(db.value() <= UINT8_MAX && !args.empty());
  size_t bytes = 1 + kNumberLineMax;
  for (std::string_view arg : args) bytes += kNumberLineMax + arg.size() + 2;
  char* const start = out.Reserve(bytes);
  char* to = start;
  *to++ = static_cast<char>(db.value());
  to += PutNumber(to, '*', args.size());
  for (std::string_view arg : args) {
    to += PutNumber(to, '$', arg.size());
    if (!arg.empty()) std::memcpy(to, arg.data(), arg.size());
    to += arg.size();
    *to++ = '\r';
    *to++ = '\n';
  }
  out.Commit(static_cast<size_t>(to - start));
}

// "*12\r\n" or "$12\r\n" at the front.
std::optional<uint64_t> EffectReader::Number(char kind) {
  const size_t end = rest_.substr(0, kNumberLineMax).find("\r\n");
  if (end == std::string_view::npos || end == 0 || rest_[0] != kind) return std::nullopt;
  const std::optional<int64_t> number = base::ParseInt64(rest_.substr(1, end - 1));
  if (!number || *number < 0) return std::nullopt;
  rest_.remove_prefix(end + 2);
  return static_cast<uint64_t>(*number);
}

bool EffectReader::Next() {
  if (!ok_ || rest_.empty()) return false;
  ok_ = false;
  args_.clear();
  db_ = DbIndex(static_cast<uint8_t>(rest_[0]));
  rest_.remove_prefix(1);
  const std::optional<uint64_t> count = Number('*');
  // An argument takes at least 6 bytes, so no count can ask for more memory than the record has bytes.
  if (!count || *count == 0 || *count > rest_.size() / 6) return false;
  for (uint64_t i = 0; i < *count; ++i) {
    const std::optional<uint64_t> bytes = Number('$');
    if (!bytes || rest_.size() < 2 || *bytes > rest_.size() - 2) return false;
    args_.push_back(rest_.substr(0, *bytes));
    if (rest_.substr(*bytes, 2) != "\r\n") return false;
    rest_.remove_prefix(*bytes + 2);
  }
  ok_ = true;
  return true;
}

void AppendTransactionHead(base::Buffer& out, const TransactionHead& head) {
  MS_CHECK(!head.shards.empty() && head.shards.size() <= kShardCountMax);
  const size_t bytes = kHeadFixedBytes + 2 * head.shards.size();
  char* to = out.Reserve(bytes);
  base::StoreLe<uint64_t>(to, head.number);
  base::StoreLe<uint16_t>(to + 8, head.coordinator.value());
  base::StoreLe<uint64_t>(to + 10, head.sequence);
  base::StoreLe<uint16_t>(to + 18, static_cast<uint16_t>(head.shards.size()));
  for (size_t i = 0; i < head.shards.size(); ++i) {
    MS_CHECK(i == 0 || head.shards[i - 1] < head.shards[i]);
    base::StoreLe<uint16_t>(to + kHeadFixedBytes + 2 * i, head.shards[i].value());
  }
  out.Commit(bytes);
}

std::optional<TransactionHead> TakeTransactionHead(std::string_view& body) {
  if (body.size() < kHeadFixedBytes) return std::nullopt;
  const size_t count = base::LoadLe<uint16_t>(body.data() + 18);
  if (count == 0 || count > kShardCountMax || body.size() < kHeadFixedBytes + 2 * count) return std::nullopt;
  TransactionHead head;
  head.number = base::LoadLe<uint64_t>(body.data());
  head.coordinator = ShardId(base::LoadLe<uint16_t>(body.data() + 8));
  head.sequence = base::LoadLe<uint64_t>(body.data() + 10);
  for (size_t i = 0; i < count; ++i) {
    const ShardId shard(base::LoadLe<uint16_t>(body.data() + kHeadFixedBytes + 2 * i));
    if (i != 0 && shard <= head.shards.back()) return std::nullopt;
    head.shards.push_back(shard);
  }
  body.remove_prefix(kHeadFixedBytes + 2 * count);
  return head;
}

void EncodeClock(TimeMs clock, char* to) {
  base::StoreLe<uint64_t>(to, static_cast<uint64_t>(clock));
}

std::optional<TimeMs> DecodeClock(std::string_view body) {
  if (body.size() != kClockBodyBytes) return std::nullopt;
  return static_cast<TimeMs>(base::LoadLe<uint64_t>(body.data()));
}

}  // namespace moonshard::wal
