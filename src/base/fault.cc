#include "base/fault.h"

#include <functional>
#include <map>
#include <mutex>

#include "base/random.h"

namespace moonshard::base {

namespace {

struct Armed {
  FaultPlan plan;
  FaultCounts counts;
  Random random;
};

struct Table {
  std::mutex mutex;
  std::map<std::string, Armed, std::less<>> points;
};

Table& TheTable() {
  // Never destroyed: threads may still pass points while the process exits.
  static auto* table = new Table;
  return *table;
}

}  // namespace

namespace internal {

std::atomic<uint32_t> armed_fault_count{0};

bool PassFault(std::string_view name) {
  Table& table = TheTable();
  std::lock_guard lock(table.mutex);
  auto it = table.points.find(name);
  if (it == table.points.end()) return false;
  Armed& point = it->second;
  if (point.counts.passes++ < point.plan.skip) return false;
  if (point.counts.fired >= point.plan.count_max) return false;
  if (point.random.NextDouble() >= point.plan.probability) return false;
  ++point.counts.fired;
  return true;
}

}  // namespace internal

void ArmFault(std::string_view name, const FaultPlan& plan) {
  Table& table = TheTable();
  std::lock_guard lock(table.mutex);
  table.points.insert_or_assign(std::string(name), Armed{plan, {}, Random(plan.seed)});
  internal::armed_fault_count.store(static_cast<uint32_t>(table.points.size()), std::memory_order_relaxed);
}

void DisarmFault(std::string_view name) {
  Table& table = TheTable();
  std::lock_guard lock(table.mutex);
  if (auto it = table.points.find(name); it != table.points.end()) table.points.erase(it);
  internal::armed_fault_count.store(static_cast<uint32_t>(table.points.size()), std::memory_order_relaxed);
}

FaultCounts CountsOfFault(std::string_view name) {
  Table& table = TheTable();
  std::lock_guard lock(table.mutex);
  auto it = table.points.find(name);
  return it == table.points.end() ? FaultCounts{} : it->second.counts;
}

}  // namespace moonshard::base
