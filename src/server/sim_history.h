#pragma once
// What simulated clients saw, and the checks over it. For tests.
//
// Every operation has an interval: invoked before its bytes were handed to the network, answered when the
// client read the reply (never, if the client went first). A check collects operations on one object and says
// at the end whether some order of them explains all answers and respects real time.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"

namespace moonshard::server {

inline constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

struct Interval {
  uint64_t invoked = 0;
  uint64_t answered = kNever;
};

// A register that is written with values that never repeat. Linearizable if no two values' times must overlap
// (Gibbons, Korach, SIAM J. Comput. 1997, section 4): all operations of a value together span a zone from the
// first answer to the last invocation; two zones that run forward may not overlap, and one that runs backward
// may not lie in one that runs forward.
class RegisterCheck {
 public:
  void Write(uint64_t value, const Interval& when) { values_[value].write = when; }
  // Value 0: the initial state.
  void Read(uint64_t value, const Interval& when) { values_[value].reads.push_back(when); }

  std::optional<std::string> Violation() {
    values_[0].write = Interval{0, 0};
    std::vector<Zone> forward;
    std::vector<Zone> backward;
    for (const auto& [value, uses] : values_) {
      if (!uses.write) return "value " + std::to_string(value) + " was read and never written";
      // Nobody saw it and its writer does not know: it need not have happened.
      if (uses.reads.empty() && uses.write->answered == kNever) continue;
      uint64_t first_answer = uses.write->answered;
      uint64_t last_invocation = uses.write->invoked;
      for (const Interval& read : uses.reads) {
        if (read.answered < uses.write->invoked)
          return "value " + std::to_string(value) + " came from the future";
        first_answer = std::min(first_answer, read.answered);
        last_invocation = std::max(last_invocation, read.invoked);
      }
      if (first_answer < last_invocation) {
        forward.push_back({first_answer, last_invocation, value});
      } else {
        backward.push_back({last_invocation, first_answer, value});
      }
    }
    return Overlap(forward, backward);
  }

 private:
  struct Uses {
    std::optional<Interval> write;
    std::vector<Interval> reads;
  };
  struct Zone {
    uint64_t begin;
    uint64_t end;
    uint64_t value;
  };

  static std::optional<std::string> Overlap(std::vector<Zone>& forward, const std::vector<Zone>& backward) {
    std::ranges::sort(forward, {}, &Zone::begin);
    for (size_t i = 1; i < forward.size(); ++i) {
      if (forward[i - 1].end > forward[i].begin) return Text(forward[i - 1], forward[i]);
    }
    for (const Zone& inner : backward) {
      for (const Zone& outer : forward) {
        if (outer.begin < inner.begin && inner.end < outer.end) return Text(outer, inner);
      }
    }
    return std::nullopt;
  }
  static std::string Text(const Zone& a, const Zone& b) {
    return "values " + std::to_string(a.value) + " and " + std::to_string(b.value) +
           " were each seen before and after the other";
  }

  std::map<uint64_t, Uses> values_;
};

// A counter changed by increments only. A reading lies between the increments that were answered before it
// was asked for and those that had been asked for when it was answered; no increment returns what another
// returned.
class CounterCheck {
 public:
  void Increment(std::optional<int64_t> result, const Interval& when) {
    increments_.push_back(when);
    if (result) readings_.push_back({*result, when, true});
  }
  void Read(int64_t value, const Interval& when) { readings_.push_back({value, when, false}); }

  std::optional<std::string> Violation() const {
    std::map<int64_t, size_t> results;
    for (const Reading& reading : readings_) {
      int64_t low = reading.is_result ? 1 : 0;
      int64_t high = 0;
      for (const Interval& increment : increments_) {
        low += increment.answered < reading.when.invoked;
        high += increment.invoked < reading.when.answered;
      }
      if (reading.value < low || reading.value > high) {
        return "a counter showed " + std::to_string(reading.value) + ", possible are " + std::to_string(low) +
               " to " + std::to_string(high);
      }
      if (reading.is_result && ++results[reading.value] > 1) {
        return "two increments returned " + std::to_string(reading.value);
      }
    }
    return std::nullopt;
  }

 private:
  struct Reading {
    int64_t value;
    Interval when;
    bool is_result;
  };
  std::vector<Interval> increments_;
  std::vector<Reading> readings_;
};

// A key that one client sets with a time to live, one set after the other, and that all read.
class ExpiryCheck {
 public:
  struct Timed : Interval {
    TimeMs wall_invoked = 0;
    TimeMs wall_answered = std::numeric_limits<TimeMs>::max();
  };
  void Set(uint64_t value, TimeMs ttl_ms, const Timed& when) { sets_.push_back({value, ttl_ms, when}); }
  // Value 0: no such key.
  void Read(uint64_t value, const Timed& when) { reads_.push_back({value, 0, when}); }

  std::optional<std::string> Violation() const {
    for (const Event& read : reads_) {
      if (!Explained(read)) {
        return "a key with a deadline showed " + std::to_string(read.value) + " at " +
               std::to_string(read.when.wall_invoked) + ".." + std::to_string(read.when.wall_answered);
      }
    }
    return std::nullopt;
  }

 private:
  struct Event {
    uint64_t value;
    TimeMs ttl_ms;
    Timed when;
  };

  // Is there a set that the read may have found as the last one, and that gives this answer?
  bool Explained(const Event& read) const {
    bool any_answered_before = false;
    for (const Event& set : sets_) any_answered_before |= set.when.answered < read.when.invoked;
    if (read.value == 0 && !any_answered_before) return true;
    for (const Event& set : sets_) {
      if (set.when.invoked > read.when.answered) continue;
      bool overwritten = std::ranges::any_of(sets_, [&](const Event& later) {
        return later.when.invoked > set.when.answered && later.when.answered < read.when.invoked;
      });
      if (overwritten) continue;
      TimeMs dead_earliest = set.when.wall_invoked + set.ttl_ms;
      TimeMs dead_latest = set.when.answered == kNever ? std::numeric_limits<TimeMs>::max()
                                                       : set.when.wall_answered + set.ttl_ms;
      if (read.value == 0 && dead_earliest <= read.when.wall_answered) return true;
      if (read.value == set.value && read.when.wall_invoked < dead_latest) return true;
    }
    return false;
  }

  std::vector<Event> sets_;
  std::vector<Event> reads_;
};

}  // namespace moonshard::server
