#pragma once
// Server: settings, runtime and shards of one process.

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command/registry.h"
#include "command/server_control.h"
#include "net/listener.h"
#include "server/config.h"
#include "server/shard_main.h"
#include "shard/env.h"
#include "shard/runtime.h"
#include "tx/manager.h"

namespace moonshard::server {

class Server final : public command::ServerControl {
 public:
  // `env` outlives the server. `transactions` is for tests.
  Server(shard::Env& env, const Settings& settings, const tx::ManagerOptions& transactions = {});
  ~Server() override;

  // Makes the shards and listens. On return the server answers (in simulation: as soon as turns are taken).
  base::Status Start();
  // Returns when the server has been told to stop and has stopped.
  void Join();
  // Any thread, also a signal handler.
  void RequestStop() { runtime_->RequestStop(); }

  shard::Runtime& runtime() { return *runtime_; }
  uint16_t port() const { return facts_.tcp_port; }

  // command::ServerControl
  const command::Registry& registry() const override { return registry_; }
  command::LiveSettings& live() override { return live_; }
  std::vector<std::pair<std::string, std::string>> GetConfig(std::string_view pattern) override;
  base::Status SetConfig(const std::vector<std::pair<std::string, std::string>>& settings) override;
  bool PasswordMatches(std::string_view password) override;
  void RequestShutdown() override { RequestStop(); }
  uint64_t NextClientId() override { return next_client_id_.fetch_add(1, std::memory_order_relaxed); }
  const Facts& facts() const override { return facts_; }
  std::atomic<uint64_t>& used_memory() override { return used_memory_; }

 private:
  std::unique_ptr<shard::TurnHooks> MakeShard(shard::Shard& shard);
  base::Status Listen(ShardMain& shard);
  void ApplyLive(const Settings& settings);

  Config config_;
  command::Registry registry_;
  command::LiveSettings live_;
  Facts facts_;
  uint64_t hash_seed_;
  tx::ManagerOptions transactions_;
  net::ConnectionBalance balance_;
  std::atomic<uint64_t> next_client_id_{1};
  alignas(64) std::atomic<uint64_t> used_memory_{0};
  base::Status listen_status_;
  std::unique_ptr<shard::Runtime> runtime_;
};

// Cores this process may run on.
uint16_t UsableCores();

}  // namespace moonshard::server
