#include "command/growth.h"

#include <algorithm>

#include "dash/entry.h"
#include "dash/segment.h"

namespace moonshard::command {

namespace {
// The header of an entry with deadline and long key, rounding to the slab's classes, a pointer to a block.
constexpr uint64_t kEntryBytes = 48;
// An element of a structure: header, pointer, rounding.
constexpr uint64_t kElementBytes = 32;
// The allocators round up by an eighth at most, and by no more than a page where blocks are large.
constexpr uint64_t kRoundingShare = 8;
constexpr uint64_t kRoundingMax = 64 << 10;
constexpr uint64_t kKeysPerSegmentMin = 16;
// The first deadline of a database brings its wheel along.
constexpr uint64_t kWheelBytes = 2048;
}  // namespace

uint64_t GrowthOf(std::span<const std::string_view> args, IndexGrowth index) {
  uint64_t bytes = 0;
  for (std::string_view arg : args) bytes += arg.size();
  bytes += std::min(bytes / kRoundingShare, kRoundingMax);
  bytes += kEntryBytes + kElementBytes * args.size();
  if (index == IndexGrowth::kWorst && args.size() > 2) bytes += kWheelBytes;
  return bytes +
         (index == IndexGrowth::kWorst ? sizeof(dash::Segment) : sizeof(dash::Segment) / kKeysPerSegmentMin);
}

}  // namespace moonshard::command
