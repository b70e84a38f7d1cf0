#pragma once
// What the backends of Io share: the slots their streams lie in, and what a paused stream holds back.
// Owned by one shard.

#include <cstdint>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "shard/io.h"

namespace moonshard::shard {

// Streams by index. A stream's address is stable, since callbacks take new slots; a freed slot serves again.
// O(1) each.
template <typename Stream>
class StreamSlots {
 public:
  // A slot with a fresh Stream.
  uint32_t Take() {
    if (free_.empty()) {
      streams_.emplace_back();
      return static_cast<uint32_t>(streams_.size() - 1);
    }
    uint32_t index = free_.back();
    free_.pop_back();
    streams_[index] = Stream();
    return index;
  }
  void Free(uint32_t index) { free_.push_back(index); }

  Stream& operator[](uint32_t index) { return streams_[index]; }
  Stream& operator[](StreamId id) { return streams_[id.value()]; }
  uint32_t size() const { return static_cast<uint32_t>(streams_.size()); }
  auto begin() { return streams_.begin(); }
  auto end() { return streams_.end(); }

 private:
  std::deque<Stream> streams_;
  std::vector<uint32_t> free_;
};

// Input of a stream on its way to the handler: at once, or kept in order while the stream is paused.
class StreamInput {
 public:
  bool paused() const { return paused_; }
  void Pause() { paused_ = true; }
  // True: something waits for RunHeld.
  bool Resume() {
    paused_ = false;
    return !held_.empty() || end_held_;
  }

  // False: kept. Resumed in this very turn, a stream still has to hand out first what it held.
  bool Data(StreamHandler& handler, std::span<char> data) {
    if (!paused_ && held_.empty()) {
      handler.OnData(data);
      return true;
    }
    held_.Append({data.data(), data.size()});
    return false;
  }
  void End(StreamHandler& handler) {
    if (paused_ || !held_.empty()) {
      end_held_ = true;
    } else {
      handler.OnEnd();
    }
  }
  // `gone` turns true when the handler closes the stream or it fails.
  template <typename Gone>
  void RunHeld(StreamHandler& handler, Gone&& gone) {
    if (!gone() && !paused_ && !held_.empty()) {
      base::Buffer held = std::exchange(held_, base::Buffer());
      handler.OnData({held.data(), held.size()});
    }
    if (!gone() && !paused_ && end_held_) {
      end_held_ = false;
      handler.OnEnd();
    }
  }
  void Free() { held_.Free(); }

 private:
  base::Buffer held_;
  bool paused_ = false;
  bool end_held_ = false;  // the end arrived while paused
};

}  // namespace moonshard::shard
