#pragma once
// Helpers for tests of blocking calls, here and in net: a server whose commands the test brings along.

#include <atomic>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command/engine.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "shard/shard.h"

namespace moonshard::command::testing {

class WaitControl final : public ServerControl {
 public:
  explicit WaitControl(std::span<const std::span<const CommandRow>> tables) : registry_(tables) {}
  const Registry& registry() const override { return registry_; }
  LiveSettings& live() override { return live_; }
  std::vector<std::pair<std::string, std::string>> GetConfig(std::string_view) override { return {}; }
  base::Status SetConfig(const std::vector<std::pair<std::string, std::string>>&, bool) override {
    return {};
  }
  bool PasswordMatches(std::string_view) override { return true; }
  void RequestShutdown() override {}
  uint64_t NextClientId() override { return next_client_id_.fetch_add(1); }
  const Facts& facts() const override { return facts_; }
  std::atomic<uint64_t>& used_memory() override { return used_memory_; }

 private:
  Registry registry_;
  LiveSettings live_;
  Facts facts_;
  std::atomic<uint64_t> used_memory_{0};
  std::atomic<uint64_t> next_client_id_{1};
};

// One shard's keyspace, transactions and engine, without sockets.
class WaitShard : public shard::TurnHooks {
 public:
  WaitShard(shard::Shard& shard, ServerControl& control)
      : shard_(shard),
        keyspace_({.seed = 7, .random_seed = 1}),
        tx_(shard),
        engine_(Prepare(control), control.registry()) {
    state_.engine = &engine_;
    shard.set_local(&state_);
  }
  void BeforeStamp() override { tx_.BeforeStamp(); }
  void EndTurn() override {
    keyspace_.SetNow(shard_.now_ms());
    tx_.EndTurn();
    engine_.EndTurn();
  }
  bool HasWork() const override { return tx_.HasWork() || engine_.HasWork(); }
  TimeNs NextDeadline() const override { return shard::kNever; }

  shard::Shard& shard() { return shard_; }
  db::Keyspace& keyspace() { return keyspace_; }
  ShardState& state() { return state_; }
  Engine& engine() { return engine_; }
  const Engine& engine() const { return engine_; }

 private:
  ShardState& Prepare(ServerControl& control) {
    state_.shard = &shard_;
    state_.keyspace = &keyspace_;
    state_.tx = &tx_;
    state_.server = &control;
    return state_;
  }

  shard::Shard& shard_;
  db::Keyspace keyspace_;
  tx::Manager tx_;
  ShardState state_;
  Engine engine_;
};

}  // namespace moonshard::command::testing
