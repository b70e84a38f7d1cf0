#include "net/client_memory.h"

#include "base/log.h"
#include "command/server_control.h"
#include "net/connection.h"
#include "net/listener.h"

namespace moonshard::net {

ClientMemory::ClientMemory(command::ShardState& state) : state_(state), live_(state.server->live()) {
  for (size_t i = 0; i < state.shard->shard_count(); ++i) questions_.push_back(std::make_unique<Question>());
}

void ClientMemory::Count(Connection& connection, size_t bytes) {
  ClientAccount& account = connection.account;
  if (account.bytes != bytes) {
    int64_t change = static_cast<int64_t>(bytes) - static_cast<int64_t>(account.bytes);
    account.bytes = bytes;
    state_.stats.client_bytes += change;
    unpublished_ += change;
    if (unpublished_ >= kClientGrain || unpublished_ <= -kClientGrain) {
      live_.client_bytes.fetch_add(unpublished_, std::memory_order_relaxed);
      unpublished_ = 0;
    }
  }
  uint8_t size_class = connection.session.no_evict ? uint8_t{0} : command::SizeClassOf(bytes);
  if (size_class == account.size_class) [[likely]]
    return;
  Leave(connection);
  Enter(connection, size_class);
  PublishHighest();
}

void ClientMemory::Enter(Connection& connection, uint8_t size_class) {
  ClientAccount& account = connection.account;
  account.size_class = size_class;
  if (size_class == 0) return;
  Connection*& first = first_[size_class];
  account.previous = nullptr;
  account.next = first;
  if (first != nullptr) first->account.previous = &connection;
  first = &connection;
}

void ClientMemory::Leave(Connection& connection) {
  ClientAccount& account = connection.account;
  if (account.size_class == 0) return;
  if (account.previous != nullptr) {
    account.previous->account.next = account.next;
  } else {
    first_[account.size_class] = account.next;
  }
  if (account.next != nullptr) account.next->account.previous = account.previous;
  account.size_class = 0;
}

void ClientMemory::PublishHighest() {
  auto highest = static_cast<uint8_t>(command::kSizeClassCount - 1);
  while (highest > 0 && first_[highest] == nullptr) --highest;
  live_.largest_client[state_.shard->id().value()].store(highest, std::memory_order_relaxed);
}

void ClientMemory::Enforce() {
  const uint64_t limit = live_.client_bytes_max.load(std::memory_order_relaxed);
  if (limit == 0) return;
  const size_t here = state_.shard->id().value();
  while (true) {
    int64_t bytes = live_.client_bytes.load(std::memory_order_relaxed) + unpublished_;
    if (bytes <= static_cast<int64_t>(limit)) return;
    uint8_t mine = live_.largest_client[here].load(std::memory_order_relaxed);
    uint8_t largest = mine;
    size_t fattest = here;
    for (size_t i = 0; i < questions_.size(); ++i) {
      uint8_t there = live_.largest_client[i].load(std::memory_order_relaxed);
      if (there <= largest) continue;
      largest = there;
      fattest = i;
    }
    if (fattest != here) Ask(ShardId(static_cast<uint16_t>(fattest)));
    bool urgent = bytes > static_cast<int64_t>(limit + limit / 4);
    if (mine == 0 || (fattest != here && !urgent)) return;
    Connection& biggest = *first_[mine];
    ++state_.stats.clients_evicted;
    base::LogInfo("closing client {} ({}), which takes {} bytes: clients take more than maxmemory-clients",
                  biggest.session.id, biggest.session.peer, biggest.account.bytes);
    biggest.CloseByForce();
  }
}

// The question is there once; while it is under way it need not be asked again.
void ClientMemory::Ask(ShardId shard) {
  Question& question = *questions_[shard.value()];
  if (question.away) return;
  question.away = true;
  question.message.message.word[0] = reinterpret_cast<uint64_t>(&question);
  question.message.message.run = [](shard::Shard& there, const shard::Message& message) {
    there.local<Listener>().memory().Enforce();
    auto& asked = *reinterpret_cast<Question*>(message.word[0]);
    asked.message.message.run = [](shard::Shard&, const shard::Message& back) {
      reinterpret_cast<Question*>(back.word[0])->away = false;
    };
    there.Send(message.from, asked.message);
  };
  state_.shard->Send(shard, question.message);
}

}  // namespace moonshard::net
