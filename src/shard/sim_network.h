#pragma once
// SimNetwork: sockets in memory. The server's side is a SimIo per shard; the test holds the clients' side.
// Deliveries are split at random places, sends are short, and a client that does not read lets the server's
// sends stall. Everything from one seed. One thread.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "shard/io.h"

namespace moonshard::shard {

class SimIo;
struct SimPipe;  // one connection, shared by both sides

// A test's end of a connection. Destroying it closes.
class SimClient {
 public:
  explicit SimClient(std::shared_ptr<SimPipe> pipe);
  SimClient(SimClient&&) noexcept;
  SimClient& operator=(SimClient&&) noexcept;
  ~SimClient();

  void Send(std::string_view bytes);
  // What arrived since the last call.
  std::string Take();
  size_t available() const;
  void ShutdownWrite();
  // Without reading, at most `window_bytes` of the network arrive here; the server's sends stall then.
  void StopReading();
  void ResumeReading();
  void Close();  // the server sees the end of the stream
  void Reset();  // the server sees ECONNRESET
  // The server closed its side (and all it sent has been delivered).
  bool ended() const;

 private:
  std::shared_ptr<SimPipe> pipe_;
};

class SimNetwork {
 public:
  explicit SimNetwork(uint64_t seed);
  ~SimNetwork();

  // Nobody listens on `port`: a Status.
  base::Result<SimClient> Connect(uint16_t port);
  base::Result<SimClient> ConnectUnix(const std::string& path);

  std::unique_ptr<Io> MakeIo(ShardId shard);

  size_t window_bytes = 64 * 1024;   // what fits between server and a client that does not read
  size_t delivery_bytes_max = 4096;  // the longest piece one OnData hands out

 private:
  friend class SimIo;
  struct Listener {
    SimIo* io;
    ListenerId id;
  };
  base::Result<SimClient> ConnectTo(const std::string& name);

  base::Random random_;
  std::map<std::string, std::vector<Listener>> listeners_;  // by "tcp:<port>" or "unix:<path>"
  uint16_t next_port_ = 20000;
  uint64_t next_client_ = 40000;
};

}  // namespace moonshard::shard
