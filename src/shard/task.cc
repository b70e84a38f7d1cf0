#include "shard/task.h"

namespace moonshard::shard {

Event::~Event() {
  while (first_ != nullptr) Unlink(*first_);
}

void Event::Set() {
  set_ = true;
  Shard& here = Shard::Current();
  while (first_ != nullptr) {
    Awaiter& waiter = *first_;
    Unlink(waiter);
    here.Resume(waiter.handle);
  }
}

void Event::Link(Awaiter& waiter) {
  waiter.linked = true;
  waiter.previous = last_;
  waiter.next = nullptr;
  (last_ == nullptr ? first_ : last_->next) = &waiter;
  last_ = &waiter;
}

void Event::Unlink(Awaiter& waiter) {
  (waiter.previous == nullptr ? first_ : waiter.previous->next) = waiter.next;
  (waiter.next == nullptr ? last_ : waiter.next->previous) = waiter.previous;
  waiter.linked = false;
}

SleepFor::~SleepFor() {
  if (timer_.armed()) Shard::Current().CancelTimer(timer_);
}

void SleepFor::await_suspend(std::coroutine_handle<> waiter) {
  handle_ = waiter;
  Shard& here = Shard::Current();
  pause_.Begin(here);
  here.AddTimer(timer_, here.now_ns() + duration_);
}

void SleepFor::Fire(void* self) {
  static_cast<SleepFor*>(self)->handle_.resume();
}

namespace internal {

// The coroutine that owns one spawned task; it destroys itself at its end.
struct RootPromise {
  TaskScope* scope;
  RootPromise* next = nullptr;
  RootPromise* previous = nullptr;

  RootPromise(Task<void>&, TaskScope* owner) : scope(owner) {
    next = scope->first_;
    if (next != nullptr) next->previous = this;
    scope->first_ = this;
    ++scope->count_;
  }
  ~RootPromise() {
    (previous == nullptr ? scope->first_ : previous->next) = next;
    if (next != nullptr) next->previous = previous;
    --scope->count_;
  }

  static void* operator new(size_t bytes) { return AllocateFrame(bytes); }
  static void operator delete(void* frame, size_t bytes) { FreeFrame(frame, bytes); }
  std::coroutine_handle<RootPromise> get_return_object() {
    return std::coroutine_handle<RootPromise>::from_promise(*this);
  }
  std::suspend_always initial_suspend() noexcept { return {}; }
  std::suspend_never final_suspend() noexcept { return {}; }
  void return_void() {
    // Waiters continue later this turn, when this frame is gone.
    if (scope->count_ == 1) scope->empty_.Set();
  }
  [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
};

struct Root {
  using promise_type = RootPromise;
  std::coroutine_handle<RootPromise> handle;
  Root(std::coroutine_handle<RootPromise> h) : handle(h) {}  // NOLINT: from get_return_object
};

namespace {
Root RunToEnd(Task<void> task, TaskScope*) {
  co_await task;
}
}  // namespace

}  // namespace internal

TaskScope::~TaskScope() {
  while (first_ != nullptr) std::coroutine_handle<internal::RootPromise>::from_promise(*first_).destroy();
}

void TaskScope::Spawn(Task<void> task) {
  empty_.Reset();
  internal::RunToEnd(std::move(task), this).handle.resume();
}

Task<void> TaskScope::WaitAll() {
  while (count_ != 0) co_await empty_.Wait();
}

}  // namespace moonshard::shard
