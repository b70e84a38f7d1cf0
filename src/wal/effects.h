#pragma once
// What the bodies of records say, apart from blocks: effects, the head of a transaction, the clock.
// docs/formats/log.md has the bytes. Safe from any thread.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/types.h"

namespace moonshard::wal {

// Adds one effect, a command with its arguments: "what changed" in the words of the wire protocol.
void AppendEffect(base::Buffer& out, DbIndex db, std::span<const std::string_view> args);

// Goes through the effects of a record.
//
//   EffectReader reader(effects);
//   while (reader.Next()) Apply(reader.db(), reader.args());
//   if (!reader.ok()) ...                      // not what AppendEffect writes: a newer server's or a bug's
class EffectReader {
 public:
  explicit EffectReader(std::string_view effects) : rest_(effects) {}
  bool Next();
  bool ok() const { return ok_; }
  DbIndex db() const { return db_; }
  std::span<const std::string_view> args() const { return args_; }  // valid until Next; of the record's bytes

 private:
  std::optional<uint64_t> Number(char kind);

  std::string_view rest_;
  bool ok_ = true;
  DbIndex db_;
  std::vector<std::string_view> args_;
};

struct TransactionHead {
  uint64_t number = 0;
  ShardId coordinator;
  uint64_t sequence = 0;  // the coordinator's: (number, coordinator, sequence) is the place in the one order
  std::vector<ShardId> shards;  // all that have a record of it, rising
  friend bool operator==(const TransactionHead&, const TransactionHead&) = default;
};
void AppendTransactionHead(base::Buffer& out, const TransactionHead& head);
// Takes the head off the front of a body, which leaves the effects. Nothing if it is malformed.
std::optional<TransactionHead> TakeTransactionHead(std::string_view& body);

inline constexpr size_t kClockBodyBytes = 8;
void EncodeClock(TimeMs clock, char* to);
std::optional<TimeMs> DecodeClock(std::string_view body);

}  // namespace moonshard::wal
