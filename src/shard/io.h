#pragma once
// Io: one shard's sockets. Four backends behind one interface: io_uring, epoll, and a simulated network for
// tests (sim_network.h). Callbacks come only from Dispatch, on the shard's thread, never from inside a call
// of the caller. Owned by one shard; only Wake may be called from any thread.
//
// A handler's view of a stream, in order:  (OnData | OnSent)*  OnEnd?  (OnData never again, OnSent still)
// OnError? and, after Close, exactly one OnClosed. OnEnd or OnError close nothing: the owner calls Close.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/types.h"

namespace moonshard::shard {

using StreamId = Named<uint32_t, struct StreamIdTag>;
using ListenerId = Named<uint32_t, struct ListenerIdTag>;

struct ListenAddress {
  enum class Kind : uint8_t { kTcp, kUnix };
  Kind kind = Kind::kTcp;
  std::string host = "127.0.0.1";  // numeric IPv4 or IPv6 address; "*" is all IPv4, "::" all IPv6
  uint16_t port = 0;               // 0: the system chooses, see Io::PortOf
  std::string path;                // kUnix: a stale socket file there is removed
  uint32_t unix_mode = 0;          // permission bits of the socket file; 0 leaves them to the umask
  // How long to wait for an address in use to come free, blocking: the kernel takes down the io_uring of a
  // killed process in the background and its listener with it, so a server that restarts at once may be
  // early.
  int bind_retry_ms = 1000;
  int backlog = 511;  // as Redis' default
};

// What a backend hides behind AcceptedSocket. Destroying it closes the connection.
struct SocketState {
  virtual ~SocketState() = default;
  // Whether the peer still lives is asked after so much silence (TCP keepalive); 0: never.
  virtual void SetKeepAlive(int /*seconds*/) {}
  virtual int descriptor() const { return -1; }
  std::string peer;   // "127.0.0.1:5000", "[::1]:5000", or "/path:0" for a unix socket
  std::string local;  // the same for our end
  ListenAddress::Kind kind = ListenAddress::Kind::kTcp;
};

// A connection that belongs to nobody yet. Movable between shards: `std::move(s).Release()` gives a word for
// a Message, `AcceptedSocket::FromWord` takes it back on the target, which attaches it to its own Io.
class AcceptedSocket {
 public:
  AcceptedSocket() = default;
  explicit AcceptedSocket(std::unique_ptr<SocketState> state) : state_(std::move(state)) {}

  bool valid() const { return state_ != nullptr; }
  const std::string& peer() const { return state_->peer; }
  const std::string& local() const { return state_->local; }
  ListenAddress::Kind kind() const { return state_->kind; }
  SocketState* state() const { return state_.get(); }

  uint64_t Release() && { return reinterpret_cast<uint64_t>(state_.release()); }
  static AcceptedSocket FromWord(uint64_t word) {
    return AcceptedSocket(std::unique_ptr<SocketState>(reinterpret_cast<SocketState*>(word)));
  }

 private:
  std::unique_ptr<SocketState> state_;
};

class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  // Bytes came, in order. The span is valid only during the call; its bytes may be changed in place.
  virtual void OnData(std::span<char> data) = 0;
  // The whole last Send left; its memory is the caller's again and the next Send may start.
  virtual void OnSent() = 0;
  // The peer shut down its writing side. Sending still works.
  virtual void OnEnd() = 0;
  // The stream is dead (`error` is an errno). Only Close is left to do. Not called twice, not after Close.
  virtual void OnError(int error) = 0;
  // After Close: the backend holds neither the handler nor any memory of a Send any longer. Nothing follows.
  virtual void OnClosed() {}
};

class AcceptHandler {
 public:
  virtual ~AcceptHandler() = default;
  virtual void OnAccept(AcceptedSocket socket) = 0;
};

enum class IoKind : uint8_t { kAuto, kUring, kEpoll };

struct IoOptions {
  IoKind kind = IoKind::kAuto;
  uint32_t buffer_count = 128;        // io_uring: receive buffers per shard; a power of two
  uint32_t buffer_bytes = 16 * 1024;  // one receive hands over at most this much
  uint32_t queue_entries = 1024;      // io_uring: submission queue
};

class Io {
 public:
  virtual ~Io() = default;
  virtual std::string_view name() const = 0;  // "uring", "epoll", "sim"

  // Accepted sockets go to `handler`, which must outlive CloseListener.
  virtual base::Result<ListenerId> Listen(const ListenAddress& address, AcceptHandler& handler) = 0;
  virtual uint16_t PortOf(ListenerId listener) const = 0;  // the bound TCP port; 0 for a unix socket
  virtual void CloseListener(ListenerId listener) = 0;

  // From here on the socket is this shard's. Reading starts at once. `handler` must live until OnClosed.
  virtual StreamId Attach(AcceptedSocket socket, StreamHandler& handler) = 0;
  // After PauseReading no OnData or OnEnd comes until ResumeReading; what arrives meanwhile waits (at most a
  // few buffers here, the rest in the kernel, so the peer feels it). A short pause costs no system call.
  virtual void PauseReading(StreamId stream) = 0;
  virtual void ResumeReading(StreamId stream) = 0;
  // At most one in flight per stream. `data` must stay valid and unchanged until OnSent or OnClosed. Leaves
  // with the other sends of this turn.
  virtual void Send(StreamId stream, std::span<const char> data) = 0;
  // No OnData, OnSent, OnEnd or OnError afterwards; one OnClosed, in a later Dispatch, when the backend lets
  // go of the handler and of an unfinished send's memory. What a send had not yet handed to the kernel is
  // lost.
  virtual void Close(StreamId stream) = 0;
  // Close for a peer that is still sending: it hears at once that nobody will read that. Without this it may
  // wait for a window that never opens, until the kernel forgets our end.
  virtual void Abort(StreamId stream) { Close(stream); }

  // The loop's side; called by Shard only.
  // Gathers what happened without blocking; true if Dispatch has something to do. All bytes that Dispatch
  // will hand out were received here, before the turn draws its stamp (causality of stamps rests on it).
  virtual bool Poll() = 0;
  virtual void Dispatch() = 0;
  // Hands this turn's sends and other requests to the kernel.
  virtual void Submit() = 0;
  // Blocks until something is there for Poll, Wake was called since the last Wait, or `timeout_ns` passed
  // (negative: for ever). Submits first.
  virtual void Wait(TimeNs timeout_ns) = 0;
  // Any thread, also a signal handler: ends the running or next Wait.
  virtual void Wake() = 0;
  // Called on the waker's own thread by its shard: wakes `sleeper`, if possible along with the next Submit.
  virtual void WakeOther(Io& sleeper) { sleeper.Wake(); }
};

}  // namespace moonshard::shard
