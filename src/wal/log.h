#pragma once
// Log: one shard's log, its writing side.
//
//   if (!log.accepts()) refuse the command;           before anything is changed
//   log.Append(RecordType::kEffects, lsn, stamp, effects);
//   ...
//   log.EndTurn();                                    hands over what the turn appended
//   if (log.durable() >= lsn) the answer may leave;   otherwise later, see Host::OnDurable
//
// Records are encoded where they will be written from: an Append is one copy and one checksum. Blocking work
// is done by two workers and comes back through Host::Post: the *writer*, of this log alone, writes; the
// *background* worker, which logs may share, syncs, makes files ahead of need and changes the manifest.
//
//   filling_: gathering -> ready_: its file is full -> writing_: in flight -> written -> durable
//
// There is one write in flight; what is appended meanwhile is the next one (group commit). By policy:
//
//   always    every write is a block of its own, past the page cache, and durable when it returns.
//   everysec  writes go to the page cache, so that a process that is killed has lost only what was not
//             handed over; Tick, called once a second, syncs. The write after the start of a sync begins a
//             block, so that nothing acknowledged is ever written again.
//   no        the same without syncs, except of files that are full.
//
// A failed write or sync makes the log *failed* for good: what is on the disk then is not known, and no later
// success could prove anything. No room for the next file makes it *full* until Tick finds room; what was
// accepted before waits in memory. Writing itself never needs room: files are made whole.
//
// Owned by one shard. The workers see only what the jobs below name.

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/macros.h"
#include "base/status.h"
#include "base/types.h"
#include "shard/env.h"
#include "wal/batch.h"
#include "wal/directory.h"
#include "wal/mistake.h"
#include "wal/record.h"

namespace moonshard::wal {

enum class SyncPolicy : uint8_t { kAlways, kEverySecond, kNo };

struct LogOptions {
  SyncPolicy policy = SyncPolicy::kEverySecond;
  // Sizes of the files: doubling from the first to the largest; a record that needs more gets more.
  uint64_t file_bytes_first = 1 << 20;
  uint64_t file_bytes_max = 64 << 20;
  // What may wait to be written before accepts() turns false. One command's records come on top.
  uint64_t gathered_bytes_max = 64 << 20;
  Mistake planted = Mistake::kNone;
};

class Log {
 public:
  enum class State : uint8_t { kOpen, kFull, kFailed, kClosed };

  // What the log needs from its shard.
  class Host {
   public:
    // Any thread: has `completion.run(completion)` called on the shard's thread, in the order of posting.
    virtual void Post(shard::Job& completion) = 0;
    // On the shard's thread, from a completion or from within a call of the log. Neither may destroy the log.
    virtual void OnDurable(Lsn durable) = 0;
    virtual void OnState(State state) = 0;

   protected:
    ~Host() = default;
  };
  enum class WriteBy : uint8_t { kWorker, kCaller };

  // Goes on behind the last record that the directory's manifest names. Makes the first file, so it blocks.
  // The log must be idle() when it is destroyed, or its workers gone.
  static base::Result<std::unique_ptr<Log>> Open(Directory& directory, ShardId shard, shard::Worker& writer,
                                                 shard::Worker& background, Host& host,
                                                 const LogOptions& options);
  ~Log();

  // False while a command that changes something must be refused: the log is full or failed, or more waits
  // than may.
  bool accepts() const {
    return state_ == State::kOpen && !closing_ && ready_bytes_ + filling_.size <= options_.gathered_bytes_max;
  }
  // Whether a record may be so large at all.
  static bool Fits(uint64_t body_bytes) { return body_bytes <= kRecordBytesMax - kRecordHeaderBytes; }

  // A record with the body `head` + `body`. `lsn` is above that of the record before: a record that changes
  // nothing takes a position too. A failed log drops it.
  MS_ALWAYS_INLINE void Append(RecordType type, Lsn lsn, Stamp stamp, std::string_view body,
                               std::string_view head = {}) {
    const size_t bytes = kRecordHeaderBytes + head.size() + body.size();
    MS_CHECK(lsn > appended_);
    if (filling_.size + bytes > filling_.limit) [[unlikely]] {
      if (!MakeRoom(bytes)) return;
    }
    filling_.size +=
        EncodeRecord(filling_.memory.data() + filling_.size, filling_.seed, type, lsn, stamp, head, body);
    appended_ = lsn;
    stamp_ = stamp;
  }

  // At the end of every turn, also of one that only ran completions. kCaller writes on this thread instead of
  // waking the writer: for a shard that has nobody else to serve.
  void EndTurn(WriteBy by = WriteBy::kWorker);

