#pragma once
// Manager: one shard's side of atomic transactions over several shards, as coordinator and as participant.
//
// How to use it:
//
//  - A command whose keys are all on this shard asks MayRunNow() per key. Yes: it runs at once and the
//    manager hears nothing of it. No: RunLocal() queues it behind what it conflicts with.
//  - A command over several shards fills a Transaction and calls Start(). Each part's `run` is called on its
//    shard, in one and the same order on every shard; then `done` here.
//  - A body that has to look before it writes (script, sliced operation) is a coroutine on the coordinator:
//
//        co_await manager.Acquire(tx);  // every lock granted, on every shard
//        ... hops with Shards::On ...   // nobody else sees or changes the locked keys
//        co_await manager.Commit(tx);   // part.run on every shard, in order: logs the effects; releases
//
//    or  co_await manager.Abort(tx);    // nothing was changed: releases, leaves no record
//
// The owner of the turn calls BeforeStamp and EndTurn. EndTurn may call `run`, `ready`, `done` and the gate's
// listener: it comes before replies are handed to the sockets. `run` must not suspend; what it starts here
// runs after it. Owned by one shard; only its thread calls it.

#include <atomic>
#include <coroutine>
#include <cstdint>

#include "base/types.h"
#include "shard/shard.h"
#include "tx/gate.h"
#include "tx/lock_table.h"
#include "tx/pending_heap.h"
#include "tx/transaction.h"
#include "tx/watch.h"

namespace moonshard::tx {

// Deliberate mistakes of the protocol, so that the simulation can show that it would find them. Tests only.
enum class Mistake : uint8_t {
  kNone,
  kNoLower,     // the floor is not lowered before the stamp
  kMidRaise,    // the floor is raised between the lowering and the end of processing
  kRaiseAtLog,  // a logged, not yet durable record does not hold the floor
  kNoWait,      // a final runs although a smaller proposal is pending
  kNoFlag,      // conflicts with long transactions are not flagged
  kKeepLong,    // a long transaction stays pending with its lock timestamp
  kNoDelay,     // a writer's proposal does not wait for an optimistic reader
  kQuietEnd,    // the end of an optimistic read does not lower the floor for the proposals it sets free
  kOvertake,    // commands of one shard ignore the locks
  kEagerRun,    // a timestamp with this turn's number is decided before the turn ends
  kEarlyGrant,  // a long lock is granted while short ones are present
};

struct ManagerOptions {
  bool optimistic_reads = true;
  Mistake mistake = Mistake::kNone;
};

// For INFO. As coordinator: started .. aborted. As participant: the rest.
struct ManagerStats {
  uint64_t started = 0;
  uint64_t started_short = 0;
  uint64_t started_long = 0;
  uint64_t started_read_only = 0;
  uint64_t became_long = 0;      // short ones that were flagged
  uint64_t optimistic_ok = 0;    // reads answered after one hop
  uint64_t optimistic_lost = 0;  // reads that went the ordered way after a conflict
  uint64_t committed = 0;
  uint64_t aborted = 0;
  uint64_t local_waits = 0;  // RunLocal
  uint64_t flagged = 0;      // proposals flagged here
  uint64_t delayed = 0;      // proposals delayed here by an optimistic reader
  uint64_t parts_run = 0;
  uint32_t present_now = 0;  // parts with a lock or a place in the order here
  uint32_t present_max = 0;
  uint32_t coordinating_now = 0;
};

class Manager {
 public:
  // Becomes shard.local<Manager>(), which is how messages find it.
  explicit Manager(shard::Shard& shard, ManagerOptions options = {});
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager();

  // Nothing pending and no lock here: every command of this shard may run at once.
  bool idle() const { return present_ == 0; }
  // May a command of this shard touch the key now? False while anybody waits for it or holds it in a
  // conflicting mode.
  bool MayRunNow(uint64_t fingerprint, LockMode mode) const {
    return idle() || !locks_.Conflicts(fingerprint, mode) || Planted(Mistake::kOvertake);
  }
  bool MayRunNowWholeShard(LockMode mode) const { return idle() || !locks_.ConflictsWholeShard(mode); }

  void Start(Transaction& tx);
  // For a command of this shard that may not run now. `part.run`, then `done`, are called when it is due (in
  // timestamp order, so nobody overtakes it for ever), possibly before this returns.
  void RunLocal(Part& part, void (*done)(Part&));

  class [[nodiscard]] Step;
  Step Acquire(Transaction& tx);
  Step Commit(Transaction& tx);
  Step Abort(Transaction& tx);

  // The turn.
  void BeforeStamp();  // only if the poll brought a message flagged kOrders
  void EndTurn();
  bool HasWork() const { return false; }
  // No transaction is in flight, neither coordinated here nor present here.
  bool drained() const { return idle() && stats_.coordinating_now == 0; }

  // The log's seam. AttachLog before the first transaction; from then on a write part's `run` leaves its
  // position in `part.lsn`, and SetLogDurable is told, on this thread, what has reached the disk.
  void AttachLog() { gate_.Attach(); }
  void SetLogDurable(Lsn position) { gate_.SetDurable(position); }
  // May an answer that depends on this shard's log up to `position` leave? Always, while no log is attached.
  bool IsOpen(Lsn position);

