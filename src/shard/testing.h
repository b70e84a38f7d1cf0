#pragma once
// Helpers for tests of this folder and the ones above.

#include <unistd.h>

#include <cstdlib>
#include <string>

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
