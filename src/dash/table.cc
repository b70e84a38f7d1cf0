#include "dash/table.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace moonshard::dash {
namespace {

// Work of one NextDue call: moving a segment in the wheel costs one unit (a cold line or two), looking
// through the deadlines of a fired one kScanUnits (up to 64 cold entries, prefetched together).
constexpr uint32_t kDueUnits = 128;
constexpr uint32_t kScanUnits = 8;
// Attempts of Random to hit a segment with entries before it walks on from where it is.
constexpr uint32_t kRandomTries = 64;

constexpr uint32_t kZeroClock = 0;

}  // namespace

Table::Table(Slab& slab, TableOptions options)
    : slab_(slab),
      directory_(slab),
      seed_(options.seed),
      hash_(options.hash),
      fresh_clock_(options.fresh_clock != nullptr ? options.fresh_clock : &kZeroClock),
      wheel_(slab) {}

Table::~Table() {
  FreeEverything();
}

// ---- snapshot seam

void Table::SetEpoch(uint64_t epoch, ChangeHook hook, void* owner) {
  MS_CHECK(epoch >= epoch_);
  epoch_ = epoch;
  hook_ = hook;
  hook_owner_ = owner;
}

void Table::RunHook(Segment& segment) {
  hook_(hook_owner_, segment);
  segment.epoch = epoch_;
}

uint64_t Table::TouchNext(uint64_t cursor) {
  if (size_ == 0) return 0;
  Segment* segment = SegmentAt(directory_.Lookup(cursor << Directory::kBitsMax));
  const uint64_t next = EndOf(*segment) >> (64 - Directory::kBitsMax);
  while (true) {
    PrepareChange(*segment);
    if (segment->overflow == kNoHandle) return next;
    segment = slab_.Get<Segment>(segment->overflow);
  }
}

// ---- lookups off the hot path

Table::Ref Table::FindInOverflow(Segment* segment, uint16_t tag, std::string_view key) const {
  while (true) {
    if (Ref ref = FindInSegment(segment, tag, key)) return ref;
    if (segment->overflow == kNoHandle) return {};
    segment = slab_.Get<Segment>(segment->overflow);
  }
}

void Table::PrefetchEntries(const Segment& segment) const {
  for (uint64_t mask = Occupied(segment); mask != 0; mask &= mask - 1) {
    __builtin_prefetch(EntryAt(segment.handles[std::countr_zero(mask)]));
  }
}

Segment* Table::RandomSegment(base::Random& random) const {
  if (size_ == 0) return nullptr;
  uint64_t position = random.Next();
  for (uint32_t tries = 1;; ++tries) {
    Segment* segment = SegmentAt(directory_.Lookup(position));
    uint64_t length = 1;
    for (Segment* at = segment; at->overflow != kNoHandle; ++length) at = slab_.Get<Segment>(at->overflow);
    for (uint64_t steps = length > 1 ? random.Below(length) : 0; steps > 0; --steps) {
      segment = slab_.Get<Segment>(segment->overflow);
    }
    if (segment->count != 0) return segment;
    position = tries < kRandomTries ? random.Next() : EndOf(*segment);
  }
}

Segment* Table::RandomSegmentWithDeadline(base::Random& random) const {
  // Where keys with a deadline are rare, the wheel knows the segments that have some.
  constexpr uint32_t kTries = 4;
  if (deadline_count_ == 0) return nullptr;
  for (uint32_t tries = 0; tries < kTries; ++tries) {
    Segment* segment = RandomSegment(random);
    if (segment->earliest != kNoDeadline) return segment;
  }
  return wheel_.Any(random);
}

Table::Ref Table::FindHandle(uint64_t hash, Handle handle) const {
  const Directory::Slot first = directory_.Lookup(hash);
  if (first == Directory::kEmpty) return {};
  for (Segment* segment = SegmentAt(first);; segment = slab_.Get<Segment>(segment->overflow)) {
    for (uint64_t mask = simd::MatchTags64(segment->tags, TagOf(hash)); mask != 0; mask &= mask - 1) {
      const Ref ref{segment, static_cast<uint32_t>(std::countr_zero(mask))};
      if (segment->handles[ref.slot] == handle && Hash(entry(ref)->key()) == hash) return ref;
    }
    if (segment->overflow == kNoHandle) return {};
  }
}

