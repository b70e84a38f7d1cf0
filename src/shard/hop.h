#pragma once
// Hops: run a closure on another shard and continue here with its result.
//
//   Shards<Keyspace> shards;
//   Result<int64_t> n = co_await shards.On(id, [&](Keyspace& k) { return k.Erase(key); });
//   co_await shards.OnEach(ids, [&](Keyspace& k, size_t index) { sums[index] = k.Sum(parts[index]); });
//
// The closure captures by reference or trivial values only (the awaiting frame outlives the hop; a
// static_assert asks for trivial destructibility), runs to completion on the target, does not suspend and
// does not throw. On the same shard it is a direct call and nothing suspends. The message node lives in the
// awaiting frame and carries the answer too: a hop allocates nothing. A frame with a hop in flight must not
// be destroyed.
//
// Local is whatever the layer above set with Shard::set_local<Local>.

#include <algorithm>
#include <bitset>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <new>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "shard/shard.h"

namespace moonshard::shard {

inline constexpr size_t kMaxShards = 256;

namespace internal {

// The storage of a result, for void too.
template <typename R>
struct HopResult {
  std::optional<R> value;
  template <typename Fn, typename... Args>
  void Run(Fn& fn, Args&&... args) {
    value.emplace(fn(std::forward<Args>(args)...));
  }
  R Take() { return std::move(*value); }
};
template <>
struct HopResult<void> {
  template <typename Fn, typename... Args>
  void Run(Fn& fn, Args&&... args) {
    fn(std::forward<Args>(args)...);
  }
  void Take() {}
};

}  // namespace internal

template <typename Local, typename Fn>
class [[nodiscard]] OnAwaiter {
 public:
  using R = std::invoke_result_t<Fn&, Local&>;
  static_assert(std::is_trivially_destructible_v<Fn>,
                "a hop closure captures by reference or trivial values only");
  static_assert(!std::is_reference_v<R>, "references to shard data do not leave their shard");

  OnAwaiter(ShardId target, Fn fn) : target_(target), fn_(fn) {}
  OnAwaiter(const OnAwaiter&) = delete;
  OnAwaiter& operator=(const OnAwaiter&) = delete;

  bool await_ready() {
    Shard& here = Shard::Current();
    if (here.id() != target_) return false;
    result_.Run(fn_, here.local<Local>());
    return true;
  }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    Shard& here = Shard::Current();
    pause_.Begin(here);
    here.CountHop();
    Send(here, target_, &RunThere);
  }
  R await_resume() {
    pause_.End(ticks_there_);
    return result_.Take();
  }

 private:
  static void RunThere(Shard& here, const Message& message) {
    auto* self = reinterpret_cast<OnAwaiter*>(message.word[0]);
    const uint64_t begin = self->pause_.metered() ? here.cycles().Now() : 0;
    self->result_.Run(self->fn_, here.local<Local>());
    if (begin != 0) self->ticks_there_ = CycleClock::Between(begin, here.cycles().Now());
    self->Send(here, message.from, &RunBack);
  }
  static void RunBack(Shard&, const Message& message) {
    reinterpret_cast<OnAwaiter*>(message.word[0])->waiter_.resume();
  }
  // The node is touched only when the ring is full, so that as few cache lines as possible go to the target
  // and back.
  void Send(Shard& here, ShardId to, Message::Run run) {
    Message message;
    message.run = run;
    message.word[0] = reinterpret_cast<uint64_t>(this);
    if (here.TrySend(to, message)) [[likely]]
      return;
    outgoing_.message = message;
    here.Send(to, outgoing_);
  }

  const ShardId target_;
  Fn fn_;
  std::coroutine_handle<> waiter_;
  MeterPause pause_;
  uint64_t ticks_there_ = 0;
  [[no_unique_address]] internal::HopResult<R> result_;
  Outgoing outgoing_;
};

template <typename Local, typename Fn>
class [[nodiscard]] OnEachAwaiter {
 public:
  static_assert(std::is_trivially_destructible_v<Fn>,
                "a hop closure captures by reference or trivial values only");
  static_assert(std::is_void_v<std::invoke_result_t<Fn&, Local&, size_t>>,
                "write results through references");

