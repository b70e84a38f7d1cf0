#pragma once
// A random life of one log on a simulated disk: appends, syncs, files that fill up and are recycled, changes
// of policy, lack of room, errors, killed processes and power failures at any operation. After every restart
// the log is compared with what was appended: a prefix of it, unchanged, with everything that was durable.
// All choices come from the seed.

#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "shard/sim_disk.h"
#include "wal/testing.h"

namespace moonshard::wal::sim {

class World {
 public:
  World(uint64_t seed, Mistake planted) : random_(seed), disk_(random_.Next()), seed_(seed) {
    disk_.SetGarbling();
    options_.planted = planted;
    options_.policy = RandomPolicy();
    options_.file_bytes_first = (2 + random_.Below(4)) * kBlockBytes;
    options_.file_bytes_max = options_.file_bytes_first << random_.Below(3);
    options_.gathered_bytes_max = 200'000;
    errors_ = random_.OneIn(3);
    tight_ = random_.OneIn(4);
  }

  // Empty if all went well, otherwise what did not.
  std::string Run(int steps) {
    Restart(Ending::kPower);
    for (int i = 0; i < steps && failure_.empty(); ++i) {
      Step();
      Observe();
      if (!disk_.powered()) Restart(Ending::kPower);
    }
    if (failure_.empty()) FinishWell();
    return failure_.empty() ? "" : "seed " + std::to_string(seed_) + ": " + failure_;
  }

  struct Statistics {
    uint64_t restarts = 0, torn = 0, lost = 0, recycled = 0, full = 0, failed = 0, recovered = 0, closed = 0;
  };
  const Statistics& statistics() const { return statistics_; }

 private:
  enum class Ending { kPower, kKill };

  SyncPolicy RandomPolicy() { return static_cast<SyncPolicy>(random_.Below(3)); }

