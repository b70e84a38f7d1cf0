#include "server/machine.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace moonshard::server {
namespace {

// A /proc and a /sys/fs/cgroup of its own.
class FakeRoot {
 public:
  FakeRoot() {
    path_ = ::testing::TempDir() + "machine_XXXXXX";
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
    Write("/proc/meminfo", "MemTotal:       16000000 kB\nMemFree:  1 kB\n");
  }
  ~FakeRoot() { std::filesystem::remove_all(path_); }
  void Write(const std::string& name, std::string_view text) const {
    std::filesystem::create_directories(std::filesystem::path(path_ + name).parent_path());
    std::ofstream(path_ + name) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

constexpr uint64_t kWholeMachine = uint64_t{16'000'000} * 1024;

TEST(Machine, WithoutGroupsTheWholeMachine) {
  FakeRoot root;
  Machine machine = ReadMachine(root.path());
  EXPECT_EQ(machine.memory_bytes, kWholeMachine);
  EXPECT_FALSE(machine.limited);
  EXPECT_GE(machine.cores, 1);
  EXPECT_EQ(DefaultBudget(machine), kWholeMachine / 100 * 80);
}

TEST(Machine, TheOwnGroupLimits) {
  FakeRoot root;
  root.Write("/proc/self/cgroup", "0::/system.slice/x.service\n");
  root.Write("/sys/fs/cgroup/system.slice/x.service/memory.max", "268435456\n");
  root.Write("/sys/fs/cgroup/system.slice/x.service/cpu.max", "50000 100000\n");
  Machine machine = ReadMachine(root.path());
  EXPECT_EQ(machine.memory_bytes, 268435456u);
  EXPECT_TRUE(machine.limited);
  EXPECT_EQ(machine.cores, 1);  // half a core
}

TEST(Machine, AGroupAroundItLimitsToo) {
  FakeRoot root;
  root.Write("/proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n");
  root.Write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  root.Write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  root.Write("/sys/fs/cgroup/a/memory.max", "1000000000\n");
  root.Write("/sys/fs/cgroup/a/cpu.max", "100000 100000\n");
  Machine machine = ReadMachine(root.path());
  EXPECT_EQ(machine.memory_bytes, 1000000000u);
  EXPECT_EQ(machine.cores, 1);
}

TEST(Machine, InAContainerTheMountHasTheLimits) {
  FakeRoot root;
  for (const char* group : {"0::/\n", "0::/../..\n"}) {
    root.Write("/proc/self/cgroup", group);
    root.Write("/sys/fs/cgroup/memory.max", "536870912\n");
    EXPECT_EQ(ReadMachine(root.path()).memory_bytes, 536870912u) << group;
  }
}

TEST(Machine, ALimitAboveTheMachineIsNone) {
  FakeRoot root;
  root.Write("/proc/self/cgroup", "0::/\n");
  root.Write("/sys/fs/cgroup/memory.max", "99999999999999\n");
  root.Write("/sys/fs/cgroup/cpu.max", "99999999 100000\n");
  Machine machine = ReadMachine(root.path());
  EXPECT_EQ(machine.memory_bytes, kWholeMachine);
  EXPECT_FALSE(machine.limited);
  EXPECT_EQ(machine.cores, ReadMachine().cores);
}

TEST(Machine, NonsenseIsPassedOver) {
  FakeRoot root;
  root.Write("/proc/meminfo", "nothing");
  root.Write("/proc/self/cgroup", "0::");
  root.Write("/sys/fs/cgroup/memory.max", "-5");
  root.Write("/sys/fs/cgroup/cpu.max", "1 0");
  Machine machine = ReadMachine(root.path());
  EXPECT_EQ(machine.memory_bytes, 0u);
  EXPECT_EQ(DefaultBudget(machine), 0u);
  EXPECT_GE(machine.cores, 1);
}

}  // namespace
}  // namespace moonshard::server
