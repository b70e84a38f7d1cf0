// The files of a Log: making them ahead of need, leaving them behind.

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "wal/log.h"

namespace moonshard::wal {

void Log::PlanFile(uint64_t bytes) {
  const uint64_t sequence = slots_.back().sequence + 1;
  planned_bytes_ = std::max(planned_bytes_, std::min(planned_bytes_ * 2, AlignUp(options_.file_bytes_max)));
  slots_.push_back({sequence, std::max(bytes, planned_bytes_), nullptr, kFirstRecord, false});
  StartFileJob();
}

void Log::StartFileJob() {
  if (file_job_.busy || no_room_ || state_ == State::kFailed) return;
  const auto next =
      std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.file == nullptr; });
  if (next == slots_.end()) return;
  preparation_ = directory_.Prepare(shard_, next->sequence, next->bytes);
  Submit(file_job_, background_);
}

// On the background worker.
void Log::StepFile() {
  file_job_.status = preparation_->Step();
}

void Log::OnFileStepped() {
  if (state_ == State::kFailed || state_ == State::kClosed) return;
  if (!file_job_.status.ok()) {
    preparation_.reset();
    if (!shard::IsNoSpace(file_job_.status)) {
      Fail(file_job_.status);
      return;
    }
    failure_ = file_job_.status;
    no_room_ = true;
    // Not yet full if what was gathered still has a place.
    if (!ready_.empty() || filling_.sequence != slots_.front().sequence) SetState(State::kFull);
    return;
  }
  const bool needed = !ready_.empty() || filling_.sequence != slots_.front().sequence;
  if (!preparation_->done()) {
    // What a closing log leaves half made is removed at the next start.
    if (!closing_ || needed) Submit(file_job_, background_);
    return;
  }
  const auto slot =
      std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.file == nullptr; });
  MS_CHECK(slot != slots_.end());
  slot->file = preparation_->Take();
  slot->bytes = slot->file->bytes;
  preparation_.reset();
  ++counters_.files;
  if (state_ == State::kFull) SetState(State::kOpen);
  if (!closing_ || needed) StartFileJob();
  if (closing_) GoOn();
}

void Log::Retire(Lsn upto) {
  retire_upto_ = std::max(retire_upto_, upto);
  StartCloseJob();
}

// Closings and retirements, one after the other.
void Log::StartCloseJob() {
  if (close_job_.busy || no_room_ || state_ == State::kFailed) return;
  if (closings_.empty() && retire_upto_ <= retire_now_) return;
  close_now_ = closings_.empty() ? Closing() : closings_.front();
  if (closings_.empty()) retire_now_ = retire_upto_;
  Submit(close_job_, background_);
}

// On the background worker. The manifest promises that a closed file is whole, so it is synced first.
void Log::CloseFile() {
  if (close_now_.file == nullptr) {
    close_job_.status = directory_.Retire(shard_, retire_now_);
    return;
  }
  if (close_now_.unsynced) {
    if (!Planted(Mistake::kRotateUnsynced)) close_job_.status = close_now_.file->Sync();
    if (!close_job_.status.ok()) return;
    close_now_.unsynced = false;
  }
  close_job_.status = directory_.Close(shard_, close_now_.file->file.sequence, close_now_.end);
}

void Log::OnClosed() {
  if (state_ == State::kFailed) return;
  const bool retired = close_now_.file == nullptr;
  // Everything up to the end of this file is durable, whatever became of the manifest.
  if (!retired && !close_now_.unsynced) {
    closings_.front().unsynced = false;
    RaiseDurable(close_now_.end.last);
  }
  if (!close_job_.status.ok()) {
    if (!shard::IsNoSpace(close_job_.status) || (!retired && close_now_.unsynced)) {
      Fail(close_job_.status);
      return;
    }
    failure_ = close_job_.status;
    no_room_ = true;  // again at the next Tick; nothing is lost meanwhile
    if (retired) retire_now_ = Lsn();
  } else if (!retired) {
    closings_.pop_front();
  }
  close_now_ = Closing();
  StartCloseJob();
  MaybeSync();
  if (closing_) GoOn();
}

void Log::FinishClosing() {
  if (state_ == State::kFailed || state_ == State::kClosed) return;
  if (!ready_.empty() || !filling_.empty() || writing_job_.busy || durable_ < appended_) return;
  if (!file_closed_) {
    file_closed_ = true;
    Slot& slot = slots_.front();
    closings_.push_back({slot.file, {slot.end, written_}, slot.unsynced});
    StartCloseJob();
  }
  if (closings_.empty() && !close_job_.busy) SetState(State::kClosed);
}

}  // namespace moonshard::wal
