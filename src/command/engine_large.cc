// Large replies: a turn takes on only so much of them, and their memory is counted where it is taken.

#include <algorithm>
#include <utility>

#include "command/engine.h"

namespace moonshard::command {

void Engine::NoteLargeReply(size_t reply_bytes) {
  if (turn_stamp_ != state_.shard->stamp()) {
    turn_stamp_ = state_.shard->stamp();
    turn_bytes_ = 0;
  }
  turn_bytes_ += reply_bytes;
}

// A part that came from elsewhere, or a batch of this shard whose stage has not begun.
void Engine::Defer(Batch* batch, Part* part) {
  deferred_.push_back({batch, part});
  if (std::exchange(deferred_called_, true)) return;
  deferred_message_.message.run = [](shard::Shard& here, const shard::Message&) {
    here.local<ShardState>().engine->RunDeferred();
  };
  state_.shard->Send(home_, deferred_message_);
}

void Engine::RunDeferred() {
  deferred_called_ = false;
  for (size_t count = deferred_.size(); count != 0; --count) {
    Deferred next = deferred_.front();
    deferred_.pop_front();
    if (TurnIsFull()) {
      Defer(next.batch, next.part);  // behind the others, which all go back: the order stays
    } else if (next.part != nullptr) {
      RunArrivedPart(*next.part);
    } else if (next.batch->client == nullptr) {
      Finish(next.batch);
    } else {
      StartStage(next.batch);
    }
  }
}

// The replies of a part exist before its client's shard knows of them, perhaps for hundreds of clients at
// once. If clients take too much and nobody takes more than this one, it is this one that goes: its replies
// at once, its connection when the part is back.
void Engine::CountPart(Part& part) {
  NoteReply(part.arena.size());
  part.Charge(live_.client_bytes);
  const auto limit = static_cast<int64_t>(live_.client_bytes_max.load(std::memory_order_relaxed));
  const int64_t bytes = live_.client_bytes.load(std::memory_order_relaxed);
  if (limit == 0 || bytes <= limit || part.batch->no_evict) return;
  uint8_t largest = 0;
  for (uint32_t i = 0; i < shard_count_; ++i) {
    largest = std::max(largest, live_.largest_client[i].load(std::memory_order_relaxed));
  }
  const uint8_t mine = SizeClassOf(part.arena.capacity());
  const bool urgent = bytes > limit + limit / 4;
  if (mine == 0 || (mine < largest && !urgent)) return;
  part.given_up = true;
  part.Discharge();
  part.arena.Free();
}

}  // namespace moonshard::command
