#pragma once
// DataBudget: one shard's part in keeping the accounted bytes of all shards (keys, values, index) at or below
// maxmemory.
//
//     total (one counter of the server)  =  the shards' shares  +  reservations on their way
//     a shard's share                    >= what its keys, values and index take
//
// So the counter is never below what is used, and as long as it is at or below the limit, so is the sum. A
// write takes room before it runs, from the share of its shard or, on its way to another one, as a
// reservation that becomes part of the share there. What it did not need goes back at the end of the turn.
// Commands that Redis does not refuse (a deadline, a RENAME), and writes that grew by more than was foreseen,
// push the share up after the fact; the eviction at the end of the same turn makes up for it.
//
// The shards evict in proportion to their shares, each a bounded number of keys a turn. They begin a little
// below the limit, so that reservations usually find room and nobody waits. A write that does not fit all the
// same is announced (`Want`), and others leave that much free until it has its room. Owned by one shard;
// the counters and the settings are shared.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "db/eviction.h"
#include "db/eviction_settings.h"
#include "db/keyspace.h"

namespace moonshard::db {

class DataBudget {
 public:
  struct Shared {
    const EvictionSettings& settings;
    std::atomic<uint64_t>& total;
    BudgetSignals& signals;
    uint16_t shard_count;
  };

  // All outlive it; `locks` null: nothing is ever locked.
  DataBudget(Keyspace& keyspace, const Shared& shared, const LockView* locks, uint64_t random_seed);

  bool limited() const { return limit() != 0; }
  uint64_t limit() const { return shared_.settings.maxmemory.load(std::memory_order_relaxed); }
  // Up to here the counter goes by reservations.
  uint64_t usable() const;
  uint64_t total() const { return shared_.total.load(std::memory_order_relaxed); }
  bool over_limit() const { return limited() && total() > limit(); }
  // Whether there may be something to free, here or elsewhere.
  bool may_free_some() const {
    return policy_evicts() || shared_.signals.shards_freeing.load(std::memory_order_relaxed) != 0;
  }
  bool policy_evicts() const { return policy() != EvictionPolicy::kNoEviction; }
  // Whether eviction will find something to make up for a surprise: any key may go, or many.
  bool has_plenty() const { return policy_evicts() && (!IsVolatile(policy()) || many_volatile_); }

  // Room on this shard for a write that runs at once and may add `bytes`; evicts for it if this shard is not
  // the one that has least to give.
  bool MakeRoom(uint64_t bytes);
  // Room somewhere, for a write that runs later. Goes to a share by Take, or back by GiveBack.
  bool Reserve(uint64_t bytes);
  void Take(uint64_t bytes) { share_ += bytes; }
  void GiveBack(uint64_t bytes) { Subtract(bytes); }

  // For the one that serves the writes that wait, one at a time. Announces that room for `bytes` is wanted.
  void Want(uint64_t bytes) { shared_.signals.wanted.store(bytes, std::memory_order_relaxed); }
  // Reserves what is wanted.
  bool ClaimWanted();
  // What has to go, anywhere, to keep the limit and to have room for what is wanted.
  uint64_t Missing() const;
  // This shard's part in that, as far as one turn allows. Returns the bytes that came free. Unless it must,
  // it keeps keys that are much larger than its part.
  enum class Insistence : uint8_t { kMay, kMust };
  uint64_t EvictPart(uint64_t missing, Insistence insistence);
  // Whether this shard has a key that may go, locked or not.
  bool may_evict() const { return keyspace_.has_retired() || evictor_.MayEvict(); }

  // Publishes what the turn has changed, and evicts if that is too much.
  void EndTurn();
  // The last turn did not evict all that it should have, and could have.
  bool HasWork() const { return behind_; }

 private:
  // A share may exceed what is used by this much; without a limit it grows in steps of this size.
  static constexpr uint64_t kGrainBytes = 4096;

  EvictionPolicy policy() const { return shared_.settings.policy.load(std::memory_order_relaxed); }
  uint64_t used() const { return keyspace_.used_bytes(); }
  uint64_t Grain() const;
  // Eviction begins this much below the limit.
  uint64_t Headroom() const;
  size_t KeysPerTurn() const;
  // Brings the share to what is used, but for a surplus of this much.
  void Publish(uint64_t surplus_max);
  void CountVolatile();
  // What a single key may take to go for this much.
  uint64_t LargestFor(uint64_t bytes) const { return std::max(bytes, Headroom()); }
  bool ReserveUpTo(uint64_t most, uint64_t bytes);
  uint64_t PartOf(uint64_t missing) const;
  bool EvictDownTo(uint64_t target, uint64_t bytes_max);
  // Frees flushed keys first, then evicts one; takes what it did off `keys`. False: there was nothing.
  bool FreeSome(size_t& keys, uint64_t bytes_max);
  void Add(uint64_t bytes) { shared_.total.fetch_add(bytes, std::memory_order_relaxed); }
  void Subtract(uint64_t bytes) {
    if (bytes != 0) shared_.total.fetch_sub(bytes, std::memory_order_relaxed);
  }

  Keyspace& keyspace_;
  const Shared shared_;
  Evictor evictor_;
  uint64_t share_ = 0;
  bool behind_ = false;
  bool many_volatile_ = false;  // many of this shard's keys have a deadline, which goes for the others too
  bool freeing_ = false;        // counted in shards_freeing
};

}  // namespace moonshard::db