Table::Ref Table::Random(base::Random& random) const {
  if (size_ == 0) return {};
  uint64_t position = random.Next();
  for (uint32_t tries = 1;; ++tries) {
    // A segment is hit in proportion to the share of hashes it covers, which is its share of the keys but for
    // noise.
    Segment* first = SegmentAt(directory_.Lookup(position));
    uint64_t count = 0;
    for (Segment* at = first;; at = slab_.Get<Segment>(at->overflow)) {
      count += at->count;
      if (at->overflow == kNoHandle) break;
    }
    if (count == 0) {
      position = tries < kRandomTries ? random.Next() : EndOf(*first);
      continue;
    }
    uint64_t index = random.Below(count);
    Segment* at = first;
    for (; index >= at->count; at = slab_.Get<Segment>(at->overflow)) index -= at->count;
    uint64_t mask = Occupied(*at);
    for (; index > 0; --index) mask &= mask - 1;
    return {at, static_cast<uint32_t>(std::countr_zero(mask))};
  }
}

// ---- segments

Segment* Table::NewSegment(uint64_t prefix, uint32_t depth) {
  const Handle handle = slab_.Allocate(sizeof(Segment));
  if (handle == kNoHandle) return nullptr;
  auto* segment = slab_.Get<Segment>(handle);
  std::memset(static_cast<void*>(segment), 0, sizeof(Segment));
  segment->epoch = epoch_;
  segment->prefix = prefix;
  segment->depth = static_cast<uint8_t>(depth);
  segment->earliest = kNoDeadline;
  segment->wheel_bucket = kNotInWheel;
  ++segment_count_;
  return segment;
}

void Table::FreeSegment(Segment& segment) {
  wheel_.Remove(segment);
  if (due_segment_ == &segment) due_mask_ = 0;
  slab_.Free(slab_.HandleOf(&segment));
  --segment_count_;
}

// Random keys need one or two bits more than the average segment; deeper segments are the work of chosen
// keys.
uint32_t Table::DepthMax() const {
  return std::min<uint32_t>(Directory::kBitsMax, static_cast<uint32_t>(std::bit_width(segment_count_)) + 4);
}

Table::Ref Table::FreeSlotFor(uint64_t hash) {
  if (directory_.Lookup(hash) == Directory::kEmpty) {
    Segment* segment = NewSegment(0, 0);
    if (segment == nullptr) return {};
    directory_.SetRange(0, 0, slab_.HandleOf(segment));
  }
  while (true) {
    Segment* segment = SegmentAt(directory_.Lookup(hash));
    if (segment->count == kSegmentSlots) {
      if (segment->depth < DepthMax()) {
        if (!Split(*segment)) return {};
        continue;
      }
      segment = RoomInOverflow(*segment);
      if (segment == nullptr) return {};
    }
    const uint64_t empty = simd::MatchTags64(segment->tags, 0);
    return {segment, ChooseSlot(empty, TagOf(hash))};
  }
}

Segment* Table::RoomInOverflow(Segment& first) {
  for (Segment* at = &first; at->overflow != kNoHandle;) {
    at = slab_.Get<Segment>(at->overflow);
    if (at->count < kSegmentSlots) return at;
  }
  Segment* added = NewSegment(first.prefix, first.depth);
  if (added == nullptr) return nullptr;
  added->overflow = first.overflow;
  first.overflow = slab_.HandleOf(added);
  directory_.SetRange(first.prefix, first.depth, slab_.HandleOf(&first) | Directory::kOverflowBit);
  return added;
}

bool Table::Split(Segment& low) {
  if (directory_.Bits(low.prefix) == low.depth && !directory_.Grow(low.prefix)) return false;
  Segment* high = NewSegment(low.prefix | uint64_t{1} << (63 - low.depth), low.depth + 1u);
  if (high == nullptr) return false;
  for (Segment* at = &low;; at = slab_.Get<Segment>(at->overflow)) {
    PrepareChange(*at);
    if (at->overflow == kNoHandle) break;
  }
  ++low.depth;
  if (low.overflow == kNoHandle) {
    MoveUpperHalf(low, *high);
  } else {
    SplitChain(low, *high);
  }
  for (Segment* first : {&low, high}) {
    const Directory::Slot flag = first->overflow != kNoHandle ? Directory::kOverflowBit : 0;
    directory_.SetRange(first->prefix, first->depth, slab_.HandleOf(first) | flag);
  }
  return true;
}

