#pragma once
// ShardMain: what one shard's thread owns, put together, and its part in every turn.

#include <atomic>
#include <cstdint>
#include <memory>

#include "command/engine.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "dash/page_ahead.h"
#include "db/eviction_budget.h"
#include "db/keyspace.h"
#include "net/listener.h"
#include "shard/shard.h"
#include "tx/manager.h"

namespace moonshard::server {

// Keys erased by the clock per turn: some 100 us, so that a burst of deadlines delays nobody noticeably.
inline constexpr size_t kExpirePerTurn = 512;
// Keys of flushed databases freed per turn: some 200 us.
inline constexpr size_t kFreePerTurn = 4096;

struct ShardParts {
  base::HashSeed hash_seed;
  command::ServerControl& server;
  net::ConnectionBalance& balance;
  tx::ManagerOptions transactions;
};

class ShardMain final : public shard::TurnHooks, public db::LockView {
 public:
  ShardMain(shard::Shard& shard, const ShardParts& parts);

  net::Listener& listener() { return listener_; }
  command::ShardState& state() { return state_; }

  // shard::TurnHooks
  void BeforeStamp() override { tx_.BeforeStamp(); }
  void EndTurn() override;
  bool HasWork() const override;
  TimeNs NextDeadline() const override;
  // db::LockView
  bool IsLocked(uint64_t fingerprint) const override {
    return !tx_.MayRunNow(fingerprint, tx::LockMode::kExclusive);
  }

 private:
  void ExpireDue();

  shard::Shard& shard_;
  db::Keyspace keyspace_;
  db::DataBudget budget_;
  std::unique_ptr<dash::PageAhead> page_ahead_;
  tx::Manager tx_;
  command::ShardState state_;
  command::Engine engine_;
  net::Listener listener_;
  TimeNs clock_ns_ = 0;  // when keyspace_.now() was fixed
};

}  // namespace moonshard::server
