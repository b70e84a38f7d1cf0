#include "shard/sim_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "base/check.h"

namespace moonshard::shard {

namespace {

constexpr uint64_t kSectorBytes = 512;

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}
std::string NameOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

}  // namespace

// A file's content as the program sees it, as the medium has it, and what lies between the two.
struct SimDisk::Inode {
  struct Change {
    bool is_truncation;
    uint64_t offset;  // the new size, of a truncation
    std::string bytes;
  };
  std::string now;
  std::string durable;
  std::vector<Change> unsynced;

  static void Apply(std::string& content, const Change& change) {
    if (change.is_truncation) {
      content.resize(change.offset);
      return;
    }
    if (content.size() < change.offset + change.bytes.size())
      content.resize(change.offset + change.bytes.size());
    content.replace(change.offset, change.bytes.size(), change.bytes);
  }
};

// Names now and on the medium. A change is one step of what SyncDirectory makes durable.
struct SimDisk::Directory {
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  struct Change {
    std::string name;
    std::shared_ptr<Inode> inode;  // null: the name goes
    std::string also_removes;      // a rename takes the old name away in the same step
  };
  Names now;
  Names durable;
  std::vector<Change> unsynced;

  static void Apply(Names& names, const Change& change) {
    if (change.inode == nullptr) {
      names.erase(change.name);
    } else {
      names[change.name] = change.inode;
    }
    if (!change.also_removes.empty()) names.erase(change.also_removes);
  }
  void Do(Change change) {
    Apply(now, change);
    unsynced.push_back(std::move(change));
  }
};

class SimDisk::SimFile final : public File {
 public:
  SimFile(SimDisk& disk, std::string path, std::shared_ptr<Inode> inode, const OpenOptions& options)
      : disk_(disk),
        path_(std::move(path)),
        inode_(std::move(inode)),
        options_(options),
        epoch_(disk.epoch_) {}

  base::Result<size_t> Read(uint64_t offset, std::span<char> to) override {
    if (int error = Check(Operation::kRead, offset, to.size(), to.data()))
      return FileError(error, "read", path_);
    // A direct read has what is dirty written first, and then asks the medium.
    std::string medium;
    if (options_.direct) {
      medium = inode_->durable;
      for (const Inode::Change& change : inode_->unsynced) Inode::Apply(medium, change);
    }
    const std::string& content = options_.direct ? medium : inode_->now;
    if (offset >= content.size()) return size_t{0};
    const size_t bytes = std::min(to.size(), content.size() - offset);
    std::memcpy(to.data(), content.data() + offset, bytes);
    return bytes;
  }

  base::Status Write(uint64_t offset, std::span<const char> from) override {
    if (options_.mode == OpenOptions::Mode::kRead) return FileError(EBADF, "write", path_);
    const uint64_t end = offset + from.size();
    const uint64_t growth = end > inode_->now.size() ? end - inode_->now.size() : 0;
    const bool alive = epoch_ == disk_.epoch_;
    int error = Check(Operation::kWrite, offset, from.size(), from.data());
    if (alive && epoch_ != disk_.epoch_ && growth == 0) {
      // The power failed during this write.
      disk_.Tear(*inode_, Inode::Change{false, offset, std::string(from.data(), from.size())});
      inode_->now = inode_->durable;
    }
    if (error == 0 && growth != 0 && disk_.UsedBytes() + growth > disk_.capacity_) error = ENOSPC;
    if (error != 0) {
      if (epoch_ == disk_.epoch_ && error != EINVAL) WritePart(offset, from);
      return FileError(error, "write", path_);
    }
    Change({false, offset, std::string(from.data(), from.size())});
    // With dsync this write is durable now, whatever becomes of earlier ones.
    if (options_.dsync) {
      Inode::Apply(inode_->durable, inode_->unsynced.back());
      inode_->unsynced.pop_back();
    }
    return {};
  }

