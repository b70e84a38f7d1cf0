#include "tx/gate.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace moonshard::tx {

void RecordQueue::Push(Record record) {
  if (size() == ring_.size()) {
    std::vector<Record> larger(ring_.empty() ? 64 : ring_.size() * 2);
    for (uint64_t seq = first_; seq != last_; ++seq) larger[seq & (larger.size() - 1)] = at(seq);
    ring_ = std::move(larger);
  }
  ring_[last_ & mask()] = record;
  ++last_;
}

void Gate::Logged(Lsn position, uint64_t number) {
  if (!attached_) return;
  MS_CHECK(position > durable_);
  if (!records_.empty()) {
    const RecordQueue::Record& last = records_.at(records_.last() - 1);
    MS_CHECK(position > last.position && number >= last.number);
  }
  records_.Push({position, number});
}

void Gate::SetDurable(Lsn position) {
  MS_CHECK(position >= durable_);
  durable_ = position;
  while (undurable_ != records_.last() && records_.at(undurable_).position <= position) ++undurable_;
}

uint64_t Gate::floor() const {
  return undurable_ == records_.last() ? kNoFloor : records_.at(undurable_).number;
}

bool Gate::Holds(Lsn position) const {
  if (!attached_) return false;
  if (position > durable_) return true;
  // What is below the watermark has left the front; the numbers never fall, so the front decides for all
  // behind it.
  return !records_.empty() && records_.front().position <= position;
}

Lsn Gate::OpenUpTo() const {
  if (records_.empty()) return durable_;
  return std::min(durable_, Lsn(records_.front().position.value() - 1));
}

uint64_t Gate::NumberAt(Lsn position) const {
  uint64_t first = records_.first(), count = records_.size();
  while (count > 0) {  // the first record behind `position`
    uint64_t half = count / 2;
    if (records_.at(first + half).position <= position) {
      first += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return first == records_.first() ? 0 : records_.at(first - 1).number;
}

void Gate::RaiseWatermark(uint64_t watermark) {
  if (watermark <= watermark_) return;
  watermark_ = watermark;
  while (records_.first() != undurable_ && records_.front().number < watermark_) records_.Pop();
}

}  // namespace moonshard::tx