  OnEachAwaiter(std::span<const ShardId> ids, Fn fn) : ids_(ids), fn_(fn) {}
  OnEachAwaiter(const OnEachAwaiter&) = delete;
  OnEachAwaiter& operator=(const OnEachAwaiter&) = delete;
  ~OnEachAwaiter() {
    if (parts_ != nullptr) FreeFrame(parts_, part_count_ * sizeof(Outgoing));
  }

  bool await_ready() {
    const ShardId here = Shard::Current().id();
    for (ShardId id : ids_) {
      if (id != here && !targets_.test(id.value())) {
        targets_.set(id.value());
        ++part_count_;
      }
    }
    if (part_count_ != 0) return false;
    RunIndicesOf(Shard::Current());
    return true;
  }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    Shard& here = Shard::Current();
    waiting_ = part_count_;
    pause_.Begin(here);
    parts_ = static_cast<Outgoing*>(AllocateFrame(part_count_ * sizeof(Outgoing)));
    size_t part_idx = 0;
    for (size_t target = 0; target < here.shard_count(); ++target) {
      if (!targets_.test(target)) continue;
      Outgoing* part = new (&parts_[part_idx]) Outgoing;
      part->message.run = &RunThere;
      part->message.word[0] = reinterpret_cast<uint64_t>(this);
      part->message.word[1] = part_idx++;
      here.CountHop();
      here.Send(ShardId(static_cast<uint16_t>(target)), *part);
    }
    const uint64_t begin = here.cycles().Now();
    RunIndicesOf(here);
    ticks_elsewhere_ += CycleClock::Between(begin, here.cycles().Now());
  }
  void await_resume() { pause_.End(ticks_elsewhere_); }

 private:
  void RunIndicesOf(Shard& here) {
    Local& local = here.local<Local>();
    for (size_t index = 0; index < ids_.size(); ++index) {
      if (ids_[index] == here.id()) fn_(local, index);
    }
  }
  static void RunThere(Shard& here, const Message& message) {
    auto* self = reinterpret_cast<OnEachAwaiter*>(message.word[0]);
    const uint64_t begin = here.cycles().Now();
    self->RunIndicesOf(here);
    Outgoing& part = self->parts_[message.word[1]];
    part.message.run = &RunBack;
    part.message.word[2] = CycleClock::Between(begin, here.cycles().Now());
    here.Send(message.from, part);
  }
  static void RunBack(Shard&, const Message& message) {
    auto* self = reinterpret_cast<OnEachAwaiter*>(message.word[0]);
    self->ticks_elsewhere_ += message.word[2];
    if (--self->waiting_ == 0) self->waiter_.resume();
  }

  const std::span<const ShardId> ids_;
  Fn fn_;
  std::coroutine_handle<> waiter_;
  std::bitset<kMaxShards> targets_;
  size_t part_count_ = 0;
  size_t waiting_ = 0;  // home shard only
  MeterPause pause_;
  uint64_t ticks_elsewhere_ = 0;  // home shard only
  Outgoing* parts_ = nullptr;
};

// Stateless: the current shard is the one that awaits.
template <typename Local>
class Shards {
 public:
  // Awaitable of fn(Local&)'s result.
  template <typename Fn>
  OnAwaiter<Local, Fn> On(ShardId id, Fn fn) const {
    return OnAwaiter<Local, Fn>(id, fn);
  }
  // Awaitable; runs fn(Local&, i) on ids[i] for each i. At most one message per shard, also where an id
  // repeats; all shards run in parallel, this one by a direct call. `ids` and whatever fn writes to must
  // outlive the await. The parts' nodes come from the frame pool.
  template <typename Fn>
  OnEachAwaiter<Local, Fn> OnEach(std::span<const ShardId> ids, Fn fn) const {
    return OnEachAwaiter<Local, Fn>(ids, fn);
  }
};

}  // namespace moonshard::shard
