#pragma once
// A run of framed commands of one client, and its shares on the shards it touches.
//
// A batch that stays on its home shard uses only `args`, `calls` and `keys` and writes its replies straight
// into the client's output. One that hops (or meets a lock) gets a Part per shard: the target executes the
// part's items in order into the part's arena and the home shard stitches the pieces together in the order of
// the calls. While a part is away, its memory and the batch's arguments belong to the target (it only reads
// the latter).
//
// Batches come from the engine's pool and keep their capacity, so a steady load allocates nothing.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "command/context.h"
#include "command/gate.h"
#include "command/slow_limits.h"
#include "db/wait_queue.h"
#include "resp/parser.h"
#include "shard/message.h"
#include "shard/timer.h"
#include "tx/transaction.h"

namespace moonshard::command {

class Client;
class Engine;

// Why a call is answered without its handler.
enum class CallError : uint8_t { kNone, kStatic, kText, kHangUp };

struct Call {
  const Command* command = nullptr;  // null: unknown command
  uint32_t arg_begin = 0;
  uint32_t arg_count = 0;
  uint32_t key_begin = 0;
  uint32_t key_count = 0;
  ShardId shard;            // owner of all keys, if `spread` is false
  bool spread = false;      // keys on several shards, or on all of them
  bool whole = false;       // keys that it does not name (CallRouting::whole)
  bool timed_alone = true;  // not one of the cheap calls that are timed together
  uint64_t growth = 0;      // bytes it may add, while memory is limited (engine_room.cc)
  CallError error = CallError::kNone;
  const base::StaticError* static_error = nullptr;
  uint32_t text_error = 0;  // index into Batch::error_texts
};

// One call's share on one shard.
struct Item {
  uint32_t call;
  uint32_t key_begin;  // into Part::keys
  uint32_t key_count;
  size_t reply_end = 0;      // of this item in the arena
  uint32_t piece_begin = 0;  // into Part::key_ends, for Merge::kPerKey
  int64_t sum = 0;
  uint64_t ticks = 0;  // of the shard's clock that it ran
  SlowLimits limits;   // when it ran
  base::Status status;
  bool parked = false;  // a blocking call that found nothing here
  TimeMs park_deadline = kNoDeadline;
};

struct Batch;

// A batch's wait for room (engine_room.cc). Its home shard's, but between asking and answer shard 0's.
struct BatchRoom {
  uint64_t bytes = 0;
  bool granted = false;
  Batch* next = nullptr;
  shard::Outgoing message;
};

// A blocking call's place in the lines of one shard (engine_wait.cc). While the call is registered there,
// `nodes` and `told` belong to that shard and `heard` to the home shard; the rest to whoever has the part.
struct PartWait {
  std::vector<db::WaitQueue::Waiter> nodes;  // one per key of the part
  shard::Outgoing turn;                      // to the home shard: it is your turn
  shard::Outgoing leave;                     // from the home shard, and back
  size_t visited_count = 0;                  // keys looked at in this run
  bool wrote = false;                        // the runs changed something here
  bool registered = false;                   // some node may stand in a line
  bool told = false;                         // `turn` was sent and no visit has confirmed it
  bool heard = false;                        // `turn` came and no visit has confirmed it
  bool confirm = false;                      // the next visit confirms it
};

struct Part {
  Batch* batch = nullptr;
  ShardId shard;
  std::vector<Item> items;
  size_t ran_count = 0;   // of the items; the others wait until the client has taken what there is
  bool given_up = false;  // its replies were dropped, because clients take too much memory
  // What the arena adds to the memory of clients, and where.
  int64_t charged_bytes = 0;
  std::atomic<int64_t>* charged_to = nullptr;
  bool may_stop = false;  // false: inside a transaction, which runs as a whole
  std::vector<KeyRef> keys;
  std::vector<size_t> key_ends;
  std::vector<tx::KeyLock> locks;
  base::Buffer arena;
  tx::Part local;  // when it has to wait for a lock on its shard
  shard::Outgoing message;
  bool whole_shard = false;
  tx::LockMode whole_mode = tx::LockMode::kShared;
  Lsn position;                 // highest position the replies depend on
  uint64_t reserved_bytes = 0;  // room for what it may add, until its shard takes it

