#include "dash/page_ahead.h"

#include <sys/mman.h>

namespace moonshard::dash {

namespace {
#ifdef MADV_POPULATE_WRITE
constexpr int kPopulateWrite = MADV_POPULATE_WRITE;
#else
constexpr int kPopulateWrite = 23;  // Linux 5.14; headers of Debian 12's libc lack it
#endif
}  // namespace

void PageAhead::Request(char* at, size_t bytes) {
  if (state_.load(std::memory_order_acquire) == State::kRunning) return;
  at_ = at;
  bytes_ = bytes;
  state_.store(State::kRunning, std::memory_order_relaxed);
  job_.run = &Run;
  job_.owner = this;
  worker_->Submit(job_);
}

void PageAhead::Run(shard::Job& job) {
  PageAhead& self = *static_cast<Job&>(job).owner;
  // An older kernel refuses to populate; then the step is merely open, and the first touch makes the page.
  bool open = ::mprotect(self.at_, self.bytes_, PROT_READ | PROT_WRITE) == 0;
  if (open) ::madvise(self.at_, self.bytes_, kPopulateWrite);
  self.state_.store(open ? State::kReady : State::kFailed, std::memory_order_release);
}

}  // namespace moonshard::dash
