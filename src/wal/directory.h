#pragma once
// Directory: owns the data directory. It holds the lock on it, keeps the manifest, makes log files ahead of
// need and takes in those that are no longer needed.
//
//   MS_ASSIGN_OR_RETURN(auto directory, Directory::Open(files, path, options));
//   if (directory->fresh()) ...; else ReadLog(...) of every shard, then decide where each log is cut
//   directory->Begin({...});                          the new incarnation; from here on logs may be written
//   wal::Log::Open(*directory, shard, ...)            log.h; asks for files and closes them
//
// Every change of the manifest writes it anew beside the old one, syncs, renames and syncs the names. If that
// goes wrong at a point where either could be on the disk, the directory is *broken* for good: it changes
// nothing more, since no later step could be sure what it builds on.
//
// Safe from any thread: a mutex guards all. It is for start, for files that fill up, and for workers; no
// command ever waits for it.

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "shard/env.h"
#include "wal/manifest.h"
#include "wal/mistake.h"
#include "wal/reader.h"

namespace moonshard::wal {

struct DirectoryOptions {
  // A recycled file that is larger than asked for is taken as it is. Kept for recycling, per shard.
  size_t spare_count_max = 4;
  Mistake planted = Mistake::kNone;
};

// A file of the log that may be written, opened in every way that the writer needs. `durable` and `lazy`
// belong to the writer's thread, `syncer` to the one that syncs.
struct LogFile {
  FileId file;
  uint64_t bytes = 0;
  std::unique_ptr<shard::File>
      durable;                          // direct if the file system can, and a Write that returned is durable
  std::unique_ptr<shard::File> lazy;    // through the page cache
  std::unique_ptr<shard::File> syncer;  // Sync makes everything durable that `lazy` wrote before
  // A sync failed. The system reports that once; a later sync that succeeds means nothing. The syncer's.
  bool sync_failed = false;

  base::Status Sync();  // by `syncer`
};

class Directory {
 public:
  // Locks the directory (which must be there) and reads its manifest. Refuses one in use, one with a damaged
  // or newer manifest, and one without a manifest that holds data of a log or of Redis.
  static base::Result<std::unique_ptr<Directory>> Open(shard::FileSystem& files, std::string path,
                                                       const DirectoryOptions& options);
  ~Directory();

  // No manifest was found.
  bool fresh() const { return fresh_; }
  const std::string& path() const { return path_; }
  shard::FileSystem& files() const { return files_; }
  Manifest manifest() const;  // a copy
  // Of this start. Fixed once Begin has returned, so that asking needs no lock.
  uint64_t incarnation() const { return incarnation_; }
  uint16_t shard_count() const { return shard_count_; }

  // How a shard's log continues: what ReadLog found, or an earlier place if the log is cut there.
  struct Cut {
    LogPlace end;
    Lsn last;                   // of the last record before `end`
    std::vector<FileEnd> ends;  // ReadOutcome::ends; those behind `end` do not matter
  };
  struct Start {
    uint64_t incarnation = 0;  // random
    uint64_t hash_seed = 0;
    TimeMs clock_floor = 0;
    std::vector<Cut> cuts;  // one per shard; as many as there were shards, unless fresh
  };
  // Closes all files at the cuts, for good, and forgets the files behind them. Once it has returned OK the
  // manifest with the new incarnation is durable. Once per Directory.
  base::Status Begin(const Start& start);

  // The first number that no file of the shard has had.
  uint64_t NextSequence(ShardId shard) const;
  Lsn LastLsn(ShardId shard) const;  // of the closed files

  // Makes one file in steps of at most kStepBytes, so that others may use the thread in between.
  class Preparation {
   public:
    ~Preparation();
    // IsNoSpace: nothing is left of the attempt, and a new Preparation may be tried.
    base::Status Step();
    bool done() const { return done_; }
    std::unique_ptr<LogFile> Take() { return std::move(result_); }

   private:
    friend class Directory;
    Preparation(Directory& directory, ShardId shard, uint64_t sequence, uint64_t bytes);
    base::Status StepOnce();
    base::Status Start();
    base::Status Finish();
    base::Result<std::unique_ptr<LogFile>> OpenAll();

    Directory& directory_;
    const ShardId shard_;
    const FileId id_;
    uint64_t bytes_;
    std::string making_;  // the path it is written under
    std::unique_ptr<shard::File> file_;
    bool direct_ = false;
    uint64_t filled_ = 0;
    bool recycled_ = false;
    bool done_ = false;
    std::unique_ptr<LogFile> result_;
  };
  static constexpr uint64_t kStepBytes = 1 << 20;

  // `sequence` follows that of the shard's last file; `bytes` is a multiple of 4 KiB and the least that the
  // file must hold. When done the file is complete, durable and in the manifest.
  std::unique_ptr<Preparation> Prepare(ShardId shard, uint64_t sequence, uint64_t bytes);

  // Everything in the file is durable up to `end`, nothing will be written behind it, and the files before it
  // are closed.
  base::Status Close(ShardId shard, uint64_t sequence, const ManifestFile::End& end);

  // Forgets the closed files at the front whose records are all at or below `upto`, because a snapshot holds
  // what they say. Their files wait to be recycled.
  base::Status Retire(ShardId shard, Lsn upto);

  size_t SpareCount(ShardId shard) const;

 private:
  struct Spare {
    std::string path;
    uint64_t bytes;
  };
  struct ShardFiles {
    std::vector<Spare> spares;
    uint64_t next_sequence = 1;
    bool folder_made = false;
  };

  Directory(shard::FileSystem& files, std::string path, const DirectoryOptions& options);
  base::Status ReadManifest();
  base::Status RefuseForeign();
  base::Status CollectSpares();
  base::Status SyncKept(const Manifest& next);
  base::Status CutShard(ManifestShard& shard, const Cut& cut);
  base::Status MakeFolder(ShardId shard);
  base::Status Replace(Manifest next);
  base::Status List(ShardId shard, const ManifestFile& file);
  void MakeSpare(ShardId shard, const ManifestFile& file);
  bool Planted(Mistake mistake) const { return options_.planted == mistake; }
  std::string At(std::string_view name) const;

  shard::FileSystem& files_;
  const std::string path_;
  const DirectoryOptions options_;
  std::unique_ptr<shard::FileLock> lock_;
  bool fresh_ = true;
  uint64_t incarnation_ = 0;
  uint16_t shard_count_ = 0;

  mutable std::mutex mutex_;
  Manifest manifest_;
  std::vector<ShardFiles> shards_;
  bool begun_ = false;
  base::Status broken_;
};

}  // namespace moonshard::wal
