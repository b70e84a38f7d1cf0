// A flush: how long the call itself takes, and the longest slice in which the turns after it free the keys.
// CPU time of the thread, since other programs of the machine are no business of ours. Run it with mimalloc
// preloaded, which the server has: the general allocator gives a gigabyte back to the system in one free.

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <string>

#include "db/keyspace.h"

namespace moonshard::db {
namespace {

double CpuMicroseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

// As server/shard_main.h has it.
constexpr size_t kFreePerTurn = 4096;

// Arguments: keys, bytes of a value.
void Flush(benchmark::State& state) {
  const auto key_count = static_cast<size_t>(state.range(0));
  const std::string value(static_cast<size_t>(state.range(1)), 'v');
  double flush_us = 0;
  double longest_us = 0;
  double sum_us = 0;
  for (auto _ : state) {
    state.PauseTiming();
    Keyspace keyspace({.seed = 1, .random_seed = 1});
    Database& database = keyspace.database(DbIndex(0));
    for (size_t i = 0; i < key_count; ++i) {
      const std::string key = "key:" + std::to_string(i);
      if (!database.SetString({key, base::HashBytes(key, keyspace.seed())}, value, kNoDeadline).ok()) {
        state.SkipWithError("out of memory");
        return;
      }
    }
    state.ResumeTiming();
    double before = CpuMicroseconds();
    database.Flush();
    flush_us = std::max(flush_us, CpuMicroseconds() - before);
    while (keyspace.has_retired()) {
      before = CpuMicroseconds();
      keyspace.FreeRetired(kFreePerTurn);
      const double slice_us = CpuMicroseconds() - before;
      longest_us = std::max(longest_us, slice_us);
      sum_us += slice_us;
    }
  }
  state.counters["flush_us"] = flush_us;
  state.counters["longest_slice_us"] = longest_us;
  state.counters["ns_per_key"] =
      sum_us * 1e3 / static_cast<double>(key_count) / static_cast<double>(state.iterations());
}
BENCHMARK(Flush)->Args({100'000, 32})->Args({4'000'000, 32})->Args({20'000, 50'000})->Iterations(3);

}  // namespace
}  // namespace moonshard::db
