#include "tx/lock_table.h"

#include "base/check.h"

namespace moonshard::tx {

LockTable::LockTable() : buckets_(kFirstBuckets, nullptr), shift_(64 - 8) {
  static_assert(kFirstBuckets == 1u << 8);
}

template <typename Fn>
void LockTable::ForLocks(Part& part, Fn&& fn) {
  for (KeyLock& lock : part.locks) fn(lock);
  if (part.whole_shard) fn(part.whole_lock);
}

LockHead* LockTable::FindOrMake(uint64_t fingerprint) {
  if (LockHead* head = Find(fingerprint)) return head;
  if (head_count_ >= buckets_.size()) Grow();
  if (free_ == nullptr) {
    chunks_.push_back(std::make_unique<LockHead[]>(kChunk));
    for (size_t i = 0; i < kChunk; ++i) {
      chunks_.back()[i].next_in_bucket = free_;
      free_ = &chunks_.back()[i];
    }
  }
  LockHead* head = free_;
  free_ = head->next_in_bucket;
  LockHead*& bucket = buckets_[fingerprint >> shift_];
  head->fingerprint = fingerprint;
  head->next_in_bucket = bucket;
  bucket = head;
  ++head_count_;
  return head;
}

void LockTable::FreeIfEmpty(LockHead* head) {
  if (!head->counts.empty()) return;
  MS_DCHECK(head->first_waiting == nullptr);
  LockHead** link = &buckets_[head->fingerprint >> shift_];
  while (*link != head) link = &(*link)->next_in_bucket;
  *link = head->next_in_bucket;
  head->next_in_bucket = free_;
  free_ = head;
  --head_count_;
}

void LockTable::Grow() {
  std::vector<LockHead*> old(buckets_.size() * 2, nullptr);
  old.swap(buckets_);
  --shift_;
  for (LockHead* head : old) {
    while (head != nullptr) {
      LockHead* next = head->next_in_bucket;
      LockHead*& bucket = buckets_[head->fingerprint >> shift_];
      head->next_in_bucket = bucket;
      bucket = head;
      head = next;
    }
  }
}

bool LockTable::Conflicts(const Part& part, ClassSet classes) const {
  if (part.whole_shard && (totals_.Conflicts(part.whole_shard_mode, classes) ||
                           whole_.counts.Conflicts(part.whole_shard_mode, classes))) {
    return true;
  }
  for (const KeyLock& lock : part.locks) {
    if (whole_.counts.Conflicts(lock.mode, classes)) return true;
    const LockHead* head = Find(lock.fingerprint);
    if (head != nullptr && head->counts.Conflicts(lock.mode, classes)) return true;
  }
  return false;
}

namespace {
// Is there a waiting lock before `order` in the list that conflicts with `mode`? The lists are sorted.
bool WaitsBehind(const LockHead& head, const Timestamp& order, LockMode mode) {
  for (const KeyLock* lock = head.first_waiting; lock != nullptr && lock->part->order < order;
       lock = lock->next) {
    if (mode == LockMode::kExclusive || lock->mode == LockMode::kExclusive) return true;
  }
  return false;
}

bool WantsExclusive(const Part& part) {
  if (part.whole_shard && part.whole_shard_mode == LockMode::kExclusive) return true;
  for (const KeyLock& lock : part.locks) {
    if (lock.mode == LockMode::kExclusive) return true;
  }
  return false;
}
}  // namespace

bool LockTable::Grantable(const Part& part, ClassSet blocking) const {
  // The part itself counts as waiting only, so the counts of the blocking classes are those of others.
  if (Conflicts(part, blocking)) return false;
  for (const KeyLock& lock : part.locks) {
    if (WaitsBehind(whole_, part.order, lock.mode) || WaitsBehind(*lock.head, part.order, lock.mode))
      return false;
  }
  if (!part.whole_shard) return true;
  for (const Part* other = first_waiting_; other != nullptr && other->order < part.order;
       other = other->next) {
    if (part.whole_shard_mode == LockMode::kExclusive) {
      if (other->whole_shard || !other->locks.empty()) return false;
    } else if (WantsExclusive(*other)) {
      return false;
    }
  }
  return true;
}

namespace {
// Sorted insertion from the back: a newcomer's proposal is this turn's stamp and nearly always the largest.
template <typename Node, typename Order>
void LinkSorted(Node*& first, Node*& last, Node& node, Order&& order) {
  Node* before = last;
  while (before != nullptr && order(node) < order(*before)) before = before->prev;
  node.prev = before;
  node.next = before != nullptr ? before->next : first;
  (before != nullptr ? before->next : first) = &node;
  (node.next != nullptr ? node.next->prev : last) = &node;
}
template <typename Node>
void Unlink(Node*& first, Node*& last, Node& node) {
  (node.prev != nullptr ? node.prev->next : first) = node.next;
  (node.next != nullptr ? node.next->prev : last) = node.prev;
  node.prev = node.next = nullptr;
}
const Timestamp& OrderOfLock(const KeyLock& lock) {
  return lock.part->order;
}
const Timestamp& OrderOfPart(const Part& part) {
  return part.order;
}
}  // namespace

void LockTable::Insert(Part& part, LockClass c) {
  for (KeyLock& lock : part.locks) {
    lock.part = &part;
    lock.head = FindOrMake(lock.fingerprint);
    lock.head->counts.Add(c, lock.mode, 1);
    totals_.Add(c, lock.mode, 1);
    if (c == LockClass::kWaiting)
      LinkSorted(lock.head->first_waiting, lock.head->last_waiting, lock, OrderOfLock);
  }
  if (part.whole_shard) {
    KeyLock& lock = part.whole_lock;
    lock.mode = part.whole_shard_mode;
    lock.part = &part;
    lock.head = &whole_;
    whole_.counts.Add(c, lock.mode, 1);
    if (c == LockClass::kWaiting) LinkSorted(whole_.first_waiting, whole_.last_waiting, lock, OrderOfLock);
  }
  if (c == LockClass::kWaiting) LinkSorted(first_waiting_, last_waiting_, part, OrderOfPart);
}

void LockTable::Move(Part& part, LockClass from, LockClass to) {
  ForLocks(part, [&](KeyLock& lock) {
    lock.head->counts.Add(from, lock.mode, -1);
    lock.head->counts.Add(to, lock.mode, 1);
    if (lock.head != &whole_) {
      totals_.Add(from, lock.mode, -1);
      totals_.Add(to, lock.mode, 1);
    }
    if (from == LockClass::kWaiting) Unlink(lock.head->first_waiting, lock.head->last_waiting, lock);
    if (to == LockClass::kWaiting)
      LinkSorted(lock.head->first_waiting, lock.head->last_waiting, lock, OrderOfLock);
  });
  if (from == LockClass::kWaiting) Unlink(first_waiting_, last_waiting_, part);
  if (to == LockClass::kWaiting) LinkSorted(first_waiting_, last_waiting_, part, OrderOfPart);
}

void LockTable::Remove(Part& part, LockClass c) {
  ForLocks(part, [&](KeyLock& lock) {
    lock.head->counts.Add(c, lock.mode, -1);
    if (c == LockClass::kWaiting) Unlink(lock.head->first_waiting, lock.head->last_waiting, lock);
    if (lock.head != &whole_) {
      totals_.Add(c, lock.mode, -1);
      FreeIfEmpty(lock.head);
    }
    lock.head = nullptr;
  });
  if (c == LockClass::kWaiting) Unlink(first_waiting_, last_waiting_, part);
}

void LockTable::Reorder(Part& part) {
  ForLocks(part, [&](KeyLock& lock) {
    Unlink(lock.head->first_waiting, lock.head->last_waiting, lock);
    LinkSorted(lock.head->first_waiting, lock.head->last_waiting, lock, OrderOfLock);
  });
  Unlink(first_waiting_, last_waiting_, part);
  LinkSorted(first_waiting_, last_waiting_, part, OrderOfPart);
}

}  // namespace moonshard::tx