  // The merge's place: the next item, its next piece, and the arena's bytes already taken.
  size_t next_item = 0;
  size_t next_piece = 0;
  size_t taken_bytes = 0;

  PartWait wait;

  void Clear();
  void Charge(std::atomic<int64_t>& to);
  void Discharge();
};

// A blocking call as its home shard sees it. Its end is claimed here and nowhere else: by a turn, by the
// deadline, or by the client's going, whichever comes first.
struct BatchWait {
  enum class State : uint8_t {
    kNone,
    kRunning,  // looking, on the shards of its keys
    kParked,   // may be claimed
    kLeaving,  // its end is decided
  };
  State state = State::kNone;
  bool woken = false;      // this run is not the first
  bool run_again = false;  // a turn came while it ran
  TimeMs deadline = kNoDeadline;
  db::Arrival arrival;
  Part* served = nullptr;    // whose arena holds the reply; null: body_reply
  size_t leaving_count = 0;  // shards that have not let go of their part yet
};
void OnWaitDeadline(void* batch);

enum class BatchEnd : uint8_t { kNeedMore, kFull, kBarrier, kProtocolError };

struct Batch {
  static constexpr uint8_t kNoPhase = 2;

  Engine* engine = nullptr;
  Client* client = nullptr;  // null once the client is gone; the batch then finishes for nobody

  resp::ArgVector args;
  std::vector<Call> calls;
  std::vector<KeyRef> keys;
  std::vector<std::string> error_texts;
  base::Buffer bytes;  // the commands' bytes, once they must outlive the receive buffer
  BatchEnd end = BatchEnd::kNeedMore;
  size_t consumed = 0;
  uint64_t growth = 0;  // of all calls
  bool remote = false;  // some key lies on another shard, or some call is spread
  // The last call runs alone, after the others have answered.
  bool barrier = false;
  bool timed_together = true;  // no call of it is timed alone

  // ---- while it is away
  DbIndex db;
  resp::Protocol protocol = resp::Protocol::kResp2;
  bool no_touch = false;
  TimeMs now_ms = 0;
  size_t stage_begin = 0;
  size_t stage_end = 0;
  std::vector<std::unique_ptr<Part>> parts;  // the first part_count are in use
  std::vector<uint16_t> part_of_shard;       // shard -> index of its part + 1
  std::vector<tx::Part> tx_parts;
  size_t part_count = 0;
  size_t parts_away = 0;
  tx::Transaction transaction;
  base::Buffer body_reply;
  ReplyGate::Waiter gate_waiter;
  std::vector<uint32_t> scratch_positions;
  uint64_t body_ticks = 0;        // its time without its waits
  bool ran_body = false;          // the stage is a body; its reply is in body_reply
  bool answered = false;          // the stage's replies are in the client's output
  bool transaction_open = false;  // others still use the parts: the manager, or shards where it waited
  bool stopped = false;           // the rest of the stage waits for Engine::Continue
  bool held = false;              // the stage waits for the end of a pause
  bool holds_last = false;        // framed during a pause that holds back the last call
  bool light = false;             // of a client whose replies are small
  bool no_evict = false;          // of a client that is never closed for its memory
  bool muted = false;             // the stage began while its client wanted no replies
  uint8_t phase = kNoPhase;       // see Engine::ChangePhase
  shard::Outgoing go_on;          // Continue's message to its own shard
  uint64_t reserved_bytes = 0;    // room that is not yet its parts'
  BatchRoom room;
  BatchWait wait;
  shard::Timer wait_timer{&OnWaitDeadline, this};
  Batch* next_free = nullptr;

  std::span<const std::string_view> ArgsOf(const Call& call) const {
    return {args.data() + call.arg_begin, call.arg_count};
  }
  void Clear();
  // Between the stages of one batch.
  void ClearParts();
  void ClearWait();
};

}  // namespace moonshard::command
