#pragma once
// Server: settings, runtime and shards of one process.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command/registry.h"
#include "command/server_control.h"
#include "net/listener.h"
#include "server/config.h"
#include "server/config_rewrite.h"
#include "server/shard_main.h"
#include "shard/env.h"
#include "shard/runtime.h"
#include "tx/manager.h"

namespace moonshard::server {

class Server final : public command::ServerControl {
 public:
  // `env` outlives the server. `transactions` is for tests. `file` is for CONFIG REWRITE.
  Server(shard::Env& env, const Settings& settings, const tx::ManagerOptions& transactions = {},
         ConfigFile file = {});
  ~Server() override;

  // Makes the shards and listens. On return the server answers (in simulation: as soon as turns are taken).
  base::Status Start();
  // Returns when the server has been told to stop and has stopped.
  void Join();
  // Any thread, also a signal handler.
  void RequestStop() { runtime_->RequestStop(); }
  // Before Start. Called on a shard's thread when a client asks for the end.
  void set_on_shutdown(std::function<void()> action) { on_shutdown_ = std::move(action); }

  shard::Runtime& runtime() { return *runtime_; }
  uint16_t port() const { return tcp_port(); }
  // "127.0.0.1 ::1, port 6379"; from Start to the first CONFIG SET of bind or port.
  const std::string& listening_on() const { return listening_on_; }

  // command::ServerControl
  const command::Registry& registry() const override { return registry_; }
  command::LiveSettings& live() override { return live_; }
  std::vector<std::pair<std::string, std::string>> GetConfig(std::string_view pattern) override;
  base::Status SetConfig(const std::vector<std::pair<std::string, std::string>>& settings,
                         bool local) override;
  base::Status RewriteConfig() override;
  bool PasswordMatches(std::string_view password) override;
  void RequestShutdown() override {
    if (on_shutdown_) on_shutdown_();
    RequestStop();
  }
  uint64_t NextClientId() override { return next_client_id_.fetch_add(1, std::memory_order_relaxed); }
  const Facts& facts() const override { return facts_; }
  uint16_t tcp_port() const override { return tcp_port_.load(std::memory_order_relaxed); }
  std::atomic<uint64_t>& used_memory() override { return used_memory_; }

 private:
  std::unique_ptr<shard::TurnHooks> MakeShard(shard::Shard& shard);
  base::Status Listen(net::Listener& listener);
  base::Status ListenAgain(const Settings& settings);
  Config::Refusal ApplyChanges(const Settings& before, Settings& after);
  void ApplyLive(const Settings& settings);

  Config config_;
  ConfigFile file_;
  net::Listener* listener_ = nullptr;  // of the first shard; touched only there
  std::string listening_on_;
  std::function<void()> on_shutdown_;
  std::atomic<uint16_t> tcp_port_{0};
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

}  // namespace moonshard::server
