#include "server/machine.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/number.h"
#include "server/config_file.h"

namespace moonshard::server {

namespace {

constexpr size_t kFileBytesMax = 64 * 1024;

std::string TextOf(const std::string& path) {
  auto text = ReadText(path, kFileBytesMax);
  return text.ok() ? std::move(text).value() : std::string();
}

// The first two words, which is all that any of these files has to say.
std::pair<std::string_view, std::string_view> TwoWords(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n";
  auto word = [&] {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    std::string_view found = text.substr(0, text.find_first_of(kSpace));
    text.remove_prefix(found.size());
    return found;
  };
  std::string_view first = word();
  return {first, word()};
}

std::optional<uint64_t> Positive(std::string_view word) {
  auto value = base::ParseInt64(word);
  return value && *value > 0 ? std::optional(static_cast<uint64_t>(*value)) : std::nullopt;
}

// The group's path below the mount, from the line "0::/path".
std::string GroupPath(const std::string& root) {
  const std::string text = TextOf(root + "/proc/self/cgroup");
  size_t begin = text.starts_with("0::") ? 0 : text.find("\n0::");
  if (begin == std::string::npos) return {};
  begin = text.find("0::", begin) + 3;
  std::string path = text.substr(begin, text.find('\n', begin) - begin);
  // Of a group outside the own namespace: "/../..". Its files are not visible here.
  return path.find("..") == std::string::npos ? path : std::string("/");
}

uint64_t MemoryTotal(const std::string& root) {
  const std::string text = TextOf(root + "/proc/meminfo");
  constexpr std::string_view kName = "MemTotal:";
  size_t at = text.find(kName);
  if (at == std::string::npos) return 0;
  return Positive(TwoWords(std::string_view(text).substr(at + kName.size())).first).value_or(0) * 1024;
}

uint16_t AffinityCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<uint16_t>(std::clamp(CPU_COUNT(&set), 1, 255));
}

void Lower(Machine& machine, const std::string& group) {
  const std::string memory = TextOf(group + "/memory.max");
  if (auto bytes = Positive(TwoWords(memory).first);
      bytes && (machine.memory_bytes == 0 || *bytes < machine.memory_bytes)) {
    machine.memory_bytes = *bytes;
    machine.limited = true;
  }
  const std::string cpu = TextOf(group + "/cpu.max");
  auto [quota_word, period_word] = TwoWords(cpu);
  auto quota = Positive(quota_word);
  auto period = Positive(period_word);
  if (quota && period) {
    uint64_t cores = *quota / *period + (*quota % *period != 0 ? 1 : 0);
    machine.cores = static_cast<uint16_t>(std::min<uint64_t>(machine.cores, cores));
  }
}

}  // namespace

Machine ReadMachine(const std::string& root) {
  Machine machine;
  machine.cores = AffinityCores();
  machine.memory_bytes = MemoryTotal(root);
  std::string path = GroupPath(root);
  // From the own group up to the mount, whose files are the container's own limits.
  for (;;) {
    while (path.ends_with('/')) path.pop_back();
    Lower(machine, root + "/sys/fs/cgroup" + path);
    size_t slash = path.rfind('/');
    if (slash == std::string::npos) return machine;
    path.resize(slash);
  }
}

uint64_t DefaultBudget(const Machine& machine) {
  return machine.memory_bytes / 100 * kBudgetPercent;
}

}  // namespace moonshard::server
