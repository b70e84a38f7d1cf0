// The coordinator's side: collects the answers of one stage, then tells every part the next.

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "tx/manager.h"

namespace moonshard::tx {

using Stage = Transaction::Stage;

void Manager::Start(Transaction& tx) {
  tx.has_body = false;
  Begin(tx);
  Pump();
}

void Manager::Begin(Transaction& tx) {
  MS_CHECK(!tx.parts.empty());
  ++stats_.started;
  ++(tx.kind == Kind::kLong ? stats_.started_long : stats_.started_short);
  stats_.started_read_only += tx.access == Access::kReadOnly;
  ++stats_.coordinating_now;
  tx.timestamp = {0, shard_.id().value(), ++next_sequence_};
  tx.flagged = tx.refused = tx.ready_called = tx.announced = false;
  tx.highest = 0;
  for (Part& part : tx.parts) {
    part.transaction = &tx;
    part.state = PartState::kNone;
    part.order = tx.timestamp;
    part.long_here = tx.kind == Kind::kLong;
    part.flagged = false;
    part.read_only = tx.access == Access::kReadOnly;
    part.local = false;
    part.attempt = 0;
  }
  bool optimistic = options_.optimistic_reads && tx.kind == Kind::kShort && tx.access == Access::kReadOnly;
  tx.stage = optimistic ? Stage::kReading : Stage::kScheduled;
  TellAll(tx, optimistic ? Op::kTry : Op::kSchedule);
}

// The last part's direct answer may end the transaction: nothing of it is touched after the last Tell.
void Manager::TellAll(Transaction& tx, Op op, uint64_t number) {
  std::span<Part> parts = tx.parts;
  tx.awaited = static_cast<uint32_t>(parts.size());
  for (Part& part : parts) Tell(part, op, number);
}

void Manager::AtCoordinator(Part& part, Op op, uint64_t number) {
  Transaction& tx = *part.transaction;
  tx.highest = std::max(tx.highest, number);
  tx.flagged |= op == Op::kProposal && part.flagged;
  tx.refused |= op == Op::kRefused;
  MS_DCHECK(tx.awaited > 0);
  if (--tx.awaited != 0) return;
  // A number of this turn is not decided before the turn ends: until then this shard may give the same number
  // to another transaction whose coordinator or sequence is smaller, and what was decided could already have
  // run or taken locks.
  bool proposals = tx.stage == Stage::kScheduled || tx.stage == Stage::kCommitting;
  if (proposals && tx.highest == stamp() && !turn_ends_ && !Planted(Mistake::kEagerRun)) {
    postponed_.Push(tx);
  } else {
    StageComplete(tx);
  }
}

void Manager::DecidePostponed() {
  while (Transaction* tx = postponed_.Pop()) StageComplete(*tx);
}

void Manager::StageComplete(Transaction& tx) {
  switch (tx.stage) {
    case Stage::kReading:
      EndOfReading(tx);
      break;
    case Stage::kScheduled:
      tx.timestamp.number = tx.highest;
      if (tx.kind == Kind::kLong || tx.flagged) {
        stats_.became_long += tx.kind == Kind::kShort;
        tx.stage = Stage::kLocking;
        TellAll(tx, Op::kLock, tx.highest);
      } else {
        tx.stage = Stage::kFinal;
        TellAll(tx, Op::kFinal, tx.highest);
      }
      break;
    case Stage::kLocking:
      tx.stage = Stage::kHolding;
      if (tx.has_body) {
        CompleteStep(tx);
      } else {
        BeginCommit(tx);
      }
      break;
    case Stage::kCommitting:
      tx.stage = Stage::kFinal;
      tx.timestamp.number = tx.highest;
      TellAll(tx, Op::kCommitFinal, tx.highest);
      break;
    case Stage::kFinal:
    case Stage::kReleasing:
    case Stage::kAborting:
      Finish(tx);
      break;
    case Stage::kIdle:
    case Stage::kHolding:
      MS_CHECK(false);
  }
}

// The place of a read-only transaction that at this moment holds all its locks. What it saw ran before and
// has smaller numbers than this turn's, except at the turn's end, when also own transactions with this very
// number have run. What changes a key of it is proposed after its release: on other shards in turns that
// follow, on this one perhaps still in this turn, by any coordinator.
Timestamp Manager::ReadTimestamp() {
  if (turn_ends_) return {stamp(), shard_.id().value(), ++next_sequence_};
  return {stamp(), 0, 0};
}

// Every shard has run an optimistic read, or said why not.
void Manager::EndOfReading(Transaction& tx) {
  if (tx.refused) {
    ++stats_.optimistic_lost;
    for (Part& part : tx.parts) part.attempt = 1;
    tx.stage = Stage::kScheduled;
    TellAll(tx, Op::kSchedule);
    return;
  }
  ++stats_.optimistic_ok;
  tx.timestamp = ReadTimestamp();
  tx.stage = Stage::kReleasing;
  Announce(tx);
  TellAll(tx, Op::kRelease);
}

// Rule 9. A read-only one logs nothing and needs no place among the records: with every lock held, now is its
// place.
void Manager::BeginCommit(Transaction& tx) {
  MS_CHECK(tx.stage == Stage::kHolding);
  if (tx.access == Access::kReadOnly) {
    tx.timestamp = ReadTimestamp();
    tx.stage = Stage::kFinal;
    TellAll(tx, Op::kRunHeld);
    return;
  }
  tx.highest = 0;
  tx.stage = Stage::kCommitting;
  TellAll(tx, Op::kCommit);
}

void Manager::BeginAbort(Transaction& tx) {
  MS_CHECK(tx.stage == Stage::kHolding);
  tx.stage = Stage::kAborting;
  TellAll(tx, Op::kAbort);
}

void Manager::Finish(Transaction& tx) {
  ++(tx.stage == Stage::kAborting ? stats_.aborted : stats_.committed);
  --stats_.coordinating_now;
  tx.stage = Stage::kIdle;
  if (tx.has_body) {
    CompleteStep(tx);
  } else {
    Announce(tx);
  }
}

// The caller's functions are called from Pump only: they may start the next transaction, which may end at
// once as well, and so on, without a stack that grows.
void Manager::Announce(Transaction& tx) {
  if (tx.announced) return;
  tx.announced = true;
  announced_.Push(tx);
}

void Manager::CallBack(Transaction& tx) {
  tx.announced = false;
  if (!tx.ready_called) {
    tx.ready_called = true;
    if (tx.ready != nullptr) tx.ready(tx);
  }
  // Otherwise it is announced again when its last answer comes.
  if (tx.stage == Stage::kIdle && tx.done != nullptr) tx.done(tx);
}

// ---- bodies

Manager::Step Manager::Acquire(Transaction& tx) {
  return Step(*this, tx, Step::What::kAcquire);
}
Manager::Step Manager::Commit(Transaction& tx) {
  return Step(*this, tx, Step::What::kCommit);
}
Manager::Step Manager::Abort(Transaction& tx) {
  return Step(*this, tx, Step::What::kAbort);
}

bool Manager::Step::await_suspend(std::coroutine_handle<> waiter) {
  tx_.step_done = false;
  tx_.waiter = {};
  switch (what_) {
    case What::kAcquire:
      tx_.kind = Kind::kLong;
      tx_.has_body = true;
      manager_.Begin(tx_);
      break;
    case What::kCommit:
      manager_.BeginCommit(tx_);
      break;
    case What::kAbort:
      manager_.BeginAbort(tx_);
      break;
  }
  manager_.Pump();
  if (tx_.step_done) return false;  // no other shard takes part: nothing to wait for
  tx_.waiter = waiter;
  return true;
}

void Manager::CompleteStep(Transaction& tx) {
  if (tx.waiter) {
    shard_.Resume(std::exchange(tx.waiter, {}));
  } else {
    tx.step_done = true;
  }
}

}  // namespace moonshard::tx
