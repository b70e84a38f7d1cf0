#pragma once
// An echo server on shards, for the tests of Io over real and simulated networks.

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "base/random.h"
#include "shard/runtime.h"
#include "shard/testing.h"

namespace moonshard::shard {

inline std::string RandomBytes(uint64_t seed, size_t bytes) {
  base::Random random(seed);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random.Next());
  return text;
}

class EchoServer;

// Sends back what it gets; closes once the peer has ended and everything is sent. Deletes itself in OnClosed.
class Echo final : public StreamHandler {
 public:
  Echo(EchoServer& server, AcceptedSocket socket);
  void OnData(std::span<char> data) override;
  void OnSent() override;
  void OnEnd() override;
  void OnError(int error) override;
  void OnClosed() override;
  void SendMore();
  void Close();
  void Resume() { io().ResumeReading(id); }
  Io& io();

  EchoServer& server;
  StreamId id;
  std::string waiting;
  std::unique_ptr<std::string> flying = std::make_unique<std::string>();
  bool sending = false, ended = false, closing = false;
};

class EchoServer final : public IdleHooks, public AcceptHandler {
 public:
  explicit EchoServer(Shard& shard) : here(shard) {}
  void OnAccept(AcceptedSocket socket) override {
    ++accepted;
    EXPECT_FALSE(socket.peer().empty());
    last_peer = socket.peer();
    if (!spread) {
      new Echo(*this, std::move(socket));
      return;
    }
    // One node per accepted connection; it dies when the message has run.
    auto* outgoing = new Outgoing;
    outgoing->message.word[0] = std::move(socket).Release();
    outgoing->message.word[1] = reinterpret_cast<uint64_t>(outgoing);
    outgoing->message.run = [](Shard& shard, const Message& message) {
      new Echo(static_cast<EchoServer&>(*shard.hooks()), AcceptedSocket::FromWord(message.word[0]));
      delete reinterpret_cast<Outgoing*>(message.word[1]);
    };
    here.Send(ShardId(static_cast<uint16_t>(accepted % here.shard_count())), *outgoing);
  }

  Shard& here;
  bool spread = false;      // over all shards
  bool pause_once = false;  // a connection pauses at its first data
  std::string greeting;
  std::set<Echo*> connections;
  std::string last_peer;
  uint64_t accepted = 0, data_calls = 0, ends = 0, errors = 0, closed = 0;
  ListenerId listener;
};

inline Echo::Echo(EchoServer& of, AcceptedSocket socket) : server(of) {
  id = io().Attach(std::move(socket), *this);
  server.connections.insert(this);
  waiting = server.greeting;
  SendMore();
}
inline Io& Echo::io() {
  return server.here.io();
}
inline void Echo::OnData(std::span<char> data) {
  ++server.data_calls;
  waiting.append(data.data(), data.size());
  std::memset(data.data(), '!', data.size());  // ours to change
  if (server.pause_once) {
    server.pause_once = false;
    io().PauseReading(id);
  }
  SendMore();
}
inline void Echo::OnSent() {
  sending = false;
  flying->clear();
  SendMore();
}
inline void Echo::OnEnd() {
  EXPECT_FALSE(ended);
  ended = true;
  ++server.ends;
  SendMore();
}
inline void Echo::OnError(int error) {
  EXPECT_NE(error, 0);
  ++server.errors;
  Close();
}
inline void Echo::OnClosed() {
  EXPECT_TRUE(closing);
  ++server.closed;
  server.connections.erase(this);
  delete this;
}
inline void Echo::SendMore() {
  if (sending || closing) return;
  if (!waiting.empty()) {
    sending = true;
    flying->swap(waiting);
    io().Send(id, *flying);
  } else if (ended) {
    Close();
  }
}
inline void Echo::Close() {
  closing = true;
  io().Close(id);
}

}  // namespace moonshard::shard
