#pragma once
// Helpers for tests of this folder and the ones above.

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "shard/env.h"
#include "shard/shard.h"

namespace moonshard::shard {

// Hooks that want nothing.
class IdleHooks : public TurnHooks {
 public:
  void BeforeStamp() override {}
  void EndTurn() override {}
  bool HasWork() const override { return false; }
  TimeNs NextDeadline() const override { return kNever; }
};

// A real environment with one particular backend, also those that auto would not choose here.
enum class Backend : uint8_t { kUring, kUringEventfd, kEpoll };
std::string BackendName(Backend backend);

class BackendEnv final : public Env {
 public:
  explicit BackendEnv(Backend backend) : backend_(backend) {}
  bool simulated() const override { return false; }
  TimeNs MonotonicNow() override { return real_.MonotonicNow(); }
  TimeNs WallNowNs() override { return real_.WallNowNs(); }
  uint64_t RandomSeed() override { return real_.RandomSeed(); }
  base::Result<std::unique_ptr<Io>> MakeIo(ShardId shard, const IoOptions& options) override;
  std::unique_ptr<Worker> MakeWorker(std::string_view name) override { return real_.MakeWorker(name); }
  FileSystem& files() override { return real_.files(); }

 private:
  const Backend backend_;
  RealEnv real_;
};

// A directory under the system's temporary one, removed with everything in it at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = "/tmp/moonshard_test_XXXXXX";
    if (mkdtemp(path.data()) != nullptr) path_ = path;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace moonshard::shard