  base::Status Sync() override {
    if (int error = Check(Operation::kSync, 0, 0, nullptr)) {
      // The kernel forgets what it could not write: from here on those bytes are seen, but no later sync
      // saves them. We decide now which of them reached the medium.
      if (epoch_ == disk_.epoch_) {
        disk_.LoseSome(*inode_);
        inode_->unsynced.clear();
      }
      return FileError(error, "sync", path_);
    }
    for (const Inode::Change& change : inode_->unsynced) Inode::Apply(inode_->durable, change);
    inode_->unsynced.clear();
    return {};
  }

  base::Status Truncate(uint64_t size) override {
    if (int error = Check(Operation::kWrite, 0, 0, nullptr)) return FileError(error, "truncate", path_);
    if (size > inode_->now.size() && disk_.UsedBytes() + size - inode_->now.size() > disk_.capacity_) {
      return FileError(ENOSPC, "truncate", path_);
    }
    Change({true, size, {}});
    return {};
  }

  base::Result<uint64_t> Size() override {
    if (epoch_ != disk_.epoch_) return FileError(EIO, "stat", path_);
    return uint64_t{inode_->now.size()};
  }

 private:
  int Check(Operation operation, uint64_t offset, size_t bytes, const void* memory) {
    if (epoch_ != disk_.epoch_) return EIO;
    const uint64_t all = offset | bytes | reinterpret_cast<uintptr_t>(memory);
    if (options_.direct && all % kDirectAlignment != 0) return EINVAL;
    // A crash at this very operation kills the file too.
    return disk_.TakeFailure(operation, path_);
  }
  void Change(Inode::Change change) {
    Inode::Apply(inode_->now, change);
    inode_->unsynced.push_back(std::move(change));
  }
  void WritePart(uint64_t offset, std::span<const char> from) {
    const uint64_t bytes = disk_.random_.Below(from.size() / kSectorBytes + 1) * kSectorBytes;
    const uint64_t room = disk_.capacity_ - std::min(disk_.capacity_, disk_.UsedBytes());
    const uint64_t growth = offset + bytes > inode_->now.size() ? offset + bytes - inode_->now.size() : 0;
    if (bytes != 0 && growth <= room) Change({false, offset, std::string(from.data(), bytes)});
  }

  SimDisk& disk_;
  const std::string path_;
  const std::shared_ptr<Inode> inode_;
  const OpenOptions options_;
  const uint64_t epoch_;
};

// A process that the crash took lets go of nothing later.
class SimDisk::SimLock final : public FileLock {
 public:
  SimLock(SimDisk& disk, std::string path) : disk_(disk), path_(std::move(path)), epoch_(disk.epoch_) {}
  ~SimLock() override {
    if (epoch_ == disk_.epoch_) disk_.locked_.erase(path_);
  }

 private:
  SimDisk& disk_;
  const std::string path_;
  const uint64_t epoch_;
};

SimDisk::SimDisk(uint64_t seed) : random_(seed) {
  directories_["."] = std::make_unique<Directory>();
  directories_["/"] = std::make_unique<Directory>();
}
SimDisk::~SimDisk() = default;

base::Result<std::unique_ptr<File>> SimDisk::Open(const std::string& path, const OpenOptions& options) {
  if (int error = TakeFailure(Operation::kOpen, path)) return FileError(error, "open", path);
  const auto directory = directories_.find(DirectoryOf(path));
  if (directory == directories_.end()) return FileError(ENOENT, "open", path);
  Directory& names = *directory->second;
  const std::string name = NameOf(path);
  auto found = names.now.find(name);
  if (found == names.now.end()) {
    if (!options.create) return FileError(ENOENT, "open", path);
    names.Do({name, std::make_shared<Inode>(), {}});
    found = names.now.find(name);
  } else if (options.create && options.exclusive) {
    return FileError(EEXIST, "open", path);
  }
  auto file = std::make_unique<SimFile>(*this, path, found->second, options);
  if (options.truncate) MS_RETURN_IF_ERROR(file->Truncate(0));
  return std::unique_ptr<File>(std::move(file));
}

