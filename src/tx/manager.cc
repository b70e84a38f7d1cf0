// The participant's side, the turn, and the messages between the two sides. Function by function this is
// `handle`, `deliverOne` and `grantOne` of the protocol's model.

#include "tx/manager.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "shard/runtime.h"

namespace moonshard::tx {

namespace {
constexpr ClassSet kLong = Classes(LockClass::kWaiting, LockClass::kHeld);
constexpr ClassSet kReadingOnly = Classes(LockClass::kReading);
constexpr ClassSet kDelayedOnly = Classes(LockClass::kDelayed);
constexpr ClassSet kAnybody = Classes(LockClass::kShort, LockClass::kWaiting, LockClass::kHeld,
                                      LockClass::kReading, LockClass::kDelayed);
}  // namespace

Manager::Manager(shard::Shard& shard, ManagerOptions options)
    : shard_(shard),
      counter_(shard.set().counter),
      published_floor_(shard.set().floors[shard.id().value()].value),
      options_(options),
      watch_(shard, gate_) {
  shard_.set_local(this);
}

Manager::~Manager() {
  shard_.set_local<Manager>(nullptr);
}

// ---- the turn

void Manager::BeforeStamp() {
  if (Planted(Mistake::kNoLower)) return;
  // Rule 1. Whatever this turn proposes is its stamp, which is drawn after this load and therefore above it.
  uint64_t lowered = counter_.load(std::memory_order_relaxed) + 1;
  if (lowered >= floor_) return;
  floor_ = lowered;
  // Whoever sees the stamp in the counter sees this store: the draw that follows is an acquire-release
  // operation.
  published_floor_.store(floor_, std::memory_order_release);
}

void Manager::EndTurn() {
  turn_ends_ = true;
  DecidePostponed();
  Pump();
  turn_ends_ = false;
  PublishFloor();
  watch_.EndTurn(floor_);
}

void Manager::PublishFloor() {
  // Rule 3. What is due has run, so the top is an undecided proposal, never a queued local command.
  uint64_t floor = pending_.empty() ? kNoFloor : pending_.top().order.number;
  if (!Planted(Mistake::kRaiseAtLog)) floor = std::min(floor, gate_.floor());
  if (floor == floor_) return;
  floor_ = floor;
  published_floor_.store(floor_, std::memory_order_release);
}

bool Manager::IsOpen(Lsn position) {
  if (!gate_.Holds(position)) return true;
  if (watermark_stamp_ != stamp()) {  // once a turn
    watermark_stamp_ = stamp();
    gate_.RaiseWatermark(shard_.set().Watermark());
  }
  return !gate_.Holds(position);
}

// ---- messages

void Manager::Post(ShardId to, Part& part, Op op, uint64_t number, uint32_t flags) {
  shard::Message& message = part.outgoing.message;
  message.run = &OnMessage;
  message.flags = flags;
  message.word[0] = reinterpret_cast<uint64_t>(&part);
  message.word[1] = static_cast<uint64_t>(op);
  message.word[2] = number;
  shard_.Send(to, part.outgoing);
}

void Manager::OnMessage(shard::Shard& here, const shard::Message& message) {
  Manager& self = here.local<Manager>();
  Part& part = *reinterpret_cast<Part*>(message.word[0]);
  Op op = static_cast<Op>(message.word[1]);
  if (self.Planted(Mistake::kMidRaise)) self.PublishFloor();
  if (op < Op::kProposal) {
    self.AtParticipant(part, op, message.word[2]);
  } else {
    self.AtCoordinator(part, op, message.word[2]);
  }
  self.Pump();
}

// Coordinator to participant. The own part is told directly, unless its answer would be a proposal that needs
// the floor lowered before the stamp: the schedule of a commit, and the end of a reading that others'
// proposals wait for. Those come back in a later turn, which lowers its floor first.
void Manager::Tell(Part& part, Op op, uint64_t number) {
  bool orders =
      op == Op::kSchedule || op == Op::kCommit || (op == Op::kRelease && !Planted(Mistake::kQuietEnd));
  if (part.shard == shard_.id() && op != Op::kCommit) {
    if (part.state != PartState::kReading || !locks_.Conflicts(part, kDelayedOnly)) {
      AtParticipant(part, op, number);
      return;
    }
  }
  Post(part.shard, part, op, number, orders ? shard::kOrders : 0);
}

void Manager::Answer(Part& part, Op op, uint64_t number) {
  ShardId coordinator(part.order.coordinator);
  if (coordinator == shard_.id()) {
    AtCoordinator(part, op, number);
  } else {
    Post(coordinator, part, op, number, 0);
  }
}

// ---- participant

void Manager::AtParticipant(Part& part, Op op, uint64_t number) {
  switch (op) {
    case Op::kTry:
      Try(part);
      break;
    case Op::kSchedule:
      if (part.state == PartState::kReading) EndReading(part);
      Schedule(part);
      break;
    case Op::kFinal:
      MS_DCHECK(part.state == PartState::kProposed && !part.long_here);
      pending_.Raise(part, {number, part.order.coordinator, part.order.sequence});
      part.state = PartState::kFinalized;
      break;
    case Op::kLock:
      SetLockTimestamp(part, number);
      break;
    case Op::kCommit:
      MS_DCHECK(part.state == PartState::kHeld);
      if (part.heap_idx != kNotInHeap) pending_.Remove(part);
      part.order.number = stamp();
      part.state = PartState::kCommitProposed;
      pending_.Push(part);
      Answer(part, Op::kCommitProposal, part.order.number);
      break;
    case Op::kCommitFinal:
      pending_.Raise(part, {number, part.order.coordinator, part.order.sequence});
      part.state = PartState::kCommitFinal;
      break;
    case Op::kRunHeld:
      RunBody(part);
      ReleaseHeld(part);
      break;
    case Op::kAbort:
      ReleaseHeld(part);
      break;
    case Op::kRelease:
      EndReading(part);
      Answer(part, Op::kDone);
      break;
    default:
      MS_CHECK(false);
  }
}

void Manager::Enter(Part& part, LockClass c) {
  locks_.Insert(part, c);
  ++present_;
  stats_.present_max = std::max(stats_.present_max, present_);
}

// Takes the part's locks away and looks who may have them now.
void Manager::Leave(Part& part, LockClass c) {
  locks_.Remove(part, c);
  part.state = PartState::kNone;
  --present_;
  locks_.ForCandidates(part, [this](Part& waiting) { TryGrant(waiting); });
}

void Manager::Schedule(Part& part) {
  if (locks_.Conflicts(part, kReadingOnly) && !Planted(Mistake::kNoDelay)) {
    Delay(part);
  } else {
    Propose(part);
  }
}

// Rules 2, 7 and 8: the proposal is this turn's stamp; one that meets a long one is flagged and not pending
// here.
void Manager::Propose(Part& part) {
  part.flagged = locks_.Conflicts(part, kLong) && !Planted(Mistake::kNoFlag);
  part.long_here = part.long_here || part.flagged;
  part.order.number = stamp();
  part.state = PartState::kProposed;
  stats_.flagged += part.flagged;
  Enter(part, part.long_here ? LockClass::kWaiting : LockClass::kShort);
  if (!part.long_here || Planted(Mistake::kKeepLong)) pending_.Push(part);
  Answer(part, Op::kProposal, part.order.number);
}

// Rule 8. The proposal of one that was unflagged here leaves the order now; the locks of the others grow a
// timestamp, which may let smaller ones pass.
void Manager::SetLockTimestamp(Part& part, uint64_t number) {
  MS_DCHECK(part.state == PartState::kProposed);
  Timestamp order{number, part.order.coordinator, part.order.sequence};
  if (Planted(Mistake::kKeepLong)) {
    pending_.Raise(part, order);
  } else if (!part.long_here) {
    pending_.Remove(part);
  }
  part.order = order;
  part.state = PartState::kWaiting;
  if (part.long_here) {
    locks_.Reorder(part);
  } else {
    part.long_here = true;
    locks_.Move(part, LockClass::kShort, LockClass::kWaiting);
  }
  TryGrant(part);
  locks_.ForCandidates(part, [this](Part& waiting) { TryGrant(waiting); });
}

void Manager::TryGrant(Part& part) {
  if (part.state != PartState::kWaiting) return;  // undecided: it only keeps its place
  ClassSet blocking = Planted(Mistake::kEarlyGrant) ? Classes(LockClass::kHeld)
                                                    : Classes(LockClass::kShort, LockClass::kHeld);
  if (!locks_.Grantable(part, blocking)) return;
  locks_.Move(part, LockClass::kWaiting, LockClass::kHeld);
  part.state = PartState::kHeld;
  granted_.Push(part);
}

void Manager::ReleaseHeld(Part& part) {
  MS_DCHECK(part.state == PartState::kHeld);
  if (part.heap_idx != kNotInHeap) pending_.Remove(part);
  Leave(part, LockClass::kHeld);
  Answer(part, Op::kDone);
}

// ---- optimistic reads: run at once where nobody is interested in the keys, and hold back the proposals (not
// the messages' handling alone: nothing of them exists here) of those who come while the others shards
// answer. To everybody else that is a schedule message that was slow.

void Manager::Try(Part& part) {
  if (locks_.Conflicts(part, kAnybody)) {
    Answer(part, Op::kRefused);
    return;
  }
  Enter(part, LockClass::kReading);
  part.state = PartState::kReading;
  RunBody(part);
  Answer(part, Op::kRead);
}

void Manager::EndReading(Part& part) {
  MS_DCHECK(part.state == PartState::kReading);
  bool somebody_waits = locks_.Conflicts(part, kDelayedOnly);
  Leave(part, LockClass::kReading);
  if (somebody_waits) RetryDelayed();
}

void Manager::Delay(Part& part) {
  ++stats_.delayed;
  locks_.Insert(part, LockClass::kDelayed);
  delayed_.Push(part);
}

void Manager::RetryDelayed() {
  PartQueue queue = delayed_;
  delayed_ = {};
  while (Part* part = queue.Pop()) {
    if (locks_.Conflicts(*part, kReadingOnly)) {
      delayed_.Push(*part);
      continue;
    }
    locks_.Remove(*part, LockClass::kDelayed);
    if (part->local) {
      EnqueueLocal(*part);
    } else {
      Propose(*part);
    }
  }
}

// ---- commands of this shard alone

void Manager::RunLocal(Part& part, void (*done)(Part&)) {
  ++stats_.local_waits;
  part.local = true;
  part.local_done = done;
  part.order = {0, shard_.id().value(), ++next_sequence_};
  if (locks_.Conflicts(part, kReadingOnly)) {
    Delay(part);
  } else {
    EnqueueLocal(part);
  }
  Pump();
}

// Short ones in its way: it takes a place in the order, which needs no floor, since it logs no cross-shard
// record. Long ones in its way: it waits for its locks like them.
void Manager::EnqueueLocal(Part& part) {
  part.order.number = stamp();
  part.long_here = locks_.Conflicts(part, kLong);
  if (part.long_here) {
    part.state = PartState::kWaiting;
    Enter(part, LockClass::kWaiting);
    TryGrant(part);
  } else {
    part.state = PartState::kFinalized;
    Enter(part, LockClass::kShort);
    pending_.Push(part);
  }
}

// ---- what is due

void Manager::Pump() {
  if (pumping_) return;  // the loop below sees it
  pumping_ = true;
  for (;;) {
    if (Part* granted = granted_.Pop()) {
      RunGranted(*granted);
    } else if (Part* next = NextToRun()) {
      RunOrdered(*next);
    } else if (Transaction* tx = announced_.Pop()) {
      CallBack(*tx);
    } else {
      break;
    }
  }
  pumping_ = false;
}

// Rule 2: the smallest pending one, and only if it is a final.
Part* Manager::NextToRun() {
  if (pending_.empty()) return nullptr;
  auto is_final = [](const Part& part) {
    return part.state == PartState::kFinalized || part.state == PartState::kCommitFinal;
  };
  if (!Planted(Mistake::kNoWait)) return is_final(pending_.top()) ? &pending_.top() : nullptr;
  Part* best = nullptr;
  for (Part* part : pending_.parts()) {
    if (is_final(*part) && (best == nullptr || part->order < best->order)) best = part;
  }
  return best;
}

void Manager::RunOrdered(Part& part) {
  pending_.Remove(part);
  RunBody(part);
  if (!part.local && !part.read_only && gate_.attached()) gate_.Logged(part.lsn, part.order.number);
  Leave(part, part.state == PartState::kCommitFinal ? LockClass::kHeld : LockClass::kShort);
  if (part.local) {
    part.local_done(part);
  } else {
    Answer(part, Op::kDone);
  }
}

void Manager::RunGranted(Part& part) {
  if (!part.local) {
    Answer(part, Op::kGrant);
    return;
  }
  RunBody(part);
  Leave(part, LockClass::kHeld);
  part.local_done(part);
}

// What a body starts here runs after it, never inside it.
void Manager::RunBody(Part& part) {
  ++stats_.parts_run;
  if (part.run == nullptr) return;
  bool outer = std::exchange(pumping_, true);
  part.run(part, shard_);
  pumping_ = outer;
}

}  // namespace moonshard::tx
