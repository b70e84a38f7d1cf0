#include "db/eviction_budget.h"

#include <algorithm>

namespace moonshard::db {

namespace {
constexpr uint64_t kHeadroomMax = uint64_t{4} << 20;
}  // namespace

DataBudget::DataBudget(Keyspace& keyspace, const Shared& shared, const LockView* locks, uint64_t random_seed)
    : keyspace_(keyspace), shared_(shared), evictor_(keyspace, shared.settings, locks, random_seed) {}

uint64_t DataBudget::Grain() const {
  return limited() ? std::min(kGrainBytes, limit() / 64 / shared_.shard_count) : kGrainBytes;
}

uint64_t DataBudget::Headroom() const {
  return std::min(kHeadroomMax, limit() / 64);
}

// As Redis reads maxmemory-eviction-tenacity: up to 10 linear, at 10 half a millisecond (a key takes about
// one microsecond), then 15 % more a step, and no bound at 100.
size_t DataBudget::KeysPerTurn() const {
  constexpr size_t kKeysAtTen = 512;
  const uint32_t tenacity = shared_.settings.tenacity.load(std::memory_order_relaxed);
  if (tenacity >= 100) return SIZE_MAX;
  if (tenacity <= 10) return std::max<size_t>(1, kKeysAtTen * tenacity / 10);
  size_t keys = kKeysAtTen;
  for (uint32_t step = 10; step < tenacity; ++step) keys += keys * 3 / 20;
  return keys;
}

bool DataBudget::Reserve(uint64_t bytes) {
  const uint64_t most = limit();
  uint64_t now = total();
  while (true) {
    if (most != 0 && (bytes > most || now > most - bytes)) return false;
    if (shared_.total.compare_exchange_weak(now, now + bytes, std::memory_order_relaxed)) return true;
  }
}

bool DataBudget::Exchange(uint64_t held, uint64_t bytes) {
  if (bytes > held) return Reserve(bytes - held);
  Subtract(held - bytes);
  return true;
}

bool DataBudget::MakeRoom(uint64_t bytes) {
  if (!limited()) return true;
  auto fits = [&] {
    const uint64_t wanted = used() + bytes;
    if (wanted <= share_) return true;
    if (!Reserve(wanted - share_)) return false;
    share_ = wanted;
    return true;
  };
  if (fits()) return true;
  if (!policy_evicts() || bytes > limit()) return false;
  // A shard with little leaves it to all of them together to find what should go.
  if (used() * 4 * shared_.shard_count < total() * 3) return false;
  for (size_t keys = KeysPerTurn(); keys > 0; --keys) {
    if (!evictor_.EvictOne()) return false;
    if (fits()) return true;
  }
  return false;
}

uint64_t DataBudget::Missing(uint64_t held, uint64_t bytes) const {
  if (!limited()) return 0;
  const uint64_t wanted = total() + bytes;
  return wanted > limit() + held ? wanted - limit() - held : 0;
}

uint64_t DataBudget::PartOf(uint64_t missing) const {
  const auto part = static_cast<unsigned __int128>(missing) * used() / std::max<uint64_t>(total(), 1);
  return static_cast<uint64_t>(part) + 1;
}

// True: it got there. Otherwise the turn's bound was reached, or nothing more was found.
bool DataBudget::EvictDownTo(uint64_t target) {
  for (size_t keys = KeysPerTurn(); used() > target; --keys) {
    behind_ = keys == 0;
    if (keys == 0 || !evictor_.EvictOne()) return false;
  }
  return true;
}

uint64_t DataBudget::EvictPart(uint64_t missing) {
  Publish();
  const uint64_t part = PartOf(missing + Headroom() / 2);
  EvictDownTo(used() > part ? used() - part : 0);
  const uint64_t freed = share_ > used() ? share_ - used() : 0;
  share_ -= freed;
  return freed;
}

void DataBudget::Publish() {
  const uint64_t bytes = used();
  if (bytes > share_) {
    if (!limited() && bytes - share_ < kGrainBytes) return;
    Add(bytes - share_);
    share_ = bytes;
  } else if (share_ - bytes > Grain()) {
    Subtract(share_ - bytes);
    share_ = bytes;
  }
}

void DataBudget::EndTurn() {
  Publish();
  behind_ = false;
  if (!limited() || !policy_evicts()) return;
  const uint64_t goal = limit() - Headroom();
  const uint64_t now = total();
  if (now <= goal) return;
  const uint64_t part = PartOf(now - goal);
  EvictDownTo(used() > part ? used() - part : 0);
  Publish();
  behind_ = behind_ && over_limit();
}

}  // namespace moonshard::db
