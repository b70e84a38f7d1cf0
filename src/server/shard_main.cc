#include "server/shard_main.h"

#include <algorithm>

namespace moonshard::server {

namespace {
command::ShardState MakeState(shard::Shard& shard, db::Keyspace& keyspace, db::DataBudget& budget,
                              tx::Manager& tx, command::ServerControl& server) {
  command::ShardState state;
  state.shard = &shard;
  state.keyspace = &keyspace;
  state.budget = &budget;
  state.tx = &tx;
  state.server = &server;
  return state;
}
}  // namespace

ShardMain::ShardMain(shard::Shard& shard, const ShardParts& parts)
    : shard_(shard),
      keyspace_({.seed = parts.hash_seed,
                 .random_seed = shard.env().RandomSeed(),
                 .eviction = &parts.server.live()}),
      budget_(
          keyspace_,
          {parts.server.live(), parts.server.used_memory(), parts.server.live().budget, shard.shard_count()},
          this, parts.hash_seed ^ (shard.id().value() + 1u)),
      tx_(shard, parts.transactions),
      state_(MakeState(shard, keyspace_, budget_, tx_, parts.server)),
      engine_(state_, parts.server.registry()),
      listener_(state_, parts.balance) {
  if (!shard.env().simulated()) {
    page_ahead_ = std::make_unique<dash::PageAhead>(shard.env().MakeWorker("pages"));
    keyspace_.slab().set_page_ahead(page_ahead_.get());
  }
  state_.engine = &engine_;
  shard.set_local(&state_);
}

void ShardMain::EndTurn() {
  keyspace_.SetNow(shard_.now_ms());
  clock_ns_ = shard_.now_ns();
  if (keyspace_.NextDeadlineHint() <= keyspace_.now()) ExpireDue();
  if (keyspace_.has_retired()) keyspace_.FreeRetired(kFreePerTurn);
  {
    command::Observation::EventTimer timer(engine_.observation(), command::LatencyEvent::kEvictionCycle);
    budget_.EndTurn();
  }
  if (budget_.over_limit() && budget_.policy_evicts()) [[unlikely]]
    engine_.AskForRelief();
  tx_.EndTurn();
  listener_.EndTurn();
  engine_.EndTurn();
}

void ShardMain::ExpireDue() {
  const uint64_t begin = shard_.cycles().Now();
  keyspace_.ExpireDue(kExpirePerTurn, tx_.idle() ? nullptr : this);
  const uint64_t ticks = shard::CycleClock::Between(begin, shard_.cycles().Now());
  state_.stats.expire_ticks += ticks;
  engine_.observation().NoteEvent(command::LatencyEvent::kExpireCycle,
                                  shard_.cycles().ToNs(ticks) / 1'000'000);
}

bool ShardMain::HasWork() const {
  return listener_.has_dirty() || tx_.HasWork() || engine_.HasWork() || budget_.HasWork() ||
         keyspace_.has_retired() || keyspace_.NextDeadlineHint() <= keyspace_.now();
}

TimeNs ShardMain::NextDeadline() const {
  TimeMs deadline = keyspace_.NextDeadlineHint();
  if (deadline == kNoDeadline) return shard::kNever;
  // A deadline far away is looked at again within the hour: the sum below must not overflow.
  constexpr TimeMs kFarMs = 3'600'000;
  TimeMs left = std::clamp<TimeMs>(deadline - keyspace_.now(), 0, kFarMs);
  // From the turn that fixed now(): turns without work move the shard's now_ns() but not its now_ms().
  return clock_ns_ + left * 1'000'000;
}

}  // namespace moonshard::server
