#pragma once
// What a handler sees of the command it runs. Made by the engine, one per run of commands; valid during the
// call (for a body: until it ends).

#include <cstdint>
#include <span>
#include <string_view>

#include "base/status.h"
#include "command/registry.h"
#include "command/session.h"
#include "db/keyspace.h"
#include "db/wait_queue.h"
#include "resp/reply.h"

namespace moonshard::command {

class Client;
struct Batch;
struct ShardState;

// A key argument, hashed and routed when the command was framed.
struct KeyRef {
  uint64_t hash;
  uint32_t arg;
  ShardId shard;
  DbIndex db = {};
};

// Where a fan-out handler puts its share of the answer. In direct mode (one shard owns everything) per-key
// replies go straight to the client's buffer; otherwise the ends of the pieces are kept for the merge.
class FanReply {
 public:
  void Add(int64_t n) { sum_ += n; }
  // After each key's reply, in the order of Context::keys (Merge::kPerKey).
  void EndKey(size_t reply_size) {
    if (key_ends_ != nullptr) key_ends_->push_back(reply_size);
  }
  void Fail(base::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  void Reset(std::vector<size_t>* key_ends) {
    sum_ = 0;
    status_ = {};
    key_ends_ = key_ends;
  }
  // One shard owns everything: what the handler replies is the answer.
  bool direct() const { return key_ends_ == nullptr; }
  int64_t sum() const { return sum_; }
  const base::Status& status() const { return status_; }

 private:
  int64_t sum_ = 0;
  base::Status status_;
  std::vector<size_t>* key_ends_ = nullptr;
};

// What a blocking call may know of its wait.
struct CallWait {
  const db::WaitQueue* queue = nullptr;  // this shard's
  db::Arrival arrival;
  bool woken = false;
};

struct Context {
  Context(ShardState& state, base::Buffer& out, resp::Protocol protocol)
      : reply(out, protocol), shard(state) {}

  const Command* command = nullptr;
  std::span<const std::string_view> args;  // args[0] is the command's name
  std::span<const KeyRef> keys;            // this shard's keys (a body: all keys)
  resp::Reply reply;
  ShardState& shard;
  db::Database* db = nullptr;
  // Null away from the client's home shard, and for bodies, whose client may go while they wait.
  Session* session = nullptr;
  Client* client = nullptr;
  FanReply fan;  // fan-out handlers only
  // Set by a body that changed something, so that its transaction is committed rather than abandoned.
  bool wrote = false;
  // Set by a body: time of its waits that counts as its own (DEBUG SLEEP), in ticks of the shard's clock.
  uint64_t waited_ticks = 0;
  // Rows flagged kBlocking only. The wait is over for want of an event: write the reply that says so, touch
  // no key.
  bool timed_out = false;
  TimeMs park_deadline = kNoDeadline;
  const CallWait* wait = nullptr;
  Batch* batch = nullptr;  // bodies only

  // For a body: its client, null if it has gone. Ask again after each co_await.
  Client* LiveClient() const;
  const CommandRow& row() const { return *command->row; }
  std::string_view arg(size_t i) const { return args[i]; }
  db::Key key(size_t i = 0) const { return {args[keys[i].arg], keys[i].hash}; }
  Outcome Fail(const base::Status& status) {
    reply.Error(status);
    return Outcome::kDone;
  }

  // Merge::kConcat: this shard's share has `count` elements, which follow.
  void BeginElements(size_t count) {
    fan.Add(static_cast<int64_t>(count));
    if (fan.direct()) reply.Array(count);
  }

  // For `return context.Park(deadline);` in a handler that wrote and changed nothing: the client waits for an
  // event on one of `keys`, then the handler is called again, until `deadline` (ms since the epoch;
  // kNoDeadline: for ever). The deadline of the first call counts.
  Outcome Park(TimeMs deadline) {
    park_deadline = deadline;
    return Outcome::kPark;
  }
  // False: somebody who came earlier is about to take from this key. A blocking handler then treats it as
  // empty.
  bool MayTake(size_t i = 0) const {
    return wait == nullptr || !wait->queue->Withheld(db->index(), key(i), wait->arrival);
  }
  // The call has parked before and is tried again after an event.
  bool woken() const { return wait != nullptr && wait->woken; }
};

}  // namespace moonshard::command
