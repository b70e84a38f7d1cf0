#pragma once
// Shard: one thread's loop and everything that thread may touch of this folder. Work happens in turns; the
// order inside a turn is a law that the commit protocol rests on:
//
//   1. poll: Io events, mailbox counts, posted work (what comes later waits for the next turn)
//   2. a polled message is flagged kOrders: TurnHooks::BeforeStamp
//   3. if there is work: stamp = ++(global counter); now_ms is fixed, and never goes back
//   4. run: messages, posted work, Io events, timers, resumed coroutines
//   5. TurnHooks::EndTurn
//   6. publish the rings, wake the sleepers among the targets, submit Io
//
// A shard owns its memory: all members are for its own thread, except Post and the sleeping flag.

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/types.h"
#include "shard/cycle_clock.h"
#include "shard/env.h"
#include "shard/frame_pool.h"
#include "shard/io.h"
#include "shard/mailbox.h"
#include "shard/message.h"
#include "shard/spin_policy.h"
#include "shard/timer.h"

namespace moonshard::shard {

struct ShardSet;

// What the layers above add to a turn. One object per shard, called on its thread.
class TurnHooks {
 public:
  virtual ~TurnHooks() = default;
  // The poll brought a message flagged kOrders; the stamp is not drawn yet.
  virtual void BeforeStamp() = 0;
  // Everything of this turn ran; nothing of it is visible to other shards or clients yet.
  virtual void EndTurn() = 0;
  // True: the next turn counts as work even if nothing came, and the shard does not sleep.
  virtual bool HasWork() const = 0;
  // The earliest time it wants a turn; kNever if it has no wish.
  virtual TimeNs NextDeadline() const = 0;
  // False: sleep rather than spin, however the shard is configured (a commit is in flight and needs the
  // core).
  virtual bool MaySpin() const { return true; }
};

// Work handed to a shard by a thread that is none; the owner keeps it alive until it ran.
struct ExternalWork {
  void (*run)(Shard& here, ExternalWork& work) = nullptr;
  ExternalWork* next = nullptr;  // the shard's
};

// How long a coroutine ran, the times it waited left out and its hops' closures on other shards included.
// Whoever wants to know starts it before it awaits the coroutine and stops it after; the awaiters in between
// pause it. Lives in a frame of its shard.
struct RunMeter {
  uint64_t ticks = 0;
  uint64_t mark = 0;
};

// For INFO. Written by the shard's thread only.
struct ShardCounters {
  uint64_t turns = 0;
  uint64_t work_turns = 0;
  uint64_t busy_ns = 0;
  uint64_t messages_sent = 0;
  uint64_t messages_received = 0;
  uint64_t hops = 0;  // On and OnEach parts that left this shard
  uint64_t ring_full_parks = 0;
  uint64_t sleeps = 0;
  uint64_t wakeups_sent = 0;
  uint64_t stalls = 0;  // turns over kStallNs
  TimeNs longest_turn_ns = 0;
  TimeNs last_stall_ns = 0;  // how long the last of them took
};

inline constexpr TimeNs kStallNs = 10'000'000;

class Shard;

// For awaiters: pauses the meter of the coroutine while it waits.
class MeterPause {
 public:
  void Begin(Shard& here);
  // On the same shard again; what ran meanwhile for the coroutine elsewhere is added.
  void End(uint64_t ticks_elsewhere = 0);
  bool metered() const { return meter_ != nullptr; }

 private:
  RunMeter* meter_ = nullptr;
};

class Shard {
 public:
  Shard(ShardId id, ShardSet& set);
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard();

  // The shard of the calling thread. Fails a check on other threads.
  static Shard& Current();
  static Shard* CurrentOrNull() { return current_; }

  ShardId id() const { return id_; }
  uint16_t shard_count() const { return static_cast<uint16_t>(parked_.size()); }
  ShardSet& set() { return set_; }
  Env& env();
  Io& io() { return *io_; }
  FramePool& frames() { return frames_; }
  TurnHooks* hooks() { return hooks_.get(); }

  // Fixed for the turn.
  TimeMs now_ms() const { return now_ms_; }
  TimeNs now_ns() const { return now_ns_; }
  Stamp stamp() const { return stamp_; }
  // now_ms is never below `floor` from here on (the persisted clock).
  void RaiseClock(TimeMs floor);

  // Runs on `to` in one of its next turns; to == id() is allowed and means a later turn of this shard.
  // Messages to one shard arrive in the order of their Send. Never blocks, drops or allocates: with a full
  // ring the node waits here.
  void Send(ShardId to, Outgoing& outgoing) {
    if (!TrySend(to, outgoing.message)) [[unlikely]]
      Park(to, outgoing);
  }
  // The same without a node, which the caller then needs only if this answers false: no room, nothing was
  // sent.
  bool TrySend(ShardId to, Message& message);
  void CountHop() { ++counters_.hops; }

