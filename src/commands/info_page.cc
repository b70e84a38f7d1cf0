#include "commands/info_page.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
#include "base/hash.h"
#include "command/version.h"

namespace moonshard::commands {

namespace {

using base::EqualsIgnoreCase;

// Expensive or long, and therefore only shown to who asks.
bool IsExtra(std::string_view section) {
  return section == "commandstats" || section == "latencystats" || section == "shards";
}

uint64_t ResidentBytes() {
  uint64_t total_pages = 0;
  uint64_t resident_pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lu %lu", &total_pages, &resident_pages) != 2) resident_pages = 0;
    std::fclose(file);
  }
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

std::string HumanBytes(uint64_t bytes) {
  auto value = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{}B", bytes);
  for (char unit : {'K', 'M', 'G', 'T'}) {
    value /= 1024;
    if (value < 1024) return fmt::format("{:.2f}{}", value, unit);
  }
  return fmt::format("{:.2f}P", value / 1024);
}

std::string Percent(uint64_t part, uint64_t whole) {
  double share = whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
  return fmt::format("{:.2f}%", share * 100);
}

std::string Ratio(uint64_t a, uint64_t b) {
  return fmt::format("{:.2f}", b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b));
}

std::string SafeName(std::string_view name) {
  std::string safe(name);
  for (char& c : safe) {
    if (c == '#' || c == ':' || c == '\r' || c == '\n') c = '_';
  }
  return safe;
}

std::string OsName() {
  utsname name{};
  if (uname(&name) != 0) return "Linux";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

std::string BuildId() {
  return fmt::format("{:016x}", base::HashBytes(__VERSION__, base::HashBytes(command::kMoonshardVersion, 0)));
}

std::string ReplicationId(std::string_view run_id) {
  std::string id;
  for (uint64_t part = 1; id.size() < 40; ++part)
    id += fmt::format("{:08x}", base::HashBytes(run_id, part) >> 32);
  return id;
}

std::string ConfigValue(command::ServerControl& server, std::string_view name) {
  auto found = server.GetConfig(name);
  return found.empty() ? std::string() : std::move(found.front().second);
}

std::vector<Percentile> PercentilesOf(std::string_view setting) {
  std::vector<Percentile> percentiles;
  while (!setting.empty()) {
    size_t space = std::min(setting.find(' '), setting.size());
    std::string name(setting.substr(0, space));
    if (!name.empty()) percentiles.push_back({name, std::strtod(name.c_str(), nullptr)});
    setting.remove_prefix(std::min(space + 1, setting.size()));
  }
  return percentiles;
}

MemoryFigures MemoryFigures::Of(const std::vector<ShardFigures>& shards, command::ServerControl& server) {
  MemoryFigures memory;
  for (const ShardFigures& shard : shards) {
    memory.used += shard.used_bytes;
    memory.index += shard.index_bytes;
    memory.committed += shard.committed_bytes;
  }
  memory.peak =
      std::max(memory.used, server.common_figures().used_memory_peak.load(std::memory_order_relaxed));
  memory.resident = ResidentBytes();
  memory.machine =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  memory.limit = server.live().maxmemory.load(std::memory_order_relaxed);
  return memory;
}

bool InfoPage::Wants(std::string_view section) const {
  if (sections_.empty()) return !IsExtra(section);
  for (std::string_view asked : sections_) {
    if (EqualsIgnoreCase(asked, section)) return true;
    if (EqualsIgnoreCase(asked, "all") || EqualsIgnoreCase(asked, "everything")) return true;
    if (EqualsIgnoreCase(asked, "default") && !IsExtra(section)) return true;
    // Redis knows this one by two names.
    if (section == "modules" && EqualsIgnoreCase(asked, "module_list")) return true;
  }
  return false;
}

bool InfoPage::Begin(std::string_view section, std::string_view title) {
  if (!Wants(section)) return false;
  if (!text_.empty()) text_ += "\r\n";
  fmt::format_to(std::back_inserter(text_), "# {}\r\n", title);
  return true;
}

void InfoPage::Bytes(std::string_view name, uint64_t bytes) {
  Field(name, bytes);
  fmt::format_to(std::back_inserter(text_), "{}_human:{}\r\n", name, HumanBytes(bytes));
}

}  // namespace moonshard::commands
