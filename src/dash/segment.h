#pragma once
// Segment: 64 fully associative slots of the table, seven cache lines.
//
//        0  tags      64 x u16   0 = empty slot, otherwise the low 16 bits of the key's hash (0 becomes 1)
//      128  handles   64 x u32   the entry in the slab
//      384  header    64 bytes   depth, count, epoch, earliest deadline, links
//      448
//
// A miss reads the two lines of tags and nothing else; a hit one line of handles and the entry more. The
// header is touched by changes only: whether an overflow segment follows stands in the directory's slot as
// well.

#include <cstddef>
#include <cstdint>

#include "base/types.h"
#include "dash/slab.h"

namespace moonshard::dash {

inline constexpr uint32_t kSegmentSlots = 64;
inline constexpr uint32_t kQuarterSlots = 16;
inline constexpr uint16_t kNotInWheel = 0xFFFF;

struct alignas(64) Segment {
  uint16_t tags[kSegmentSlots];
  Handle handles[kSegmentSlots];

  // Epoch of the last change (Table::SetEpoch).
  uint64_t epoch;
  // The top `depth` bits of the hashes of all keys in here, the rest zero.
  uint64_t prefix;
  // Not later than any deadline in here that the wheel must still deliver; kNoDeadline if there is none.
  TimeMs earliest;
  // Neighbours in the bucket of the deadline wheel.
  Handle wheel_next;
  Handle wheel_prev;
  // Next segment of the same prefix, if this one could not be split.
  Handle overflow;
  uint16_t wheel_bucket;
  uint8_t depth;
  uint8_t count;
  uint8_t unused[24];
};
static_assert(sizeof(Segment) == 448);
static_assert(offsetof(Segment, handles) == 128);
static_assert(offsetof(Segment, epoch) == 384);

}  // namespace moonshard::dash
