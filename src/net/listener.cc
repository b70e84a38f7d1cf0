#include "net/listener.h"

#include <utility>

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

namespace {

constexpr TimeNs kLookEveryNs = 1'000'000'000;
// Clients looked at in one turn, some 50 us, and the pause until the next so many.
constexpr size_t kLookAtOnce = 1000;
constexpr TimeNs kLookPauseNs = 5'000'000;

constexpr std::string_view kTooManyClients = "-ERR max number of clients reached\r\n";
constexpr std::string_view kProtectedText =
    "-DENIED Moonshard is running in protected mode because protected mode is enabled and no password is set "
    "for "
    "the default user. In this mode connections are only accepted from the loopback interface. If you want "
    "to "
    "connect from external computers, you may adopt one of the following solutions: 1) Disable protected "
    "mode "
    "with 'CONFIG SET protected-mode no', sent from the same host; make sure first that the server cannot be "
    "reached from the internet. 2) Restart the server with '--protected-mode no'. 3) Set a password for the "
    "default user with requirepass. NOTE: one of these is enough for the server to accept connections from "
    "the "
    "outside.\r\n";

}  // namespace

Listener::Listener(command::ShardState& state, ConnectionBalance& balance)
    : state_(state),
      balance_(balance),
      memory_(state),
      look_timer_([](void* listener) { static_cast<Listener*>(listener)->LookAtClients(); }, this) {
  state_.shard->set_local(this);
}

Listener::~Listener() {
  state_.shard->CancelTimer(look_timer_);
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

void Listener::OnAccept(shard::AcceptedSocket socket) {
  ++state_.stats.connections_accepted;
  if (balance_.Total() >= balance_.max_clients.load(std::memory_order_relaxed)) {
    ++state_.stats.connections_rejected;
    Refuse(std::move(socket), kTooManyClients);
    return;
  }
  if (IsProtected(socket)) {
    ++state_.stats.connections_rejected;
    Refuse(std::move(socket), kProtectedText);
    return;
  }
  ShardId target = balance_.LeastLoaded();
  balance_.open[target.value()].fetch_add(1, std::memory_order_relaxed);
  if (target == state_.shard->id()) {
    Adopt(std::move(socket));
    return;
  }
  Place(std::move(socket), target);
}

void Listener::Place(shard::AcceptedSocket socket, ShardId target) {
  if (free_placement_ == nullptr) {
    placements_.push_back(std::make_unique<Placement>());
    free_placement_ = placements_.back().get();
  }
  Placement& placement = *std::exchange(free_placement_, free_placement_->next_free);
  placement.socket = std::move(socket);
  shard::Message& message = placement.message.message;
  message.word[0] = reinterpret_cast<uint64_t>(&placement);
  message.run = [](shard::Shard& here, const shard::Message& came) {
    auto& placed = *reinterpret_cast<Placement*>(came.word[0]);
    here.local<Listener>().Adopt(std::move(placed.socket));
    placed.message.message.run = [](shard::Shard& home, const shard::Message& back) {
      home.local<Listener>().PlacementBack(*reinterpret_cast<Placement*>(back.word[0]));
    };
    here.Send(came.from, placed.message);
  };
  state_.shard->Send(target, placement.message);
}

void Listener::PlacementBack(Placement& placement) {
  placement.next_free = std::exchange(free_placement_, &placement);
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
  state_.clients.Add(*connection);
  if (!look_timer_.armed()) state_.shard->AddTimer(look_timer_, state_.shard->now_ns() + kLookEveryNs);
  connection->Attach(std::move(socket));
  return *connection;
}

void Listener::Adopt(shard::AcceptedSocket socket) {
  Add(std::move(socket));
}

// No password keeps strangers out, so only this machine may come.
bool Listener::IsProtected(const shard::AcceptedSocket& socket) const {
  const command::LiveSettings& live = state_.server->live();
  if (!live.protected_mode.load(std::memory_order_relaxed)) return false;
  if (live.password_required.load(std::memory_order_relaxed)) return false;
  if (socket.kind() == shard::ListenAddress::Kind::kUnix) return false;
  const std::string& peer = socket.peer();
  return !peer.starts_with("127.") && !peer.starts_with("[::1]");
}

void Listener::Refuse(shard::AcceptedSocket socket, std::string_view error_line) {
  balance_.open[state_.shard->id().value()].fetch_add(1, std::memory_order_relaxed);
  Connection& connection = Add(std::move(socket));
  connection.out.Append(error_line);
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

void Listener::LookAtClients() {
  look_from_ = state_.clients.Visit(look_from_, kLookAtOnce, [](command::Client& client) {
    static_cast<Connection&>(client).CloseIfOverdue();
  });
  if (first_ == nullptr) return;
  TimeNs pause = look_from_ == 0 ? kLookEveryNs : kLookPauseNs;
  state_.shard->AddTimer(look_timer_, state_.shard->now_ns() + pause);
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
