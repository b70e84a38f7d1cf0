#pragma once
// PageAhead: has the pages of a slab's next step made by another thread, so that the insert that enters it
// does not pay for them. The first touch of a huge page clears 2 MiB, and under virtualization may wait for
// the host: 0.4 to 7 ms (docs/decisions, huge pages).
//
// One request at a time. Owned by the shard of its slab; destroyed before the slab, which waits for the
// request in progress.

#include <atomic>
#include <cstddef>
#include <memory>

#include "shard/env.h"

namespace moonshard::dash {

class PageAhead {
 public:
  explicit PageAhead(std::unique_ptr<shard::Worker> worker) : worker_(std::move(worker)) {}
  PageAhead(const PageAhead&) = delete;
  PageAhead& operator=(const PageAhead&) = delete;
  ~PageAhead() { worker_.reset(); }

  // Makes [at, at + bytes) readable, writable and present, soon. Ignored while an earlier request runs.
  void Request(char* at, size_t bytes);
  // Whether exactly this range was asked for last and is ready.
  bool Ready(const char* at, size_t bytes) const {
    return state_.load(std::memory_order_acquire) == State::kReady && at == at_ && bytes == bytes_;
  }

 private:
  enum class State : uint8_t { kIdle, kRunning, kReady, kFailed };
  struct Job : shard::Job {
    PageAhead* owner;
  };
  static void Run(shard::Job& job);

  std::unique_ptr<shard::Worker> worker_;
  Job job_{};
  // The worker's while kRunning.
  char* at_ = nullptr;
  size_t bytes_ = 0;
  std::atomic<State> state_{State::kIdle};
};

}  // namespace moonshard::dash
