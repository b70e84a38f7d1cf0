#pragma once
// Helpers that the two real backends share: listening sockets, accepted ones, and what waits while a stream
// is paused.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/buffer.h"
#include "base/status.h"
#include "shard/io.h"

namespace moonshard::shard {

// Owns one descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      Reset();
      fd_ = other.Release();
    }
    return *this;
  }
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() {
    int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Reset();

 private:
  int fd_ = -1;
};

struct RealSocket final : SocketState {
  void SetKeepAlive(int seconds) override;
  int descriptor() const override { return fd.get(); }
  Fd fd;
};

struct ListeningSocket {
  Fd fd;
  uint16_t port = 0;
};

// Bound and listening; not yet non-blocking.
base::Result<ListeningSocket> OpenListener(const ListenAddress& address);
// Takes an accepted descriptor: no delay, names of both ends. Invalid if the peer is gone already.
AcceptedSocket WrapAccepted(int fd);

// The next close sends a reset, whatever is still to be sent or read.
void ResetOnClose(int fd);

// Out of descriptors, a pending connection can neither be accepted nor refused and its listener stays ready
// for ever. The reserve is given up for a moment to accept the connection and close it.
class DescriptorReserve {
 public:
  DescriptorReserve();
  // After accept failed with EMFILE or ENFILE: drops what waits on `listener`. Logs at most once a second.
  void DropWaiting(int listener, TimeNs now);

 private:
  Fd reserve_;
  TimeNs last_log_ns_ = -1'000'000'000;
};
bool OutOfDescriptors(int error);
// accept4 on a listener of either mode; -1 and errno if there is nothing to accept.
int AcceptWithoutBlocking(int listener);

}  // namespace moonshard::shard