base::Status SimDisk::Rename(const std::string& from, const std::string& to) {
  if (int error = TakeFailure(Operation::kRename, from)) return FileError(error, "rename", from);
  const auto source = directories_.find(DirectoryOf(from));
  const auto target = directories_.find(DirectoryOf(to));
  if (source == directories_.end() || target == directories_.end()) return FileError(ENOENT, "rename", from);
  const auto found = source->second->now.find(NameOf(from));
  if (found == source->second->now.end()) return FileError(ENOENT, "rename", from);
  std::shared_ptr<Inode> inode = found->second;
  if (source == target) {
    target->second->Do({NameOf(to), std::move(inode), NameOf(from)});
  } else {
    // Two directories: after a crash the file may be in either or both, never in none.
    target->second->Do({NameOf(to), std::move(inode), {}});
    target->second->durable = target->second->now;
    target->second->unsynced.clear();
    source->second->Do({NameOf(from), nullptr, {}});
  }
  return {};
}

base::Status SimDisk::Remove(const std::string& path) {
  if (int error = TakeFailure(Operation::kRemove, path)) return FileError(error, "remove", path);
  const auto directory = directories_.find(DirectoryOf(path));
  if (directory == directories_.end() || !directory->second->now.contains(NameOf(path))) {
    return FileError(ENOENT, "remove", path);
  }
  directory->second->Do({NameOf(path), nullptr, {}});
  return {};
}

base::Result<std::vector<std::string>> SimDisk::List(const std::string& path) {
  if (!powered_) return FileError(EIO, "list", path);
  const auto directory = directories_.find(path);
  if (directory == directories_.end()) return FileError(ENOENT, "list", path);
  std::vector<std::string> names;
  for (const auto& [name, inode] : directory->second->now) names.push_back(name);
  for (const auto& [other, contents] : directories_) {
    if (other != path && other != "." && other != "/" && DirectoryOf(other) == path)
      names.push_back(NameOf(other));
  }
  std::sort(names.begin(), names.end());
  return names;
}

base::Result<uint64_t> SimDisk::Size(const std::string& path) {
  if (!powered_) return FileError(EIO, "stat", path);
  const auto directory = directories_.find(DirectoryOf(path));
  if (directory == directories_.end()) return FileError(ENOENT, "stat", path);
  const auto found = directory->second->now.find(NameOf(path));
  if (found == directory->second->now.end()) return FileError(ENOENT, "stat", path);
  return uint64_t{found->second->now.size()};
}

// Directories themselves are durable at once: nothing of ours depends on losing one.
base::Status SimDisk::MakeDirectory(const std::string& path) {
  if (!powered_) return FileError(EIO, "make directory", path);
  if (!directories_.contains(DirectoryOf(path))) return FileError(ENOENT, "make directory", path);
  auto& directory = directories_[path];
  if (directory == nullptr) directory = std::make_unique<Directory>();
  return {};
}

base::Status SimDisk::SyncDirectory(const std::string& path) {
  if (int error = TakeFailure(Operation::kSyncDirectory, path)) return FileError(error, "sync", path);
  const auto directory = directories_.find(path);
  if (directory == directories_.end()) return FileError(ENOENT, "sync", path);
  directory->second->durable = directory->second->now;
  directory->second->unsynced.clear();
  return {};
}

base::Result<std::unique_ptr<FileLock>> SimDisk::Lock(const std::string& path) {
  OpenOptions options;
  options.mode = OpenOptions::Mode::kReadWrite;
  options.create = true;
  MS_ASSIGN_OR_RETURN(const std::unique_ptr<File> made, Open(path, options));
  if (!locked_.insert(path).second) return FileError(EWOULDBLOCK, "lock", path);
  return std::unique_ptr<FileLock>(std::make_unique<SimLock>(*this, path));
}

