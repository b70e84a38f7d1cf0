#pragma once
// Table: the keys of one database on one shard. Owned by one shard.
//
// Extendible hashing in segments of 64 slots (Dash: Lu, Hao, Wang, Lo, VLDB 2020, section 4), probed like a
// Swiss table (Abseil): one vector compare of all tags. A full segment is split in two by the next hash bit;
// nothing else moves, so the longest stall is one split and, rarely, one sub-directory of a few KiB.
//
//     hash   63 ........ 32 directory | 31 .. 16 not used here (shard routing) | 15 .. 0 tag
//     dash/directory.h  ->  dash/segment.h (tags | handles | header)  ->  dash/entry.h in dash/slab.h
//
// Where we depart from Dash: the segment is fully associative, with 16-bit tags (2^-10 false candidates a
// probe, not 16 %), there are no stash buckets, and no locks, since one thread owns all of it. Load factor is
// 0.5 to 1, 0.69 on average. Depth is bounded by the table's size; a segment that must not split further gets
// overflow segments instead, so keys chosen to collide cannot grow the directory. A segment that runs empty
// is merged into its sibling.
//
// Rules for callers: the caller hashes the key with base::HashBytes and the table's seed, once, and passes
// the hash along. A Ref and an Entry* are valid until the next non-const call. Value bytes may be changed in
// place after Touch.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "base/check.h"
#include "base/hash.h"
#include "base/macros.h"
#include "base/random.h"
#include "base/types.h"
#include "dash/directory.h"
#include "dash/entry.h"
#include "dash/segment.h"
#include "dash/slab.h"
#include "dash/wheel.h"
#include "simd/match_tags.h"

namespace moonshard::dash {

struct TableOptions {
  base::HashSeed seed = 0;
  // Test seam: replaces base::HashBytes, to choose collisions.
  uint64_t (*hash)(std::string_view key, base::HashSeed seed) = nullptr;
  // The access clock of new entries is read here; null: 0. Outlives the table.
  const uint32_t* fresh_clock = nullptr;
};

class Table {
 public:
  struct Ref {
    Segment* segment = nullptr;
    uint32_t slot = 0;
    explicit operator bool() const { return segment != nullptr; }
    friend bool operator==(const Ref&, const Ref&) = default;
  };

  // The slab outlives the table; several tables may share one.
  Table(Slab& slab, TableOptions options);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  MS_ALWAYS_INLINE Ref Find(uint64_t hash, std::string_view key) const;
  MS_ALWAYS_INLINE Entry* entry(Ref ref) const { return EntryAt(ref.segment->handles[ref.slot]); }
  // What the table expects as `hash` of this key.
  uint64_t Hash(std::string_view key) const {
    return hash_ == nullptr ? base::HashBytes(key, seed_) : hash_(key, seed_);
  }

  // Adds a key known to be absent; its value bytes are uninitialised. An empty Ref if memory is exhausted;
  // the table is then unchanged. value_bytes is at most kInlineValueBytesMax, encoding at most kEncodingMax.
  Ref Insert(uint64_t hash, std::string_view key, Type type, uint8_t encoding, size_t value_bytes,
             TimeMs deadline = kNoDeadline);
  // Keeps the first min(old, new) value bytes, key and deadline; bytes beyond are uninitialised. May move the
  // entry, the Ref stays valid. nullptr if memory is exhausted (unchanged); never when it does not grow.
  Entry* Resize(Ref ref, size_t value_bytes);
  // kNoDeadline takes the deadline away. May move the entry, the Ref stays valid. nullptr if memory is
  // exhausted (unchanged); never when the new deadline is not wider than the old one.
  Entry* SetDeadline(Ref ref, TimeMs deadline);
  // What the first deadline needs beside its entry; false if memory is exhausted. Afterwards SetDeadline
  // fails for want of a larger block only.
  bool ReserveForDeadlines() { return wheel_.Open(); }
  void Erase(Ref ref);
  void Clear();
  // Exchanges two tables of one slab and one seed, snapshot hooks included. O(1).
  void Swap(Table& other);
  // Takes a table apart that nobody uses any more, a bounded step at a time: calls fn(const Entry&) for each
  // entry of the next segments, until it has seen about `limit`, and frees them. False once nothing is left.
  // In between only Dismantle and the accounts may be called, or the table destroyed.
  template <class Fn>
  bool Dismantle(size_t limit, Fn&& fn);

