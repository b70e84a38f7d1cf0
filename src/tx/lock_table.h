#pragma once
// LockTable: who is interested in which key of one shard. A hash of LockHeads, one per fingerprint that
// anybody has a lock on, found by fingerprint and pointed to by the locks themselves (heads never move).
//
//   head: counts of locks by class and mode | list of the waiting long ones, by lock timestamp
//
// Classes (rules 7 and 8 of the commit protocol need exactly these):
//
//   short    in the total order: pending short transactions and queued local commands
//   waiting  long, without its locks yet; in the list, sorted by the proposed or decided lock timestamp
//   held     long and granted, until its commit has run
//   reading  optimistic reads that ran here and have not been released
//   delayed  no locks at all: proposals held back by a reading one, so that later reads give way
//
// A whole-shard lock conflicts with every key by mode: `whole_` has the counts of those, `totals_` the sums
// over all keys. Cost: one probe per lock and operation. Owned by one shard.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tx/transaction.h"

namespace moonshard::tx {

enum class LockClass : uint8_t { kShort, kWaiting, kHeld, kReading, kDelayed };
inline constexpr size_t kLockClasses = 5;

// A set of lock classes.
struct ClassSet {
  uint8_t bits;
  constexpr bool Has(LockClass c) const { return (bits >> static_cast<int>(c) & 1) != 0; }
};
constexpr ClassSet Classes(auto... c) {
  return {static_cast<uint8_t>(((1u << static_cast<int>(c)) | ... | 0u))};
}

struct LockCounts {
  uint32_t shared[kLockClasses] = {};
  uint32_t exclusive[kLockClasses] = {};

  void Add(LockClass c, LockMode mode, int32_t by) {
    (mode == LockMode::kShared ? shared : exclusive)[static_cast<size_t>(c)] += static_cast<uint32_t>(by);
  }
  // Does a lock of `mode` conflict with one of these classes?
  bool Conflicts(LockMode mode, ClassSet classes) const {
    for (size_t c = 0; c < kLockClasses; ++c) {
      if (!classes.Has(static_cast<LockClass>(c))) continue;
      if (exclusive[c] != 0 || (mode == LockMode::kExclusive && shared[c] != 0)) return true;
    }
    return false;
  }
  bool empty() const {
    uint32_t any = 0;
    for (size_t c = 0; c < kLockClasses; ++c) any |= shared[c] | exclusive[c];
    return any == 0;
  }
};

struct LockHead {
  uint64_t fingerprint = 0;
  LockHead* next_in_bucket = nullptr;
  KeyLock* first_waiting = nullptr;
  KeyLock* last_waiting = nullptr;
  LockCounts counts;
};
static_assert(sizeof(LockHead) == 72);

class LockTable {
 public:
  LockTable();
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  // Would a command that runs at once overtake or disturb anybody?
  bool Conflicts(uint64_t fingerprint, LockMode mode) const {
    if (whole_.counts.Conflicts(mode, kPresent)) return true;
    const LockHead* head = Find(fingerprint);
    return head != nullptr && head->counts.Conflicts(mode, kPresent);
  }
  bool ConflictsWholeShard(LockMode mode) const {
    return whole_.counts.Conflicts(mode, kPresent) || totals_.Conflicts(mode, kPresent);
  }
  // Does any lock of the part conflict with one of these classes (the part itself is not in the table, or in
  // none of them)?
  bool Conflicts(const Part& part, ClassSet classes) const;
  // May the waiting part take its locks: no conflicting short, held or reading one, and no conflicting
  // waiting one with a smaller lock timestamp?
  bool Grantable(const Part& part, ClassSet blocking) const;

  // Enters all locks of the part, moves them to another class, takes them out. A waiting part must have
  // `order` set; Reorder follows a change of it.
  void Insert(Part& part, LockClass c);
  void Move(Part& part, LockClass from, LockClass to);
  void Remove(Part& part, LockClass c);
  void Reorder(Part& part);

  // Calls fn(Part&) for the waiting parts that a change at `part` may have made grantable (perhaps the part
  // itself too). `fn` may Move the part it is given from waiting to held, nothing else.
  template <typename Fn>
  void ForCandidates(const Part& part, Fn&& fn);

  bool empty() const { return head_count_ == 0 && whole_.counts.empty(); }
  size_t head_count() const { return head_count_; }

  // What a command that wants to run at once must not conflict with: all but the delayed, which do not exist
  // yet as far as the protocol is concerned.
  static constexpr ClassSet kPresent =
      Classes(LockClass::kShort, LockClass::kWaiting, LockClass::kHeld, LockClass::kReading);

 private:
  static constexpr size_t kFirstBuckets = 256;
  static constexpr size_t kChunk = 64;

  LockHead* Find(uint64_t fingerprint) const {
    LockHead* head = buckets_[fingerprint >> shift_];
    while (head != nullptr && head->fingerprint != fingerprint) head = head->next_in_bucket;
    return head;
  }
  LockHead* FindOrMake(uint64_t fingerprint);
  void FreeIfEmpty(LockHead* head);
  void Grow();
  template <typename Fn>
  static void ForLocks(Part& part, Fn&& fn);

  std::vector<LockHead*> buckets_;
  int shift_;  // the highest bits choose the bucket; table and routing use lower ones
  size_t head_count_ = 0;
  std::vector<std::unique_ptr<LockHead[]>> chunks_;
  LockHead* free_ = nullptr;
  LockHead whole_;
  LockCounts totals_;
  Part* first_waiting_ = nullptr;  // all waiting parts of the shard, by lock timestamp
  Part* last_waiting_ = nullptr;
};

// The front of a head's list: the shared ones before the first exclusive one, or that one; whatever stands
// behind conflicts with it and has a larger timestamp.
template <typename Fn>
inline void ForFront(LockHead& head, Fn&& fn) {
  for (KeyLock* lock = head.first_waiting; lock != nullptr;) {
    KeyLock* next = lock->next;
    bool exclusive = lock->mode == LockMode::kExclusive;
    fn(*lock->part);
    if (exclusive) return;
    lock = next;
  }
}

template <typename Fn>
void LockTable::ForCandidates(const Part& part, Fn&& fn) {
  if (first_waiting_ == nullptr) return;
  if (part.whole_shard) {
    for (Part* waiting = first_waiting_; waiting != nullptr;) {
      Part* next = waiting->next;
      fn(*waiting);
      waiting = next;
    }
    return;
  }
  for (const KeyLock& lock : part.locks) {
    if (LockHead* head = Find(lock.fingerprint)) ForFront(*head, fn);
  }
  ForFront(whole_, fn);
}

}  // namespace moonshard::tx
