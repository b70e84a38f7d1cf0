#pragma once
// Runtime: all shards of one server, their rings, the global turn counter and the published floors. With a
// real Env it runs one pinned thread per shard; with a simulated one it starts no thread and SimDriver
// (sim_driver.h) takes the turns.
//
// Life: Start makes every shard on its own thread, one after the other: Io, then factory(shard) (which sets
// locals, listens, spawns tasks). No turn runs before all are made. RequestStop lets every shard end its
// turn; when all have, each destroys its hooks on its own thread, then its Io. Join waits for that.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "shard/env.h"
#include "shard/mailbox.h"
#include "shard/shard.h"

namespace moonshard::shard {

// A shard's floor of rule 3 of the commit protocol: stored by its own shard, loaded by all.
struct alignas(64) PublishedFloor {
  std::atomic<uint64_t> value{UINT64_MAX};
};

// What the shards share. Safe from any thread where its members are atomic; the rest is fixed at Start.
struct ShardSet {
  ShardSet(Env& env_in, uint16_t shard_count, uint32_t ring_slots);
  ~ShardSet();

  uint16_t count() const { return count_; }
  Mailbox& mailbox(ShardId from, ShardId to) {
    return *mailboxes[size_t{from.value()} * count_ + to.value()];
  }
  // Rule 4 of the commit protocol: no cross-shard timestamp below this can appear any more, and all below it
  // are durable. Stays true once computed; callers may keep the maximum.
  uint64_t Watermark() const;

  Env& env;
  // The last stamp drawn. Recovery sets it above every number in the logs before the first turn.
  alignas(64) std::atomic<uint64_t> counter{0};
  alignas(64) std::unique_ptr<PublishedFloor[]> floors;
  std::vector<std::unique_ptr<Mailbox>> mailboxes;  // [from * count + to]
  std::vector<std::unique_ptr<Shard>> shards;

 private:
  uint16_t count_;
};

struct RuntimeOptions {
  uint16_t shard_count = 1;
  std::vector<int> cpus;  // shard i is pinned to cpus[i % size]; empty: not pinned
  IoOptions io;
  BusyPoll busy_poll;
  uint32_t ring_slots = kDefaultRingSlots;
};

class Runtime {
 public:
  using Factory = std::function<std::unique_ptr<TurnHooks>(Shard&)>;

  Runtime(Env& env, RuntimeOptions options, Factory factory);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();  // stops and joins

  // An error (no Io) leaves nothing running.
  base::Status Start();
  // Any thread, also a signal handler.
  void RequestStop();
  void Join();

  uint16_t shard_count() const { return options_.shard_count; }
  Shard& shard(ShardId id) { return *set_->shards[id.value()]; }
  ShardSet& set() { return *set_; }
  PublishedFloor& floor(ShardId id) { return set_->floors[id.value()]; }
  uint64_t Watermark() const { return set_->Watermark(); }

  // From a thread that is no shard, between Start and Join: runs fn(Shard&) on a shard and waits for it. In
  // simulation it runs at once, between turns.
  void RunOn(ShardId id, const std::function<void(Shard&)>& fn);

 private:
  friend class SimDriver;
  struct Threads;

  base::Status MakeShard(ShardId id);
  base::Status StartThreads();
  base::Status StartSimulated();
  void ThreadMain(ShardId id);
  void Loop(Shard& shard);
  void Pin(ShardId id);

  Env& env_;
  RuntimeOptions options_;
  Factory factory_;
  uint32_t cpu_count_;  // cores of the process, counted before its threads are pinned
  std::unique_ptr<ShardSet> set_;
  std::unique_ptr<Threads> threads_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> running_{false};  // all shards are made
  std::atomic<int> stop_calls_{0};    // RequestStop calls under way
  bool started_ = false;
};

}  // namespace moonshard::shard
