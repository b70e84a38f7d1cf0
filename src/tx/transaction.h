#pragma once
// What a caller hands to the transaction manager: a Transaction made of Parts, one per shard, each with its
// key locks.
//
// All storage is the caller's (usually the coordinator's coroutine frame), so starting a transaction
// allocates nothing. A Part belongs to the thread of its shard from the moment the transaction starts until
// the manager calls `done` (or resumes the awaiting body); nobody else may touch it in between. The order,
// the locks and the recovery rules are those of the cross-shard commit protocol; README.md beside this file
// names them.

#include <compare>
#include <coroutine>
#include <cstdint>
#include <limits>
#include <span>

#include "base/types.h"
#include "shard/message.h"

namespace moonshard::shard {
class Shard;
}

namespace moonshard::tx {

class Manager;
struct Part;
struct Transaction;
struct LockHead;

enum class LockMode : uint8_t { kShared, kExclusive };
// kShort: `Part::run` is the whole body. kLong: a coroutine on the coordinator works while the locks are
// held.
enum class Kind : uint8_t { kShort, kLong };
enum class Access : uint8_t { kReadOnly, kWrite };

// Place in the one total order. Compared member by member, in this order.
struct Timestamp {
  uint64_t number = 0;       // a stamp drawn from the global counter
  uint16_t coordinator = 0;  // breaks ties between coordinators
  uint64_t sequence = 0;     // breaks ties between transactions of one coordinator
  friend constexpr auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

// One key of one part. `fingerprint` is a hash of (db, key); two keys with one fingerprint merely wait for
// each other.
struct KeyLock {
  uint64_t fingerprint = 0;
  LockMode mode = LockMode::kExclusive;

  // Private to the manager of the part's shard.
  Part* part = nullptr;
  LockHead* head = nullptr;
  KeyLock* prev = nullptr;  // neighbours in the head's list of waiting long transactions
  KeyLock* next = nullptr;
};

// Where a part stands on its shard. The names follow the model's.
enum class PartState : uint8_t {
  kNone,
  kProposed,        // short: pending with its proposal; long: a waiting lock that has only its proposal
  kFinalized,       // pending with the final timestamp
  kWaiting,         // long: lock timestamp known, not granted
  kHeld,            // long: all locks of this part granted
  kCommitProposed,  // long: pending with the proposal of its commit, still holding
  kCommitFinal,     // long: pending with the final timestamp of its commit, still holding
  kReading,         // optimistic read that ran here and holds its shared locks
};

inline constexpr uint32_t kNotInHeap = std::numeric_limits<uint32_t>::max();

// One shard's share of a transaction.
struct Part {
  // Set by the caller, constant until the transaction is done.
  ShardId shard{};
  bool whole_shard = false;  // locks every key of the shard, beside `locks`
  LockMode whole_shard_mode = LockMode::kExclusive;
  std::span<KeyLock> locks;
  // Runs on the shard's thread, to completion, in timestamp order. May be null. With a log attached a write
  // part appends its record (possibly empty) here and leaves the position in `lsn`.
  void (*run)(Part&, shard::Shard&) = nullptr;
  void* user = nullptr;

  // Set by `run`: position of its record in the shard's log.
  Lsn lsn{};
  // 0 on the first call of `run`. An optimistic read that met a conflict is run again with 1: what the
  // earlier call collected, on any shard, is void.
  uint8_t attempt = 0;

  // In `run` of a transaction's part: its place in the order, for the record. The shards to list there are
  // those of transaction->parts, which are constant.
  const Timestamp& timestamp() const { return order; }

  // Private to the manager from here on.
  PartState state = PartState::kNone;
  bool long_here = false;  // never pending before its commit: declared long, flagged here, or a waiting local
  bool flagged = false;
  bool read_only = false;
  bool local = false;  // RunLocal: no transaction behind it
  uint32_t heap_idx = kNotInHeap;
  Timestamp order;  // the pending proposal or final, or the lock timestamp
  Transaction* transaction = nullptr;
  void (*local_done)(Part&) = nullptr;
  KeyLock whole_lock;
  Part* prev = nullptr;  // neighbours among the shard's waiting long parts
  Part* next = nullptr;
  Part* queue_next = nullptr;  // among the granted or the delayed parts
  shard::Outgoing outgoing;    // one is enough: coordinator and participant speak in turns
};

struct Transaction {
  // Set by the caller.
  Kind kind = Kind::kShort;
  Access access = Access::kWrite;
  std::span<Part> parts;  // one per shard at most, the coordinator's own included if it takes part
  // Called on the coordinator's thread when every part has run and the storage is the caller's again (it may
  // be freed inside). Possibly before Start returns. Not called for Acquire / Commit / Abort, which resume
  // the awaiter.
  void (*done)(Transaction&) = nullptr;
  // Optional: called once when every part has run, before the storage is returned; a read-only transaction
  // that found no conflict gets here a round trip earlier than `done`.
  void (*ready)(Transaction&) = nullptr;
  void* user = nullptr;

  // Valid in `ready` and `done`: its place in the total order.
  Timestamp timestamp;

  // Private to the manager from here on.
  enum class Stage : uint8_t {
    kIdle,
    kReading,
    kScheduled,
    kLocking,
    kHolding,
    kCommitting,
    kFinal,
    kReleasing,
    kAborting,
  };
  Stage stage = Stage::kIdle;
  bool has_body = false;  // driven by Acquire / Commit / Abort
  bool flagged = false;
  bool refused = false;
  bool step_done = false;
  bool ready_called = false;
  bool announced = false;
  uint32_t awaited = 0;  // answers still missing in this stage
  uint64_t highest = 0;  // highest proposal so far
  std::coroutine_handle<> waiter;
  Transaction* next = nullptr;  // among the postponed or the announced ones
};

}  // namespace moonshard::tx