void Table::MoveUpperHalf(Segment& low, Segment& high) {
  const bool has_deadlines = low.earliest != kNoDeadline || due_segment_ == &low;
  uint64_t high_empty = ~uint64_t{0};
  PrefetchEntries(low);
  for (uint64_t mask = Occupied(low); mask != 0; mask &= mask - 1) {
    const auto slot = static_cast<uint32_t>(std::countr_zero(mask));
    if ((Hash(EntryAt(low.handles[slot])->key()) & uint64_t{1} << (64 - low.depth)) == 0) continue;
    const uint32_t to = ChooseSlot(high_empty, low.tags[slot]);
    high_empty &= ~(uint64_t{1} << to);
    high.tags[to] = low.tags[slot];
    high.handles[to] = low.handles[slot];
    ++high.count;
    low.tags[slot] = 0;
    --low.count;
  }
  if (!has_deadlines) return;
  RefileByDeadlines(low);
  RefileByDeadlines(high);
}

// Deals the entries of a segment with overflow out to two chains. Both together need at most one segment more
// than there were, which is `high`.
void Table::SplitChain(Segment& low, Segment& high) {
  struct Item {
    uint16_t tag;
    Handle handle;
  };
  std::vector<Item> items[2];
  std::vector<Segment*> spare;
  for (Segment* at = &low; at != nullptr;) {
    for (uint64_t mask = Occupied(*at); mask != 0; mask &= mask - 1) {
      const auto slot = static_cast<uint32_t>(std::countr_zero(mask));
      const uint64_t hash = Hash(EntryAt(at->handles[slot])->key());
      items[hash >> (64 - low.depth) & 1].push_back({at->tags[slot], at->handles[slot]});
    }
    Segment* next = at->overflow != kNoHandle ? slab_.Get<Segment>(at->overflow) : nullptr;
    std::memset(at->tags, 0, sizeof at->tags);
    at->count = 0;
    at->overflow = kNoHandle;
    if (at != &low) spare.push_back(at);
    at = next;
  }
  Segment* firsts[2] = {&low, &high};
  for (size_t side = 0; side < 2; ++side) {
    Segment* at = firsts[side];
    for (size_t i = 0; i < items[side].size(); ++i) {
      if (at->count == kSegmentSlots) {
        RefileByDeadlines(*at);
        MS_CHECK(!spare.empty());
        Segment* next = spare.back();
        spare.pop_back();
        next->prefix = at->prefix;
        next->depth = at->depth;
        at->overflow = slab_.HandleOf(next);
        at = next;
      }
      at->tags[at->count] = items[side][i].tag;
      at->handles[at->count++] = items[side][i].handle;
    }
    RefileByDeadlines(*at);
  }
  for (Segment* segment : spare) FreeSegment(*segment);
}

void Table::DropOverflow(Segment& segment) {
  Segment* first = SegmentAt(directory_.Lookup(segment.prefix));
  Segment* before = first;
  while (before->overflow != slab_.HandleOf(&segment)) before = slab_.Get<Segment>(before->overflow);
  before->overflow = segment.overflow;
  if (first->overflow == kNoHandle) directory_.SetRange(first->prefix, first->depth, slab_.HandleOf(first));
  FreeSegment(segment);
}

// A segment ran empty. Siblings of equal depth, one of them empty, the other at most half full (or the next
// insert would split it again), become one; that may make the result mergeable with its own sibling.
void Table::RemoveEmpty(Segment& segment) {
  if (size_ == 0) {
    FreeEverything();
    return;
  }
  Segment* at = &segment;
  if (SegmentAt(directory_.Lookup(at->prefix)) != at) {
    DropOverflow(*at);
    return;
  }
  while (at->depth > 0 && at->overflow == kNoHandle) {
    Segment* other = SegmentAt(directory_.Lookup(at->prefix ^ uint64_t{1} << (64 - at->depth)));
    if (other->depth != at->depth || other->overflow != kNoHandle) return;
    if (at->count != 0) std::swap(at, other);
    if (at->count != 0 || other->count > kSegmentSlots / 2) return;
    --other->depth;
    other->prefix = std::min(at->prefix, other->prefix);
    directory_.SetRange(other->prefix, other->depth, slab_.HandleOf(other));
    FreeSegment(*at);
    at = other;
  }
}

