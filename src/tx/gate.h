#pragma once
// Gate: what one shard remembers of its logged cross-shard records: which of them still hold the floor (rule
// 3 of the commit protocol: logged but not durable here), and which of them still hold back answers (rule 5:
// not below the watermark). Without a log attached it remembers nothing and every answer may leave. Owned by
// one shard.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/types.h"

namespace moonshard::tx {

inline constexpr uint64_t kNoFloor = std::numeric_limits<uint64_t>::max();

// A queue in a vector that doubles when full and keeps its capacity.
class RecordQueue {
 public:
  struct Record {
    Lsn position;
    uint64_t number;
  };
  bool empty() const { return first_ == last_; }
  size_t size() const { return static_cast<size_t>(last_ - first_); }
  const Record& front() const { return ring_[first_ & mask()]; }
  const Record& at(uint64_t seq) const { return ring_[seq & mask()]; }
  uint64_t first() const { return first_; }
  uint64_t last() const { return last_; }
  void Push(Record record);
  void Pop() { ++first_; }

 private:
  uint64_t mask() const { return ring_.size() - 1; }
  std::vector<Record> ring_;
  uint64_t first_ = 0;
  uint64_t last_ = 0;
};

class Gate {
 public:
  bool attached() const { return attached_; }
  void Attach() { attached_ = true; }

  // A cross-shard record was logged. Positions and numbers never fall.
  void Logged(Lsn position, uint64_t number);
  // Everything up to `position` is on the disk.
  void SetDurable(Lsn position);
  Lsn durable() const { return durable_; }

  // The least number that is logged but not durable here.
  uint64_t floor() const;
  // Does an answer that needs the log up to `position` have to stay, as far as the watermark seen so far
  // tells?
  bool Holds(Lsn position) const;
  // The last position that Holds does not hold.
  Lsn OpenUpTo() const;
  // The last cross-shard number at or before `position`, as far as it is remembered; 0 if all are below the
  // watermark.
  uint64_t NumberAt(Lsn position) const;
  // A watermark, once computed, stays true: the largest is kept.
  void RaiseWatermark(uint64_t watermark);
  uint64_t watermark() const { return watermark_; }

 private:
  bool attached_ = false;
  Lsn durable_{};
  uint64_t watermark_ = 0;
  uint64_t undurable_ = 0;  // sequence of the first record that is not durable
  RecordQueue records_;     // those not below the watermark or not durable
};

}  // namespace moonshard::tx
