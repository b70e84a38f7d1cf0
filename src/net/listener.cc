#include "net/listener.h"

#include "shard/shard.h"

namespace moonshard::net {

ShardId ConnectionBalance::LeastLoaded() const {
  size_t best = 0;
  for (size_t i = 1; i < open.size(); ++i) {
    if (open[i].load(std::memory_order_relaxed) < open[best].load(std::memory_order_relaxed)) best = i;
  }
  return ShardId(static_cast<uint16_t>(best));
}

uint32_t ConnectionBalance::Total() const {
  uint32_t total = 0;
  for (const auto& count : open) total += count.load(std::memory_order_relaxed);
  return total;
}

Listener::Listener(command::ShardState& state, ConnectionBalance& balance)
    : state_(state), balance_(balance) {
  state_.shard->set_local(this);
}

Listener::~Listener() {
  while (first_ != nullptr) {
    Connection* connection = first_;
    first_ = connection->next;
    delete connection;
  }
}

base::Result<uint16_t> Listener::Listen(const shard::ListenAddress& address) {
  MS_ASSIGN_OR_RETURN(shard::ListenerId id, state_.shard->io().Listen(address, *this));
  listeners_.push_back(id);
  return state_.shard->io().PortOf(id);
}

namespace {
// Carries an accepted socket to its shard; there is one per connection being placed.
struct Placement {
  shard::Outgoing message;
};
}  // namespace

void Listener::OnAccept(shard::AcceptedSocket socket) {
  ++state_.stats.connections_accepted;
  if (balance_.Total() >= balance_.max_clients.load(std::memory_order_relaxed)) {
    ++state_.stats.connections_rejected;
    Refuse(std::move(socket));
    return;
  }
  ShardId target = balance_.LeastLoaded();
  balance_.open[target.value()].fetch_add(1, std::memory_order_relaxed);
  if (target == state_.shard->id()) {
    Adopt(std::move(socket));
    return;
  }
  auto* placement = new Placement;
  placement->message.message.run = [](shard::Shard& here, const shard::Message& message) {
    delete reinterpret_cast<Placement*>(message.word[1]);
    here.local<Listener>().Adopt(shard::AcceptedSocket::FromWord(message.word[0]));
  };
  placement->message.message.word[0] = std::move(socket).Release();
  placement->message.message.word[1] = reinterpret_cast<uint64_t>(placement);
  state_.shard->Send(target, placement->message);
}

Connection& Listener::Add(shard::AcceptedSocket socket) {
  auto* connection = new Connection(*this, state_);
  connection->next = first_;
  if (first_ != nullptr) first_->previous = connection;
  first_ = connection;
  ++state_.stats.connections_open;
  connection->session.id = state_.server->NextClientId();
  connection->session.authenticated =
      !state_.server->live().password_required.load(std::memory_order_relaxed);
  connection->Attach(std::move(socket));
  return *connection;
}

void Listener::Adopt(shard::AcceptedSocket socket) {
  Add(std::move(socket));
}

void Listener::Refuse(shard::AcceptedSocket socket) {
  balance_.open[state_.shard->id().value()].fetch_add(1, std::memory_order_relaxed);
  Connection& connection = Add(std::move(socket));
  connection.out.Append("-ERR max number of clients reached\r\n");
  connection.session.close_after_reply = true;
  connection.MarkDirty();
}

void Listener::AddDirty(Connection& connection) {
  connection.next_dirty = dirty_;
  dirty_ = &connection;
}

void Listener::EndTurn() {
  while (dirty_ != nullptr) {
    Connection* connection = dirty_;
    dirty_ = connection->next_dirty;
    connection->Flush();
  }
}

void Listener::Remove(Connection& connection) {
  if (connection.previous != nullptr) {
    connection.previous->next = connection.next;
  } else {
    first_ = connection.next;
  }
  if (connection.next != nullptr) connection.next->previous = connection.previous;
  if (connection.dirty_) {
    Connection** at = &dirty_;
    while (*at != &connection) at = &(*at)->next_dirty;
    *at = connection.next_dirty;
  }
  balance_.open[state_.shard->id().value()].fetch_sub(1, std::memory_order_relaxed);
  --state_.stats.connections_open;
  delete &connection;
}

}  // namespace moonshard::net
