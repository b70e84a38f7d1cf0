// CPU per transaction: two shards taking turns in one thread, no sleeping, no socket. One item is one
// transaction, both sides included. "allocations" counts operator new per transaction in the steady state; it
// must print 0.

#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "base/check.h"
#include "shard/runtime.h"
#include "shard/sim_env.h"
#include "tx/manager.h"

namespace {
std::atomic<uint64_t> allocations{0};
}  // namespace

void* operator new(size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(bytes);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

namespace moonshard::tx {
namespace {

class BenchHooks final : public shard::TurnHooks {
 public:
  explicit BenchHooks(shard::Shard& shard) : manager(shard) {}
  void BeforeStamp() override { manager.BeforeStamp(); }
  void EndTurn() override { manager.EndTurn(); }
  bool HasWork() const override { return false; }
  TimeNs NextDeadline() const override { return shard::kNever; }
  Manager manager;
};

// A transaction over both shards with two keys on each; starts itself again when it is done.
struct Repeated : shard::ExternalWork {
  std::vector<KeyLock> locks[2];
  std::vector<Part> parts{2};
  Transaction tx;
  Manager* manager = nullptr;
  uint64_t* done = nullptr;

  Repeated(Manager& of, uint64_t& done_in, uint64_t key, LockMode mode, Kind kind)
      : manager(&of), done(&done_in) {
    for (uint16_t s = 0; s < 2; ++s) {
      for (uint64_t k = 0; k < 2; ++k) {
        locks[s].push_back({.fingerprint = (key * 4 + s * 2 + k + 1) * 0x9E3779B97F4A7C15ull, .mode = mode});
      }
      parts[s].shard = ShardId(s);
      parts[s].locks = locks[s];
      parts[s].run = [](Part& part, shard::Shard&) { benchmark::DoNotOptimize(part.order.number); };
    }
    tx.kind = kind;
    tx.access = mode == LockMode::kShared ? Access::kReadOnly : Access::kWrite;
    tx.parts = parts;
    tx.user = this;
    tx.done = [](Transaction& t) {
      auto& self = *static_cast<Repeated*>(t.user);
      ++*self.done;
      self.manager->Start(t);
    };
    run = [](shard::Shard&, shard::ExternalWork& work) {
      auto& self = static_cast<Repeated&>(work);
      self.manager->Start(self.tx);
    };
  }
};

void Transactions(benchmark::State& state, LockMode mode, Kind kind, uint64_t keys) {
  shard::SimEnv env(1);
  shard::RuntimeOptions options;
  options.shard_count = 2;
  shard::Runtime runtime(env, options,
                         [](shard::Shard& shard) { return std::make_unique<BenchHooks>(shard); });
  MS_CHECK(runtime.Start().ok());
  uint64_t done = 0;
  std::vector<std::unique_ptr<Repeated>> running;
  for (int64_t i = 0; i < state.range(0); ++i) {
    ShardId home(static_cast<uint16_t>(i % 2));
    uint64_t key = static_cast<uint64_t>(i) % keys;
    running.push_back(
        std::make_unique<Repeated>(runtime.shard(home).local<Manager>(), done, key, mode, kind));
    runtime.shard(home).Post(*running.back());
  }
  auto turns = [&](uint64_t until) {
    while (done < until) {
      runtime.shard(ShardId(0)).Turn();
      runtime.shard(ShardId(1)).Turn();
    }
  };
  turns(1000);
  uint64_t before = done, allocated = allocations.load();
  for (auto _ : state) turns(done + 1000);
  state.SetItemsProcessed(static_cast<int64_t>(done - before));
  state.counters["allocations"] =
      static_cast<double>(allocations.load() - allocated) / static_cast<double>(done - before);
  runtime.RequestStop();
  runtime.Join();
}

constexpr uint64_t kOwnKeys = UINT64_MAX;  // nobody shares a key
BENCHMARK_CAPTURE(Transactions, ShortWrite, LockMode::kExclusive, Kind::kShort, kOwnKeys)
    ->Arg(1)
    ->Arg(16)
    ->Arg(128);
BENCHMARK_CAPTURE(Transactions, ShortWriteOneHotKey, LockMode::kExclusive, Kind::kShort, 1)
    ->Arg(16)
    ->Arg(128);
BENCHMARK_CAPTURE(Transactions, Read, LockMode::kShared, Kind::kShort, kOwnKeys)->Arg(1)->Arg(16)->Arg(128);
BENCHMARK_CAPTURE(Transactions, LongWrite, LockMode::kExclusive, Kind::kLong, kOwnKeys)
    ->Arg(1)
    ->Arg(16)
    ->Arg(128);
BENCHMARK_CAPTURE(Transactions, LongWriteOneHotKey, LockMode::kExclusive, Kind::kLong, 1)->Arg(16)->Arg(128);

// What a command of one shard pays while transactions are in flight: one probe that finds nothing.
void MayRunNow(benchmark::State& state) {
  LockTable table;
  std::vector<KeyLock> locks(64);
  Part part;
  for (uint64_t i = 0; i < locks.size(); ++i) locks[i].fingerprint = (i + 1) * 0x9E3779B97F4A7C15ull;
  part.locks = locks;
  table.Insert(part, LockClass::kShort);
  uint64_t key = 1000;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.Conflicts(++key * 0x9E3779B97F4A7C15ull, LockMode::kExclusive));
  }
  table.Remove(part, LockClass::kShort);
}
BENCHMARK(MayRunNow);

}  // namespace
}  // namespace moonshard::tx
