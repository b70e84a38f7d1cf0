#include "dash/slab.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "dash/page_ahead.h"

namespace moonshard::dash {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kHugePageBytes = size_t{2} << 20;
// The range is opened in steps of this many chunks (2 MiB): one mprotect call each, and the kernel can put a
// huge page there, which it never does where part of it is not accessible at the first fault.
constexpr uint32_t kOpenChunks = kHugePageBytes / Slab::kChunkBytes;
// From here on (128 MiB) the next step is made ahead of its use.
constexpr uint32_t kAheadChunksMin = 64 * kOpenChunks;
// Free chunks that keep their pages: at least this many, or one in kResidentShare of the chunks in use.
constexpr size_t kResidentChunksMin = 16;
constexpr size_t kResidentShare = 32;

size_t RoundUp(size_t n, size_t to) {
  return (n + to - 1) / to * to;
}

bool GetBit(const uint64_t* bits, uint32_t i) {
  return (bits[i / 64] >> (i % 64) & 1) != 0;
}
void SetBit(uint64_t* bits, uint32_t i) {
  bits[i / 64] |= uint64_t{1} << (i % 64);
}
void ClearBit(uint64_t* bits, uint32_t i) {
  bits[i / 64] &= ~(uint64_t{1} << (i % 64));
}

}  // namespace

Slab::Slab(SlabOptions options) : budget_bytes_(options.budget_bytes), huge_pages_(options.huge_pages) {
  size_t range = RoundUp(std::clamp(options.reserve_bytes, 2 * kChunkBytes, kMaxReserveBytes), kChunkBytes);
  for (; range >= 2 * kChunkBytes; range = RoundUp(range / 2, kChunkBytes)) {
    const size_t chunks = range / kChunkBytes;
    const size_t bits_bytes = RoundUp((chunks + 63) / 64 * 8, kPageBytes);
    const size_t side_bytes = RoundUp(chunks * sizeof(Chunk), kPageBytes) + 2 * bits_bytes;
    map_bytes_ = range + kHugePageBytes + side_bytes;
    map_ = ::mmap(nullptr, map_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map_ == MAP_FAILED) continue;
    auto at = RoundUp(reinterpret_cast<size_t>(map_), kHugePageBytes);
    base_ = reinterpret_cast<char*>(at);
    char* side = base_ + range;
    if (::mprotect(side, side_bytes, PROT_READ | PROT_WRITE) != 0) {
      ::munmap(map_, map_bytes_);
      continue;
    }
    free_bits_ = reinterpret_cast<uint64_t*>(side);
    clean_bits_ = reinterpret_cast<uint64_t*>(side + bits_bytes);
    // Fresh pages are zero, which is not what an empty Chunk is: TakeChunks writes each description before
    // its first use.
    chunks_ = reinterpret_cast<Chunk*>(side + 2 * bits_bytes);
    range_bytes_ = range;
    chunk_count_ = static_cast<uint32_t>(chunks);
    if (huge_pages_ == HugePages::kOn) ::madvise(base_, range, MADV_HUGEPAGE);
    return;
  }
  map_ = nullptr;  // chunk_count_ stays 0: every allocation fails
}

Slab::~Slab() {
  if (map_ == nullptr) return;
  Unpoison(base_, size_t{opened_} * kChunkBytes);
  ::munmap(map_, map_bytes_);
}

size_t Slab::ClassBytes(size_t bytes) {
  if (bytes > kChunkBytes) return RoundUp(bytes, kPageBytes);
  return size_t{ClassUnits(ClassOf(bytes))} * kUnitBytes;
}

size_t Slab::BlockBytes(Handle handle) const {
  const Chunk& chunk = chunks_[handle / kChunkUnits];
  if (chunk.size_class == kRunHead) return size_t{chunk.prev} * kPageBytes;
  return size_t{ClassUnits(chunk.size_class)} * kUnitBytes;
}

void Slab::Link(uint32_t chunk_idx) {
  Chunk& chunk = chunks_[chunk_idx];
  uint32_t& head = with_room_[chunk.size_class];
  chunk.prev = 0;
  chunk.next = head;
  if (head != 0) chunks_[head].prev = chunk_idx;
  head = chunk_idx;
  chunk.listed = 1;
}

