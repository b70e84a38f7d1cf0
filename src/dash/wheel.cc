#include "dash/wheel.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"

namespace moonshard::dash {

bool DeadlineWheel::Open() {
  if (heads_ != nullptr) return true;
  const Handle block = slab_.Allocate(kHeadsBytes);
  if (block == kNoHandle) return false;
  heads_ = slab_.Get<Handle>(block);
  std::memset(heads_, 0, kHeadsBytes);
  return true;
}

void DeadlineWheel::Close() {
  if (heads_ == nullptr) return;
  MS_CHECK(size_ == 0);
  slab_.Free(slab_.HandleOf(heads_));
  heads_ = nullptr;
}

void DeadlineWheel::Swap(DeadlineWheel& other) {
  std::swap(time_, other.time_);
  std::swap(size_, other.size_);
  std::swap(bits_, other.bits_);
  std::swap(heads_, other.heads_);
}

uint32_t DeadlineWheel::BucketOf(TimeMs earliest) const {
  const uint64_t due = std::max(static_cast<uint64_t>(earliest), time_);
  const uint64_t difference = due ^ time_;
  if (difference == 0) return Digit(time_, 0);
  const auto level = (static_cast<uint32_t>(std::bit_width(difference)) - 1) / kDigitBits;
  return level * kBuckets + Digit(due, level);
}

uint64_t DeadlineWheel::BucketStart(uint32_t level, uint32_t digit) const {
  const uint32_t shift = level * kDigitBits;
  return ((time_ >> shift >> kDigitBits << kDigitBits) | digit) << shift;
}

void DeadlineWheel::Remove(Segment& segment) {
  if (segment.wheel_bucket == kNotInWheel) return;
  Handle& from = segment.wheel_prev != kNoHandle ? slab_.Get<Segment>(segment.wheel_prev)->wheel_next
                                                 : heads_[segment.wheel_bucket];
  from = segment.wheel_next;
  if (segment.wheel_next != kNoHandle)
    slab_.Get<Segment>(segment.wheel_next)->wheel_prev = segment.wheel_prev;
  if (heads_[segment.wheel_bucket] == kNoHandle) {
    bits_[segment.wheel_bucket / kBuckets] &= ~(uint64_t{1} << (segment.wheel_bucket % kBuckets));
  }
  segment.wheel_bucket = kNotInWheel;
  segment.wheel_next = segment.wheel_prev = kNoHandle;
  --size_;
}

void DeadlineWheel::Update(Segment& segment) {
  if (segment.earliest == kNoDeadline) {
    Remove(segment);
    return;
  }
  const uint32_t bucket = BucketOf(segment.earliest);
  if (segment.wheel_bucket == bucket) return;
  Remove(segment);
  const Handle self = slab_.HandleOf(&segment);
  const Handle head = heads_[bucket];
  segment.wheel_bucket = static_cast<uint16_t>(bucket);
  segment.wheel_prev = kNoHandle;
  segment.wheel_next = head;
  if (head != kNoHandle) slab_.Get<Segment>(head)->wheel_prev = self;
  heads_[bucket] = self;
  bits_[bucket / kBuckets] |= uint64_t{1} << (bucket % kBuckets);
  ++size_;
}

Segment* DeadlineWheel::PopFront(uint32_t bucket) {
  Segment* segment = slab_.Get<Segment>(heads_[bucket]);
  Remove(*segment);
  return segment;
}

Segment* DeadlineWheel::Any(base::Random& random) const {
  if (size_ == 0) return nullptr;
  const uint64_t from = random.Next();
  for (uint32_t i = 0;; ++i) {
    const uint32_t level = (static_cast<uint32_t>(from) + i) % kLevels;
    if (bits_[level] == 0) continue;
    const auto turn = static_cast<int>(from >> 32 & (kBuckets - 1));
    const auto skipped = static_cast<uint32_t>(std::countr_zero(std::rotr(bits_[level], turn)));
    const uint32_t digit = (skipped + static_cast<uint32_t>(turn)) & (kBuckets - 1);
    auto* segment = slab_.Get<Segment>(heads_[level * kBuckets + digit]);
    for (uint64_t steps = from >> 48 & 7; steps > 0 && segment->wheel_next != kNoHandle; --steps) {
      segment = slab_.Get<Segment>(segment->wheel_next);
    }
    return segment;
  }
}

DeadlineWheel::StepResult DeadlineWheel::Step(TimeMs now, Segment** fired) {
  if (size_ == 0) {
    time_ = std::max(time_, static_cast<uint64_t>(std::max<TimeMs>(now, 0)));
    return StepResult::kIdle;
  }
  // Time has entered a bucket of a higher level whose segments have not all moved down: go on with it first,
  // since any of them may be due.
  for (uint32_t level = 1; level < kLevels; ++level) {
    const uint32_t digit = Digit(time_, level);
    if ((bits_[level] >> digit & 1) == 0) continue;
    Segment* segment = PopFront(level * kBuckets + digit);
    Update(*segment);
    return StepResult::kMoved;
  }
  // Nothing lies below the current digit of a level, and everything in a lower level comes before any higher
  // one.
  for (uint32_t level = 0; level < kLevels; ++level) {
    if (bits_[level] == 0) continue;
    const auto digit = static_cast<uint32_t>(std::countr_zero(bits_[level]));
    const uint64_t start = BucketStart(level, digit);
    if (now < 0 || start > static_cast<uint64_t>(now)) break;
    time_ = std::max(time_, start);
    if (level > 0) return StepResult::kMoved;
    *fired = PopFront(digit);
    return StepResult::kFired;
  }
  time_ = std::max(time_, static_cast<uint64_t>(std::max<TimeMs>(now, 0)));
  return StepResult::kIdle;
}

TimeMs DeadlineWheel::EarliestHint() const {
  if (size_ == 0) return kNoDeadline;
  for (uint32_t level = 1; level < kLevels; ++level) {
    if ((bits_[level] >> Digit(time_, level) & 1) != 0) return 0;
  }
  for (uint32_t level = 0; level < kLevels; ++level) {
    if (bits_[level] == 0) continue;
    const auto digit = static_cast<uint32_t>(std::countr_zero(bits_[level]));
    // The current digit of level 0 also holds what was late when it came.
    if (level == 0 && digit == Digit(time_, 0)) return 0;
    return static_cast<TimeMs>(BucketStart(level, digit));
  }
  return kNoDeadline;
}

void DeadlineWheel::CheckInvariants() const {
  size_t found = 0;
  if (heads_ == nullptr) {
    MS_CHECK(size_ == 0);
    return;
  }
  for (uint32_t bucket = 0; bucket < kLevels * kBuckets; ++bucket) {
    const uint32_t level = bucket / kBuckets, digit = bucket % kBuckets;
    MS_CHECK((heads_[bucket] != kNoHandle) == ((bits_[level] >> digit & 1) != 0));
    Handle previous = kNoHandle;
    for (Handle at = heads_[bucket]; at != kNoHandle; ++found) {
      const Segment* segment = slab_.Get<Segment>(at);
      MS_CHECK(segment->wheel_bucket == bucket && segment->wheel_prev == previous);
      MS_CHECK(segment->earliest != kNoDeadline);
      MS_CHECK(digit >= Digit(time_, level));
      MS_CHECK(static_cast<uint64_t>(segment->earliest) >= BucketStart(level, digit) ||
               digit == Digit(time_, level));
      previous = at;
      at = segment->wheel_next;
    }
  }
  MS_CHECK(found == size_);
}

}  // namespace moonshard::dash
