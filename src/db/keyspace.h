#pragma once
// One shard's keyspace: the numbered databases, their tables, and everything a change has to pass: the
// mutation sink, keyspace events, expiry and accounting. Command handlers work on a Database; nothing below
// it knows of clients.
//
// Owned by one shard. References into an entry are valid until the next change of the same database.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/histogram.h"
#include "base/random.h"
#include "base/status.h"
#include "base/types.h"
#include "dash/slab.h"
#include "dash/table.h"
#include "db/access_clock.h"
#include "db/events.h"
#include "types/detached_value.h"
#include "types/mutation.h"
#include "types/string_value.h"

namespace moonshard::db {

class Keyspace;

inline constexpr size_t kDatabaseCount = 16;

// A key with its seeded hash (computed once, when the command is framed).
struct Key {
  std::string_view text;
  uint64_t hash;
};

// Identifies (database, key) in the lock table.
inline uint64_t LockFingerprint(DbIndex db, uint64_t hash) {
  return hash ^ (uint64_t{db.value()} * 0x9E3779B97F4A7C15ull);
}

class Database {
 public:
  Database(Keyspace& keyspace, DbIndex index);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  DbIndex index() const { return index_; }
  size_t size() const { return table_.size(); }
  size_t deadline_count() const { return table_.deadline_count(); }
  dash::Table& table() { return table_; }

  // The entry of a live key, or null. A key past its deadline is erased on the way. Counts a hit or a miss,
  // and an access for the eviction policy.
  dash::Entry* Find(const Key& key);
  // The same for commands that look at a key without using its value (EXISTS, TTL, TYPE, OBJECT): counts a
  // hit or a miss, no access.
  dash::Entry* Peek(const Key& key);
  // For commands that will change the key; counts an access, no hit or miss.
  dash::Table::Ref FindForWrite(const Key& key);

  // Sets or replaces a whole string value of any former type. `deadline` kNoDeadline: none.
  base::Status SetString(const Key& key, std::string_view bytes, TimeMs deadline, EventName event = kEventSet,
                         types::StringForm form = types::StringForm::kPlain);
  // The same where the key was looked up before: `ref` is what FindForWrite(key) returned.
  base::Status SetStringAt(const Key& key, dash::Table::Ref ref, std::string_view bytes, TimeMs deadline,
                           EventName event = kEventSet, types::StringForm form = types::StringForm::kPlain);
  // Replaces the bytes of the string at `key` from `offset` on by `bytes`, in place where its block allows. A
  // gap is filled with zero bytes, the value grows if needed, an absent key is created; the deadline stays.
  // `ref` is what FindForWrite(key) returned; `bytes` do not lie in it. The caller has checked its type and
  // kStringBytesMax. kEventNone: the caller announces it. Returns the new length.
  base::Result<size_t> PatchString(const Key& key, dash::Table::Ref ref, size_t offset,
                                   std::string_view bytes, EventName event);
  // The string's bytes stay, but it counts as changed in place (types::StringForm), as after a SETBIT that
  // changed nothing. No mutation, no event.
  void MakeRaw(dash::Table::Ref ref);
  // Adds `delta` to the integer at `key` (0 if absent) and keeps its deadline.
  base::Result<int64_t> IncrementBy(const Key& key, int64_t delta, EventName event = kEventIncrement);
  // Puts a value taken from another key (or decoded) where `key` is, whatever is there, with the value's
  // deadline. On success the entry owns the value's blocks; the caller then sends the event that names what
  // happened.
  base::Status Place(const Key& key, types::DetachedValue& value);
  // Erases a key whose value was lent to another entry: the blocks outside stay with that one.
  void EraseLent(const Key& key, std::string_view event);
  void Notify(EventName event, const Key& key);
  // Replaces the deadline of an existing key.
  base::Status SetDeadline(dash::Table::Ref ref, TimeMs deadline);
  // Returns whether the key was there.
  bool Erase(const Key& key, std::string_view event);
  void EraseRef(dash::Table::Ref ref, types::MutationReason reason, std::string_view event);
  // Erases everything; returns the number of keys. What a large database held is freed a slice per turn
  // (Keyspace::FreeRetired) and accounted until then.
  size_t Flush();

  // For undo (db/undo_target.h): set, erase and set a deadline as above, but nothing expires on the way and
  // no event is sent. A key that is absent stays absent.
  void RestoreString(const Key& key, std::string_view bytes, TimeMs deadline, types::StringForm form);
  // The inverse of PatchString: `bytes` return to `offset`, then the value is cut to `size`.
  void RestorePatch(const Key& key, size_t offset, std::string_view bytes, size_t size,
                    types::StringForm form);
  void RestoreDeadline(const Key& key, TimeMs deadline);
  void RestoreAbsence(const Key& key);

  // Two-stage prefetch for a batch.
  void PrefetchSegment(uint64_t hash) const { table_.PrefetchSegment(hash); }
  void PrefetchEntry(uint64_t hash) const { table_.PrefetchEntry(hash); }

