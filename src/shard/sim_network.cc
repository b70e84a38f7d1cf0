#include "shard/sim_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>

#include "base/check.h"
#include "shard/env.h"
#include "shard/stream_slots.h"

namespace moonshard::shard {

struct SimPipe {
  std::string to_server;
  std::string to_client;
  bool client_ended = false;   // no more bytes from the client
  bool client_closed = false;  // it does not read either
  bool client_reset = false;
  bool client_reading = true;
  bool server_closed = false;
};

namespace {

struct SimSocket final : SocketState {
  std::shared_ptr<SimPipe> pipe;
  ~SimSocket() override {
    if (pipe != nullptr) pipe->server_closed = true;
  }
};

std::string NameOf(uint16_t port) {
  return fmt::format("tcp:{}", port);
}

}  // namespace

class SimIo final : public Io {
 public:
  explicit SimIo(SimNetwork& network) : network_(network), random_(network.random_.Next()) {}
  ~SimIo() override;

  std::string_view name() const override { return "sim"; }
  base::Result<ListenerId> Listen(const ListenAddress& address, AcceptHandler& handler) override;
  uint16_t PortOf(ListenerId listener) const override { return listeners_[listener.value()].port; }
  void CloseListener(ListenerId listener) override;
  StreamId Attach(AcceptedSocket socket, StreamHandler& handler) override;
  void PauseReading(StreamId id) override { streams_[id].paused = true; }
  void ResumeReading(StreamId id) override { streams_[id].paused = false; }
  void Send(StreamId id, std::span<const char> data) override;
  void Close(StreamId id) override;

  bool Poll() override;
  void Dispatch() override;
  void Submit() override {}
  void Wait(TimeNs) override {}
  void Wake() override {}

  void Connect(ListenerId listener, AcceptedSocket socket) {
    pending_.push_back({listener.value(), std::move(socket)});
  }

 private:
  struct Stream {
    std::shared_ptr<SimPipe> pipe;
    StreamHandler* handler = nullptr;  // null: the slot is free
    std::span<const char> send_left;
    bool sending = false;
    bool paused = false;
    bool end_seen = false;
    bool dead = false;
    bool closing = false;
    // What this turn's poll found.
    std::string data;
    bool end = false;
    bool sent = false;
    bool closed = false;
    int error = 0;
  };
  struct Listener {
    AcceptHandler* handler = nullptr;
    uint16_t port = 0;
    std::string name;
  };
  struct Pending {
    uint32_t listener_idx;
    AcceptedSocket socket;
  };

  bool PollStream(Stream& stream);
  void PollSend(Stream& stream);
  void RunStream(uint32_t index);