  // Makes all that was appended durable, whatever the policy.
  void RequestSync();
  // Once a second: the sync of `everysec`, another try after a lack of room, and the seal: a log that rests
  // gets an empty block, whose durable position turns later damage of the last records from a "torn tail"
  // into what it is.
  void Tick();
  // Takes effect with the next write that begins a block; what was promised before stays promised.
  void SetPolicy(SyncPolicy policy);
  // Forgets files whose records are all at or below `upto`; see Directory::Retire.
  void Retire(Lsn upto);
  // Makes everything durable and has the manifest say where the log ends; then the state is kClosed. No
  // Append after it. A log that is full closes only once there is room.
  void Close();

  State state() const { return state_; }
  const base::Status& failure() const { return failure_; }  // of kFailed; of kFull the reason
  SyncPolicy policy() const { return policy_; }
  Lsn appended() const { return appended_; }
  Lsn written() const { return written_; }
  Lsn durable() const { return durable_; }
  // Nothing is in the hands of a worker.
  bool idle() const { return !writing_job_.busy && !sync_job_.busy && !file_job_.busy && !close_job_.busy; }

  struct Counters {
    uint64_t writes = 0;
    uint64_t written_bytes = 0;
    uint64_t syncs = 0;
    uint64_t files = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  // A file that is written, ready or on its way.
  struct Slot {
    uint64_t sequence = 0;
    uint64_t bytes = 0;  // the least it will have
    std::shared_ptr<LogFile> file;
    uint64_t end = kFirstRecord;  // behind the last record written
    bool unsynced = false;        // was written through the page cache; closing it syncs it
  };
  struct Closing {
    std::shared_ptr<LogFile> file;
    ManifestFile::End end;
    bool unsynced;
  };
  // A job and its way back. `work` runs on a worker, `done` on the shard's thread.
  struct LogJob : shard::Job {
    struct Completion : shard::Job {
      LogJob* job = nullptr;
    };
    Log* log = nullptr;
    void (Log::*work)() = nullptr;
    void (Log::*done)() = nullptr;
    Completion completion;
    bool busy = false;
    base::Status status;  // of the work
  };

  Log(Directory& directory, ShardId shard, shard::Worker& writer, shard::Worker& background, Host& host,
      const LogOptions& options);
  bool Planted(Mistake mistake) const { return options_.planted == mistake; }
  void SetUp(LogJob& job, void (Log::*work)(), void (Log::*done)());
  void Submit(LogJob& job, shard::Worker& worker);

  // Gathering (log.cc).
  bool MakeRoom(size_t bytes);
  Slot& SlotOf(const Batch& batch);
  void StartNextFile(size_t bytes);
  void StartBlock(uint64_t offset);
  void ContinueAfter(const Batch& before);
  bool NextMustStartBlock() const;
  // Writing.
  void HandOver(WriteBy by);
  bool AdvanceTo(uint64_t sequence);
  void WriteBatch();
  void OnWritten();
  void MaybeSync();
  void SyncFiles();
  void OnSynced();
  void RaiseDurable(Lsn durable);
  void Seal();
  void GoOn();
  void Fail(const base::Status& status);
  void SetState(State state);

  // Files (log_files.cc).
  void PlanFile(uint64_t bytes);
  void StartFileJob();
  void StepFile();
  void OnFileStepped();
  void StartCloseJob();
  void CloseFile();
  void OnClosed();
  void FinishClosing();

  Directory& directory_;
  const ShardId shard_;
  shard::Worker& writer_;
  shard::Worker& background_;
  Host& host_;
  const LogOptions options_;
  SyncPolicy policy_;

  Batch filling_;
  std::deque<Batch> ready_;
  uint64_t ready_bytes_ = 0;
  Batch writing_;
  BatchMemoryPool memories_;
  std::deque<Slot> slots_;  // front: the file of the writer
  uint64_t planned_bytes_ = 0;

  State state_ = State::kOpen;
  base::Status failure_;
  bool closing_ = false;
  bool file_closed_ = false;  // with closing_: the last file's Closing was queued
  Lsn appended_, written_, durable_;
  Stamp stamp_;
  Lsn sync_goal_;         // this is to become durable by a sync
  Lsn syncing_;           // what the sync under way makes durable
  Lsn at_tick_;           // appended_ at the last Tick
  Lsn sealed_;            // appended_ when the log was sealed
  bool no_room_ = false;  // the last try to make a file or to change the manifest found no space
  std::deque<Closing> closings_;
  std::unique_ptr<Directory::Preparation> preparation_;
  Lsn retire_upto_;
  std::shared_ptr<LogFile> write_file_;  // of the jobs under way
  std::vector<std::shared_ptr<LogFile>> sync_files_;
  Closing close_now_;
  Lsn retire_now_;

  LogJob writing_job_, sync_job_, file_job_, close_job_;
  Counters counters_;
};

}  // namespace moonshard::wal
