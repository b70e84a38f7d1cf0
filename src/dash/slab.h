#pragma once
// Slab: the memory of one shard's tables, named by 32-bit handles. Owned by one shard.
//
// A handle counts 8-byte units from the start of a reserved address range, so four bytes name 32 GiB; handle
// 0 is "none". The range is reserved without memory and opened from below, in chunks of 64 KiB. A chunk
// serves one size class:
//
//     range    | chunk 0 (never used) | chunk 1 | chunk 2 | ... frontier ->         reserved, no memory
//     behind it chunk    | block | block | block | ...                 blocks of one class, packed, no header
//     classes  8, 16, 24 ... 1,088 bytes, then the sizes of which exactly 59, 58 ... 1 fit into a chunk
//     larger   a run of whole chunks, accounted in pages
//
// What describes a chunk (its class, its live blocks, the head of its free list) lies in a table beside the
// range: 16 bytes a chunk, 0.02 %. The links of a free list lie inside the free blocks. A chunk whose last
// block is freed serves any class again, so a change of value sizes leaks nothing; beyond a small reserve
// free chunks give their pages back.
//
// Costs: Allocate and Free are a handful of instructions on one chunk description (16 B per 64 KiB: it stays
// in cache); internal waste is below 8 bytes up to 1,088 and at most 1/(n+1) of a block where n fit into a
// chunk.

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/macros.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MS_DASH_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define MS_DASH_ASAN 1
#endif
#ifdef MS_DASH_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace moonshard::dash {

class PageAhead;

using Handle = uint32_t;
inline constexpr Handle kNoHandle = 0;

// Whether to ask for transparent huge pages (MADV_HUGEPAGE). Off by default: at 20 M keys they take 10 % off
// a lookup that waits for memory and a fifth off a batch of 16 (77 -> 60 ns), but a fault that must first
// make a huge page put the worst insert at 5 to 11 ms of CPU time, where 4 KiB pages stay below 2.1
// (BM_FindBatch, BM_Growth). Bytes per key: +0.1.
enum class HugePages : uint8_t { kOff, kOn };

struct SlabOptions {
  // Address space to reserve; at most kMaxReserveBytes. If the system refuses, halves of it are tried.
  size_t reserve_bytes = size_t{32} << 30;
  // Allocation fails once chunks of this many bytes are in use.
  size_t budget_bytes = SIZE_MAX;
  HugePages huge_pages = HugePages::kOff;
};

class Slab {
 public:
  static constexpr size_t kUnitBytes = 8;
  static constexpr size_t kChunkBytes = size_t{64} << 10;
  static constexpr size_t kMaxReserveBytes = size_t{32} << 30;
  // Up to here classes are 8 bytes apart.
  static constexpr size_t kFineBytesMax = 1088;

  explicit Slab(SlabOptions options = {});
  ~Slab();
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

  // A block of at least `bytes` (> 0) bytes, 8-byte aligned and uninitialised; kNoHandle if range or budget
  // are used up.
  MS_ALWAYS_INLINE Handle Allocate(size_t bytes);
  // Gives the block back and returns the bytes it was accounted with.
  MS_ALWAYS_INLINE size_t Free(Handle handle);

  MS_ALWAYS_INLINE char* Address(Handle handle) const { return base_ + size_t{handle} * kUnitBytes; }
  template <typename T>
  MS_ALWAYS_INLINE T* Get(Handle handle) const {
    return reinterpret_cast<T*>(Address(handle));
  }
  MS_ALWAYS_INLINE Handle HandleOf(const void* block) const {
    return static_cast<Handle>(static_cast<size_t>(static_cast<const char*>(block) - base_) / kUnitBytes);
  }
  // The bytes a request of this size is accounted with, and the bytes a live block is accounted with.
  static size_t ClassBytes(size_t bytes);
  size_t BlockBytes(Handle handle) const;

  // Sum of the class sizes of live blocks.
  size_t used_bytes() const { return used_bytes_; }
  // Bytes of the chunks that have memory: those in use and the free ones kept resident.
  size_t committed_bytes() const { return (chunks_in_use_ + free_resident_) * kChunkBytes; }
  size_t reserved_bytes() const { return range_bytes_; }
  size_t budget_bytes() const { return budget_bytes_; }
  void set_budget_bytes(size_t bytes) { budget_bytes_ = bytes; }

