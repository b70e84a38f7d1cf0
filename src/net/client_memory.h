#pragma once
// ClientMemory: what clients take, and who goes when it is too much (maxmemory-clients). One per shard.
//
// Each connection's buffers are counted when they change: in the shard's figures, and in one counter of all
// shards, which is told of changes of kClientGrain bytes. This memory is a budget of its own: it never counts
// towards maxmemory, so it never evicts a key.
//
// Over the limit the biggest clients are closed first, in classes of powers of two as in Redis. Connections
// from kSizeClassMin bytes on stand in the list of their class. Each shard publishes its highest class; a
// shard that finds the limit passed and a bigger client elsewhere asks that shard to look. That takes a
// moment, so from a quarter above the limit on it closes its own biggest at once.
//
// Owned by one shard.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "command/server_control.h"
#include "command/shard_state.h"

namespace moonshard::net {

class Connection;

inline constexpr int64_t kClientGrain = int64_t{64} << 10;
// Buffers beyond this are counted at once, others at the end of the turn.
inline constexpr size_t kCountedAtOnce = size_t{64} << 10;

// A connection's place in the accounts.
struct ClientAccount {
  size_t bytes = 0;
  uint8_t size_class = 0;  // command::SizeClassOf; 0: in no list
  Connection* previous = nullptr;
  Connection* next = nullptr;
};

class ClientMemory {
 public:
  explicit ClientMemory(command::ShardState& state);
  ClientMemory(const ClientMemory&) = delete;
  ClientMemory& operator=(const ClientMemory&) = delete;

  // The connection takes `bytes` now.
  void Count(Connection& connection, size_t bytes);
  // Closes clients until all of them together are within the limit; the caller may be among them.
  void Enforce();

 private:
  struct Question {
    shard::Outgoing message;
    bool away = false;
  };
  void Enter(Connection& connection, uint8_t size_class);
  void Leave(Connection& connection);
  void PublishHighest();
  void Ask(ShardId shard);

  command::ShardState& state_;
  command::LiveSettings& live_;
  std::array<Connection*, command::kSizeClassCount> first_{};
  std::vector<std::unique_ptr<Question>> questions_;
  int64_t unpublished_ = 0;
};

}  // namespace moonshard::net