  size_t size() const { return size_; }
  size_t deadline_count() const { return deadline_count_; }
  // The average of all deadlines; 0 if there are none.
  double deadline_mean() const {
    return deadline_count_ == 0 ? 0.0
                                : static_cast<double>(deadline_sum_) / static_cast<double>(deadline_count_);
  }
  // Segments, directory and wheel.
  size_t index_bytes() const {
    return segment_count_ * sizeof(Segment) + directory_.bytes() + wheel_.bytes();
  }
  size_t entry_bytes() const { return entry_bytes_; }

  // For batches: first PrefetchSegment for all keys, then PrefetchEntry for all, then Find.
  MS_ALWAYS_INLINE void PrefetchSegment(uint64_t hash) const;
  MS_ALWAYS_INLINE void PrefetchEntry(uint64_t hash) const;

  // Visits the entries of one segment, at or after the position `cursor`, and returns the next position; 0
  // begins and ends. Positions are hash prefixes below 2^32, so they survive splits and merges: what is
  // present during a whole scan is visited at least once. fn takes (Ref), (Entry*) or (Ref, Entry*) and must
  // not change the table.
  template <class Fn>
  uint64_t Scan(uint64_t cursor, Fn&& fn) const;
  // Roughly uniform; an empty Ref if the table is empty.
  Ref Random(base::Random& random) const;

  // For eviction. Visits up to `count` entries of one segment or a few, chosen by chance, as fn(Ref, Entry*),
  // which must not change the table. Nothing is visited only if there is nothing; with kWithDeadline also if
  // chance led to segments that no longer had any.
  enum class SampleOf : uint8_t { kAll, kWithDeadline };
  template <class Fn>
  void Sample(base::Random& random, size_t count, SampleOf of, Fn&& fn);
  // Visits the entries with a deadline of that one among `segment_count` segments chosen by chance which has
  // the earliest.
  template <class Fn>
  void SampleEarliest(base::Random& random, size_t segment_count, Fn&& fn);
  // The entry that Sample visited at this handle and whose key has this hash, if it is still there.
  Handle HandleAt(Ref ref) const { return ref.segment->handles[ref.slot]; }
  Ref FindHandle(uint64_t hash, Handle handle) const;

  // An entry whose deadline is <= now, or an empty Ref. The same entry comes again until the caller erases
  // it, changes its deadline or defers it. A call does bounded work (tens of microseconds at most): if it
  // comes back empty while earliest_deadline_hint() <= now, that bound was reached; call again, next turn.
  // `now` must not step back.
  Ref NextDue(TimeMs now);
  // For a due entry that cannot be erased now (its key is locked): NextDue passes it over until `until`, or
  // until another entry of its segment falls due.
  void DeferDue(Ref ref, TimeMs until);
  // Not later than the earliest deadline; kNoDeadline if there is none. Any time in the past means "now".
  TimeMs earliest_deadline_hint() const { return due_mask_ != 0 ? 0 : wheel_.EarliestHint(); }

