#pragma once
// What this process may use of the machine: the cores of its affinity mask and the memory there is, both
// lowered by the limits of its control group (version 2) and of the groups around it.

#include <cstdint>
#include <string>

namespace moonshard::server {

struct Machine {
  uint16_t cores = 1;         // a part of a core counts as one
  uint64_t memory_bytes = 0;  // 0: unknown
  bool limited = false;       // memory_bytes is the limit of a control group
};

// `root` stands before /proc and /sys/fs/cgroup; tests put files there.
Machine ReadMachine(const std::string& root = "");

// The limit of keys and values of who sets none: the rest is for clients, the log and the system.
inline constexpr uint64_t kBudgetPercent = 80;
uint64_t DefaultBudget(const Machine& machine);

}  // namespace moonshard::server