void Slab::Unlink(uint32_t chunk_idx) {
  Chunk& chunk = chunks_[chunk_idx];
  (chunk.prev != 0 ? chunks_[chunk.prev].next : with_room_[chunk.size_class]) = chunk.next;
  if (chunk.next != 0) chunks_[chunk.next].prev = chunk.prev;
  chunk.next = chunk.prev = 0;
  chunk.listed = 0;
}

bool Slab::RaiseFrontier(uint32_t chunk_end) {
  if (chunk_end > chunk_count_) return false;
  if (chunk_end > opened_ && !OpenUpTo(chunk_end)) return false;
  frontier_ = chunk_end;
  return true;
}

bool Slab::OpenUpTo(uint32_t chunk_end) {
  const uint32_t end = std::min(chunk_count_, static_cast<uint32_t>(RoundUp(chunk_end, kOpenChunks)));
  char* at = ChunkAddress(opened_);
  const size_t bytes = size_t{end - opened_} * kChunkBytes;
  const bool ready = ahead_ != nullptr && ahead_->Ready(at, bytes);
  if (!ready && ::mprotect(at, bytes, PROT_READ | PROT_WRITE) != 0) return false;
  opened_ = end;
  if (ahead_ != nullptr && opened_ >= kAheadChunksMin && opened_ + kOpenChunks <= chunk_count_)
    ahead_->Request(ChunkAddress(opened_), size_t{kOpenChunks} * kChunkBytes);
  return true;
}

uint32_t Slab::FindFreeRun(uint32_t count) {
  if (free_chunks_ < count) return 0;
  uint32_t run = 0;
  bool first = true;
  for (uint32_t word = free_hint_; word * 64 < frontier_; ++word) {
    uint64_t bits = free_bits_[word];
    if (bits == 0) {
      run = 0;
      continue;
    }
    if (first) free_hint_ = word;
    first = false;
    if (count == 1) return word * 64 + static_cast<uint32_t>(std::countr_zero(bits));
    for (uint32_t i = 0; i < 64; ++i) {
      run = (bits >> i & 1) != 0 ? run + 1 : 0;
      if (run == count) return word * 64 + i + 1 - count;
    }
  }
  return 0;
}

void Slab::Trim() {
  for (uint32_t head : with_room_) {
    if (head == 0 || chunks_[head].live != 0) continue;
    Unlink(head);
    ReleaseChunk(head);
  }
  for (uint32_t i = 1; i < frontier_ && free_resident_ > 0; ++i) {
    if (!GetBit(free_bits_, i) || GetBit(clean_bits_, i)) continue;
    ::madvise(ChunkAddress(i), kChunkBytes, MADV_DONTNEED);
    SetBit(clean_bits_, i);
    --free_resident_;
  }
}

uint32_t Slab::TakeChunks(uint32_t count) {
  uint32_t first = TryTakeChunks(count);
  if (first != 0) return first;
  Trim();  // an empty chunk that another class keeps may be what is missing
  return TryTakeChunks(count);
}

uint32_t Slab::TryTakeChunks(uint32_t count) {
  if ((chunks_in_use_ + count) * kChunkBytes > budget_bytes_) return 0;
  uint32_t first = FindFreeRun(count);
  if (first != 0) {
    for (uint32_t i = first; i < first + count; ++i) {
      ClearBit(free_bits_, i);
      if (GetBit(clean_bits_, i)) {
        ClearBit(clean_bits_, i);
      } else {
        --free_resident_;
      }
    }
    free_chunks_ -= count;
  } else {
    first = frontier_;
    if (!RaiseFrontier(frontier_ + count)) return 0;
    Poison(ChunkAddress(first), size_t{count} * kChunkBytes);
  }
  chunks_in_use_ += count;
  for (uint32_t i = first; i < first + count; ++i) chunks_[i] = Chunk{};
  return first;
}

void Slab::ReleaseChunk(uint32_t chunk_idx) {
  chunks_[chunk_idx] = Chunk{};
  SetBit(free_bits_, chunk_idx);
  free_hint_ = std::min(free_hint_, chunk_idx / 64);
  ++free_chunks_;
  --chunks_in_use_;
  Poison(ChunkAddress(chunk_idx), kChunkBytes);
  if (free_resident_ >= std::max(kResidentChunksMin, chunks_in_use_ / kResidentShare)) {
    ::madvise(ChunkAddress(chunk_idx), kChunkBytes, MADV_DONTNEED);
    SetBit(clean_bits_, chunk_idx);
  } else {
    ++free_resident_;
  }
}

