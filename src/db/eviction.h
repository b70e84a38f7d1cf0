#pragma once
// Evictor: chooses keys of one shard that go when the data budget is used up, one at a time.
//
// As in Redis the choice is by sample: each time a few keys of every database are weighed, the best ones are
// remembered in a pool of 16, and the best of the pool goes (an approximation of LRU that is close to exact
// from 5 samples on; Redis documentation, "Key eviction"). Where we depart from it:
//
//   - The samples lie side by side in a segment of the table chosen by chance; a hash decides who is whose
//     neighbour, so they are as good as any, and their lines are fetched together.
//   - The pool holds hash and handle instead of a copy of the key. A key that has been used since it was
//     weighed does not go.
//   - Under LRU it compares times of use and not how long ago they seemed when the key was weighed, so that
//     what has waited in the pool is not underrated.
//   - For volatile-ttl the segments say their earliest deadline: of a few segments the one with the earliest
//     is looked through.
//
// Locked keys are passed over. Owned by one shard.

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/random.h"
#include "db/eviction_settings.h"
#include "db/keyspace.h"

namespace moonshard::db {

class Evictor {
 public:
  static constexpr size_t kPoolSize = 16;
  // More are not looked at for one key, whatever maxmemory-samples says.
  static constexpr uint32_t kSamplesMax = 1024;

  // All outlive the evictor; `locks` null: nothing is ever locked.
  Evictor(Keyspace& keyspace, const EvictionSettings& settings, const LockView* locks, uint64_t random_seed);

  // Whether the policy lets anything go that this shard has.
  bool MayEvict() const;
  // Erases the key that the policy gives up next; false if none was found that may go. Keys that take more
  // than `bytes_max` are passed over: a large value is not given up for a few bytes that others can spare.
  static constexpr uint64_t kAnySize = UINT64_MAX;
  bool EvictOne(uint64_t bytes_max = kAnySize);

 private:
  struct Candidate {
    uint64_t score;  // the highest goes first
    uint64_t hash;
    dash::Handle handle;
    DbIndex db;
  };

  size_t EligibleCount(Database& database) const;
  uint64_t Score(const dash::Entry& entry) const;
  void Weigh(Database& database);
  void Remember(Database& database, dash::Table::Ref ref, const dash::Entry& entry);
  bool EvictFromPool(uint64_t bytes_max);
  bool EvictByChance(uint64_t bytes_max);
  uint64_t BytesOf(const dash::Entry& entry) const;
  bool IsLocked(const Database& database, uint64_t hash) const;
  bool Evict(Database& database, dash::Table::Ref ref, uint64_t hash);
  void FollowPolicy();

  Keyspace& keyspace_;
  const EvictionSettings& settings_;
  const LockView* locks_;
  base::Random random_;
  EvictionPolicy policy_ = EvictionPolicy::kNoEviction;
  // Scores rise with the index.
  std::array<Candidate, kPoolSize> pool_;
  size_t pool_count_ = 0;
};

}  // namespace moonshard::db
