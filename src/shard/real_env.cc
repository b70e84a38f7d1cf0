#include <pthread.h>
#include <sys/random.h>

#include <condition_variable>
#include <ctime>
#include <mutex>
#include <string>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "shard/env.h"
#include "shard/epoll_io.h"
#include "shard/real_files.h"
#include "shard/uring_io.h"

namespace moonshard::shard {

namespace {

int64_t ClockNs(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

class ThreadWorker final : public Worker {
 public:
  explicit ThreadWorker(std::string_view name) : thread_([this] { Main(); }) {
    pthread_setname_np(thread_.native_handle(), std::string(name.substr(0, 15)).c_str());
  }
  ~ThreadWorker() override {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

  void Submit(Job& job) override {
    {
      std::lock_guard lock(mutex_);
      job.next = nullptr;
      (first_ == nullptr ? first_ : last_->next) = &job;
      last_ = &job;
    }
    changed_.notify_one();
  }

 private:
  void Main() {
    while (Job* job = Next()) job->run(*job);
  }
  Job* Next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return first_ != nullptr || stop_; });
    Job* job = first_;
    if (job != nullptr) first_ = job->next;
    return job;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  bool stop_ = false;
  std::thread thread_;  // last: it starts in the constructor
};

}  // namespace

RealEnv::RealEnv() : files_(MakeRealFileSystem()) {}
RealEnv::~RealEnv() = default;

TimeNs RealEnv::MonotonicNow() {
  return ClockNs(CLOCK_MONOTONIC);
}
TimeMs RealEnv::WallNow() {
  return ClockNs(CLOCK_REALTIME) / 1'000'000;
}

uint64_t RealEnv::RandomSeed() {
  uint64_t seed = 0;
  MS_CHECK(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
  return seed;
}

base::Result<std::unique_ptr<Io>> RealEnv::MakeIo(ShardId shard, const IoOptions& options) {
  if (options.kind != IoKind::kEpoll) {
    base::Result<std::unique_ptr<Io>> uring = MakeUringIo(options);
    if (uring.ok() || options.kind == IoKind::kUring) return uring;
    // All shards are refused for the same reason; one line is enough.
    if (shard == ShardId(0))
      base::LogWarning("io_uring is not available ({}); using epoll", uring.status().text());
  }
  return MakeEpollIo(options);
}

std::unique_ptr<Worker> RealEnv::MakeWorker(std::string_view name) {
  return std::make_unique<ThreadWorker>(name);
}

}  // namespace moonshard::shard
