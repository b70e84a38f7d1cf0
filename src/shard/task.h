#pragma once
// Task<T>: a lazy coroutine of one shard. It starts when awaited (or spawned into a TaskScope), runs on its
// shard only and ends there. Frames come from the shard's pool. Awaiting starts the child by a plain call and
// a child that never waits continues its parent without suspending it, so a long loop over such children
// needs no deep stack and no symmetric transfer (g++ at -O0 does not make that a tail call).
//
// Rules: no coroutine lambdas with captures; name aggregates before passing them to a co_await expression
// (g++ 12 destroys such temporaries twice); references to shard data do not survive co_await; a task has an
// owner. Owned by one shard.

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include "base/check.h"
#include "shard/frame_pool.h"
#include "shard/shard.h"

namespace moonshard::shard {

template <typename T>
class [[nodiscard]] Task;

namespace internal {

struct PromiseBase {
  std::coroutine_handle<> continuation;

  static void* operator new(size_t bytes) { return AllocateFrame(bytes); }
  static void operator delete(void* frame, size_t bytes) { FreeFrame(frame, bytes); }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      // The continuation may destroy this frame: nothing after the call may touch it.
      if (std::coroutine_handle<> next = self.promise().continuation) next.resume();
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T Take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() {}
  void Take() {}
};

}  // namespace internal

template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  bool valid() const { return static_cast<bool>(handle_); }

  // Awaited once, by its owner, which keeps the Task alive meanwhile (`co_await Foo()` does).
  struct Awaiter {
    Handle handle;
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> parent) const {
      handle.resume();
      if (handle.done()) return false;
      handle.promise().continuation = parent;
      return true;
    }
    T await_resume() const { return handle.promise().Take(); }
  };
  Awaiter operator co_await() const {
    MS_DCHECK(handle_ && !handle_.done());
    return Awaiter{handle_};
  }

 private:
  Handle handle_;
};

namespace internal {
template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}
}  // namespace internal

// One shard's event: waiters continue after Set, later in the same turn. Stays set until Reset.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  // Whoever still waits never continues; only a shutdown may do that.
  ~Event();

  bool is_set() const { return set_; }
  void Set();
  void Reset() { set_ = false; }

  struct Awaiter {
    Event& event;
    std::coroutine_handle<> handle = {};
    Awaiter* next = nullptr;
    Awaiter* previous = nullptr;
    bool linked = false;
    MeterPause pause = {};

    explicit Awaiter(Event& of) : event(of) {}
    Awaiter(const Awaiter&) = delete;
    ~Awaiter() {
      if (linked) event.Unlink(*this);
    }
    bool await_ready() const noexcept { return event.set_; }
    void await_suspend(std::coroutine_handle<> waiter) {
      handle = waiter;
      pause.Begin(Shard::Current());
      event.Link(*this);
    }
    void await_resume() { pause.End(); }
  };
  Awaiter Wait() { return Awaiter(*this); }

 private:
  void Link(Awaiter& waiter);
  void Unlink(Awaiter& waiter);

  Awaiter* first_ = nullptr;  // in the order of arrival
  Awaiter* last_ = nullptr;
  bool set_ = false;
};

// Opens when it was counted down `count` times.
class Latch {
 public:
  explicit Latch(size_t count) : count_(count) {
    if (count_ == 0) event_.Set();
  }
  void CountDown() {
    MS_DCHECK(count_ > 0);
    if (--count_ == 0) event_.Set();
  }
  size_t count() const { return count_; }
  Event::Awaiter Wait() { return event_.Wait(); }

 private:
  size_t count_;
  Event event_;
};

// co_await SleepFor(ns): at least that long by now_ns, the clock of turns.
class SleepFor {
 public:
  explicit SleepFor(TimeNs duration) : duration_(duration), timer_(&Fire, this) {}
  ~SleepFor();
  bool await_ready() const noexcept { return duration_ <= 0; }
  void await_suspend(std::coroutine_handle<> waiter);
  void await_resume() { pause_.End(); }

 private:
  static void Fire(void* self);
  TimeNs duration_;
  Timer timer_;
  std::coroutine_handle<> handle_;
  MeterPause pause_;
};

// co_await NextTurn(): lets the rest of this shard's work go first; for bodies cut into slices.
struct NextTurn {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    Shard& here = Shard::Current();
    pause.Begin(here);
    here.ResumeNextTurn(waiter);
  }
  void await_resume() { pause.End(); }

  MeterPause pause = {};
};

namespace internal {
struct RootPromise;
}

// Owner of tasks that nobody awaits. Destroying it destroys what still runs: allowed only once none of those
// waits for another shard, that is after co_await WaitAll() or once all shards stand still.
class TaskScope {
 public:
  TaskScope() = default;
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  ~TaskScope();

  // Starts it now, up to its first wait.
  void Spawn(Task<void> task);
  size_t count() const { return count_; }
  // Until count() is 0.
  Task<void> WaitAll();

 private:
  friend struct internal::RootPromise;
  internal::RootPromise* first_ = nullptr;
  size_t count_ = 0;
  Event empty_;
};

}  // namespace moonshard::shard