  // Snapshot seam. Before any change of a segment, or of an entry in it, whose epoch is below the current
  // one, the hook runs once for it; then the segment has the current epoch, as have the segments that come
  // out of its split. The hook may read the table (ForEachInSegment) and must not change it. Erasing what is
  // not in the table yet needs no hook: segments are created with the current epoch.
  using ChangeHook = void (*)(void* owner, Segment& segment);
  void SetEpoch(uint64_t epoch, ChangeHook hook, void* owner);
  // An empty table that takes the place of `other` goes on with its epoch.
  void TakeEpochOf(const Table& other) { SetEpoch(other.epoch_, other.hook_, other.hook_owner_); }
  // To be called before value bytes are changed in place.
  MS_ALWAYS_INLINE void Touch(Ref ref) { PrepareChange(*ref.segment); }
  // The snapshot's walk: runs the hook for the segment at this position unless it has the epoch, and returns
  // the next one.
  uint64_t TouchNext(uint64_t cursor);

  template <class Fn>
  void ForEachInSegment(Segment& segment, Fn&& fn) const;
  // Aborts on the first violation. O(n).
  void CheckInvariants() const;

 private:
  MS_ALWAYS_INLINE static uint16_t TagOf(uint64_t hash) {
    const auto tag = static_cast<uint16_t>(hash);
    return static_cast<uint16_t>(tag + (tag == 0));
  }
  // A key goes to the quarter of the segment that its tag names, if there is room: the handles of a quarter
  // are one cache line, which a lookup can then fetch together with the tags and not after them.
  MS_ALWAYS_INLINE static uint32_t FirstSlot(uint16_t tag) { return (tag >> 14) * kQuarterSlots; }
  MS_ALWAYS_INLINE static uint32_t ChooseSlot(uint64_t empty, uint16_t tag) {
    const uint64_t preferred = empty & (((uint64_t{1} << kQuarterSlots) - 1) << FirstSlot(tag));
    return static_cast<uint32_t>(std::countr_zero(preferred != 0 ? preferred : empty));
  }
  MS_ALWAYS_INLINE Segment* SegmentAt(Directory::Slot slot) const {
    return slab_.Get<Segment>(slot & ~Directory::kOverflowBit);
  }
  MS_ALWAYS_INLINE Entry* EntryAt(Handle handle) const { return slab_.Get<Entry>(handle); }
  MS_ALWAYS_INLINE Ref FindInSegment(Segment* segment, uint16_t tag, std::string_view key) const;
  MS_NOINLINE Ref FindInOverflow(Segment* segment, uint16_t tag, std::string_view key) const;
  // Without a hook nobody asks for epochs, and the segment's header line need not be fetched: a third of the
  // time of an overwrite in a large table.
  MS_ALWAYS_INLINE void PrepareChange(Segment& segment) {
    if (hook_ != nullptr && segment.epoch < epoch_) [[unlikely]]
      RunHook(segment);
  }
  MS_NOINLINE void RunHook(Segment& segment);

  static uint64_t Occupied(const Segment& segment) { return ~simd::MatchTags64(segment.tags, 0); }
  static uint64_t EndOf(const Segment& segment) {  // 0 after the last segment
    return segment.depth == 0 ? 0 : segment.prefix + (uint64_t{1} << (64 - segment.depth));
  }
  template <class Fn>
  void Visit(Fn& fn, Segment& segment, uint32_t slot) const;

  // Growth and shrinking (table.cc).
  Segment* NewSegment(uint64_t prefix, uint32_t depth);
  void FreeSegment(Segment& segment);
  Ref FreeSlotFor(uint64_t hash);
  Segment* RoomInOverflow(Segment& first);
  uint32_t DepthMax() const;
  bool Split(Segment& low);
  void MoveUpperHalf(Segment& low, Segment& high);
  void SplitChain(Segment& low, Segment& high);
  void RemoveEmpty(Segment& segment);
  void DropOverflow(Segment& segment);
  void FreeEverything();
  uint64_t FreeSegmentsAt(uint64_t position);

  // Entries (table.cc).
  Entry* Relayout(Ref ref, size_t value_bytes, TimeMs deadline);
  void FileUnder(Segment& segment, TimeMs earliest);
  void LowerEarliest(Segment& segment, TimeMs deadline);
  void RefileByDeadlines(Segment& segment);
  void CollectDue(Segment& segment, TimeMs now);
  void PrefetchEntries(const Segment& segment) const;
  Segment* RandomSegment(base::Random& random) const;
  Segment* RandomSegmentWithDeadline(base::Random& random) const;

