#pragma once
// A message is the only way from one shard to another: 64 bytes, copied into the ring of its pair of shards,
// run once on the target. Senders keep it in an Outgoing node that lives in the frame that waits for the
// answer, so a hop allocates nothing.
//
// Life of an Outgoing node: owned by the sender until Shard::Send; then by the sending shard until the
// message is in the ring (at once, unless the ring is full); after that nobody reads it. Whoever waits for an
// answer learns of it by a message back, which cannot come earlier, so the target may use the very same node
// to answer.

#include <cstdint>

#include "base/types.h"

namespace moonshard::shard {

class Shard;

// The message brings a schedule or commit-schedule: the receiving turn lowers its floor before it draws its
// stamp (rule 1 of the commit protocol), see TurnHooks::BeforeStamp.
inline constexpr uint32_t kOrders = 1u << 0;

// Not over-aligned, since it lives in coroutine frames, whose allocation is aligned to 16 bytes only; the
// ring's slots are aligned to cache lines.
struct Message {
  using Run = void (*)(Shard& here, const Message& message);

  Run run = nullptr;  // called on the target; must not suspend or block
  uint32_t flags = 0;
  ShardId from;  // filled in by Shard::Send
  uint64_t word[6] = {};
};
static_assert(sizeof(Message) == 64);

struct Outgoing {
  Message message;
  Outgoing* next = nullptr;  // the shard's, while the ring is full
};

}  // namespace moonshard::shard