// Frees the segment at this prefix with what is in it and behind it; the prefix of the next one, 0 after the
// last. The directory still names them.
uint64_t Table::FreeSegmentsAt(uint64_t position) {
  Segment* segment = SegmentAt(directory_.Lookup(position));
  const uint64_t end = EndOf(*segment);
  while (segment != nullptr) {
    for (uint64_t mask = Occupied(*segment); mask != 0; mask &= mask - 1) {
      const Handle handle = segment->handles[std::countr_zero(mask)];
      if (EntryAt(handle)->has_deadline()) {
        --deadline_count_;
        deadline_sum_ -= EntryAt(handle)->deadline();
      }
      entry_bytes_ -= slab_.Free(handle);
    }
    size_ -= segment->count;
    Segment* next = segment->overflow != kNoHandle ? slab_.Get<Segment>(segment->overflow) : nullptr;
    FreeSegment(*segment);
    segment = next;
  }
  return end;
}

void Table::FreeEverything() {
  if (segment_count_ != 0) {
    uint64_t position = dismantled_;
    do {
      position = FreeSegmentsAt(position);
    } while (position != 0);
  }
  directory_.Reset();
  wheel_.Close();
  MS_DCHECK(size_ == 0 && entry_bytes_ == 0 && deadline_count_ == 0 && deadline_sum_ == 0);
  due_segment_ = nullptr;
  due_mask_ = 0;
  dismantled_ = 0;
}

void Table::Clear() {
  if (size_ == 0) return;
  uint64_t cursor = 0;
  do {
    cursor = TouchNext(cursor);
  } while (cursor != 0);
  FreeEverything();
}

void Table::Swap(Table& other) {
  MS_DCHECK(&slab_ == &other.slab_ && seed_ == other.seed_ && hash_ == other.hash_);
  MS_DCHECK(dismantled_ == 0 && other.dismantled_ == 0);
  directory_.Swap(other.directory_);
  wheel_.Swap(other.wheel_);
  std::swap(size_, other.size_);
  std::swap(segment_count_, other.segment_count_);
  std::swap(entry_bytes_, other.entry_bytes_);
  std::swap(deadline_count_, other.deadline_count_);
  std::swap(deadline_sum_, other.deadline_sum_);
  std::swap(epoch_, other.epoch_);
  std::swap(hook_, other.hook_);
  std::swap(hook_owner_, other.hook_owner_);
  std::swap(due_segment_, other.due_segment_);
  std::swap(due_mask_, other.due_mask_);
  std::swap(due_now_, other.due_now_);
}

// ---- entries

Table::Ref Table::Insert(uint64_t hash, std::string_view key, Type type, uint8_t encoding, size_t value_bytes,
                         TimeMs deadline) {
  MS_CHECK(value_bytes <= kInlineValueBytesMax && key.size() <= UINT32_MAX);
  deadline = ClampDeadline(deadline);
  const bool has_deadline = deadline != kNoDeadline;
  if (has_deadline && !wheel_.Open()) return {};
  const Handle handle = slab_.Allocate(Entry::Bytes(key.size(), value_bytes, DeadlineBytes(deadline)));
  if (handle == kNoHandle) return {};
  const Ref ref = FreeSlotFor(hash);
  if (!ref) [[unlikely]] {
    slab_.Free(handle);
    return {};
  }
  PrepareChange(*ref.segment);
  EntryAt(handle)->Init(key, type, encoding, value_bytes, deadline);
  EntryAt(handle)->set_access_clock(*fresh_clock_);
  ref.segment->tags[ref.slot] = TagOf(hash);
  ref.segment->handles[ref.slot] = handle;
  ++ref.segment->count;
  ++size_;
  entry_bytes_ += slab_.BlockBytes(handle);
  if (has_deadline) {
    ++deadline_count_;
    deadline_sum_ += deadline;
    LowerEarliest(*ref.segment, deadline);
  }
  return ref;
}

void Table::Erase(Ref ref) {
  Segment& segment = *ref.segment;
  MS_DCHECK(segment.tags[ref.slot] != 0);
  PrepareChange(segment);
  const Handle handle = segment.handles[ref.slot];
  if (EntryAt(handle)->has_deadline()) {
    --deadline_count_;
    deadline_sum_ -= EntryAt(handle)->deadline();
  }
  entry_bytes_ -= slab_.Free(handle);
  segment.tags[ref.slot] = 0;
  --segment.count;
  --size_;
  if (segment.count == 0) [[unlikely]]
    RemoveEmpty(segment);
}

