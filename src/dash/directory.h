#pragma once
// Directory: which segment holds the keys of a hash prefix. Owned by one table.
//
//     hash bit 63 ............ 54 | 53 ...................... | ... 32 | 31 .. 16 shard | 15 .. 0 tag
//              root (<= 10 bits) -> sub-directory (its own depth) -> slot
//
// The root doubles until it has 1024 entries; from then on each of its sub-directories doubles alone, so that
// growth copies a few KiB at a time and never the whole. A sub-directory of depth 0 keeps its one slot inside
// the root. A table of one segment needs no memory here. A segment of depth d fills all slots that begin with
// its d-bit prefix.
//
// A slot is the segment's handle. Segments lie at multiples of 64 bytes, so the three low bits are free; bit
// 0 says that overflow segments follow, which saves a miss the segment's header line.

#include <cstddef>
#include <cstdint>

#include "base/macros.h"
#include "dash/slab.h"

namespace moonshard::dash {

class Directory {
 public:
  using Slot = uint32_t;
  static constexpr Slot kOverflowBit = 1;
  static constexpr Slot kEmpty = 0;
  // Hash bits 63..32 at most.
  static constexpr uint32_t kBitsMax = 32;
  static constexpr uint32_t kRootBitsMax = 10;

  explicit Directory(Slab& slab) : slab_(slab) {}
  ~Directory() { Reset(); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  MS_ALWAYS_INLINE Slot Lookup(uint64_t hash) const {
    const Sub& sub = root_[(hash >> 1) >> root_shift_];
    return sub.slots[((hash << (63 - root_shift_)) >> 1) >> sub.shift];
  }
  // Hash bits that tell slots apart in the neighbourhood of this hash.
  uint32_t Bits(uint64_t hash) const { return RootBits() + (63u - root_[(hash >> 1) >> root_shift_].shift); }
  // Adds one bit there; false if the slab is exhausted.
  bool Grow(uint64_t hash);
  // Sets all slots that begin with the top `depth` bits of `prefix`. Sub-directories that thereby hold one
  // segment only give their slots back.
  void SetRange(uint64_t prefix, uint32_t depth, Slot value);
  // Back to one empty slot.
  void Reset();
  // Both use the same slab.
  void Swap(Directory& other);

  size_t bytes() const { return bytes_; }

 private:
  struct Sub {
    Slot* slots;
    Slot single;
    uint8_t shift;  // 63 - depth
  };
  static_assert(sizeof(Sub) == 16);

  uint32_t RootBits() const { return 63u - root_shift_; }
  bool GrowRoot();
  bool GrowSub(Sub& sub);
  void FreeSlots(Sub& sub);
  template <typename T>
  T* AllocateArray(size_t count);
  template <typename T>
  void FreeArray(T* array);

  Slab& slab_;
  Sub first_{&first_.single, kEmpty, 63};
  Sub* root_ = &first_;
  uint32_t root_shift_ = 63;  // 63 - bits of the root
  size_t bytes_ = 0;
};

}  // namespace moonshard::dash