  void AddTimer(Timer& timer, TimeNs deadline) { timers_.Add(timer, deadline); }
  void CancelTimer(Timer& timer) { timers_.Cancel(timer); }

  // Runs later this turn (in the next one, if called from EndTurn or when this turn has run very many).
  void Resume(std::coroutine_handle<> handle) { resumed_.push_back(handle); }
  // Runs in a later turn, never in this one.
  void ResumeNextTurn(std::coroutine_handle<> handle) { resumed_next_turn_.push_back(handle); }

  // Any thread. Wakes the shard.
  void Post(ExternalWork& work);

  // Objects of the layers above, one per type; the most used ones should be set first.
  template <typename T>
  void set_local(T* object) {
    SetLocal(&local_tag<T>, object);
  }
  template <typename T>
  T& local() {
    return *static_cast<T*>(GetLocal(&local_tag<T>));
  }

  // One turn; true if there was work. Called by Runtime and SimDriver only, as is Idle.
  bool Turn();
  // After a turn without work: spins a little or sleeps.
  void Idle();

  const ShardCounters& counters() const { return counters_; }

  const CycleClock& cycles() const { return cycles_; }
  void StartMeter(RunMeter& meter) {
    meter.mark = cycles_.Now();
    meter_ = &meter;
  }
  // Null if none runs. Also ends it.
  RunMeter* PauseMeter() {
    if (meter_ != nullptr) meter_->ticks += CycleClock::Between(meter_->mark, cycles_.Now());
    return std::exchange(meter_, nullptr);
  }

 private:
  friend class Runtime;
  friend class SimDriver;
  struct Local {
    const void* tag;
    void* object;
  };
  struct Parked {  // what waits for room in the ring to one target, in order
    Outgoing* first = nullptr;
    Outgoing* last = nullptr;
  };
  // In simulation: how many of `available` polled things this turn sees.
  using PollChooser = std::function<size_t(size_t available)>;

  template <typename T>
  static inline char local_tag = 0;

  // The steps of a turn.
  bool Poll();
  void PollMailboxes();
  void PollPosted();
  void RunMessages();
  void RunPosted();
  void RunResumed();
  void PublishAndWake();
  void Park(ShardId to, Outgoing& outgoing);
  void MarkDirty(ShardId target);
  void DrainParked();
  void WakeIfSleeping(ShardId target);
  void FixWallClock();
  void Account();
  void MarkStarved();
  bool AnythingPending();
  bool ParkedHasRoom();
  void Sleep();

  void SetLocal(const void* tag, void* object);
  void* GetLocal(const void* tag) const;

  static thread_local constinit Shard* current_;

  const ShardId id_;
  ShardSet& set_;
  std::unique_ptr<Io> io_;
  std::unique_ptr<TurnHooks> hooks_;
  const CycleClock cycles_;
  RunMeter* meter_ = nullptr;
  FramePool frames_;
  TimerHeap timers_;
  std::vector<std::coroutine_handle<>> resumed_;
  std::vector<std::coroutine_handle<>> resumed_next_turn_;
  std::vector<Local> locals_;
  TimeMs now_ms_ = 0;
  TimeNs now_ns_ = 0;
  Stamp stamp_;
  ShardCounters counters_;

  // Outgoing: targets written to since the last publication, and what waits for room.
  std::vector<ShardId> dirty_targets_;
  std::vector<bool> is_dirty_;
  std::vector<Parked> parked_;
  size_t parked_count_ = 0;

  // What this turn's poll found.
  struct Polled {
    ShardId from;
    size_t count;
  };
  std::vector<Polled> polled_mailboxes_;
  ExternalWork* polled_posted_ = nullptr;  // in the order of Post
  bool polled_orders_ = false;
  bool polled_io_ = false;
  bool first_turn_ = true;  // what the factory queued must leave
  PollChooser poll_chooser_;

  // Reading a clock costs some 20 ns, so a turn that follows another at once takes that one's end as its
  // start, and the wall clock is the monotonic one plus an offset that is measured anew every kWallRefreshNs.
  static constexpr TimeNs kWallRefreshNs = 5'000'000;
  bool clock_is_fresh_ = false;
  TimeNs wall_offset_ns_ = 0;
  TimeNs next_wall_refresh_ns_ = 0;

  SpinPolicy spin_;
  TimeNs last_work_ns_ = 0;
  TimeNs last_stall_log_ns_ = 0;

  // Written by other threads.
  alignas(64) std::atomic<bool> sleeping_{false};
  std::atomic<ExternalWork*> posted_{nullptr};
};

inline void MeterPause::Begin(Shard& here) {
  meter_ = here.PauseMeter();
}

inline void MeterPause::End(uint64_t ticks_elsewhere) {
  if (meter_ == nullptr) return;
  meter_->ticks += ticks_elsewhere;
  Shard::Current().StartMeter(*meter_);
}

}  // namespace moonshard::shard