Handle Slab::AllocateSlow(uint32_t size_class) {
  const uint32_t chunk_idx = TakeChunks(1);
  if (chunk_idx == 0) return kNoHandle;
  Chunk& chunk = chunks_[chunk_idx];
  const uint32_t units = ClassUnits(size_class);
  chunk.size_class = static_cast<uint8_t>(size_class);
  chunk.bump = static_cast<uint16_t>(units);
  chunk.live = 1;
  if (2 * units <= kChunkUnits) Link(chunk_idx);
  Unpoison(ChunkAddress(chunk_idx), size_t{units} * kUnitBytes);
  used_bytes_ += size_t{units} * kUnitBytes;
  return chunk_idx * kChunkUnits;
}

void Slab::FreeSlow(uint32_t chunk_idx) {
  Chunk& chunk = chunks_[chunk_idx];
  if (chunk.live == 0) {
    if (chunk.listed != 0) {
      // The only chunk of its class stays, or a class that swings between no and one block would pay for a
      // chunk each time.
      if (with_room_[chunk.size_class] == chunk_idx && chunk.next == 0) return;
      Unlink(chunk_idx);
    }
    ReleaseChunk(chunk_idx);
    return;
  }
  Link(chunk_idx);
}

Handle Slab::AllocateRun(size_t bytes) {
  if (bytes > range_bytes_) return kNoHandle;
  const auto count = static_cast<uint32_t>(RoundUp(bytes, kChunkBytes) / kChunkBytes);
  const uint32_t first = TakeChunks(count);
  if (first == 0) return kNoHandle;
  for (uint32_t i = first + 1; i < first + count; ++i) chunks_[i].size_class = kRunTail;
  chunks_[first].size_class = kRunHead;
  chunks_[first].live = 1;
  chunks_[first].next = count;
  chunks_[first].prev = static_cast<uint32_t>(RoundUp(bytes, kPageBytes) / kPageBytes);
  used_bytes_ += RoundUp(bytes, kPageBytes);
  Unpoison(ChunkAddress(first), RoundUp(bytes, kPageBytes));
  return first * kChunkUnits;
}

size_t Slab::FreeRun(uint32_t chunk_idx) {
  MS_CHECK(chunks_[chunk_idx].size_class == kRunHead);
  const size_t bytes = size_t{chunks_[chunk_idx].prev} * kPageBytes;
  const uint32_t count = chunks_[chunk_idx].next;
  for (uint32_t i = chunk_idx; i < chunk_idx + count; ++i) ReleaseChunk(i);
  used_bytes_ -= bytes;
  return bytes;
}

void Slab::CheckInvariants() const {
  size_t used = 0, in_use = 0, free_count = 0, resident = 0;
  for (uint32_t i = 1; i < frontier_; ++i) {
    const Chunk& chunk = chunks_[i];
    MS_CHECK(GetBit(free_bits_, i) == (chunk.size_class == kFreeChunk));
    if (chunk.size_class == kFreeChunk) {
      ++free_count;
      resident += GetBit(clean_bits_, i) ? 0 : 1;
      MS_CHECK(i / 64 >= free_hint_);
      continue;
    }
    ++in_use;
    if (chunk.size_class == kRunTail) continue;
    if (chunk.size_class == kRunHead) {
      used += size_t{chunk.prev} * kPageBytes;
      continue;
    }
    const uint32_t units = ClassUnits(chunk.size_class);
    uint32_t free_blocks = 0;
    for (uint16_t unit = chunk.free_head; unit != kEndOfList; ++free_blocks) {
      MS_CHECK(unit % units == 0 && unit < chunk.bump);
      const char* block = ChunkAddress(i) + size_t{unit} * kUnitBytes;
      Unpoison(block, sizeof unit);
      const uint16_t next = *reinterpret_cast<const uint16_t*>(block);
      Poison(block, size_t{units} * kUnitBytes);
      unit = next;
    }
    MS_CHECK(chunk.live + free_blocks == chunk.bump / units);
    const bool has_room = free_blocks != 0 || chunk.bump + units <= kChunkUnits;
    MS_CHECK(has_room == (chunk.listed != 0));
    used += size_t{chunk.live} * units * kUnitBytes;
  }
  MS_CHECK(used == used_bytes_ && in_use == chunks_in_use_);
  MS_CHECK(free_count == free_chunks_ && resident == free_resident_);
}

}  // namespace moonshard::dash
