// What a hop costs: two shards on two threads, round trips through On. Run on an otherwise quiet machine with
// at least two cores; numbers are of one shard's side.

#include <benchmark/benchmark.h>

#include <atomic>
#include <memory>

#include "shard/hop.h"
#include "shard/runtime.h"
#include "shard/task.h"
#include "shard/testing.h"

namespace moonshard::shard {
namespace {

struct Counter {
  uint64_t value = 0;
};
struct Hooks final : IdleHooks {
  explicit Hooks(Shard& shard) { shard.set_local(&counter); }
  Counter counter;
  TaskScope tasks;
};

Task<void> HopBackAndForth(uint64_t rounds, std::atomic<int>* running) {
  Shards<Counter> shards;
  for (uint64_t i = 0; i < rounds; ++i) {
    co_await shards.On(ShardId(1), [&](Counter& counter) { ++counter.value; });
  }
  if (running->fetch_sub(1) == 1) running->notify_one();
}

// Range 0: how many round trips are in flight. Range 1: 0 both spin, 1 both sleep when idle.
void BM_Hop(benchmark::State& state) {
  const int depth = static_cast<int>(state.range(0));
  constexpr uint64_t kRoundsAtOnce = 200'000;
  RealEnv env;
  RuntimeOptions options;
  options.shard_count = 2;
  options.cpus = {0, 1};
  options.busy_poll = {state.range(1) == 0 ? BusyPoll::Mode::kFixed : BusyPoll::Mode::kNo, 100'000};
  Runtime runtime(env, options, [](Shard& shard) { return std::make_unique<Hooks>(shard); });
  if (!runtime.Start().ok()) {
    state.SkipWithError("no io");
    return;
  }
  const uint64_t rounds =
      (state.range(1) == 0 ? kRoundsAtOnce : kRoundsAtOnce / 10) / static_cast<uint64_t>(depth);
  uint64_t hops = 0;
  for (auto _ : state) {
    std::atomic<int> running{depth};
    runtime.RunOn(ShardId(0), [&](Shard& shard) {
      for (int i = 0; i < depth; ++i) {
        static_cast<Hooks&>(*shard.hooks()).tasks.Spawn(HopBackAndForth(rounds, &running));
      }
    });
    for (int now = running.load(); now != 0; now = running.load()) running.wait(now);
    hops += rounds * static_cast<uint64_t>(depth);
  }
  state.SetItemsProcessed(static_cast<int64_t>(hops));
  runtime.RunOn(ShardId(1), [&](Shard& shard) {
    const ShardCounters& counters = shard.counters();
    state.counters["messages/turn"] =
        static_cast<double>(counters.messages_received) / static_cast<double>(counters.work_turns);
  });
}
BENCHMARK(BM_Hop)
    ->ArgNames({"depth", "sleep"})
    ->Args({1, 0})
    ->Args({64, 0})
    ->Args({512, 0})
    ->Args({1, 1})
    ->Args({64, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// The same shard: a direct call inside a coroutine.
void BM_LocalCall(benchmark::State& state) {
  RealEnv env;
  Runtime runtime(env, RuntimeOptions{}, [](Shard& shard) { return std::make_unique<Hooks>(shard); });
  if (!runtime.Start().ok()) {
    state.SkipWithError("no io");
    return;
  }
  constexpr uint64_t kRounds = 1'000'000;
  for (auto _ : state) {
    runtime.RunOn(ShardId(0), [&](Shard& shard) {
      static_cast<Hooks&>(*shard.hooks()).tasks.Spawn([](uint64_t rounds) -> Task<void> {
        Shards<Counter> shards;
        for (uint64_t i = 0; i < rounds; ++i) {
          co_await shards.On(ShardId(0), [&](Counter& counter) { ++counter.value; });
        }
      }(kRounds));
    });
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kRounds));
}
BENCHMARK(BM_LocalCall)->UseRealTime()->Unit(benchmark::kMillisecond);

// A turn that runs one message of the shard to itself: the fixed price of a turn.
void BM_Turn(benchmark::State& state) {
  RealEnv env;
  RuntimeOptions options;
  options.io.kind = state.range(0) == 0 ? IoKind::kUring : IoKind::kEpoll;
  Runtime runtime(env, options, [](Shard& shard) { return std::make_unique<Hooks>(shard); });
  if (!runtime.Start().ok()) {
    state.SkipWithError("no io");
    return;
  }
  constexpr uint64_t kRounds = 200'000;
  for (auto _ : state) {
    std::atomic<int> running{1};
    runtime.RunOn(ShardId(0), [&](Shard& shard) {
      static_cast<Hooks&>(*shard.hooks()).tasks.Spawn([](std::atomic<int>* done) -> Task<void> {
        for (uint64_t i = 0; i < kRounds; ++i) co_await NextTurn();
        done->store(0);
        done->notify_one();
      }(&running));
    });
    running.wait(1);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kRounds));
}
BENCHMARK(BM_Turn)->ArgNames({"epoll"})->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moonshard::shard