  // Has the pages of the next 2 MiB made ahead of their use, once the slab is so large that two more MiB do
  // not matter. Null: off. It outlives its use here: set it back to null, or destroy the slab after it.
  void set_page_ahead(PageAhead* ahead) { ahead_ = ahead; }

  // Gives back all pages of free chunks, and the empty chunk a class may keep for its next block.
  void Trim();

  // Test seam: the next `count` allocations succeed, all later ones fail, until kNeverFail is set.
  static constexpr uint64_t kNeverFail = UINT64_MAX;
  void FailAllocationsAfter(uint64_t count) { allocations_left_ = count; }

  // Walks every chunk and free list; aborts if they disagree with the counters.
  void CheckInvariants() const;

 private:
  static constexpr uint32_t kChunkUnits = kChunkBytes / kUnitBytes;
  static constexpr uint32_t kFineClasses =
      kFineBytesMax / kUnitBytes;                   // classes 1..136, named by their units
  static constexpr uint32_t kCoarseBlocksMax = 59;  // classes 137..195 hold 59..1 blocks a chunk
  static constexpr uint32_t kClassCount = kFineClasses + kCoarseBlocksMax + 1;
  static constexpr uint16_t kEndOfList = 0xFFFF;
  // Values of Chunk::size_class beside real classes.
  static constexpr uint8_t kFreeChunk = 0;
  static constexpr uint8_t kRunHead = 254;
  static constexpr uint8_t kRunTail = 255;
  static_assert(kClassCount <= kRunHead);

  struct Chunk {
    uint16_t free_head = kEndOfList;  // unit offset of the first free block inside the chunk
    uint16_t bump = 0;                // units from here on were never handed out
    uint16_t live = 0;                // live blocks
    uint8_t size_class = kFreeChunk;
    uint8_t listed = 0;  // 1: linked in its class's list of chunks with room
    uint32_t next = 0;   // links of that list; the chunk count of a run for kRunHead
    uint32_t prev = 0;
  };
  static_assert(sizeof(Chunk) == 16);

  MS_ALWAYS_INLINE static uint32_t ClassOf(size_t bytes) {
    if (bytes <= kFineBytesMax) [[likely]]
      return static_cast<uint32_t>((bytes + kUnitBytes - 1) / kUnitBytes);
    const size_t rounded = (bytes + kUnitBytes - 1) / kUnitBytes * kUnitBytes;
    return kFineClasses + 1 + kCoarseBlocksMax - static_cast<uint32_t>(kChunkBytes / rounded);
  }
  MS_ALWAYS_INLINE static uint32_t ClassUnits(uint32_t size_class) {
    if (size_class <= kFineClasses) [[likely]]
      return size_class;
    return kChunkUnits / (kFineClasses + 1 + kCoarseBlocksMax - size_class);
  }
  char* ChunkAddress(uint32_t chunk) const { return base_ + size_t{chunk} * kChunkBytes; }

  MS_NOINLINE Handle AllocateSlow(uint32_t size_class);
  MS_NOINLINE Handle AllocateRun(size_t bytes);
  MS_NOINLINE size_t FreeRun(uint32_t chunk);
  MS_NOINLINE void FreeSlow(uint32_t chunk);
  // First chunk of `count` free neighbours, now marked in use; 0 if there are none.
  uint32_t TakeChunks(uint32_t count);
  uint32_t TryTakeChunks(uint32_t count);
  uint32_t FindFreeRun(uint32_t count);
  bool RaiseFrontier(uint32_t chunk_end);
  bool OpenUpTo(uint32_t chunk_end);
  void ReleaseChunk(uint32_t chunk);
  void Link(uint32_t chunk);
  void Unlink(uint32_t chunk);