Entry* Table::Resize(Ref ref, size_t value_bytes) {
  MS_CHECK(value_bytes <= kInlineValueBytesMax);
  Entry* at = entry(ref);
  PrepareChange(*ref.segment);
  return Relayout(ref, value_bytes, at->deadline());
}

Entry* Table::SetDeadline(Ref ref, TimeMs deadline) {
  deadline = ClampDeadline(deadline);
  Entry* at = entry(ref);
  const bool had_deadline = at->has_deadline();
  const bool has_deadline = deadline != kNoDeadline;
  if (!had_deadline && !has_deadline) return at;
  if (has_deadline && !wheel_.Open()) return nullptr;
  PrepareChange(*ref.segment);
  const TimeMs old_deadline = had_deadline ? at->deadline() : 0;
  if (at->deadline_bytes() == DeadlineBytes(deadline)) {
    at->set_deadline(deadline);
  } else {
    at = Relayout(ref, at->value_bytes(), deadline);
    if (at == nullptr) return nullptr;
    if (had_deadline != has_deadline) deadline_count_ += has_deadline ? size_t{1} : ~size_t{0};
  }
  deadline_sum_ += (has_deadline ? deadline : 0) - old_deadline;
  if (has_deadline) LowerEarliest(*ref.segment, deadline);
  return at;
}

// Gives the entry another value size, or a deadline of another width; moves it if that needs a block of
// another size.
Entry* Table::Relayout(Ref ref, size_t value_bytes, TimeMs deadline) {
  const Handle old_handle = ref.segment->handles[ref.slot];
  Entry* old_entry = EntryAt(old_handle);
  const size_t old_block = slab_.BlockBytes(old_handle);
  const size_t width = DeadlineBytes(deadline);
  const size_t bytes = Entry::Bytes(old_entry->key_bytes(), value_bytes, width);
  const size_t keep = std::min(value_bytes, old_entry->value_bytes());

  Handle handle = old_handle;
  if (Slab::ClassBytes(bytes) != old_block) {
    handle = slab_.Allocate(bytes);
    if (handle == kNoHandle) {
      if (bytes > old_block) return nullptr;
      handle = old_handle;  // what does not grow may stay in a block that is too large for it
    }
  }
  if (handle == old_handle) {
    if (const size_t old_width = old_entry->deadline_bytes(); width != old_width) {
      // All behind the deadline moves by what its width changes.
      char* body = reinterpret_cast<char*>(old_entry) + Entry::kHeaderBytes;
      std::memmove(body + width, body + old_width, old_entry->bytes() - Entry::kHeaderBytes - old_width);
      old_entry->set_deadline_bytes(width);
      if (width != 0) old_entry->set_deadline(deadline);
    }
    old_entry->set_value_bytes(value_bytes);
    return old_entry;
  }
  Entry* at = EntryAt(handle);
  at->Init(old_entry->key(), old_entry->type(), old_entry->encoding(), value_bytes, deadline);
  at->set_access_clock(old_entry->access_clock());
  if (keep != 0) std::memcpy(at->value().data(), old_entry->value().data(), keep);
  entry_bytes_ += slab_.BlockBytes(handle);
  entry_bytes_ -= slab_.Free(old_handle);
  ref.segment->handles[ref.slot] = handle;
  return at;
}

// ---- deadlines

// The wheel has 48 bits. A segment whose deadlines are all later is filed at its end, which is earlier than
// they are.
void Table::FileUnder(Segment& segment, TimeMs earliest) {
  segment.earliest = earliest == kNoDeadline ? kNoDeadline : std::min(earliest, kShortDeadlineMax);
  wheel_.Update(segment);
}

void Table::LowerEarliest(Segment& segment, TimeMs deadline) {
  if (deadline < segment.earliest) FileUnder(segment, deadline);
}

void Table::RefileByDeadlines(Segment& segment) {
  if (due_segment_ == &segment) due_mask_ = 0;
  TimeMs earliest = kNoDeadline;
  for (uint64_t mask = Occupied(segment); mask != 0; mask &= mask - 1) {
    earliest = std::min(earliest, EntryAt(segment.handles[std::countr_zero(mask)])->deadline());
  }
  FileUnder(segment, earliest);
}

