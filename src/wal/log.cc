#include "wal/log.h"

#include <algorithm>
#include <span>

#include "base/check.h"

namespace moonshard::wal {

namespace {

constexpr size_t kBatchBytesFirst = 64 << 10;

}  // namespace

base::Result<std::unique_ptr<Log>> Log::Open(Directory& directory, ShardId shard, shard::Worker& writer,
                                             shard::Worker& background, Host& host,
                                             const LogOptions& options) {
  std::unique_ptr<Log> log(new Log(directory, shard, writer, background, host, options));
  log->slots_.push_back({directory.NextSequence(shard), log->planned_bytes_, nullptr, kFirstRecord, false});
  const auto preparation = directory.Prepare(shard, log->slots_.front().sequence, log->planned_bytes_);
  while (!preparation->done()) MS_RETURN_IF_ERROR(preparation->Step());
  log->slots_.front().file = preparation->Take();
  log->slots_.front().bytes = log->slots_.front().file->bytes;
  log->filling_.sequence = log->slots_.front().sequence;
  log->StartBlock(kFirstRecord);
  log->PlanFile(0);
  return log;
}

Log::Log(Directory& directory, ShardId shard, shard::Worker& writer, shard::Worker& background, Host& host,
         const LogOptions& options)
    : directory_(directory),
      shard_(shard),
      writer_(writer),
      background_(background),
      host_(host),
      options_(options),
      policy_(options.policy),
      planned_bytes_(AlignUp(std::max(options.file_bytes_first, 2 * kBlockBytes))) {
  appended_ = written_ = durable_ = sealed_ = directory.LastLsn(shard);
  SetUp(writing_job_, &Log::WriteBatch, &Log::OnWritten);
  SetUp(sync_job_, &Log::SyncFiles, &Log::OnSynced);
  SetUp(file_job_, &Log::StepFile, &Log::OnFileStepped);
  SetUp(close_job_, &Log::CloseFile, &Log::OnClosed);
}

Log::~Log() = default;

void Log::SetUp(LogJob& job, void (Log::*work)(), void (Log::*done)()) {
  job.log = this;
  job.work = work;
  job.done = done;
  job.run = [](shard::Job& base) {
    auto& self = static_cast<LogJob&>(base);
    (self.log->*self.work)();
    self.log->host_.Post(self.completion);
  };
  job.completion.job = &job;
  job.completion.run = [](shard::Job& base) {
    LogJob& self = *static_cast<LogJob::Completion&>(base).job;
    self.busy = false;
    (self.log->*self.done)();
  };
}

void Log::Submit(LogJob& job, shard::Worker& worker) {
  MS_DCHECK(!job.busy);
  job.busy = true;
  worker.Submit(job);
}

// ---- gathering ----

Log::Slot& Log::SlotOf(const Batch& batch) {
  MS_DCHECK(batch.sequence - slots_.front().sequence < slots_.size());
  return slots_[batch.sequence - slots_.front().sequence];
}

// Must what follows the batch just handed over stand in a block of its own? Yes if that batch is durable when
// it is written, or if the next sync is to make it so. A sync under way covers earlier pages.
bool Log::NextMustStartBlock() const {
  if (Planted(Mistake::kRewriteBlock)) return false;
  if (policy_ == SyncPolicy::kAlways || writing_.direct) return true;
  return sync_goal_ > durable_ && !sync_job_.busy;
}

// `filling_` has nothing fresh; what comes next begins a block at or behind `offset`.
void Log::StartBlock(uint64_t offset) {
  filling_.size = filling_.fresh = filling_.limit = 0;
  filling_.offset = AlignUp(offset);
  filling_.starts_block = true;
  filling_.direct = false;
}

// What comes next stands behind the records of `before`, in the same page.
void Log::ContinueAfter(const Batch& before) {
  const size_t pages_bytes = before.size / kBlockBytes * kBlockBytes;
  const size_t begun_bytes = before.size - pages_bytes;
  filling_.size = filling_.fresh = begun_bytes;
  filling_.offset = before.offset + pages_bytes;
  filling_.starts_block = false;
  filling_.direct = Planted(Mistake::kRewriteBlock) && policy_ == SyncPolicy::kAlways;
  if (filling_.memory.bytes() == 0) filling_.memory.Grow(kBatchBytesFirst, 0);
  std::memcpy(filling_.memory.data(), before.memory.data() + pages_bytes, begun_bytes);
  filling_.limit = std::min<uint64_t>(filling_.memory.bytes(), SlotOf(before).bytes - filling_.offset);
}

// Goes on in the first later file that holds a record of `bytes`. Smaller ones that are ready already are
// left empty.
void Log::StartNextFile(size_t bytes) {
  const uint64_t needed = kFirstRecord + kBlockRecordBytes + bytes;
  size_t idx = filling_.sequence + 1 - slots_.front().sequence;
  while (idx < slots_.size() && slots_[idx].bytes < needed) ++idx;
  if (idx == slots_.size()) PlanFile(AlignUp(needed));
  filling_.sequence = slots_[idx].sequence;
  StartBlock(kFirstRecord);
  if (filling_.sequence == slots_.back().sequence) PlanFile(0);  // there is always one file more
}

// Room for a record of `bytes` behind filling_.size: in a block, in a file, in memory. False if the log takes
// nothing any more.
bool Log::MakeRoom(size_t bytes) {
  if (state_ == State::kFailed || state_ == State::kClosed) return false;
  MS_CHECK(bytes <= kRecordBytesMax);
  while (true) {
    const bool begins = filling_.starts_block && filling_.size == 0;
    const size_t needed = bytes + (begins ? kBlockRecordBytes : 0);
    const uint64_t file_bytes = SlotOf(filling_).bytes;
    if (filling_.offset + filling_.size + needed <= file_bytes) {
      const size_t wanted = filling_.size + needed;
      if (filling_.memory.bytes() == 0) filling_.memory = memories_.Take();
      if (wanted > filling_.memory.bytes()) {
        filling_.memory.Grow(std::max({wanted, 2 * filling_.memory.bytes(), kBatchBytesFirst}),
                             filling_.size);
      }
      filling_.limit = std::min<uint64_t>(filling_.memory.bytes(), file_bytes - filling_.offset);
      if (begins) {
        // Its bytes are filled in when it is handed over.
        filling_.size = kBlockRecordBytes;
        filling_.before = appended_;
        filling_.seed =
            Planted(Mistake::kStaleLooksNew) ? 0 : RecordSeed({directory_.incarnation(), filling_.sequence});
        filling_.direct = policy_ == SyncPolicy::kAlways;
      }
      return true;
    }
    // The rest of this file is too short, so it stays empty.
    if (!filling_.empty()) {
      filling_.last = appended_;
      ready_bytes_ += filling_.size;
      const uint64_t sequence = filling_.sequence;
      ready_.push_back(std::move(filling_));
      filling_ = Batch();
      filling_.sequence = sequence;
    }
    StartNextFile(bytes);
  }
}

// ---- writing ----

void Log::EndTurn(WriteBy by) {
  MaybeSync();
  HandOver(by);
}

void Log::HandOver(WriteBy by) {
  if (writing_job_.busy || state_ == State::kFailed || state_ == State::kClosed) return;
  const bool sealed_by_file = !ready_.empty();
  Batch& next = sealed_by_file ? ready_.front() : filling_;
  if (next.empty()) return;
  if (next.sequence != slots_.front().sequence && !AdvanceTo(next.sequence)) return;
  if (next.direct && written_ > durable_ && !Planted(Mistake::kRewriteBlock)) {
    // Written through the page cache, under another policy. Durable is what is before it, too.
    sync_goal_ = std::max(sync_goal_, written_);
    MaybeSync();
    return;
  }
  memories_.Give(std::move(writing_.memory));
  writing_ = std::move(next);
  if (!sealed_by_file) writing_.last = appended_;
  if (writing_.starts_block) {
    const Lsn durable = Planted(Mistake::kDurableTooHigh) ? writing_.last : durable_;
    const FileId id{directory_.incarnation(), writing_.sequence};
    EncodeBlock(writing_.memory.data(), writing_.seed, {id, writing_.offset, durable}, writing_.before,
                stamp_);
  }
  if (sealed_by_file) {
    ready_bytes_ -= writing_.size;
    ready_.pop_front();
  } else {
    filling_ = Batch();
    filling_.sequence = writing_.sequence;
    if (NextMustStartBlock()) {
      StartBlock(writing_.offset + writing_.size);
    } else {
      filling_.memory = memories_.Take();
      filling_.seed = writing_.seed;
      ContinueAfter(writing_);
    }
  }
  if (policy_ == SyncPolicy::kAlways && !writing_.direct) sync_goal_ = std::max(sync_goal_, writing_.last);
  std::memset(writing_.memory.data() + writing_.size, 0, AlignUp(writing_.size) - writing_.size);
  if (Planted(Mistake::kAckBeforeWrite) && writing_.direct) RaiseDurable(writing_.last);
  write_file_ = slots_.front().file;
  if (by == WriteBy::kWorker) {
    Submit(writing_job_, writer_);
  } else {
    WriteBatch();
    OnWritten();
  }
}

// Goes on in a later file, if that is ready; the ones before it are closed.
bool Log::AdvanceTo(uint64_t sequence) {
  for (const Slot& slot : slots_) {
    if (slot.file == nullptr) {
      StartFileJob();
      if (no_room_) SetState(State::kFull);
      return false;
    }
    if (slot.sequence == sequence) break;
  }
  for (; slots_.front().sequence != sequence; slots_.pop_front()) {
    Slot& slot = slots_.front();
    closings_.push_back({std::move(slot.file), {slot.end, written_}, slot.unsynced});
  }
  StartCloseJob();
  return true;
}

// On the writer's thread.
void Log::WriteBatch() {
  const bool durable = writing_.direct && !Planted(Mistake::kNoSync);
  shard::File& file = durable ? *write_file_->durable : *write_file_->lazy;
  const std::span<const char> bytes(writing_.memory.data(), AlignUp(writing_.size));
  writing_job_.status = file.Write(writing_.offset, bytes);
  if (!writing_job_.status.ok() && Planted(Mistake::kGoOnAfterFailure))
    writing_job_.status = file.Write(writing_.offset, bytes);
}

void Log::OnWritten() {
  if (state_ == State::kFailed) return;
  if (!writing_job_.status.ok()) {
    Fail(writing_job_.status);
    return;
  }
  ++counters_.writes;
  counters_.written_bytes += AlignUp(writing_.size);
  written_ = writing_.last;
  Slot& slot = slots_.front();
  slot.end = writing_.offset + writing_.size;
  if (writing_.direct) {
    RaiseDurable(written_);
  } else {
    slot.unsynced = true;
  }
  MaybeSync();
  if (closing_) GoOn();
}

// Syncs what is written, if somebody asked for it and the pages that it covers will not be written again.
void Log::MaybeSync() {
  if (sync_goal_ <= durable_ || written_ <= durable_ || state_ == State::kFailed) return;
  if (sync_job_.busy || writing_job_.busy) return;
  const Batch& next = ready_.empty() ? filling_ : ready_.front();
  if (!next.starts_block && !Planted(Mistake::kRewriteBlock)) {
    if (!next.empty()) return;  // once it is written, the one behind it starts a block
    StartBlock(filling_.offset + filling_.size);
  }
  syncing_ = written_;
  // Files whose closing waits for its turn are older.
  for (const Closing& closing : closings_) {
    if (closing.unsynced) sync_files_.push_back(closing.file);
  }
  sync_files_.push_back(slots_.front().file);
  Submit(sync_job_, background_);
}

// On the background worker.
void Log::SyncFiles() {
  if (Planted(Mistake::kNoSync)) return;
  for (const std::shared_ptr<LogFile>& file : sync_files_) {
    sync_job_.status = file->Sync();
    if (!sync_job_.status.ok() && Planted(Mistake::kGoOnAfterFailure)) {
      file->sync_failed = false;
      sync_job_.status = file->Sync();
    }
    if (!sync_job_.status.ok()) return;
  }
}

void Log::OnSynced() {
  sync_files_.clear();
  if (state_ == State::kFailed) return;
  if (!sync_job_.status.ok()) {
    Fail(sync_job_.status);
    return;
  }
  ++counters_.syncs;
  RaiseDurable(syncing_);
  MaybeSync();
  if (closing_) GoOn();
}

void Log::RaiseDurable(Lsn durable) {
  if (durable <= durable_) return;
  durable_ = durable;
  host_.OnDurable(durable);
}

void Log::RequestSync() {
  sync_goal_ = std::max(sync_goal_, appended_);
  GoOn();
}

void Log::Tick() {
  if (state_ == State::kFailed || state_ == State::kClosed) return;
  if (no_room_) {
    no_room_ = false;
    StartFileJob();
    StartCloseJob();
  }
  if (policy_ == SyncPolicy::kEverySecond) sync_goal_ = std::max(sync_goal_, appended_);
  if (policy_ != SyncPolicy::kNo && appended_ == at_tick_ && appended_ == durable_ && sealed_ != appended_)
    Seal();
  at_tick_ = appended_;
  GoOn();
}

// An empty block.
void Log::Seal() {
  if (closing_ || writing_job_.busy || !ready_.empty() || !filling_.empty()) return;
  if (!filling_.starts_block) StartBlock(filling_.offset + filling_.size);
  if (MakeRoom(0)) sealed_ = appended_;
}

void Log::SetPolicy(SyncPolicy policy) {
  if (policy == policy_) return;
  policy_ = policy;
  // Answers wait for what was written lazily, and nothing else would sync it now.
  if (policy == SyncPolicy::kAlways) sync_goal_ = std::max(sync_goal_, appended_);
  GoOn();
}

void Log::Close() {
  if (closing_) return;
  closing_ = true;
  sync_goal_ = std::max(sync_goal_, appended_);
  GoOn();
}

void Log::GoOn() {
  MaybeSync();
  HandOver(WriteBy::kWorker);
  MaybeSync();
  if (closing_) FinishClosing();
}

void Log::Fail(const base::Status& status) {
  if (state_ == State::kFailed) return;
  failure_ = status;
  filling_ = Batch();
  ready_.clear();
  ready_bytes_ = 0;
  SetState(State::kFailed);
}

void Log::SetState(State state) {
  if (state_ == state) return;
  state_ = state;
  host_.OnState(state);
}

}  // namespace moonshard::wal