  std::string BodyOf(uint64_t lsn) {
    // Mostly small; some fill a block exactly, some are larger than a file.
    size_t bytes = random_.Below(200);
    if (random_.OneIn(8)) bytes = random_.Below(9000);
    if (random_.OneIn(20)) bytes = kBlockBytes - kBlockRecordBytes - kRecordHeaderBytes;
    if (random_.OneIn(30)) bytes = kBlockBytes - kRecordHeaderBytes;
    if (random_.OneIn(100)) bytes = random_.Below(120'000);
    std::string body(bytes, '\0');
    uint64_t state = (lsn + 1) * 0x9E3779B97F4A7C15ull + process_count_;
    for (char& c : body) c = static_cast<char>((state = state * 6364136223846793005ull + 1) >> 56);
    return body;
  }

  void Step() {
    if (process_ == nullptr) {
      Restart(Ending::kKill);
      return;
    }
    Log& log = *process_->log;
    switch (random_.Below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return AppendSome();
      case 4:
      case 5:
      case 6:
        return log.EndTurn(random_.OneIn(4) ? Log::WriteBy::kCaller : Log::WriteBy::kWorker);
      case 7:
      case 8:
        (void)process_->writer.RunOne();
        return;
      case 9:
      case 10:
        (void)process_->background.RunOne();
        return;
      case 11:
      case 12:
      case 13:
        while (process_->host.RunOne()) {
        }
        return log.EndTurn();
      case 14:
        return log.Tick();
      default:
        return Rarely();
    }
  }

  void AppendSome() {
    Log& log = *process_->log;
    for (uint64_t count = 1 + random_.Below(4); count != 0 && log.accepts(); --count) {
      const uint64_t lsn = log.appended().value() + 1 + (random_.OneIn(5) ? random_.Below(3) : 0);
      const auto type = static_cast<RecordType>(2 + random_.Below(3));
      ReadBack::Entry entry{type, Lsn(lsn), Stamp(lsn + 1000), BodyOf(lsn), {}, {}};
      process_->Append(lsn, entry.body, type);
      model_.push_back(std::move(entry));
    }
  }

  void Rarely() {
    Log& log = *process_->log;
    switch (random_.Below(12)) {
      case 0:
        return log.RequestSync();
      case 1:
      case 2:
        return log.SetPolicy(options_.policy = RandomPolicy());
      case 3:
      case 4:
        retired_ = std::max(retired_, Lsn(random_.Below(log.durable().value() + 1)));
        return log.Retire(retired_);
      case 5:
        if (random_.OneIn(2)) Restart(Ending::kKill);
        return;
      case 6:
        if (random_.OneIn(2)) disk_.Crash();
        return;
      case 7:
        disk_.CrashAt(random_.Below(12));
        return;
      case 8:
        if (random_.OneIn(3)) CloseAndRestart();
        return;
      case 9:
        if (errors_) InjectError();
        return;
      case 10:
        if (tight_) disk_.SetCapacity(random_.Below(600'000));
        return;
      default:
        disk_.SetCapacity(UINT64_MAX);
        return;
    }
  }

  void InjectError() {
    using Operation = shard::SimDisk::Operation;
    static constexpr Operation kOperations[] = {
        Operation::kWrite, Operation::kSync,  Operation::kSync, Operation::kRename,
        Operation::kOpen,  Operation::kWrite, Operation::kRead, Operation::kSyncDirectory};
    const Operation operation = kOperations[random_.Below(std::size(kOperations))];
    disk_.FailNext(operation, random_.OneIn(3) ? "manifest" : "", EIO, random_.Below(4));
  }

  // What the log says now is what it will be held to.
  void Observe() {
    if (process_ == nullptr || process_->log == nullptr) return;
    durable_ = std::max(durable_, process_->host.durable());
    // What could not be synced is lost although it was written, and the log may not know yet.
    written_ = errors_ ? Lsn() : process_->log->written();
    if (process_->log->state() == Log::State::kFull) ++statistics_.full;
    if (process_->log->state() == Log::State::kFailed) {
      ++statistics_.failed;
      if (!errors_ && disk_.powered()) Fail("failed: " + std::string(process_->log->failure().text()));
      if (random_.OneIn(3)) Restart(Ending::kKill);
    }
  }

  void CloseAndRestart() {
    if (!disk_.powered() || process_->log->state() == Log::State::kFailed) return;
    disk_.SetCapacity(UINT64_MAX);
    process_->log->Close();
    for (int i = 0; i < 2000 && process_->log->state() != Log::State::kClosed; ++i) {
      if (!process_->RunOneJob()) process_->log->Tick();
      if (process_->log->state() == Log::State::kFailed || !disk_.powered()) return Observe();
    }
    Observe();
    if (process_->log->state() != Log::State::kClosed) return Fail("does not close");
    while (process_->RunOneJob()) {
    }
    if (process_->log->durable() != process_->log->appended()) Fail("closed and not durable");
    ++statistics_.closed;
    if (disk_.powered()) Restart(random_.OneIn(2) ? Ending::kPower : Ending::kKill);
  }

  // Nothing disturbs any more: the log must open and take what is appended.
  void FinishWell() {
    disk_.SetCapacity(UINT64_MAX);
    disk_.ForgetFailures();
    finishing_ = true;
    Restart(Ending::kPower);
    if (process_ == nullptr) return Fail("does not start any more: " + start_error_);
    AppendSome();
    process_->log->RequestSync();
    for (int i = 0; i < 300; ++i) {
      if (!process_->RunOneJob()) process_->log->Tick();
      process_->log->EndTurn();
    }
    if (process_->log->durable() != process_->log->appended()) Fail("does not become durable");
    Observe();
    Restart(Ending::kPower);
  }

  void Restart(Ending ending) {
    if (process_ != nullptr && process_->log != nullptr) {
      statistics_.recycled += process_->directory->SpareCount(ShardId(0)) != 0 ? 1 : 0;
      Observe();
    }
    if (!failure_.empty()) return;
    if (!disk_.powered()) ending = Ending::kPower;
    if (ending == Ending::kPower && disk_.powered()) disk_.Crash();
    process_.reset();
    if (!disk_.powered()) disk_.PowerOn();
    if (ending == Ending::kPower) written_ = Lsn();
    ++statistics_.restarts;
    ++process_count_;
    if (!finishing_ && random_.OneIn(4)) disk_.CrashAt(random_.Below(60));
    auto next = std::make_unique<TestProcess>(disk_, options_, random_.Next());
    const base::Status started = next->Start();
    start_error_ = started.ok() ? "" : started.text();
    Compare(*next);
    if (started.ok() && next->log != nullptr && failure_.empty()) {
      process_ = std::move(next);
      return;
    }
    next.reset();
    if (!failure_.empty()) return;
    if (!disk_.powered()) return Restart(Ending::kPower);
    // A lack of room or an injected error; the next step tries again.
  }

  void Compare(const TestProcess& next) {
    if (!next.was_read) return;
    const ReadOutcome& outcome = next.found.outcome;
    if (outcome.kind == ReadOutcome::Kind::kDamage) return Fail("damage: " + outcome.why);
    if (outcome.kind == ReadOutcome::Kind::kTorn) ++statistics_.torn;
    if (next.from > retired_) return Fail("retired more than was asked for");
    size_t at = 0;
    while (at < model_.size() && model_[at].lsn <= next.from) ++at;
    for (const ReadBack::Entry& entry : next.found.records) {
      if (at == model_.size()) return Fail("more than was appended");
      const ReadBack::Entry& wanted = model_[at++];
      if (entry.lsn != wanted.lsn) {
        return Fail("position " + std::to_string(entry.lsn.value()) + " instead of " +
                    std::to_string(wanted.lsn.value()));
      }
      if (entry.type != wanted.type || entry.stamp != wanted.stamp || entry.body != wanted.body)
        return Fail("another record at position " + std::to_string(entry.lsn.value()));
    }
    const Lsn last = std::max(next.from, next.found.records.empty() ? Lsn() : next.found.records.back().lsn);
    if (last < durable_) {
      return Fail("position " + std::to_string(durable_.value()) + " was durable, and the log ends at " +
                  std::to_string(last.value()));
    }
    if (last < written_) return Fail("a killed process lost what it had written");
    statistics_.lost += model_.size() - at;
    statistics_.recovered += next.found.records.size();
    model_.resize(at);
    // What was read is promised from now on, if the start gets as far as to the manifest.
    if (next.begun) durable_ = std::max(durable_, last);
    if (!errors_) written_ = std::max(written_, last);
  }

  void Fail(std::string what) {
    if (failure_.empty()) failure_ = std::move(what);
  }

  base::Random random_;
  shard::SimDisk disk_;
  const uint64_t seed_;
  LogOptions options_;
  bool errors_ = false;
  bool tight_ = false;
  bool finishing_ = false;  // nothing goes wrong any more
  std::string start_error_;
  std::unique_ptr<TestProcess> process_;
  uint64_t process_count_ = 0;
  std::vector<ReadBack::Entry> model_;
  Lsn durable_, written_, retired_;
  std::string failure_;
  Statistics statistics_;
};

}  // namespace moonshard::wal::sim