  void Poison([[maybe_unused]] const void* at, [[maybe_unused]] size_t bytes) const {
#ifdef MS_DASH_ASAN
    ASAN_POISON_MEMORY_REGION(at, bytes);
#endif
  }
  void Unpoison([[maybe_unused]] const void* at, [[maybe_unused]] size_t bytes) const {
#ifdef MS_DASH_ASAN
    ASAN_UNPOISON_MEMORY_REGION(at, bytes);
#endif
  }

  char* base_ = nullptr;
  Chunk* chunks_ = nullptr;
  size_t used_bytes_ = 0;
  uint64_t allocations_left_ = kNeverFail;
  // Per class the first chunk with room, 0 if none.
  std::array<uint32_t, kClassCount> with_room_{};

  size_t range_bytes_ = 0;
  size_t budget_bytes_ = SIZE_MAX;
  size_t chunks_in_use_ = 0;
  size_t free_resident_ = 0;
  uint32_t chunk_count_ = 0;  // chunks of the range
  uint32_t frontier_ = 1;     // chunks from here on were never used
  uint32_t opened_ = 0;       // chunks below are readable and writable
  uint32_t free_chunks_ = 0;  // free chunks below the frontier
  uint32_t free_hint_ = 0;    // no word of free_bits_ before this one has a bit set
  HugePages huge_pages_ = HugePages::kOff;
  PageAhead* ahead_ = nullptr;
  void* map_ = nullptr;  // the whole reservation: range and chunk descriptions
  size_t map_bytes_ = 0;
  uint64_t* free_bits_ = nullptr;   // one bit per chunk: free and below the frontier
  uint64_t* clean_bits_ = nullptr;  // one bit per free chunk: its pages were given back
};

MS_ALWAYS_INLINE Handle Slab::Allocate(size_t bytes) {
  MS_DCHECK(bytes > 0);
  if (allocations_left_ != kNeverFail) [[unlikely]] {
    if (allocations_left_ == 0) return kNoHandle;
    --allocations_left_;
  }
  if (bytes > kChunkBytes) [[unlikely]]
    return AllocateRun(bytes);
  const uint32_t size_class = ClassOf(bytes);
  const uint32_t chunk_idx = with_room_[size_class];
  if (chunk_idx == 0) [[unlikely]]
    return AllocateSlow(size_class);
  Chunk& chunk = chunks_[chunk_idx];
  const uint32_t units = ClassUnits(size_class);
  uint32_t unit;
  if (chunk.free_head != kEndOfList) {
    unit = chunk.free_head;
    char* block = ChunkAddress(chunk_idx) + size_t{unit} * kUnitBytes;
    Unpoison(block, size_t{units} * kUnitBytes);
    chunk.free_head = *reinterpret_cast<uint16_t*>(block);
  } else {
    unit = chunk.bump;
    chunk.bump = static_cast<uint16_t>(unit + units);
    Unpoison(ChunkAddress(chunk_idx) + size_t{unit} * kUnitBytes, size_t{units} * kUnitBytes);
  }
  ++chunk.live;
  if (chunk.free_head == kEndOfList && chunk.bump + units > kChunkUnits) [[unlikely]]
    Unlink(chunk_idx);
  used_bytes_ += size_t{units} * kUnitBytes;
  return chunk_idx * kChunkUnits + unit;
}

MS_ALWAYS_INLINE size_t Slab::Free(Handle handle) {
  const uint32_t chunk_idx = handle / kChunkUnits;
  Chunk& chunk = chunks_[chunk_idx];
  if (chunk.size_class >= kRunHead) [[unlikely]]
    return FreeRun(chunk_idx);
  MS_DCHECK(chunk.size_class != kFreeChunk && chunk.live > 0);
  const size_t bytes = size_t{ClassUnits(chunk.size_class)} * kUnitBytes;
  *reinterpret_cast<uint16_t*>(Address(handle)) = chunk.free_head;
  Poison(Address(handle), bytes);
  chunk.free_head = static_cast<uint16_t>(handle % kChunkUnits);
  used_bytes_ -= bytes;
  --chunk.live;
  if (chunk.live == 0 || chunk.listed == 0) [[unlikely]]
    FreeSlow(chunk_idx);
  return bytes;
}

}  // namespace moonshard::dash
