#include "db/eviction_budget.h"

#include <algorithm>

namespace moonshard::db {

namespace {
constexpr uint64_t kHeadroomMax = uint64_t{4} << 20;
}  // namespace

DataBudget::DataBudget(Keyspace& keyspace, const Shared& shared, const LockView* locks, uint64_t random_seed)
    : keyspace_(keyspace), shared_(shared), evictor_(keyspace, shared.settings, locks, random_seed) {}

uint64_t DataBudget::Grain() const {
  return limited() ? std::min(kGrainBytes, limit() / 64 / shared_.shard_count) : 2 * kGrainBytes;
}

// What no estimate of a single write foresees is the growth of the index: a directory that doubles, the wheel
// of a database's first deadline. It takes about a hundredth of what the keys take, and so much stays free.
uint64_t DataBudget::usable() const {
  return limit() - limit() / 128;
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

bool DataBudget::ReserveUpTo(uint64_t most, uint64_t bytes) {
  uint64_t now = total();
  while (true) {
    if (limited() && (bytes > most || now > most - bytes)) return false;
    if (shared_.total.compare_exchange_weak(now, now + bytes, std::memory_order_relaxed)) return true;
  }
}

bool DataBudget::Reserve(uint64_t bytes) {
  const uint64_t wanted = shared_.signals.wanted.load(std::memory_order_relaxed);
  return ReserveUpTo(usable() - std::min(usable(), wanted), bytes);
}

bool DataBudget::ClaimWanted() {
  const uint64_t bytes = shared_.signals.wanted.load(std::memory_order_relaxed);
  if (!ReserveUpTo(usable(), bytes)) return false;
  Want(0);
  return true;
}

bool DataBudget::MakeRoom(uint64_t bytes) {
  if (!limited()) return true;
  auto fits = [&] {
    const uint64_t wanted = used() + bytes;
    // The share may be from before the limit, or of a higher one.
    if (wanted <= share_ && total() <= limit()) return true;
    if (!Reserve(wanted > share_ ? wanted - share_ : 0)) return false;
    share_ = std::max(share_, wanted);
    return true;
  };
  if (fits()) return true;
  if (!may_free_some() || bytes > usable()) return false;
  // A shard with little leaves it to all of them together to find what should go.
  if (used() * 4 * shared_.shard_count < total() * 3) return false;
  for (size_t keys = KeysPerTurn(); keys > 0;) {
    if (!FreeSome(keys, LargestFor(bytes))) return false;
    if (fits()) return true;
  }
  return false;
}

bool DataBudget::FreeSome(size_t& keys, uint64_t bytes_max) {
  constexpr size_t kFlushedKeysAtOnce = 64;
  if (keyspace_.has_retired()) {
    keyspace_.FreeRetired(kFlushedKeysAtOnce);
    keys -= std::min(keys, kFlushedKeysAtOnce);
    return true;
  }
  --keys;
  return evictor_.EvictOne(bytes_max);
}

uint64_t DataBudget::Missing() const {
  if (!limited()) return 0;
  const uint64_t needed = total() + shared_.signals.wanted.load(std::memory_order_relaxed);
  return needed > usable() ? needed - usable() : 0;
}

uint64_t DataBudget::PartOf(uint64_t missing) const {
  const auto part = static_cast<unsigned __int128>(missing) * used() / std::max<uint64_t>(total(), 1);
  return static_cast<uint64_t>(part) + 1;
}

// True: it got there. Otherwise the turn's bound was reached, or nothing more was found.
bool DataBudget::EvictDownTo(uint64_t target, uint64_t bytes_max) {
  for (size_t keys = KeysPerTurn(); used() > target;) {
    behind_ = keys == 0;
    if (keys == 0 || !FreeSome(keys, bytes_max)) return false;
  }
  return true;
}

uint64_t DataBudget::EvictPart(uint64_t missing, Insistence insistence) {
  Publish(0);
  const uint64_t before = share_;
  // Meanwhile others may have evicted more than their parts.
  const uint64_t part = std::min(PartOf(missing), Missing());
  if (part != 0) {
    const uint64_t ahead = PartOf(Headroom() / 2);
    EvictDownTo(used() - std::min(used(), part + ahead),
                insistence == Insistence::kMust ? Evictor::kAnySize : LargestFor(part));
  }
  Publish(0);
  return before - std::min(before, share_);
}

void DataBudget::Publish(uint64_t surplus_max) {
  const uint64_t bytes = used();
  if (bytes > share_) {
    // Without a limit in steps: nobody asks how full it is.
    const uint64_t share = bytes + (limited() ? 0 : kGrainBytes);
    Add(share - share_);
    share_ = share;
  } else if (share_ - bytes > surplus_max) {
    Subtract(share_ - bytes);
    share_ = bytes;
  }
}

void DataBudget::CountVolatile() {
  // So few that they may be used up in one turn do not count.
  constexpr size_t kManyMin = 1024;
  size_t keys = 0;
  size_t deadlines = 0;
  for (uint16_t i = 0; i < kDatabaseCount; ++i) {
    const Database& database = keyspace_.database(DbIndex(i));
    keys += database.size();
    deadlines += database.deadline_count();
  }
  many_volatile_ = deadlines >= kManyMin && deadlines >= keys / 8;
}

void DataBudget::EndTurn() {
  const uint64_t unforeseen = used() - std::min(used(), share_);
  Publish(Grain());
  if (freeing_ != keyspace_.has_retired()) [[unlikely]] {
    freeing_ = !freeing_;
    shared_.signals.shards_freeing.fetch_add(freeing_ ? 1 : ~uint32_t{0}, std::memory_order_relaxed);
  }
  behind_ = false;
  if (!limited() || !policy_evicts()) return;
  if (IsVolatile(policy())) CountVolatile();
  const uint64_t goal = limit() - Headroom();
  const uint64_t now = total();
  if (now <= goal) return;
  const uint64_t part = PartOf(now - goal);
  EvictDownTo(used() - std::min(used(), part), LargestFor(part));
  Publish(0);
  if (over_limit() && unforeseen != 0) {
    // What this shard took without asking is its own affair.
    const uint64_t over = std::min(unforeseen, total() - std::min(total(), limit()));
    EvictDownTo(used() - std::min(used(), over), Evictor::kAnySize);
    Publish(0);
  }
  behind_ = behind_ && over_limit();
}

}  // namespace moonshard::db
