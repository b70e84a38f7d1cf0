#include "tx/watch.h"

#include <algorithm>

#include "base/check.h"
#include "shard/runtime.h"
#include "tx/manager.h"

namespace moonshard::tx {

void GateWatch::SetListener(void (*listener)(void* user), void* user) {
  listener_ = listener;
  user_ = user;
}

void GateWatch::Want(Lsn position) {
  wanted_ = std::max(wanted_, position);
}

void GateWatch::MakePeers() {
  if (peers_ == nullptr) peers_ = std::make_unique<Peer[]>(shard_.shard_count());
}

// What is durable and below the watermark is open; the listener looks which of its answers that concerns.
void GateWatch::TryOpen() {
  Lsn durable_wanted = std::min(wanted_, gate_.durable());
  if (durable_wanted <= opened_) return;
  gate_.RaiseWatermark(shard_.set().Watermark());
  Lsn opened = std::min(durable_wanted, gate_.OpenUpTo());
  if (opened <= opened_) return;
  opened_ = opened;
  if (listener_ != nullptr) listener_(user_);
}

void GateWatch::EndTurn(uint64_t floor) {
  if (questions_ != 0) {
    for (uint16_t from = 0; from < shard_.shard_count(); ++from) {
      Peer& peer = peers_[from];
      if (peer.question == nullptr || floor <= peer.number) continue;
      peer.question->message.run = &OnTold;
      shard_.Send(ShardId(from), *peer.question);
      peer.question = nullptr;
      --questions_;
    }
  }
  if (own_floor_asked_ && floor > asked_number_) {
    own_floor_asked_ = false;
    Told();
  }
  TryOpen();
  Lsn durable_wanted = std::min(wanted_, gate_.durable());
  if (answers_left_ != 0 || durable_wanted <= opened_) return;
  MakePeers();
  asked_number_ = gate_.NumberAt(durable_wanted);
  answers_left_ = shard_.shard_count();
  for (uint16_t to = 0; to < shard_.shard_count(); ++to) {
    if (ShardId(to) == shard_.id()) continue;
    shard::Message& message = peers_[to].outgoing.message;
    message.run = &OnAsk;
    message.word[0] = asked_number_;
    message.word[1] = reinterpret_cast<uint64_t>(&peers_[to].outgoing);
    shard_.Send(ShardId(to), peers_[to].outgoing);
  }
  if (floor > asked_number_) {
    Told();
  } else {
    own_floor_asked_ = true;
  }
}

void GateWatch::OnAsk(shard::Shard& here, const shard::Message& message) {
  GateWatch& self = here.local<Manager>().watch_;
  self.MakePeers();
  Peer& peer = self.peers_[message.from.value()];
  MS_DCHECK(peer.question == nullptr);
  peer.number = message.word[0];
  peer.question = reinterpret_cast<shard::Outgoing*>(message.word[1]);
  ++self.questions_;  // answered at the end of this turn at the earliest, by the floor that is published then
}

void GateWatch::OnTold(shard::Shard& here, const shard::Message&) {
  GateWatch& self = here.local<Manager>().watch_;
  self.Told();
}

void GateWatch::Told() {
  MS_DCHECK(answers_left_ > 0);
  if (--answers_left_ == 0) TryOpen();
}

}  // namespace moonshard::tx
