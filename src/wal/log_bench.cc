// What the log costs a shard, and what the disk gives.
//
//   flock LOCKFILE build/bench/ms_wal_bench                     writes below the current directory
//
// Append is the shard's side alone, with a warm buffer. Commit appends a group of records, hands them over
// and waits until they are durable: its rate, against that of RawDurableWrite, says what is lost between the
// log and the disk. Neither says whether the disk honours a flush.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "base/check.h"
#include "shard/env.h"
#include "wal/directory.h"
#include "wal/log.h"

namespace moonshard::wal {
namespace {

class ThreadHost final : public Log::Host {
 public:
  void Post(shard::Job& completion) override {
    {
      std::lock_guard lock(mutex_);
      posted_.push_back(&completion);
    }
    changed_.notify_one();
  }
  void OnDurable(Lsn) override {}
  void OnState(Log::State state) override { MS_CHECK(state != Log::State::kFailed); }

  // Runs one completion; waits for it if there is none.
  void RunOne() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !posted_.empty(); });
    shard::Job* job = posted_.front();
    posted_.pop_front();
    lock.unlock();
    job->run(*job);
  }
  bool idle() {
    std::lock_guard lock(mutex_);
    return posted_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<shard::Job*> posted_;
};

// A log below the current directory, which is removed in the end.
class BenchLog {
 public:
  explicit BenchLog(SyncPolicy policy) {
    path_ = (std::filesystem::current_path() / ("wal_bench." + std::to_string(getpid()))).string();
    std::filesystem::create_directory(path_);
    directory_ = std::move(Directory::Open(env_.files(), path_, {})).value();
    Directory::Start start;
    start.incarnation = env_.RandomSeed();
    start.cuts.resize(1);
    MS_CHECK(directory_->Begin(start).ok());
    writer_ = env_.MakeWorker("wal-writer");
    background_ = env_.MakeWorker("wal-files");
    LogOptions options;
    options.policy = policy;
    options.file_bytes_first = 64 << 20;
    log_ = std::move(Log::Open(*directory_, ShardId(0), *writer_, *background_, host_, options)).value();
    Settle();
  }
  ~BenchLog() {
    Settle();
    writer_.reset();
    background_.reset();
    log_.reset();
    directory_.reset();
    std::filesystem::remove_all(path_);
  }

  Log& log() { return *log_; }
  void Append(std::string_view body) {
    ++lsn_;
    log_->Append(RecordType::kEffects, Lsn(lsn_), Stamp(lsn_), body);
  }
  void Commit(Log::WriteBy by) {
    log_->EndTurn(by);
    while (log_->durable() < Lsn(lsn_)) {
      host_.RunOne();
      log_->EndTurn(by);
    }
    if (lsn_ - retired_ > 1'000'000) log_->Retire(Lsn(retired_ = lsn_));
  }
  // Everything is written, nothing under way.
  void Settle() {
    log_->EndTurn();
    while (log_->written() < Lsn(lsn_) || !log_->idle()) {
      host_.RunOne();
      log_->EndTurn();
    }
    log_->Retire(Lsn(lsn_));
    while (!log_->idle()) host_.RunOne();
  }

 private:
  shard::RealEnv env_;
  std::string path_;
  ThreadHost host_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<shard::Worker> writer_, background_;
  std::unique_ptr<Log> log_;
  uint64_t lsn_ = 0;
  uint64_t retired_ = 0;
};

constexpr int64_t kGatheredBytes = 256 << 10;

void BM_Append(benchmark::State& state) {
  BenchLog bench(SyncPolicy::kEverySecond);
  const std::string body(static_cast<size_t>(state.range(0)) - kRecordHeaderBytes, 'x');
  int64_t gathered = 0;
  for (auto _ : state) {
    bench.Append(body);
    if ((gathered += state.range(0)) >= kGatheredBytes) {
      state.PauseTiming();
      bench.Settle();
      gathered = 0;
      state.ResumeTiming();
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Append)->ArgName("record_bytes")->Arg(100)->Arg(160)->Arg(1000)->Arg(10000);

// A turn that appends one record and hands it over, whatever the disk does: the price of `everysec` at
// pipeline 1. While the writer is busy, turns cost an append only.
void BM_TurnOfOne(benchmark::State& state) {
  BenchLog bench(SyncPolicy::kEverySecond);
  const auto by = state.range(0) == 0 ? Log::WriteBy::kWorker : Log::WriteBy::kCaller;
  const std::string body(75, 'x');
  int64_t turns = 0;
  for (auto _ : state) {
    bench.Append(body);
    bench.log().EndTurn(by);
    if (++turns % 10'000 == 0) {
      state.PauseTiming();
      bench.Settle();
      state.ResumeTiming();
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_TurnOfOne)->ArgName("by_caller")->Arg(0)->Arg(1);

void BM_Commit(benchmark::State& state) {
  BenchLog bench(SyncPolicy::kAlways);
  const std::string body(160 - kRecordHeaderBytes, 'x');
  const auto by = state.range(1) == 0 ? Log::WriteBy::kWorker : Log::WriteBy::kCaller;
  for (auto _ : state) {
    for (int64_t i = 0; i < state.range(0); ++i) bench.Append(body);
    bench.Commit(by);
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["writes"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Commit)
    ->ArgNames({"group", "by_caller"})
    ->ArgsProduct({{1, 8, 64, 512, 4096}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// The disk's own rate: aligned writes past the page cache, into a file written before, each durable.
void BM_RawDurableWrite(benchmark::State& state) {
  shard::RealEnv env;
  const std::string path =
      (std::filesystem::current_path() / ("wal_bench_raw." + std::to_string(getpid()))).string();
  shard::OpenOptions options;
  options.mode = shard::OpenOptions::Mode::kReadWrite;
  options.create = options.direct = options.dsync = true;
  base::Result<std::unique_ptr<shard::File>> file = env.files().Open(path, options);
  if (!file.ok()) {
    state.SkipWithError("no direct writes here");
    return;
  }
  constexpr uint64_t kFileBytes = 64 << 20;
  BatchMemory memory;
  memory.Grow(1 << 20, 0);
  std::memset(memory.data(), 'x', memory.bytes());
  for (uint64_t at = 0; at < kFileBytes; at += memory.bytes()) {
    MS_CHECK((*file)->Write(at, {memory.data(), memory.bytes()}).ok());
  }
  const auto bytes = static_cast<uint64_t>(state.range(0));
  uint64_t at = 0;
  for (auto _ : state) {
    MS_CHECK((*file)->Write(at, {memory.data(), bytes}).ok());
    at = (at + bytes) % (kFileBytes - bytes) / kBlockBytes * kBlockBytes;
  }
  state.counters["writes"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
  (void)env.files().Remove(path).ok();
}
BENCHMARK(BM_RawDurableWrite)
    ->ArgName("bytes")
    ->Arg(4096)
    ->Arg(12288)
    ->Arg(86016)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace moonshard::wal
