#pragma once
// For the tests of this folder: a data directory on a simulated disk, workers whose jobs run when the test
// says so, and a host that keeps what it is told.

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shard/sim_disk.h"
#include "wal/directory.h"
#include "wal/log.h"
#include "wal/reader.h"

namespace moonshard::wal {

// Keeps its jobs until the test runs or forgets them, as a killed process would.
class HeldWorker final : public shard::Worker {
 public:
  void Submit(shard::Job& job) override { jobs_.push_back(&job); }
  bool RunOne() {
    if (jobs_.empty()) return false;
    shard::Job* job = jobs_.front();
    jobs_.pop_front();
    job->run(*job);
    return true;
  }
  size_t size() const { return jobs_.size(); }

 private:
  std::deque<shard::Job*> jobs_;
};

class TestHost final : public Log::Host {
 public:
  void Post(shard::Job& completion) override { completions_.push_back(&completion); }
  void OnDurable(Lsn durable) override {
    EXPECT_GT(durable, durable_);
    durable_ = durable;
  }
  void OnState(Log::State state) override { states.push_back(state); }
  bool RunOne() {
    if (completions_.empty()) return false;
    shard::Job* job = completions_.front();
    completions_.pop_front();
    job->run(*job);
    return true;
  }
  Lsn durable() const { return durable_; }
  std::vector<Log::State> states;

 private:
  std::deque<shard::Job*> completions_;
  Lsn durable_;
};

struct ReadBack {
  ReadOutcome outcome;
  struct Entry {
    RecordType type;
    Lsn lsn;
    Stamp stamp;
    std::string body;
    LogPlace begin, end;
  };
  std::vector<Entry> records;
};

inline base::Result<ReadBack> ReadAll(shard::FileSystem& files, const std::string& path,
                                      const Manifest& manifest, ShardId shard,
                                      Mistake planted = Mistake::kNone) {
  ReadBack back;
  auto visit = [&](const LoggedRecord& logged) -> base::Status {
    const Record& record = logged.record;
    back.records.push_back(
        {record.type, record.lsn, record.stamp, std::string(record.body), logged.begin, logged.end});
    return {};
  };
  MS_ASSIGN_OR_RETURN(back.outcome, ReadLog(files, path, manifest, shard, visit, planted));
  return back;
}

// One shard's log in one process. Destroying it is kill -9: jobs not yet run never run.
class TestProcess {
 public:
  static constexpr const char* kPath = "data";

  TestProcess(shard::FileSystem& files, const LogOptions& options, uint64_t incarnation)
      : files_(files), options_(options), incarnation_(incarnation) {}

  // Opens, reads and begins. Not OK: the directory or the log says no (a crash, an error of the disk).
  base::Status Start() {
    MS_RETURN_IF_ERROR(files_.MakeDirectory(kPath));
    DirectoryOptions directory_options;
    directory_options.planted = options_.planted;
    MS_ASSIGN_OR_RETURN(directory, Directory::Open(files_, kPath, directory_options));
    Directory::Start start;
    start.incarnation = incarnation_;
    start.cuts.resize(1);
    was_read = directory->fresh();
    if (!directory->fresh()) {
      from = directory->manifest().shards[0].from;
      MS_ASSIGN_OR_RETURN(found, ReadAll(files_, kPath, directory->manifest(), ShardId(0), options_.planted));
      was_read = true;
      if (found.outcome.kind == ReadOutcome::Kind::kDamage) return {};
      start.cuts[0] = {found.outcome.end, found.outcome.last, found.outcome.ends};
    }
    MS_RETURN_IF_ERROR(directory->Begin(start));
    begun = true;
    MS_ASSIGN_OR_RETURN(log, Log::Open(*directory, ShardId(0), writer, background, host, options_));
    return {};
  }

  bool RunOneJob() { return writer.RunOne() || background.RunOne() || host.RunOne(); }
  // Until nothing is left to do.
  void Settle() {
    do {
      log->EndTurn();
    } while (RunOneJob());
  }
  void Append(uint64_t lsn, std::string_view body, RecordType type = RecordType::kEffects) {
    log->Append(type, Lsn(lsn), Stamp(lsn + 1000), body);
  }

  HeldWorker writer, background;
  TestHost host;
  std::unique_ptr<Directory> directory;
  // Of Start: what it found, and how far it came.
  ReadBack found;
  Lsn from;
  bool was_read = false;
  bool begun = false;
  std::unique_ptr<Log> log;

 private:
  shard::FileSystem& files_;
  const LogOptions options_;
  const uint64_t incarnation_;
};

}  // namespace moonshard::wal