void Table::CollectDue(Segment& segment, TimeMs now) {
  PrefetchEntries(segment);
  due_segment_ = &segment;
  due_mask_ = 0;
  TimeMs earliest = kNoDeadline;
  for (uint64_t mask = Occupied(segment); mask != 0; mask &= mask - 1) {
    const auto slot = static_cast<uint32_t>(std::countr_zero(mask));
    const TimeMs deadline = EntryAt(segment.handles[slot])->deadline();
    if (deadline <= now) {
      due_mask_ |= uint64_t{1} << slot;
    } else {
      earliest = std::min(earliest, deadline);
    }
  }
  FileUnder(segment, earliest);
}

Table::Ref Table::NextDue(TimeMs now) {
  due_now_ = now = std::max({now, due_now_, wheel_.time()});
  for (uint32_t units = 0; units < kDueUnits;) {
    for (; due_mask_ != 0; due_mask_ &= due_mask_ - 1) {
      const Ref ref{due_segment_, static_cast<uint32_t>(std::countr_zero(due_mask_))};
      if (due_segment_->tags[ref.slot] != 0 && entry(ref)->deadline() <= now) return ref;
    }
    Segment* fired = nullptr;
    switch (wheel_.Step(now, &fired)) {
      case DeadlineWheel::StepResult::kIdle:
        return {};
      case DeadlineWheel::StepResult::kMoved:
        ++units;
        break;
      case DeadlineWheel::StepResult::kFired:
        CollectDue(*fired, now);
        units += kScanUnits;
        break;
    }
  }
  return {};
}

void Table::DeferDue(Ref ref, TimeMs until) {
  if (ref.segment == due_segment_) due_mask_ &= ~(uint64_t{1} << ref.slot);
  LowerEarliest(*ref.segment, ClampDeadline(until));
}

// ---- checks

void Table::CheckInvariants() const {
  size_t entries = 0, segments = 0, deadlines = 0, bytes = 0, filed = 0;
  __int128 deadline_sum = 0;
  uint64_t position = 0;
  bool due_segment_found = due_mask_ == 0;
  MS_CHECK((size_ == 0) == (segment_count_ == 0));
  while (segment_count_ != 0) {
    const Directory::Slot slot = directory_.Lookup(position);
    const Segment* segment = SegmentAt(slot);
    MS_CHECK(segment->prefix == position);
    MS_CHECK(((slot & Directory::kOverflowBit) != 0) == (segment->overflow != kNoHandle));
    const uint64_t end = EndOf(*segment);
    MS_CHECK(directory_.Lookup(end - 1) == slot);
    MS_CHECK(directory_.Bits(position) >= segment->depth);
    for (const Segment* at = segment; at != nullptr; ++segments) {
      MS_CHECK(at->prefix == segment->prefix && at->depth == segment->depth);
      MS_CHECK(at->epoch <= epoch_);
      MS_CHECK(at == segment || at->count > 0);
      MS_CHECK(static_cast<uint32_t>(std::popcount(Occupied(*at))) == at->count);
      MS_CHECK((at->earliest != kNoDeadline) == (at->wheel_bucket != kNotInWheel));
      due_segment_found |= at == due_segment_;
      filed += at->wheel_bucket != kNotInWheel ? 1 : 0;
      for (uint32_t i = 0; i < kSegmentSlots; ++i) {
        if (at->tags[i] == 0) continue;
        const Entry* e = EntryAt(at->handles[i]);
        const uint64_t hash = Hash(e->key());
        MS_CHECK(TagOf(hash) == at->tags[i]);
        MS_CHECK(hash >= position && (end == 0 || hash < end));
        MS_CHECK(e->bytes() <= slab_.BlockBytes(at->handles[i]));
        // What fired stays below: it is in due_mask_, or deferred.
        MS_CHECK(e->deadline() >= at->earliest || e->deadline() <= due_now_);
        ++entries;
        deadlines += e->has_deadline() ? 1 : 0;
        deadline_sum += e->has_deadline() ? e->deadline() : 0;
        bytes += slab_.BlockBytes(at->handles[i]);
      }
      at = at->overflow != kNoHandle ? slab_.Get<Segment>(at->overflow) : nullptr;
    }
    position = end;
    if (position == 0) break;
  }
  MS_CHECK(entries == size_ && segments == segment_count_ && deadlines == deadline_count_ &&
           deadline_sum == deadline_sum_ && bytes == entry_bytes_);
  MS_CHECK(filed == wheel_.size() && due_segment_found);
  wheel_.CheckInvariants();
}

}  // namespace moonshard::dash
