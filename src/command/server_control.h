#pragma once
// What handlers may ask of the server as a whole. Implemented above (src/server); every method is safe from
// any shard's thread.

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "command/registry.h"
#include "command/session.h"
#include "db/eviction_settings.h"
#include "shard/hop.h"

namespace moonshard::command {

// client-output-buffer-limit, one class: more than `hard` bytes that wait to be sent end a connection at
// once, more than `soft` after `soft_seconds`. 0: no limit.
struct OutputLimit {
  std::atomic<uint64_t> hard{0};
  std::atomic<uint64_t> soft{0};
  std::atomic<int32_t> soft_seconds{0};
};
enum class ClientClass : uint8_t { kNormal, kReplica, kPubsub };
inline constexpr size_t kClientClassCount = 3;

// What the pipeline reads for every batch, settings and states of the whole server; plain atomics, so that
// changing them needs no hop.
struct LiveSettings : db::EvictionSettings {
  // No setting, but as widely shared.
  db::BudgetSignals budget;
  std::atomic<bool> password_required{false};
  std::atomic<int64_t> slowlog_slower_than_us{10000};  // negative: no slow log
  std::atomic<uint64_t> slowlog_entries_max{128};
  std::atomic<uint64_t> latency_monitor_ms{0};  // 0: no latency events
  std::atomic<bool> latency_tracking{true};

  // CLIENT PAUSE: when it ends (ms since the epoch) times two, plus one if it holds back all commands and not
  // only those that write. 0: there is none. One word, so that it is read whole; see Engine::Holds.
  std::atomic<uint64_t> pause{0};

  // Clients in MONITOR mode, and the shards that have some, a bit each (monitor.h).
  std::atomic<uint32_t> monitors{0};
  std::array<std::atomic<uint64_t>, 4> monitor_shards{};

  std::array<OutputLimit, kClientClassCount> output_limits;
  std::atomic<uint64_t> query_buffer_limit{uint64_t{1} << 30};
  std::atomic<int64_t> bulk_bytes_max{int64_t{512} << 20};
  std::atomic<int32_t> idle_timeout_s{0};   // 0: never
  std::atomic<int32_t> tcp_keepalive_s{0};  // 0: off
  std::atomic<bool> protected_mode{false};

  // Bytes that clients take, of all shards, and how many they may (0: any number); see net/client_memory.h.
  // Apart from the others, because it changes often.
  std::atomic<uint64_t> client_bytes_max{0};
  // Each shard's largest client (SizeClassOf).
  std::array<std::atomic<uint8_t>, shard::kMaxShards> largest_client{};
  alignas(64) std::atomic<int64_t> client_bytes{0};
};

// Figures of the server as a whole that no shard owns.
struct CommonFigures {
  std::atomic<uint64_t> slow_log_id{0};       // the next entry's
  std::atomic<uint64_t> used_memory_peak{0};  // seen by some shard ten times a second
};

// Whether a connection's peer is on this machine: "127.0.0.1:5000", "[::1]:5000", or "path:0" of a unix
// socket.
inline bool IsLocalPeer(std::string_view peer) {
  return peer.starts_with("127.") || peer.starts_with("[::1]:") || peer.ends_with(":0");
}

// Whether the client must authenticate first. Without a password nobody has to, not even who came when there
// was one.
inline bool MustAuthenticate(const Session& session, const LiveSettings& live) {
  return !session.authenticated && live.password_required.load(std::memory_order_relaxed);
}

inline constexpr base::StaticError kNoConfigFile{base::Code::kErr,
                                                 "The server is running without a config file"};

class ServerControl {
 public:
  virtual ~ServerControl() = default;
  virtual const Registry& registry() const = 0;
  virtual LiveSettings& live() = 0;

  // Names and values that match a glob pattern, in the order of their names.
  virtual std::vector<std::pair<std::string, std::string>> GetConfig(std::string_view pattern) = 0;
  // All or nothing. On the first shard only, which accepts connections and so can change where. `local`:
  // asked for by a client on this machine.
  virtual base::Status SetConfig(const std::vector<std::pair<std::string, std::string>>& settings,
                                 bool local) = 0;
  // CONFIG REWRITE; the error is the whole text after "ERR". On the first shard only.
  virtual base::Status RewriteConfig() { return kNoConfigFile; }
  virtual bool PasswordMatches(std::string_view password) = 0;

  // Stops the server after this turn; the calling client gets no answer, as in Redis.
  virtual void RequestShutdown() = 0;
  virtual uint64_t NextClientId() = 0;

  // INFO's lines that are known without asking the shards.
  struct Facts {
    std::string run_id;
    std::string io_backend;
    std::string executable;
    std::string config_file;
    uint16_t tcp_port = 0;
    int64_t start_time_ms = 0;
  };
  virtual const Facts& facts() const = 0;
  // Facts::tcp_port is that of the start; CONFIG SET may change it.
  virtual uint16_t tcp_port() const { return facts().tcp_port; }

  // Accounted bytes of all shards, refreshed by each shard at the end of its turns.
  virtual std::atomic<uint64_t>& used_memory() = 0;

  CommonFigures& common_figures() { return common_figures_; }

 private:
  CommonFigures common_figures_;
};

}  // namespace moonshard::command