  Slab& slab_;
  Directory directory_;
  base::HashSeed seed_;
  uint64_t (*hash_)(std::string_view, base::HashSeed);
  const uint32_t* fresh_clock_;

  size_t size_ = 0;
  size_t segment_count_ = 0;
  size_t entry_bytes_ = 0;
  size_t deadline_count_ = 0;
  __int128 deadline_sum_ = 0;

  uint64_t epoch_ = 0;
  ChangeHook hook_ = nullptr;
  void* hook_owner_ = nullptr;

  DeadlineWheel wheel_;
  // The segment that fired last, and its slots still to be delivered.
  Segment* due_segment_ = nullptr;
  uint64_t due_mask_ = 0;
  TimeMs due_now_ = 0;
  // Dismantle has freed all segments before this prefix.
  uint64_t dismantled_ = 0;
};

MS_ALWAYS_INLINE Table::Ref Table::FindInSegment(Segment* segment, uint16_t tag, std::string_view key) const {
  uint64_t mask = simd::MatchTags64(segment->tags, tag);
  while (mask != 0) {
    const auto slot = static_cast<uint32_t>(std::countr_zero(mask));
    if (EntryAt(segment->handles[slot])->KeyEquals(key)) [[likely]]
      return {segment, slot};
    mask &= mask - 1;
  }
  return {};
}

MS_ALWAYS_INLINE Table::Ref Table::Find(uint64_t hash, std::string_view key) const {
  const Directory::Slot slot = directory_.Lookup(hash);
  if (slot == Directory::kEmpty) [[unlikely]]
    return {};
  const uint16_t tag = TagOf(hash);
  __builtin_prefetch(&SegmentAt(slot)->handles[FirstSlot(tag)]);
  if ((slot & Directory::kOverflowBit) != 0) [[unlikely]]
    return FindInOverflow(SegmentAt(slot), tag, key);
  return FindInSegment(slab_.Get<Segment>(slot), tag, key);
}

MS_ALWAYS_INLINE void Table::PrefetchSegment(uint64_t hash) const {
  const Directory::Slot slot = directory_.Lookup(hash);
  if (slot == Directory::kEmpty) [[unlikely]]
    return;
  const Segment* segment = SegmentAt(slot);
  __builtin_prefetch(&segment->tags[0]);
  __builtin_prefetch(&segment->tags[32]);
  __builtin_prefetch(&segment->handles[FirstSlot(TagOf(hash))]);
}

MS_ALWAYS_INLINE void Table::PrefetchEntry(uint64_t hash) const {
  const Directory::Slot slot = directory_.Lookup(hash);
  if (slot == Directory::kEmpty) [[unlikely]]
    return;
  const Segment* segment = SegmentAt(slot);
  for (uint64_t mask = simd::MatchTags64(segment->tags, TagOf(hash)); mask != 0; mask &= mask - 1) {
    // A small entry lies on one line or two.
    const auto* entry = reinterpret_cast<const char*>(EntryAt(segment->handles[std::countr_zero(mask)]));
    __builtin_prefetch(entry);
    __builtin_prefetch(entry + 56);
  }
}

template <class Fn>
void Table::Visit(Fn& fn, Segment& segment, uint32_t slot) const {
  const Ref ref{&segment, slot};
  if constexpr (std::is_invocable_v<Fn&, Ref, Entry*>) {
    fn(ref, entry(ref));
  } else if constexpr (std::is_invocable_v<Fn&, Entry*>) {
    fn(entry(ref));
  } else {
    fn(ref);
  }
}

template <class Fn>
void Table::ForEachInSegment(Segment& segment, Fn&& fn) const {
  PrefetchEntries(segment);
  for (uint64_t mask = Occupied(segment); mask != 0; mask &= mask - 1) {
    Visit(fn, segment, static_cast<uint32_t>(std::countr_zero(mask)));
  }
}

template <class Fn>
bool Table::Dismantle(size_t limit, Fn&& fn) {
  for (size_t seen = 0; segment_count_ != 0 && seen < limit;) {
    Segment* segment = SegmentAt(directory_.Lookup(dismantled_));
    while (true) {
      PrepareChange(*segment);
      ForEachInSegment(*segment, [&](const Entry* at) { fn(*at); });
      seen += kSegmentSlots;
      if (segment->overflow == kNoHandle) break;
      segment = slab_.Get<Segment>(segment->overflow);
    }
    dismantled_ = FreeSegmentsAt(dismantled_);
    if (dismantled_ == 0) FreeEverything();
  }
  return segment_count_ != 0;
}

template <class Fn>
uint64_t Table::Scan(uint64_t cursor, Fn&& fn) const {
  if (size_ == 0) return 0;
  const uint64_t position = cursor << Directory::kBitsMax;
  Segment* segment = SegmentAt(directory_.Lookup(position));
  const uint64_t next = EndOf(*segment) >> (64 - Directory::kBitsMax);
  // Inside the segment only if segments were merged since the cursor was handed out: then what lies before
  // was visited.
  const bool is_inside = position > segment->prefix;
  while (true) {
    ForEachInSegment(*segment, [&](Ref ref, Entry* at) {
      if (is_inside && Hash(at->key()) < position) return;
      Visit(fn, *ref.segment, ref.slot);
    });
    if (segment->overflow == kNoHandle) return next;
    segment = slab_.Get<Segment>(segment->overflow);
  }
}

template <class Fn>
void Table::Sample(base::Random& random, size_t count, SampleOf of, Fn&& fn) {
  constexpr uint32_t kSegmentsMax = 4;
  for (uint32_t tries = 0; tries < kSegmentsMax && count > 0; ++tries) {
    Segment* segment = of == SampleOf::kAll ? RandomSegment(random) : RandomSegmentWithDeadline(random);
    if (segment == nullptr) return;
    const auto first = static_cast<int>(random.Below(kSegmentSlots));
    const uint64_t slots = std::rotr(Occupied(*segment), first);
    auto slot_of = [&](uint64_t mask) {
      return static_cast<uint32_t>(std::countr_zero(mask) + first) % kSegmentSlots;
    };
    size_t ahead = count;
    for (uint64_t mask = slots; mask != 0 && ahead > 0; mask &= mask - 1, --ahead) {
      __builtin_prefetch(EntryAt(segment->handles[slot_of(mask)]));
    }
    bool found = false;
    for (uint64_t mask = slots; mask != 0 && count > 0; mask &= mask - 1) {
      const Ref ref{segment, slot_of(mask)};
      if (of == SampleOf::kWithDeadline && !entry(ref)->has_deadline()) continue;
      fn(ref, entry(ref));
      found = true;
      --count;
    }
    if (of == SampleOf::kWithDeadline && !found) RefileByDeadlines(*segment);
  }
}

template <class Fn>
void Table::SampleEarliest(base::Random& random, size_t segment_count, Fn&& fn) {
  Segment* best = nullptr;
  for (; segment_count > 0; --segment_count) {
    Segment* segment = RandomSegmentWithDeadline(random);
    if (segment == nullptr) break;
    if (best == nullptr || segment->earliest < best->earliest) best = segment;
  }
  if (best == nullptr) return;
  TimeMs earliest = kNoDeadline;
  ForEachInSegment(*best, [&](Ref ref, Entry* at) {
    if (!at->has_deadline()) return;
    if (at->deadline() < earliest) earliest = at->deadline();
    fn(ref, at);
  });
  // The key that had it may be gone; then the segment must not be preferred for ever.
  if (earliest > best->earliest) RefileByDeadlines(*best);
}

}  // namespace moonshard::dash
