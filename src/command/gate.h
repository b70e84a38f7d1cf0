#pragma once
// The reply gate: a reply leaves once everything it depends on is durable. Every run of commands knows the
// highest log position it depends on, per shard; the gate decides whether its replies may go now or wait.
//
// Until a log exists the gate is always open. Tests attach one of their own to hold replies back.
// Owned by one shard (the home shard of the waiting clients).

#include "base/types.h"

namespace moonshard::command {

class ReplyGate {
 public:
  // A run of commands that waits; lives in the run.
  struct Waiter {
    void (*open)(Waiter&) = nullptr;  // called on the home shard when the position is durable
    void* user = nullptr;
    Waiter* next = nullptr;
  };

  virtual ~ReplyGate() = default;
  // True: everything up to `position` of `shard` is durable. Otherwise the waiter is kept and `open` is
  // called later.
  virtual bool OpenOrWait(ShardId shard, Lsn position, Waiter& waiter) = 0;
};

}  // namespace moonshard::command
