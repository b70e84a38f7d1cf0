#include "shard/shard.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "shard/runtime.h"

namespace moonshard::shard {

namespace {

// Resumptions in one turn; the rest waits for the next, so that a task that keeps yielding cannot stop the
// shard.
constexpr size_t kMaxResumesPerTurn = 4096;
constexpr TimeNs kStallLogEveryNs = 1'000'000'000;

}  // namespace

thread_local constinit Shard* Shard::current_ = nullptr;

Shard::Shard(ShardId id, ShardSet& set)
    : id_(id), set_(set), cycles_(set.env), is_dirty_(set.count()), parked_(set.count()) {
  dirty_targets_.reserve(set.count());
  polled_mailboxes_.reserve(set.count());
}

Shard::~Shard() = default;

Shard& Shard::Current() {
  MS_CHECK(current_ != nullptr);
  return *current_;
}

Env& Shard::env() {
  return set_.env;
}

void Shard::RaiseClock(TimeMs floor) {
  now_ms_ = std::max(now_ms_, floor);
}

void Shard::SetLocal(const void* tag, void* object) {
  for (Local& local : locals_) {
    if (local.tag == tag) {
      local.object = object;
      return;
    }
  }
  locals_.push_back({tag, object});
}

void* Shard::GetLocal(const void* tag) const {
  for (const Local& local : locals_) {
    if (local.tag == tag) return local.object;
  }
  MS_CHECK(false && "set_local comes before local");
  return nullptr;
}

bool Shard::TrySend(ShardId to, Message& message) {
  MS_DCHECK(to.value() < shard_count());
  message.from = id_;
  if (parked_[to.value()].first != nullptr) [[unlikely]]
    return false;
  if (!set_.mailbox(id_, to).TryWrite(message)) [[unlikely]]
    return false;
  ++counters_.messages_sent;
  MarkDirty(to);
  return true;
}

void Shard::MarkDirty(ShardId target) {
  if (is_dirty_[target.value()]) return;
  is_dirty_[target.value()] = true;
  dirty_targets_.push_back(target);
}

// The target is marked dirty although nothing was written: publishing ends with the fence that `starved`
// needs.
void Shard::Park(ShardId to, Outgoing& outgoing) {
  ++counters_.messages_sent;
  ++counters_.ring_full_parks;
  ++parked_count_;
  MarkDirty(to);
  set_.mailbox(id_, to).set_starved();
  Parked& parked = parked_[to.value()];
  outgoing.next = nullptr;
  (parked.first == nullptr ? parked.first : parked.last->next) = &outgoing;
  parked.last = &outgoing;
}

void Shard::Post(ExternalWork& work) {
  ExternalWork* head = posted_.load(std::memory_order_relaxed);
  do {
    work.next = head;
  } while (!posted_.compare_exchange_weak(head, &work, std::memory_order_release, std::memory_order_relaxed));
  // From here on `work` may be gone. The fence pairs with the one in Sleep.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (sleeping_.load(std::memory_order_relaxed) && sleeping_.exchange(false, std::memory_order_relaxed))
    io_->Wake();
}

bool Shard::Turn() {
  ++counters_.turns;
  now_ns_ = std::exchange(clock_is_fresh_, false) ? last_work_ns_ : set_.env.MonotonicNow();
  const bool work = Poll();
  if (polled_orders_) hooks_->BeforeStamp();
  if (!work) return false;

  // Acquire: what other shards did before they drew smaller stamps is visible; release: a floor lowered above
  // is visible to whoever sees this stamp (rules 1 and 4 of the commit protocol).
  stamp_ = Stamp(set_.counter.fetch_add(1, std::memory_order_acq_rel) + 1);
  FixWallClock();

  RunMessages();
  RunPosted();
  if (polled_io_) io_->Dispatch();
  timers_.FireDue(now_ns_);
  RunResumed();
  hooks_->EndTurn();
  PublishAndWake();
  io_->Submit();
  Account();
  return true;
}

bool Shard::Poll() {
  PollMailboxes();
  PollPosted();
  polled_io_ = io_->Poll();
  if (!resumed_next_turn_.empty()) {
    resumed_.insert(resumed_.end(), resumed_next_turn_.begin(), resumed_next_turn_.end());
    resumed_next_turn_.clear();
  }
  return !polled_mailboxes_.empty() || polled_posted_ != nullptr || polled_io_ || !resumed_.empty() ||
         std::exchange(first_turn_, false) || !dirty_targets_.empty() || timers_.next_deadline() <= now_ns_ ||
         hooks_->HasWork() || hooks_->NextDeadline() <= now_ns_ || ParkedHasRoom();
}

void Shard::PollMailboxes() {
  polled_mailboxes_.clear();
  polled_orders_ = false;
  for (uint16_t from = 0; from < shard_count(); ++from) {
    Mailbox& mailbox = set_.mailbox(ShardId(from), id_);
    size_t count = mailbox.Poll();
    if (count == 0) continue;
    if (poll_chooser_) count = poll_chooser_(count);
    if (count == 0) continue;
    polled_mailboxes_.push_back({ShardId(from), count});
    // Reading the flags brings the lines in, which the run needs anyway.
    uint32_t flags = 0;
    for (size_t i = 0; i < count; ++i) flags |= mailbox.Peek(i).flags;
    polled_orders_ |= (flags & kOrders) != 0;
  }
}

void Shard::PollPosted() {
  if (posted_.load(std::memory_order_relaxed) == nullptr) return;
  ExternalWork* newest_first = posted_.exchange(nullptr, std::memory_order_acquire);
  MS_DCHECK(polled_posted_ == nullptr);
  while (newest_first != nullptr) {
    ExternalWork* next = newest_first->next;
    newest_first->next = polled_posted_;
    polled_posted_ = newest_first;
    newest_first = next;
  }
}

void Shard::RunMessages() {
  for (const Polled& polled : polled_mailboxes_) {
    Mailbox& mailbox = set_.mailbox(polled.from, id_);
    for (size_t i = 0; i < polled.count; ++i) {
      const Message& message = mailbox.Peek(0);
      message.run(*this, message);
      mailbox.Advance();
    }
    mailbox.FreeRun();
    counters_.messages_received += polled.count;
  }
}

void Shard::RunPosted() {
  while (polled_posted_ != nullptr) {
    ExternalWork* work = polled_posted_;
    polled_posted_ = work->next;
    work->run(*this, *work);
  }
}

void Shard::RunResumed() {
  size_t done = 0;
  while (done < resumed_.size() && done < kMaxResumesPerTurn) {
    std::coroutine_handle<> handle = resumed_[done++];
    handle.resume();
  }
  resumed_.erase(resumed_.begin(), resumed_.begin() + static_cast<ptrdiff_t>(done));
}

void Shard::PublishAndWake() {
  if (parked_count_ != 0) DrainParked();
  if (dirty_targets_.empty() && polled_mailboxes_.empty()) return;
  for (ShardId target : dirty_targets_) {
    is_dirty_[target.value()] = false;
    set_.mailbox(id_, target).Publish();
  }
  // Our rings before their sleeping flags; pairs with the fence in Sleep.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  for (ShardId target : dirty_targets_) WakeIfSleeping(target);
  dirty_targets_.clear();
  for (const Polled& polled : polled_mailboxes_) {
    if (set_.mailbox(polled.from, id_).TakeStarved()) WakeIfSleeping(polled.from);
  }
}

void Shard::DrainParked() {
  for (uint16_t to = 0; to < shard_count(); ++to) {
    Parked& parked = parked_[to];
    if (parked.first == nullptr) continue;
    Mailbox& mailbox = set_.mailbox(id_, ShardId(to));
    bool wrote = false;
    while (parked.first != nullptr) {
      // Once its message is published the node belongs to the target: read the link first.
      Outgoing* next = parked.first->next;
      if (!mailbox.TryWrite(parked.first->message)) break;
      parked.first = next;
      --parked_count_;
      wrote = true;
    }
    if (parked.first != nullptr) mailbox.set_starved();
    if (wrote) MarkDirty(ShardId(to));
  }
}

void Shard::WakeIfSleeping(ShardId target) {
  Shard& shard = *set_.shards[target.value()];
  if (!shard.sleeping_.load(std::memory_order_relaxed)) return;
  if (!shard.sleeping_.exchange(false, std::memory_order_relaxed)) return;
  ++counters_.wakeups_sent;
  io_->WakeOther(*shard.io_);
}

void Shard::FixWallClock() {
  if (now_ns_ >= next_wall_refresh_ns_) {
    wall_offset_ns_ = set_.env.WallNowNs() - set_.env.MonotonicNow();
    next_wall_refresh_ns_ = set_.env.simulated() ? 0 : now_ns_ + kWallRefreshNs;
  }
  now_ms_ = std::max(now_ms_, (now_ns_ + wall_offset_ns_) / 1'000'000);
}

void Shard::Account() {
  const TimeNs end_ns = set_.env.MonotonicNow();
  const TimeNs took_ns = end_ns - now_ns_;
  last_work_ns_ = end_ns;
  clock_is_fresh_ = !set_.env.simulated();
  ++counters_.work_turns;
  counters_.busy_ns += static_cast<uint64_t>(took_ns);
  counters_.longest_turn_ns = std::max(counters_.longest_turn_ns, took_ns);
  if (took_ns < kStallNs) [[likely]]
    return;
  ++counters_.stalls;
  counters_.last_stall_ns = took_ns;
  if (last_stall_log_ns_ != 0 && end_ns - last_stall_log_ns_ < kStallLogEveryNs) return;
  last_stall_log_ns_ = end_ns;
  base::LogWarning("shard {}: a turn took {} ms ({} so far over {} ms)", id_.value(), took_ns / 1'000'000,
                   counters_.stalls, kStallNs / 1'000'000);
}

bool Shard::ParkedHasRoom() {
  if (parked_count_ == 0) return false;
  for (uint16_t to = 0; to < shard_count(); ++to) {
    if (parked_[to].first != nullptr && set_.mailbox(id_, ShardId(to)).HasRoom()) return true;
  }
  return false;
}

void Shard::MarkStarved() {
  for (uint16_t to = 0; to < shard_count(); ++to) {
    if (parked_[to].first != nullptr) set_.mailbox(id_, ShardId(to)).set_starved();
  }
}

bool Shard::AnythingPending() {
  for (uint16_t from = 0; from < shard_count(); ++from) {
    if (set_.mailbox(ShardId(from), id_).Poll() != 0) return true;
  }
  return posted_.load(std::memory_order_relaxed) != nullptr || !resumed_.empty() ||
         !resumed_next_turn_.empty() || !dirty_targets_.empty() || hooks_->HasWork() || ParkedHasRoom();
}

void Shard::Idle() {
  if (hooks_->MaySpin() && now_ns_ - last_work_ns_ < spin_.SpinNs(now_ns_)) {
    __builtin_ia32_pause();
    return;
  }
  Sleep();
}

void Shard::Sleep() {
  sleeping_.store(true, std::memory_order_relaxed);
  // A consumer may have taken the mark we left for room that we used up since, while we were awake. So the
  // mark is made again, after the flag: whoever takes it from here on sees that we sleep.
  if (parked_count_ != 0) MarkStarved();
  // Our flag before a last look at their rings and posts; pairs with the fences in PublishAndWake and Post:
  // either we see what they brought, or they see that we sleep.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const TimeNs deadline = std::min(timers_.next_deadline(), hooks_->NextDeadline());
  if (!AnythingPending() && deadline > now_ns_) {
    ++counters_.sleeps;
    io_->Wait(deadline == kNever ? -1 : std::max<TimeNs>(deadline - set_.env.MonotonicNow(), 0));
  }
  sleeping_.store(false, std::memory_order_relaxed);
}

}  // namespace moonshard::shard
