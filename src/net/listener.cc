#include "net/listener.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "shard/shard.h"

namespace moonshard::net {

namespace {
// Redis' error with our words.
constexpr std::string_view kProtectedModeError =
    "-DENIED The server is in protected mode: without a password it serves only clients on its own machine. "
    "From there, either set a password for the default user (CONFIG SET requirepass, or requirepass in the "
    "configuration file), or, if no stranger can reach this port, turn the mode off (CONFIG SET "
    "protected-mode no, or --protected-mode no at the start).\r\n";
}  // namespace

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
  bound_.push_back({address, id});
  return state_.shard->io().PortOf(id);
}

bool Listener::Bound::Serves(const shard::ListenAddress& other) const {
  return address.kind == shard::ListenAddress::Kind::kTcp && other.kind == address.kind &&
         address.host == other.host && address.port == other.port;
}

base::Result<uint16_t> Listener::ListenOnlyOn(std::span<const shard::ListenAddress> addresses) {
  // Those that go are closed first: an address may include one that is there ("*" all the others).
  std::vector<shard::ListenAddress> gone;
  std::erase_if(bound_, [&](const Bound& bound) {
    bool stays = bound.address.kind != shard::ListenAddress::Kind::kTcp ||
                 std::ranges::any_of(addresses, [&](const auto& a) { return bound.Serves(a); });
    if (stays) return false;
    state_.shard->io().CloseListener(bound.id);
    gone.push_back(bound.address);
    return true;
  });
  const size_t before = bound_.size();
  uint16_t port = 0;
  for (const shard::ListenAddress& address : addresses) {
    auto serving = std::ranges::find_if(bound_, [&](const Bound& bound) { return bound.Serves(address); });
    auto opened = serving != bound_.end() ? base::Result<uint16_t>(state_.shard->io().PortOf(serving->id))
                                          : Listen(address);
    if (!opened.ok()) {
      while (bound_.size() > before) {
        state_.shard->io().CloseListener(bound_.back().id);
        bound_.pop_back();
      }
      for (const shard::ListenAddress& old : gone) {
        auto again = Listen(old);
        if (!again.ok()) base::LogError("{}", again.status().text());
      }
      return opened.status();
    }
    port = *opened;
  }
  return port;
}

void Listener::OnAccept(shard::AcceptedSocket socket) {
  ++state_.stats.connections_accepted;
  if (balance_.Total() >= balance_.max_clients.load(std::memory_order_relaxed)) {
    ++state_.stats.connections_rejected;
    Refuse(std::move(socket), "-ERR max number of clients reached\r\n");
    return;
  }
  const command::LiveSettings& live = state_.server->live();
  if (live.protected_mode.load(std::memory_order_relaxed) &&
      !live.password_required.load(std::memory_order_relaxed) && !command::IsLocalPeer(socket.peer())) {
    ++state_.stats.connections_rejected;
    Refuse(std::move(socket), kProtectedModeError);
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
