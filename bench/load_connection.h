#pragma once
// A non-blocking client socket with its unsent requests and its half-received reply.
//
// Owned by one thread.

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "bench/load_keys.h"
#include "bench/load_reply.h"

namespace moonshard::bench {

struct Address {
  std::string host = "127.0.0.1";
  uint16_t port = 6379;
  std::string unix_path;  // not empty: a unix socket instead
};

// What must be known about a request until its reply arrives.
struct Slot {
  TimeNs intended_at;  // open loop: when the schedule wanted it sent
  uint64_t key;        // verification
  uint8_t shape;
};

class Connection {
 public:
  // `depth`: the most requests in flight. `request_bytes`: the longest request.
  Connection(size_t depth, size_t request_bytes) : slots(depth), out_(depth * request_bytes) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  base::Status Connect(const Address& address);

  enum class SendResult : uint8_t { kAll, kSome, kLost };
  // Sends [sent_, out_size) of the output.
  SendResult Send();
  char* out() { return out_.data(); }
  // Room for one more request at the end of the unsent bytes; moves them to the front when necessary.
  char* AppendPoint(size_t request_bytes);
  void SetOutSize(size_t size) {
    out_size_ = size;
    sent_ = 0;
  }
  void Appended(size_t bytes) { out_size_ += bytes; }
  bool HasUnsent() const { return sent_ < out_size_; }

  int fd() const { return fd_; }

  // In flight, oldest first: slots[(first + i) % depth], i < awaiting.
  std::vector<Slot> slots;
  uint32_t first = 0;
  uint32_t awaiting = 0;
  bool write_armed = false;  // epoll watches for room in the socket
  TimeNs batch_sent_at = 0;  // closed loop: when the current batch left
  ReplyScanner scanner;
  std::string carry;  // an unfinished header line of a reply

 private:
  int fd_ = -1;
  std::vector<char> out_;
  size_t out_size_ = 0;
  size_t sent_ = 0;
};

}  // namespace moonshard::bench
