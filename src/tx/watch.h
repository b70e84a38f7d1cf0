#pragma once
// GateWatch: wakes a shard that holds answers when they may leave (rule 5 of the commit protocol: whoever
// raises a floor wakes the shards that hold answers), with messages only.
//
// A shard that holds answers asks every shard "tell me when your floor is above N", N being the last
// cross-shard number its answers wait for. Each answers at the end of the first turn in which that is so.
// Once all have, W is above N and stays so: a floor is lowered only to above the counter, and the counter has
// passed N. One round is under way at a time; what is wanted meanwhile is in the next. Owned by one shard,
// part of its Manager.

#include <cstdint>
#include <memory>

#include "base/types.h"
#include "shard/shard.h"
#include "tx/gate.h"

namespace moonshard::tx {

class GateWatch {
 public:
  GateWatch(shard::Shard& shard, Gate& gate) : shard_(shard), gate_(gate) {}

  // Called in a turn of this shard, perhaps at its end, when IsOpen may have become true for a wanted
  // position.
  void SetListener(void (*listener)(void* user), void* user);
  void Want(Lsn position);
  // After the floor was published.
  void EndTurn(uint64_t floor);

 private:
  struct Peer {
    shard::Outgoing outgoing;             // our question and its answer
    shard::Outgoing* question = nullptr;  // the peer's, not yet answered
    uint64_t number = 0;                  // what it waits for
  };
  static void OnAsk(shard::Shard& here, const shard::Message& message);
  static void OnTold(shard::Shard& here, const shard::Message& message);
  void MakePeers();
  void Told();
  void TryOpen();

  shard::Shard& shard_;
  Gate& gate_;
  void (*listener_)(void*) = nullptr;
  void* user_ = nullptr;
  std::unique_ptr<Peer[]> peers_;  // made at the first question
  uint32_t questions_ = 0;         // of peers, not yet answered
  uint32_t answers_left_ = 0;      // of the round under way
  bool own_floor_asked_ = false;
  uint64_t asked_number_ = 0;
  Lsn wanted_{};
  Lsn opened_{};
};

}  // namespace moonshard::tx
