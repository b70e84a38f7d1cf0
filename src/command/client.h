#pragma once
// Client: one connection as the engine and the commands about connections see it; net implements it.
// ClientTable: the clients of one shard by their ids. Both are owned by the client's home shard: whoever
// wants something of a client of another shard goes there (commands/client_commands.cc).

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/buffer.h"
#include "command/session.h"

namespace moonshard::command {

struct Batch;

// Design section 5; more gives no further gain from prefetching and holds replies back longer.
inline constexpr size_t kBatchCommandsMax = 32;
inline constexpr uint32_t kSpreadCommandsFirst = 4;

// What clients take is told apart in powers of two, from class 1 at kSizeClassMin bytes on; 0: less.
inline constexpr size_t kSizeClassMin = size_t{32} << 10;
inline constexpr size_t kSizeClassCount = 21;
constexpr uint8_t SizeClassOf(size_t bytes) {
  return static_cast<uint8_t>(std::min<size_t>(std::bit_width(bytes / kSizeClassMin), kSizeClassCount - 1));
}

// What CLIENT LIST shows of a connection beyond its session. Sizes in bytes.
struct ClientFacts {
  std::string local;  // our end's address
  int descriptor = -1;
  TimeMs connected_ms = 0;
  TimeMs active_ms = 0;  // when it last sent something
  bool blocked = false;  // its command waits: for keys, or for the end of a pause
  bool unix_socket = false;
  bool sending = false;
  size_t query_bytes = 0;  // received, and not yet run or just running
  size_t query_free_bytes = 0;
  size_t argument_bytes = 0;  // of the commands that run or wait
  size_t reply_capacity = 0;
  size_t reply_peak = 0;
  size_t reply_bytes = 0;
  size_t sending_bytes = 0;  // in flight
  size_t total_bytes = 0;    // all that the connection takes
};

enum class UnblockReason : uint8_t { kTimeout, kError };

class Client {
 public:
  Session session;
  // Replies that may leave.
  base::Buffer out;
  // Commands per batch; the engine lowers it while replies are large, which bounds what one batch can pile
  // up.
  uint32_t batch_limit = kBatchCommandsMax;
  // The same for batches with calls that span shards. Those run as a whole, so a client begins low.
  uint32_t spread_limit = kSpreadCommandsFirst;
  // Its last replies were small. Others, and who is new, wait while a turn has large replies enough.
  bool light = false;

  // A launched batch has answered: its replies are in `out`, and the client may run the next one.
  virtual void OnBatchAnswered() = 0;
  // Its last call waits for an event; the replies before it are in `out` and should leave. The client may
  // give the batch up (Engine::Abandon), also from inside.
  virtual void OnBatchParked() {}
  // The batch has answered much and has more to run: Engine::Continue, once the client takes replies again
  // (at once, if it does not say otherwise).
  virtual void OnBatchStopped(Batch* batch);
  // `out` has got something that is no answer, and it should leave.
  virtual void OnPushed() {}
  // A reply was given up because clients take too much memory: the connection has to end.
  virtual void OnEvicted() {}

  // For the commands about connections.
  virtual ClientFacts Describe() const { return {}; }
  // Ends the connection now; what has not been sent yet never is.
  virtual void Kill() {}
  // Ends the wait of a blocking command. False: there is none.
  virtual bool Unblock(UnblockReason) { return false; }

 protected:
  ~Client() = default;
};

class ClientTable {
 public:
  void Add(Client& client) { clients_.emplace(client.session.id, &client); }
  void Remove(const Client& client) { clients_.erase(client.session.id); }
  // Null if it is not here.
  Client* Find(uint64_t id) const {
    auto found = clients_.find(id);
    return found == clients_.end() ? nullptr : found->second;
  }
  size_t size() const { return clients_.size(); }

  // Visits at most `count` clients with ids of at least `first_id`, in the order of their ids; returns where
  // to go on, 0 at the end. `fn` may end the client it is given.
  template <typename Fn>
  uint64_t Visit(uint64_t first_id, size_t count, Fn&& fn) const {
    auto at = clients_.lower_bound(first_id);
    for (; at != clients_.end() && count != 0; --count) {
      Client& client = *at->second;
      ++at;
      fn(client);
    }
    return at == clients_.end() ? 0 : at->first;
  }

 private:
  std::map<uint64_t, Client*> clients_;
};

}  // namespace moonshard::command
