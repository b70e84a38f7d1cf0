#pragma once
// Env: where time, randomness, files, sockets and threads come from. RealEnv asks the operating system;
// SimEnv (sim_env.h) answers from one seed, so that a test runs all shards in one thread and repeats every
// run exactly. Nothing above this folder asks the operating system for any of these itself.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "shard/io.h"

namespace moonshard::shard {

struct OpenOptions {
  enum class Mode : uint8_t { kRead, kReadWrite };
  Mode mode = Mode::kRead;
  bool create = false;     // make the file if it is not there
  bool exclusive = false;  // with create: refuse if it is there
  bool truncate = false;
  bool direct = false;  // past the page cache: offset, size and memory must be multiples of kDirectAlignment
  bool dsync = false;   // a Write that returned OK is durable
};
inline constexpr size_t kDirectAlignment = 4096;

// An open file; closed by its destructor. One thread at a time. All calls block.
class File {
 public:
  virtual ~File() = default;
  // Fewer bytes than asked only at the end of the file.
  virtual base::Result<size_t> Read(uint64_t offset, std::span<char> to) = 0;
  // All bytes or an error, after which any part of them may have been written.
  virtual base::Status Write(uint64_t offset, std::span<const char> from) = 0;
  // Data and size are durable once this returns OK. After an error nothing written since the last good Sync
  // may be trusted, even if a later Sync succeeds.
  virtual base::Status Sync() = 0;
  virtual base::Status Truncate(uint64_t size) = 0;
  virtual base::Result<uint64_t> Size() = 0;
};

// Held while it lives; goes with the process, however that ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Paths are plain strings with '/'. Safe from any thread.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual base::Result<std::unique_ptr<File>> Open(const std::string& path, const OpenOptions& options) = 0;
  // Replaces `to` atomically. Durable after SyncDirectory of its directory, as are creations and removals.
  virtual base::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual base::Status Remove(const std::string& path) = 0;
  // Names (not paths) of the entries, sorted.
  virtual base::Result<std::vector<std::string>> List(const std::string& directory) = 0;
  virtual base::Result<uint64_t> Size(const std::string& path) = 0;
  // OK if it is already there. Makes one level.
  virtual base::Status MakeDirectory(const std::string& path) = 0;
  virtual base::Status SyncDirectory(const std::string& path) = 0;
  // Makes the file `path` and locks it against every other holder, in this process or another; IsLocked if
  // there is one. Never waits. Advisory: it stops only who asks.
  virtual base::Result<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
};

// The errors that callers tell apart; other ones are of Code::kIo with the path and the reason as text.
bool IsNotFound(const base::Status& status);
bool IsNoSpace(const base::Status& status);
bool IsLocked(const base::Status& status);
// The Status of a failed operation on `path`.
base::Status FileError(int error, std::string_view what, std::string_view path);

// One item for a Worker. The owner keeps it alive until `run` has returned.
struct Job {
  void (*run)(Job& job) = nullptr;
  Job* next = nullptr;  // the worker's
};

// A thread for calls that block (the write-ahead log, snapshots). Jobs run one after the other in the order
// of Submit; they touch no shard memory that is not handed to them, and report back by Shard::Post.
// Destroying the worker waits for the jobs it has.
class Worker {
 public:
  virtual ~Worker() = default;
  virtual void Submit(Job& job) = 0;  // any thread
};

class Env {
 public:
  virtual ~Env() = default;
  virtual bool simulated() const = 0;
  virtual TimeNs MonotonicNow() = 0;
  // Nanoseconds since the Unix epoch; may jump, see Shard::now_ms for a clock that does not go back.
  virtual TimeNs WallNowNs() = 0;
  TimeMs WallNow() { return WallNowNs() / 1'000'000; }
  virtual uint64_t RandomSeed() = 0;
  // Called on the thread that will own it.
  virtual base::Result<std::unique_ptr<Io>> MakeIo(ShardId shard, const IoOptions& options) = 0;
  virtual std::unique_ptr<Worker> MakeWorker(std::string_view name) = 0;
  virtual FileSystem& files() = 0;
};

// Everything from the operating system. Safe from any thread.
class RealEnv final : public Env {
 public:
  RealEnv();
  ~RealEnv() override;
  bool simulated() const override { return false; }
  TimeNs MonotonicNow() override;
  TimeNs WallNowNs() override;
  uint64_t RandomSeed() override;
  base::Result<std::unique_ptr<Io>> MakeIo(ShardId shard, const IoOptions& options) override;
  std::unique_ptr<Worker> MakeWorker(std::string_view name) override;
  FileSystem& files() override { return *files_; }

 private:
  std::unique_ptr<FileSystem> files_;
};

}  // namespace moonshard::shard
