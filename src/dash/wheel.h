#pragma once
// DeadlineWheel: segments ordered by their earliest deadline. Owned by one table.
//
// A hierarchical timing wheel (Varghese, Lauck, SOSP 1987, scheme 7): 8 levels of 64 buckets cover the 48
// bits of a deadline, six bits a level. A segment lies at the level of the highest digit in which its
// deadline differs from the wheel's time, in the bucket of that digit; one that is due already lies in level
// 0 at the current digit. Where we depart: it holds segments, not entries (10 bytes a segment, inside the
// segment, 0.25 B a key), and when time enters a bucket of a higher level its segments move down one per
// Step, not at once, so that a million deadlines of the same millisecond never stall anybody.
//
// Buckets are doubly linked lists of segment handles. One word of bits per level says which buckets are not
// empty.

#include <cstdint>

#include "base/random.h"
#include "base/types.h"
#include "dash/segment.h"
#include "dash/slab.h"

namespace moonshard::dash {

class DeadlineWheel {
 public:
  explicit DeadlineWheel(Slab& slab) : slab_(slab) {}
  ~DeadlineWheel() { Close(); }
  DeadlineWheel(const DeadlineWheel&) = delete;
  DeadlineWheel& operator=(const DeadlineWheel&) = delete;

  // Takes the 2 KiB of bucket heads from the slab, before the first Update with a deadline; false if it is
  // exhausted.
  bool Open();
  // Gives them back; the wheel must be empty.
  void Close();
  // Both use the same slab.
  void Swap(DeadlineWheel& other);

  // Files the segment under segment.earliest, or takes it out if that is kNoDeadline.
  void Update(Segment& segment);
  void Remove(Segment& segment);

  // Some segment, or null if the wheel is empty. Which one is left to chance, not evenly.
  Segment* Any(base::Random& random) const;

  // One bounded step towards `now`, which must not step back.
  enum class StepResult : uint8_t {
    kFired,  // *fired is due: its earliest is <= now. It has left the wheel.
    kMoved,  // work was done; step again
    kIdle,   // nothing is due
  };
  StepResult Step(TimeMs now, Segment** fired);

  // Not later than the earliest deadline of any segment; kNoDeadline if the wheel is empty.
  TimeMs EarliestHint() const;
  size_t size() const { return size_; }
  TimeMs time() const { return static_cast<TimeMs>(time_); }
  size_t bytes() const { return heads_ == nullptr ? 0 : kHeadsBytes; }
  // Aborts if links, bits or buckets disagree.
  void CheckInvariants() const;

 private:
  static constexpr uint32_t kLevels = 8;
  static constexpr uint32_t kDigitBits = 6;
  static constexpr uint32_t kBuckets = 1u << kDigitBits;

  static constexpr size_t kHeadsBytes = kLevels * kBuckets * sizeof(Handle);

  static uint32_t Digit(uint64_t time, uint32_t level) {
    return (time >> (level * kDigitBits)) & (kBuckets - 1);
  }
  uint32_t BucketOf(TimeMs earliest) const;
  // Where the time span of a bucket at or after the current digit begins.
  uint64_t BucketStart(uint32_t level, uint32_t digit) const;
  Segment* PopFront(uint32_t bucket);

  Slab& slab_;
  uint64_t time_ = 0;
  size_t size_ = 0;
  uint64_t bits_[kLevels] = {};
  Handle* heads_ = nullptr;
};

}  // namespace moonshard::dash
