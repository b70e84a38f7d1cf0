#pragma once
// What handlers may ask of the server as a whole. Implemented above (src/server); every method is safe from
// any shard's thread.

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

namespace moonshard::command {

// Settings that the pipeline reads for every batch; plain atomics so that CONFIG SET needs no hop.
struct LiveSettings : db::EvictionSettings {
  std::atomic<bool> password_required{false};
};

// Whether the client must authenticate first. Without a password nobody has to, not even who came when there
// was one.
inline bool MustAuthenticate(const Session& session, const LiveSettings& live) {
  return !session.authenticated && live.password_required.load(std::memory_order_relaxed);
}

class ServerControl {
 public:
  virtual ~ServerControl() = default;
  virtual const Registry& registry() const = 0;
  virtual LiveSettings& live() = 0;

  // Names and values that match a glob pattern, in the order of their names.
  virtual std::vector<std::pair<std::string, std::string>> GetConfig(std::string_view pattern) = 0;
  // All or nothing.
  virtual base::Status SetConfig(const std::vector<std::pair<std::string, std::string>>& settings) = 0;
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

  // Accounted bytes of all shards, refreshed by each shard at the end of its turns.
  virtual std::atomic<uint64_t>& used_memory() = 0;
};

}  // namespace moonshard::command