 private:
  friend class Keyspace;
  // What all lookups begin with.
  MS_ALWAYS_INLINE dash::Table::Ref FindLive(const Key& key);
  bool Expired(const dash::Entry& entry) const;
  // Whether the entry may take this form; checked before a change is reported, since a report cannot be taken
  // back.
  bool HasRoom(const dash::Entry& entry, size_t value_bytes, TimeMs deadline);
  // Puts a string value where `ref` is, or inserts the key if it is empty.
  base::Status Store(const Key& key, dash::Table::Ref ref, std::string_view bytes, TimeMs deadline,
                     types::StringForm form);
  base::Status Replace(dash::Table::Ref ref, const types::StringShape& shape, std::string_view bytes,
                       types::HeapString heap, TimeMs deadline);
  // PatchString by what is there (strings.cc).
  base::Status PatchAbsent(const Key& key, size_t offset, std::string_view bytes);
  base::Status PatchInline(dash::Table::Ref ref, size_t offset, std::string_view bytes, size_t size);
  base::Status PatchIntoHeap(dash::Table::Ref ref, size_t offset, std::string_view bytes, size_t size);
  base::Status PatchHeap(dash::Table::Ref ref, size_t offset, std::string_view bytes, size_t size);
  void ReportPatch(const dash::Entry& entry, size_t offset, std::string_view bytes);
  void CutString(const Key& key, dash::Table::Ref ref, size_t size, types::StringForm form);
  // Gives an entry another value size and deadline; HasRoom has said that they fit. The value is undefined.
  dash::Entry* Reshape(dash::Table::Ref ref, size_t value_bytes, TimeMs deadline);
  void ReportErase(const dash::Entry& entry, types::MutationReason reason);
  void Drop(dash::Table::Ref ref);
  void ReleaseAllOutside();

  Keyspace& keyspace_;
  DbIndex index_;
  dash::Table table_;
};

struct KeyspaceOptions {
  base::HashSeed seed = 0;
  uint64_t random_seed = 1;
  // Outlives the keyspace; null: defaults.
  const EvictionSettings* eviction = nullptr;
};

struct KeyspaceStats {
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t expired = 0;
  uint64_t evicted = 0;
  uint64_t lazily_freed = 0;      // keys of flushed databases whose memory came free
  base::Histogram expire_lag_ms;  // deadline to erasure, for keys erased by the clock
};

// Asked before the clock expires a key: keys under a transaction's lock are left for later.
class LockView {
 public:
  virtual bool IsLocked(uint64_t fingerprint) const = 0;

 protected:
  ~LockView() = default;
};

class Keyspace {
 public:
  explicit Keyspace(const KeyspaceOptions& options);
  ~Keyspace();

  Database& database(DbIndex index) { return *databases_[index.value()]; }
  types::MutationSink& sink() { return sink_; }
  EventSink& events() { return events_; }
  base::Random& random() { return random_; }
  base::HashSeed seed() const { return options_.seed; }

  // The clock of the running turn, or of the running transaction on all its shards. Never steps back.
  TimeMs now() const { return now_; }
  void SetNow(TimeMs now) {
    if (now > now_) now_ = now;
    access_clock_.Advance(now_);
  }
  AccessClock& access_clock() { return access_clock_; }

  // Erases keys whose deadline has passed, at most `limit`, skipping locked ones. Returns how many went.
  size_t ExpireDue(size_t limit, const LockView* locks);
  // Not later than the next deadline; kNoDeadline if there is none.
  TimeMs NextDeadlineHint() const;
  // Exchanges the keys of two databases.
  void Swap(DbIndex a, DbIndex b);
  // For undo: the same without telling listeners.
  void RestoreSwap(DbIndex a, DbIndex b);

  // Frees about `limit` keys of flushed databases. A flushed table keeps its snapshot hook until it is gone.
  void FreeRetired(size_t limit);
  bool has_retired() const { return !retired_.empty(); }
  // Keys of flushed databases that still take memory.
  size_t retired_key_count() const;

  // Switched off (DEBUG SET-ACTIVE-EXPIRE 0), keys expire on access only.
  void SetActiveExpire(bool on) { active_expire_ = on; }

  KeyspaceStats& stats() { return stats_; }
  // Accounted bytes of keys and values: entries, index, blocks outside.
  // Entries and index lie in the slab.
  uint64_t used_bytes() const { return outside_bytes_ + slab_.used_bytes(); }
  uint64_t outside_bytes() const { return outside_bytes_; }
  // Gives memory that is free for good back to the operating system.
  void TrimMemory() { slab_.Trim(); }
  const dash::Slab& slab() const { return slab_; }
  dash::Slab& slab() { return slab_; }

 private:
  friend class Database;

  KeyspaceOptions options_;
  EvictionSettings default_eviction_;
  AccessClock access_clock_;
  uint64_t outside_bytes_ = 0;
  dash::Slab slab_;
  std::array<std::unique_ptr<Database>, kDatabaseCount> databases_;
  // Tables of flushed databases, being taken apart from the front.
  std::deque<std::unique_ptr<dash::Table>> retired_;
  types::MutationSink sink_;
  EventSink events_;
  base::Random random_;
  TimeMs now_ = 0;
  bool active_expire_ = true;
  KeyspaceStats stats_;
};

inline void Database::Notify(EventName event, const Key& key) {
  keyspace_.events_.Notify({event.event_class, event.name, index_, key.text});
}

}  // namespace moonshard::db
