// The log with real threads on a real disk, for ThreadSanitizer above all.

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>

#include "shard/testing.h"
#include "wal/testing.h"

namespace moonshard::wal {
namespace {

class ThreadHost final : public Log::Host {
 public:
  void Post(shard::Job& completion) override {
    // Under the lock: once it is released the waiter may go away.
    std::lock_guard lock(mutex_);
    posted_.push_back(&completion);
    changed_.notify_one();
  }
  void OnDurable(Lsn durable) override { durable_ = durable; }
  void OnState(Log::State state) override { state_ = state; }
  void RunOne() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !posted_.empty(); });
    shard::Job* job = posted_.front();
    posted_.pop_front();
    lock.unlock();
    job->run(*job);
  }
  Lsn durable() const { return durable_; }
  Log::State state() const { return state_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<shard::Job*> posted_;
  Lsn durable_;
  Log::State state_ = Log::State::kOpen;
};

TEST(LogThreads, WritesSyncsRotatesAndCloses) {
  shard::TemporaryDirectory temporary;
  shard::RealEnv env;
  constexpr uint64_t kPerRun = 600;
  uint64_t lsn = 0;
  for (uint64_t run = 0; run < 3; ++run) {
    std::unique_ptr<Directory> directory =
        std::move(Directory::Open(env.files(), temporary.path(), {})).value();
    Directory::Start start;
    start.incarnation = env.RandomSeed();
    start.cuts.resize(1);
    if (run != 0) {
      const ReadBack back = *ReadAll(env.files(), temporary.path(), directory->manifest(), ShardId(0));
      ASSERT_EQ(back.outcome.kind, ReadOutcome::Kind::kEnd) << back.outcome.why;
      ASSERT_EQ(back.records.size(), lsn);
      for (uint64_t i = 0; i < lsn; ++i) ASSERT_EQ(back.records[i].body, "record " + std::to_string(i + 1));
      start.cuts[0] = {back.outcome.end, back.outcome.last, back.outcome.ends};
    }
    ASSERT_TRUE(directory->Begin(start).ok());

    ThreadHost host;
    std::unique_ptr<shard::Worker> writer = env.MakeWorker("wal-writer");
    std::unique_ptr<shard::Worker> background = env.MakeWorker("wal-files");
    LogOptions options;
    options.policy = static_cast<SyncPolicy>(run % 3);
    options.file_bytes_first = 16 << 10;
    options.file_bytes_max = 16 << 10;
    std::unique_ptr<Log> log =
        std::move(Log::Open(*directory, ShardId(0), *writer, *background, host, options)).value();
    for (uint64_t i = 0; i < kPerRun; ++i) {
      ++lsn;
      log->Append(RecordType::kEffects, Lsn(lsn), Stamp(lsn), "record " + std::to_string(lsn));
      if (i % 4 != 0) continue;
      log->EndTurn(i % 64 == 0 ? Log::WriteBy::kCaller : Log::WriteBy::kWorker);
      if (i % 100 == 0) log->Tick();
      if (i % 150 == 0) log->SetPolicy(static_cast<SyncPolicy>((run + i / 150) % 3));
      if (i % 16 == 0 && !log->idle()) host.RunOne();
    }
    log->Close();
    while (log->state() == Log::State::kOpen || !log->idle()) host.RunOne();
    EXPECT_EQ(host.state(), Log::State::kClosed);
    EXPECT_EQ(host.durable(), Lsn(lsn));
  }
}

}  // namespace
}  // namespace moonshard::wal
