#include "db/eviction.h"

#include <algorithm>
#include <limits>

#include "types/string_value.h"

namespace moonshard::db {

using dash::Entry;
using dash::Table;

namespace {
// Rounds of sampling before the evictor gives up: what it finds may all be locked, or have been used since.
constexpr uint32_t kRoundsMax = 16;
}  // namespace

Evictor::Evictor(Keyspace& keyspace, const EvictionSettings& settings, const LockView* locks,
                 uint64_t random_seed)
    : keyspace_(keyspace), settings_(settings), locks_(locks), random_(random_seed) {}

void Evictor::FollowPolicy() {
  const EvictionPolicy policy = settings_.policy.load(std::memory_order_relaxed);
  if (policy == policy_) return;
  policy_ = policy;
  pool_count_ = 0;
}

size_t Evictor::EligibleCount(Database& database) const {
  return IsVolatile(policy_) ? database.deadline_count() : database.size();
}

bool Evictor::MayEvict() const {
  const EvictionPolicy policy = settings_.policy.load(std::memory_order_relaxed);
  if (policy == EvictionPolicy::kNoEviction) return false;
  for (uint16_t i = 0; i < kDatabaseCount; ++i) {
    const Database& database = keyspace_.database(DbIndex(i));
    if ((IsVolatile(policy) ? database.deadline_count() : database.size()) != 0) return true;
  }
  return false;
}

bool Evictor::EvictOne(uint64_t bytes_max) {
  FollowPolicy();
  switch (policy_) {
    case EvictionPolicy::kNoEviction:
      return false;
    case EvictionPolicy::kAllKeysRandom:
    case EvictionPolicy::kVolatileRandom:
      return EvictByChance(bytes_max);
    default:
      return EvictFromPool(bytes_max);
  }
}

uint64_t Evictor::Score(const Entry& entry) const {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  if (policy_ == EvictionPolicy::kVolatileTtl) return kMax - static_cast<uint64_t>(entry.deadline());
  const AccessClock& clock = keyspace_.access_clock();
  if (CountsFrequency(policy_)) return AccessClock::kFrequencyMax - clock.Frequency(entry);
  const auto now_s = static_cast<uint64_t>(keyspace_.now()) / 1000;
  return kMax - (now_s - std::min<uint64_t>(now_s, clock.IdleSeconds(entry)));
}

void Evictor::Remember(Database& database, Table::Ref ref, const Entry& entry) {
  const uint64_t score = Score(entry);
  if (pool_count_ == kPoolSize && score <= pool_[0].score) return;
  const dash::Handle handle = database.table().HandleAt(ref);
  for (size_t i = 0; i < pool_count_; ++i) {
    if (pool_[i].handle == handle) return;
  }
  const uint64_t hash = database.table().Hash(entry.key());
  // Or sixteen locked keys that nothing outranks would fill the pool each time.
  if (IsLocked(database, hash)) return;
  size_t at = 0;
  while (at < pool_count_ && pool_[at].score < score) ++at;
  if (pool_count_ == kPoolSize) {
    std::move(pool_.begin() + 1, pool_.begin() + static_cast<ptrdiff_t>(at), pool_.begin());
    --at;
  } else {
    std::move_backward(pool_.begin() + static_cast<ptrdiff_t>(at),
                       pool_.begin() + static_cast<ptrdiff_t>(pool_count_),
                       pool_.begin() + static_cast<ptrdiff_t>(pool_count_) + 1);
    ++pool_count_;
  }
  pool_[at] = {score, hash, handle, database.index()};
}

void Evictor::Weigh(Database& database) {
  auto remember = [&](Table::Ref ref, const Entry* entry) { Remember(database, ref, *entry); };
  const size_t count = std::min(settings_.samples.load(std::memory_order_relaxed), kSamplesMax);
  if (policy_ == EvictionPolicy::kVolatileTtl) {
    database.table().SampleEarliest(random_, count, remember);
    return;
  }
  const auto of = IsVolatile(policy_) ? Table::SampleOf::kWithDeadline : Table::SampleOf::kAll;
  database.table().Sample(random_, count, of, remember);
}

bool Evictor::EvictFromPool(uint64_t bytes_max) {
  for (uint32_t round = 0; round < kRoundsMax; ++round) {
    bool any = false;
    for (uint16_t i = 0; i < kDatabaseCount; ++i) {
      Database& database = keyspace_.database(DbIndex(i));
      if (EligibleCount(database) == 0) continue;
      any = true;
      Weigh(database);
    }
    if (!any) {
      pool_count_ = 0;
      return false;
    }
    while (pool_count_ > 0) {
      const Candidate best = pool_[--pool_count_];
      Database& database = keyspace_.database(best.db);
      Table::Ref ref = database.table().FindHandle(best.hash, best.handle);
      if (!ref) continue;
      const Entry& entry = *database.table().entry(ref);
      if (IsVolatile(policy_) && !entry.has_deadline()) continue;
      if (Score(entry) < best.score || BytesOf(entry) > bytes_max) continue;
      if (Evict(database, ref, best.hash)) return true;
    }
  }
  return false;
}

bool Evictor::EvictByChance(uint64_t bytes_max) {
  const auto of = IsVolatile(policy_) ? Table::SampleOf::kWithDeadline : Table::SampleOf::kAll;
  for (uint32_t round = 0; round < kRoundsMax; ++round) {
    size_t total = 0;
    for (uint16_t i = 0; i < kDatabaseCount; ++i) total += EligibleCount(keyspace_.database(DbIndex(i)));
    if (total == 0) return false;
    uint64_t index = random_.Below(total);
    uint16_t db = 0;
    while (index >= EligibleCount(keyspace_.database(DbIndex(db)))) {
      index -= EligibleCount(keyspace_.database(DbIndex(db++)));
    }
    Database& database = keyspace_.database(DbIndex(db));
    Table::Ref chosen;
    database.table().Sample(random_, 1, of, [&](Table::Ref ref, const Entry*) { chosen = ref; });
    if (!chosen || BytesOf(*database.table().entry(chosen)) > bytes_max) continue;
    if (Evict(database, chosen, database.table().Hash(database.table().entry(chosen)->key()))) return true;
  }
  return false;
}

uint64_t Evictor::BytesOf(const Entry& entry) const {
  const dash::Slab& slab = keyspace_.slab();
  return slab.BlockBytes(slab.HandleOf(&entry)) + types::OutsideBytes(entry);
}

bool Evictor::IsLocked(const Database& database, uint64_t hash) const {
  return locks_ != nullptr && locks_->IsLocked(LockFingerprint(database.index(), hash));
}

bool Evictor::Evict(Database& database, Table::Ref ref, uint64_t hash) {
  if (IsLocked(database, hash)) return false;
  database.EraseRef(ref, types::MutationReason::kEvicted, "evicted");
  return true;
}

}  // namespace moonshard::db
