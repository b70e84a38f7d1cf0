#include "shard/testing.h"

#include <filesystem>
#include <system_error>

#include "shard/epoll_io.h"
#include "shard/uring_io.h"

namespace moonshard::shard {

std::string BackendName(Backend backend) {
  switch (backend) {
    case Backend::kUring:
      return "Uring";
    case Backend::kUringEventfd:
      return "UringEventfd";
    case Backend::kEpoll:
      return "Epoll";
  }
  return "?";
}

base::Result<std::unique_ptr<Io>> BackendEnv::MakeIo(ShardId, const IoOptions& options) {
  switch (backend_) {
    case Backend::kUring:
      return MakeUringIo(options, UringWake::kBest);
    case Backend::kUringEventfd:
      return MakeUringIo(options, UringWake::kEventfd);
    case Backend::kEpoll:
      return MakeEpollIo(options);
  }
  return MakeEpollIo(options);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace moonshard::shard