// Applies a part of the unsynced changes to the medium: each is kept, lost, or torn at sectors, by itself, so
// that a later one may survive an earlier one.
void SimDisk::LoseSome(Inode& inode) {
  for (const Inode::Change& change : inode.unsynced) {
    const uint64_t fate = random_.Below(3);
    if (fate == 0) continue;
    if (fate == 1 || change.is_truncation) {
      Inode::Apply(inode.durable, change);
      continue;
    }
    Tear(inode, change);
  }
}

template <typename Change>
void SimDisk::Tear(Inode& inode, const Change& change) {
  for (uint64_t at = 0; at < change.bytes.size();) {
    // Sectors of the medium, not of the write.
    const uint64_t sector_end = (change.offset + at) / kSectorBytes * kSectorBytes + kSectorBytes;
    const uint64_t bytes = std::min<uint64_t>(sector_end - change.offset - at, change.bytes.size() - at);
    if (garbles_ && random_.OneIn(16)) {
      std::string garbage(kSectorBytes, '\0');
      for (char& c : garbage) c = static_cast<char>(random_.Next());
      const uint64_t start = sector_end - kSectorBytes;
      if (start < inode.durable.size())
        garbage.resize(std::min<uint64_t>(kSectorBytes, inode.durable.size() - start));
      if (start < inode.durable.size()) Inode::Apply(inode.durable, {false, start, garbage});
    } else if (random_.OneIn(2)) {
      Inode::Apply(inode.durable, {false, change.offset + at, change.bytes.substr(at, bytes)});
    }
    at += bytes;
  }
}

void SimDisk::PowerOn() {
  powered_ = true;
  crash_at_ = UINT64_MAX;
}

void SimDisk::Crash() {
  MS_CHECK(powered_);
  powered_ = false;
  ++epoch_;
  locked_.clear();
  std::set<Inode*> seen;                       // a file may have several names
  std::vector<std::shared_ptr<Inode>> inodes;  // in the order of names, which does not depend on addresses
  for (auto& [path, directory] : directories_) {
    // Names are journalled: what survives is a prefix.
    const size_t kept_count = random_.Below(directory->unsynced.size() + 1);
    for (size_t i = 0; i < kept_count; ++i) Directory::Apply(directory->durable, directory->unsynced[i]);
    directory->unsynced.clear();
    directory->now = directory->durable;
    for (auto& [name, inode] : directory->now) {
      if (seen.insert(inode.get()).second) inodes.push_back(inode);
    }
  }
  for (const auto& inode : inodes) {
    LoseSome(*inode);
    inode->unsynced.clear();
    inode->now = inode->durable;
  }
}

void SimDisk::FailNext(Operation operation, std::string path_part, int error, uint64_t skip) {
  failures_.push_back({operation, std::move(path_part), error, skip});
}

int SimDisk::TakeFailure(Operation operation, const std::string& path) {
  if (operations_++ == crash_at_ && powered_) Crash();
  if (!powered_) return EIO;
  for (size_t i = 0; i < failures_.size(); ++i) {
    Failure& failure = failures_[i];
    if (failure.operation != operation || path.find(failure.path_part) == std::string::npos) continue;
    if (failure.skip != 0) {
      --failure.skip;
      continue;
    }
    const int error = failure.error;
    failures_.erase(failures_.begin() + static_cast<ptrdiff_t>(i));
    return error;
  }
  return 0;
}

uint64_t SimDisk::UsedBytes() const {
  uint64_t bytes = 0;
  for (const auto& [path, directory] : directories_) {
    for (const auto& [name, inode] : directory->now) bytes += inode->now.size();
  }
  return bytes;
}

void SimDisk::FlipBit(const std::string& path, uint64_t bit_idx) {
  Inode& inode = *directories_.at(DirectoryOf(path))->now.at(NameOf(path));
  MS_CHECK(bit_idx / 8 < inode.now.size());
  const auto flip = static_cast<char>(1u << (bit_idx % 8));
  inode.now[bit_idx / 8] ^= flip;
  if (bit_idx / 8 < inode.durable.size()) inode.durable[bit_idx / 8] ^= flip;
}

}  // namespace moonshard::shard