  SimNetwork& network_;
  base::Random random_;
  StreamSlots<Stream> streams_;
  std::vector<Listener> listeners_;
  std::deque<Pending> pending_;
  size_t accepts_polled_ = 0;
};

SimIo::~SimIo() {
  for (uint32_t i = 0; i < listeners_.size(); ++i) CloseListener(ListenerId(i));
  for (Stream& stream : streams_) {
    if (stream.pipe != nullptr) stream.pipe->server_closed = true;
  }
}

base::Result<ListenerId> SimIo::Listen(const ListenAddress& address, AcceptHandler& handler) {
  Listener listener;
  listener.handler = &handler;
  if (address.kind == ListenAddress::Kind::kTcp) {
    listener.port = address.port != 0 ? address.port : network_.next_port_++;
    listener.name = NameOf(listener.port);
  } else {
    listener.name = "unix:" + address.path;
  }
  const ListenerId id(static_cast<uint32_t>(listeners_.size()));
  network_.listeners_[listener.name].push_back({this, id});
  listeners_.push_back(std::move(listener));
  return id;
}

void SimIo::CloseListener(ListenerId id) {
  Listener& listener = listeners_[id.value()];
  if (listener.handler == nullptr) return;
  listener.handler = nullptr;
  auto& all = network_.listeners_[listener.name];
  std::erase_if(all, [&](const SimNetwork::Listener& each) { return each.io == this && each.id == id; });
}

StreamId SimIo::Attach(AcceptedSocket socket, StreamHandler& handler) {
  uint32_t index = streams_.Take();
  streams_[index].pipe = std::exchange(static_cast<SimSocket*>(socket.state())->pipe, nullptr);
  streams_[index].handler = &handler;
  return StreamId(index);
}

void SimIo::Send(StreamId id, std::span<const char> data) {
  Stream& stream = streams_[id];
  MS_CHECK(!stream.closing && !stream.sending);
  stream.sending = true;
  stream.send_left = data;
}

void SimIo::Close(StreamId id) {
  Stream& stream = streams_[id];
  MS_CHECK(stream.handler != nullptr && !stream.closing);
  stream.closing = true;
}

bool SimIo::Poll() {
  accepts_polled_ = pending_.empty() ? 0 : random_.Below(pending_.size() + 1);
  bool any = accepts_polled_ != 0;
  for (Stream& stream : streams_) {
    if (stream.handler != nullptr && PollStream(stream)) any = true;
  }
  return any;
}

bool SimIo::PollStream(Stream& stream) {
  // The poll before this one may have had no Dispatch only if it found nothing.
  if (random_.OneIn(4)) return false;
  if (stream.closing) {
    stream.closed = true;
    return true;
  }
  if (stream.dead) return false;
  SimPipe& pipe = *stream.pipe;
  if (pipe.client_reset) {
    stream.error = ECONNRESET;
    return true;
  }
  if (stream.sending) PollSend(stream);
  if (!stream.paused && !stream.end_seen) {
    size_t bytes = std::min(pipe.to_server.size(), network_.delivery_bytes_max);
    // Half of the deliveries are whole, the others are cut anywhere.
    if (bytes != 0 && random_.OneIn(2)) bytes = random_.Below(bytes + 1);
    stream.data.assign(pipe.to_server, 0, bytes);
    pipe.to_server.erase(0, bytes);
    if (pipe.client_ended && pipe.to_server.empty() && random_.OneIn(2)) stream.end = stream.end_seen = true;
  }
  return !stream.data.empty() || stream.end || stream.sent || stream.error != 0;
}

void SimIo::PollSend(Stream& stream) {
  SimPipe& pipe = *stream.pipe;
  if (pipe.client_closed) {
    stream.error = EPIPE;
    return;
  }
  size_t room = stream.send_left.size();
  if (!pipe.client_reading) {
    room = std::min(room, network_.window_bytes - std::min(network_.window_bytes, pipe.to_client.size()));
  }
  if (room != 0 && random_.OneIn(3)) room = random_.Below(room + 1);
  pipe.to_client.append(stream.send_left.data(), room);
  stream.send_left = stream.send_left.subspan(room);
  if (!stream.send_left.empty()) return;
  stream.sending = false;
  stream.sent = true;
}

void SimIo::Dispatch() {
  for (uint32_t index = 0; index < streams_.size(); ++index) {
    if (streams_[index].handler != nullptr) RunStream(index);
  }
  for (; accepts_polled_ != 0; --accepts_polled_) {
    Pending pending = std::move(pending_.front());
    pending_.pop_front();
    AcceptHandler* handler = listeners_[pending.listener_idx].handler;
    if (handler != nullptr) handler->OnAccept(std::move(pending.socket));
  }
}

void SimIo::RunStream(uint32_t index) {
  Stream& stream = streams_[index];
  StreamHandler* handler = stream.handler;
  if (stream.closed) {
    stream.pipe->server_closed = true;
    stream.pipe.reset();
    stream.handler = nullptr;
    streams_.Free(index);
    handler->OnClosed();
    return;
  }
  const bool sent = std::exchange(stream.sent, false);
  if (!stream.closing && sent) handler->OnSent();
  if (!stream.closing && !stream.data.empty()) {
    if (stream.paused) {
      // Paused after the poll: back to where it came from.
      stream.pipe->to_server.insert(0, std::exchange(stream.data, {}));
    } else {
      std::string data = std::exchange(stream.data, {});
      handler->OnData({data.data(), data.size()});
    }
  }
  if (!stream.closing && stream.end) {
    stream.end = false;
    if (stream.paused) {
      stream.end_seen = false;
    } else {
      handler->OnEnd();
    }
  }
  if (!stream.closing && stream.error != 0) {
    stream.dead = true;
    handler->OnError(std::exchange(stream.error, 0));
  }
}

SimNetwork::SimNetwork(uint64_t seed) : random_(seed) {}
SimNetwork::~SimNetwork() = default;

std::unique_ptr<Io> SimNetwork::MakeIo(ShardId) {
  return std::make_unique<SimIo>(*this);
}

base::Result<SimClient> SimNetwork::Connect(uint16_t port) {
  return ConnectTo(NameOf(port));
}
base::Result<SimClient> SimNetwork::ConnectUnix(const std::string& path) {
  return ConnectTo("unix:" + path);
}

base::Result<SimClient> SimNetwork::ConnectTo(const std::string& name) {
  const auto found = listeners_.find(name);
  if (found == listeners_.end() || found->second.empty()) return FileError(ECONNREFUSED, "connect to", name);
  const Listener& listener = found->second[random_.Below(found->second.size())];
  auto pipe = std::make_shared<SimPipe>();
  auto socket = std::make_unique<SimSocket>();
  socket->pipe = pipe;
  if (name.starts_with("tcp:")) {
    socket->peer = fmt::format("127.0.0.1:{}", next_client_++);
    socket->local = fmt::format("127.0.0.1:{}", name.substr(4));
  } else {
    socket->kind = ListenAddress::Kind::kUnix;
    socket->peer = socket->local = fmt::format("{}:0", name.substr(5));
  }
  listener.io->Connect(listener.id, AcceptedSocket(std::move(socket)));
  return SimClient(std::move(pipe));
}

SimClient::SimClient(std::shared_ptr<SimPipe> pipe) : pipe_(std::move(pipe)) {}
SimClient::SimClient(SimClient&&) noexcept = default;
SimClient& SimClient::operator=(SimClient&& other) noexcept {
  if (this != &other) {
    if (pipe_ != nullptr) Close();
    pipe_ = std::move(other.pipe_);
  }
  return *this;
}
SimClient::~SimClient() {
  if (pipe_ != nullptr) Close();
}

void SimClient::Send(std::string_view bytes) {
  MS_CHECK(!pipe_->client_ended);
  if (!pipe_->server_closed) pipe_->to_server.append(bytes);
}
std::string SimClient::Take() {
  return std::exchange(pipe_->to_client, {});
}
size_t SimClient::available() const {
  return pipe_->to_client.size();
}
void SimClient::ShutdownWrite() {
  pipe_->client_ended = true;
}
void SimClient::StopReading() {
  pipe_->client_reading = false;
}
void SimClient::ResumeReading() {
  pipe_->client_reading = true;
}
void SimClient::Close() {
  pipe_->client_ended = pipe_->client_closed = true;
}
void SimClient::Reset() {
  pipe_->client_ended = pipe_->client_closed = pipe_->client_reset = true;
}
bool SimClient::ended() const {
  return pipe_->server_closed;
}

}  // namespace moonshard::shard
