#pragma once
// Listener: one shard's connections. Shard 0 accepts; each new connection goes to the shard that has the
// fewest, by message. At a turn's end every connection with something to send is flushed once.
//
// Owned by one shard; the counts in ConnectionBalance are shared.

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "command/server_control.h"
#include "command/shard_state.h"
#include "net/client_memory.h"
#include "net/connection.h"
#include "shard/io.h"
#include "shard/timer.h"

namespace moonshard::net {

// How many connections each shard has, assigned ones included. Written by the accepting shard and by the
// owners.
struct ConnectionBalance {
  explicit ConnectionBalance(size_t shard_count) : open(shard_count) {}
  std::vector<std::atomic<uint32_t>> open;
  std::atomic<uint32_t> max_clients{10000};

  ShardId LeastLoaded() const;
  uint32_t Total() const;
};

class Listener final : public shard::AcceptHandler {
 public:
  Listener(command::ShardState& state, ConnectionBalance& balance);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() override;

  // Accepts on this shard. The port that was bound is returned (0 for a unix socket).
  base::Result<uint16_t> Listen(const shard::ListenAddress& address);
  // From now on exactly these TCP addresses; those that were listened on already never stop. An error leaves
  // everything as it was. Returns the port of the last one; 0 without any.
  base::Result<uint16_t> ListenOnlyOn(std::span<const shard::ListenAddress> addresses);
  // Flushes the turn's replies.
  void EndTurn();
  bool has_dirty() const { return dirty_ != nullptr; }

  void OnAccept(shard::AcceptedSocket socket) override;

  // For connections.
  void AddDirty(Connection& connection);
  void Remove(Connection& connection);
  ClientMemory& memory() { return memory_; }
  template <typename Fn>
  void ForEach(Fn&& fn) {
    for (Connection* c = first_; c != nullptr; c = c->next) fn(*c);
  }

 private:
  // Carries an accepted socket to its shard and comes back empty. Owned here, so that a stop in between loses
  // nothing; as many exist as were ever under way at once.
  struct Placement {
    shard::Outgoing message;
    shard::AcceptedSocket socket;
    Placement* next_free = nullptr;
  };

  void Place(shard::AcceptedSocket socket, ShardId target);
  void PlacementBack(Placement& placement);
  Connection& Add(shard::AcceptedSocket socket);
  void Adopt(shard::AcceptedSocket socket);
  // Says why and closes.
  void Refuse(shard::AcceptedSocket socket, std::string_view error_line);
  struct Bound {
    shard::ListenAddress address;
    shard::ListenerId id;
    bool Serves(const shard::ListenAddress& other) const;
  };
  // Once a second: clients that have been idle or over their soft limit for too long.
  void LookAtClients();

  command::ShardState& state_;
  ConnectionBalance& balance_;
  std::vector<Bound> bound_;
  std::vector<std::unique_ptr<Placement>> placements_;
  Placement* free_placement_ = nullptr;
  Connection* first_ = nullptr;
  Connection* dirty_ = nullptr;
  ClientMemory memory_;
  shard::Timer look_timer_;
  uint64_t look_from_ = 0;  // a client's id; 0: a new round
};

}  // namespace moonshard::net
