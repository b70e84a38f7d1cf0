#include "shard/real_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>

#include "shard/socket.h"

namespace moonshard::shard {

namespace {

using base::Result;
using base::Status;

constexpr base::StaticError kNotFound{base::Code::kIo, "no such file or directory"};
constexpr base::StaticError kNoSpace{base::Code::kIo, "no space left on device"};
constexpr base::StaticError kLocked{base::Code::kIo, "locked by another process"};

class RealFile final : public File {
 public:
  RealFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<size_t> Read(uint64_t offset, std::span<char> to) override {
    size_t done = 0;
    while (done < to.size()) {
      const ssize_t n =
          pread(fd_.get(), to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileError(errno, "read", path_);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  Status Write(uint64_t offset, std::span<const char> from) override {
    size_t done = 0;
    while (done < from.size()) {
      const ssize_t n =
          pwrite(fd_.get(), from.data() + done, from.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return FileError(errno, "write", path_);
      done += static_cast<size_t>(n);
    }
    return {};
  }

  Status Sync() override { return fdatasync(fd_.get()) == 0 ? Status() : FileError(errno, "sync", path_); }

  Status Truncate(uint64_t size) override {
    return ftruncate(fd_.get(), static_cast<off_t>(size)) == 0 ? Status()
                                                               : FileError(errno, "truncate", path_);
  }

  Result<uint64_t> Size() override {
    struct stat info{};
    if (fstat(fd_.get(), &info) != 0) return FileError(errno, "stat", path_);
    return static_cast<uint64_t>(info.st_size);
  }

 private:
  Fd fd_;
  std::string path_;
};

// The kernel drops the lock with the last descriptor of this opening.
class RealFileLock final : public FileLock {
 public:
  explicit RealFileLock(Fd fd) : fd_(std::move(fd)) {}

 private:
  Fd fd_;
};

class RealFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, const OpenOptions& options) override {
    int flags = O_CLOEXEC | (options.mode == OpenOptions::Mode::kRead ? O_RDONLY : O_RDWR);
    if (options.create) flags |= O_CREAT;
    if (options.exclusive) flags |= O_EXCL;
    if (options.truncate) flags |= O_TRUNC;
    if (options.direct) flags |= O_DIRECT;
    if (options.dsync) flags |= O_DSYNC;
    Fd fd(open(path.c_str(), flags, 0644));
    if (!fd.valid()) return FileError(errno, "open", path);
    return std::unique_ptr<File>(std::make_unique<RealFile>(std::move(fd), path));
  }

  Status Rename(const std::string& from, const std::string& to) override {
    return rename(from.c_str(), to.c_str()) == 0 ? Status() : FileError(errno, "rename", from);
  }

  Status Remove(const std::string& path) override {
    return unlink(path.c_str()) == 0 ? Status() : FileError(errno, "remove", path);
  }

  Result<std::vector<std::string>> List(const std::string& directory) override {
    DIR* dir = opendir(directory.c_str());
    if (dir == nullptr) return FileError(errno, "list", directory);
    std::vector<std::string> names;
    while (const dirent* entry = readdir(dir)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    closedir(dir);
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<uint64_t> Size(const std::string& path) override {
    struct stat info{};
    if (stat(path.c_str(), &info) != 0) return FileError(errno, "stat", path);
    return static_cast<uint64_t>(info.st_size);
  }

  Status MakeDirectory(const std::string& path) override {
    if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
    return FileError(errno, "make directory", path);
  }

  Status SyncDirectory(const std::string& path) override {
    Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return FileError(errno, "open", path);
    return fsync(fd.get()) == 0 ? Status() : FileError(errno, "sync", path);
  }

  Result<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!fd.valid()) return FileError(errno, "open", path);
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return FileError(errno, "lock", path);
    return std::unique_ptr<FileLock>(std::make_unique<RealFileLock>(std::move(fd)));
  }
};

}  // namespace

bool IsNotFound(const Status& status) {
  return !status.ok() && status.text().data() == kNotFound.text.data();
}
bool IsNoSpace(const Status& status) {
  return !status.ok() && status.text().data() == kNoSpace.text.data();
}

bool IsLocked(const Status& status) {
  return !status.ok() && status.text().data() == kLocked.text.data();
}

Status FileError(int error, std::string_view what, std::string_view path) {
  if (error == ENOENT) return kNotFound;
  if (error == EWOULDBLOCK) return kLocked;
  if (error == ENOSPC || error == EDQUOT) return kNoSpace;
  return Status::WithText(
      base::Code::kIo, fmt::format("cannot {} {}: {}", what, path, std::generic_category().message(error)));
}

std::unique_ptr<FileSystem> MakeRealFileSystem() {
  return std::make_unique<RealFileSystem>();
}

}  // namespace moonshard::shard