  // For whoever holds answers: after WakeWhenOpen(position) the listener is called, in a later turn or at the
  // end of this one, whenever some wanted position has become open, until all are. The position need not be
  // durable yet.
  void SetGateListener(void (*listener)(void* user), void* user) { watch_.SetListener(listener, user); }
  void WakeWhenOpen(Lsn position) { watch_.Want(position); }

  const ManagerStats& stats() const { return stats_; }
  shard::Shard& shard() const { return shard_; }

 private:
  friend class GateWatch;
  // What a message asks for. The first group goes to the participant, the second back to the coordinator.
  enum class Op : uint8_t {
    kTry,          // optimistic read: run now if nothing conflicts
    kSchedule,     // lock and propose; ends an optimistic read that ran here
    kFinal,        // the final timestamp of a short one
    kLock,         // the lock timestamp of a long one
    kCommit,       // propose again, for the commit of a long one
    kCommitFinal,  // its final timestamp
    kRunHeld,      // a read-only long one: run under the held locks, release
    kRelease,      // an optimistic read that ran here is complete
    kAbort,        // a long one gives up its locks

    kProposal,
    kGrant,
    kCommitProposal,
    kRead,
    kRefused,
    kDone,
  };
  template <typename Node, Node* Node::* link>
  struct Queue {
    Node* first = nullptr;
    Node* last = nullptr;
    void Push(Node& node) {
      node.*link = nullptr;
      (last != nullptr ? last->*link : first) = &node;
      last = &node;
    }
    Node* Pop() {
      Node* node = first;
      if (node == nullptr) return nullptr;
      first = node->*link;
      if (first == nullptr) last = nullptr;
      return node;
    }
  };
  using PartQueue = Queue<Part, &Part::queue_next>;
  using TxQueue = Queue<Transaction, &Transaction::next>;

  // Both sides (manager.cc).
  static void OnMessage(shard::Shard& here, const shard::Message& message);
  void Tell(Part& part, Op op, uint64_t number = 0);
  void Answer(Part& part, Op op, uint64_t number = 0);
  void Post(ShardId to, Part& part, Op op, uint64_t number, uint32_t flags);
  uint64_t stamp() const { return shard_.stamp().value(); }
  void PublishFloor();

  // Participant (manager.cc).
  void AtParticipant(Part& part, Op op, uint64_t number);
  void Schedule(Part& part);
  void Propose(Part& part);
  void Try(Part& part);
  void EndReading(Part& part);
  void SetLockTimestamp(Part& part, uint64_t number);
  void ReleaseHeld(Part& part);
  void Enter(Part& part, LockClass c);
  void Leave(Part& part, LockClass c);
  void Delay(Part& part);
  void RetryDelayed();
  void EnqueueLocal(Part& part);
  void TryGrant(Part& part);
  void Pump();
  Part* NextToRun();
  void RunOrdered(Part& part);
  void RunGranted(Part& part);
  void RunBody(Part& part);

  // Coordinator (coordinator.cc).
  void AtCoordinator(Part& part, Op op, uint64_t number);
  void TellAll(Transaction& tx, Op op, uint64_t number = 0);
  void Begin(Transaction& tx);
  void StageComplete(Transaction& tx);
  void DecidePostponed();
  Timestamp ReadTimestamp();
  void EndOfReading(Transaction& tx);
  void BeginCommit(Transaction& tx);
  void BeginAbort(Transaction& tx);
  void Finish(Transaction& tx);
  void Announce(Transaction& tx);
  void CallBack(Transaction& tx);
  void CompleteStep(Transaction& tx);
  bool Planted(Mistake mistake) const { return options_.mistake == mistake; }

  shard::Shard& shard_;
  std::atomic<uint64_t>& counter_;
  std::atomic<uint64_t>& published_floor_;
  const ManagerOptions options_;
  uint32_t present_ = 0;  // parts with a lock or a place in the order
  LockTable locks_;
  PendingHeap pending_;
  Gate gate_;
  GateWatch watch_;
  PartQueue granted_;  // their locks are held, they have not been told yet
  PartQueue delayed_;  // their proposal waits for the end of an optimistic read
  bool pumping_ = false;
  bool turn_ends_ = false;
  TxQueue postponed_;          // all proposals are there, the highest is of this turn
  TxQueue announced_;          // their ready or done is to be called
  uint64_t floor_ = kNoFloor;  // as published
  uint64_t watermark_stamp_ = 0;
  uint64_t next_sequence_ = 0;
  ManagerStats stats_;
};

// What Acquire, Commit and Abort give: co_await it once, on the coordinator's thread.
class [[nodiscard]] Manager::Step {
 public:
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter);
  void await_resume() const noexcept {}

 private:
  friend class Manager;
  enum class What : uint8_t { kAcquire, kCommit, kAbort };
  Step(Manager& manager, Transaction& tx, What what) : manager_(manager), tx_(tx), what_(what) {}
  Manager& manager_;
  Transaction& tx_;
  What what_;
};

}  // namespace moonshard::tx
