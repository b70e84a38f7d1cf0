#pragma once
// SimDisk: a file system in memory that forgets like a real one. What was not synced may be lost, torn at
// sectors of 512 bytes or kept, write by write and in any combination, when Crash is called; names are lost
// unless their directory was synced. A write during which the power fails is torn as well, durable or not.
// After a failed sync the page cache shows what the medium lost; a direct read shows the medium. Errors can
// be injected. Every choice comes from the seed. One thread.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "shard/env.h"

namespace moonshard::shard {

class SimDisk final : public FileSystem {
 public:
  enum class Operation : uint8_t { kRead, kWrite, kSync, kOpen, kRename, kRemove, kSyncDirectory };

  explicit SimDisk(uint64_t seed);
  ~SimDisk() override;

  base::Result<std::unique_ptr<File>> Open(const std::string& path, const OpenOptions& options) override;
  base::Status Rename(const std::string& from, const std::string& to) override;
  base::Status Remove(const std::string& path) override;
  base::Result<std::vector<std::string>> List(const std::string& directory) override;
  base::Result<uint64_t> Size(const std::string& path) override;
  base::Status MakeDirectory(const std::string& path) override;
  base::Status SyncDirectory(const std::string& path) override;
  base::Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override;

  // Power fails now: from here on every call answers EIO, until PowerOn shows what a restart finds. Files
  // opened before stay dead.
  void Crash();
  // The same at the `operation_idx`-th operation from now (0: the next one), before it has any effect, except
  // that a write may be done in part.
  void CrashAt(uint64_t operation_idx) { crash_at_ = operations_ + operation_idx; }
  void PowerOn();
  bool powered() const { return powered_; }
  // The `skip`+1-th such operation on a path that contains `path_part` fails with `error` (an errno, usually
  // EIO). A failed write may have written a part; a failed sync may lose what it should have saved, whatever
  // a later sync says.
  void FailNext(Operation operation, std::string path_part, int error, uint64_t skip = 0);
  void ForgetFailures() { failures_.clear(); }
  // Writes that would grow the files beyond this answer ENOSPC.
  void SetCapacity(uint64_t bytes) { capacity_ = bytes; }
  // From now on a sector that was not safely written when the power failed may hold neither the old nor the
  // new bytes, but anything.
  void SetGarbling() { garbles_ = true; }
  // Flips one bit of a file's durable content: damage that a checksum must find.
  void FlipBit(const std::string& path, uint64_t bit_idx);

  uint64_t operations() const { return operations_; }

 private:
  struct Inode;
  struct Directory;
  class SimFile;
  class SimLock;
  struct Failure {
    Operation operation;
    std::string path_part;
    int error;
    uint64_t skip;
  };

  void LoseSome(Inode& inode);
  template <typename Change>
  void Tear(Inode& inode, const Change& change);
  int TakeFailure(Operation operation, const std::string& path);
  uint64_t UsedBytes() const;

  base::Random random_;
  std::map<std::string, std::unique_ptr<Directory>> directories_;
  std::set<std::string> locked_;
  std::vector<Failure> failures_;
  uint64_t capacity_ = UINT64_MAX;
  uint64_t operations_ = 0;
  uint64_t crash_at_ = UINT64_MAX;
  bool powered_ = true;
  bool garbles_ = false;
  uint64_t epoch_ = 0;  // number of crashes; files opened in an earlier one are dead
};

}  // namespace moonshard::shard
