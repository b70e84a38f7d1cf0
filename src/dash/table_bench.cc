// The table's figures. Keys are 16 random-looking bytes, values 32 bytes unless the row says otherwise;
// huge:1 asks for transparent huge pages. Find rows count ns per key; Memory and Growth rows run once and
// report counters:
//   rss_B_per_key, account_B_per_key, insert_ns, p9999_us, worst_us.
//
//   flock /tmp/bench.lock build/bench/ms_dash_bench --benchmark_filter='Find|Memory|Growth'
//   --benchmark_repetitions=5

#include <benchmark/benchmark.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/random.h"
#include "dash/page_ahead.h"
#include "dash/table.h"

namespace moonshard::dash {
namespace {

constexpr size_t kKeyBytes = 16;
constexpr TimeMs kNow = 1'700'000'000'000;

// The i-th key: a bijection of i, so that keys need no memory of their own.
struct Key {
  char bytes[kKeyBytes];
  explicit Key(uint64_t i) {
    uint64_t mixed = (i + 1) * 0x9E3779B97F4A7C15ull;
    mixed ^= mixed >> 29;
    std::memcpy(bytes, &mixed, 8);
    std::memcpy(bytes + 8, &i, 8);
  }
  std::string_view view() const { return {bytes, kKeyBytes}; }
};

size_t ResidentBytes() {
  size_t total = 0, resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file != nullptr) {
    if (std::fscanf(file, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<size_t>(::sysconf(_SC_PAGESIZE));
}

void InsertKey(Table& table, uint64_t i, size_t value_bytes, TimeMs deadline = kNoDeadline) {
  const Key key(i);
  const Table::Ref ref =
      table.Insert(table.Hash(key.view()), key.view(), Type::kString, 0, value_bytes, deadline);
  MS_CHECK(static_cast<bool>(ref));
  std::memset(table.entry(ref)->value().data(), 'v', value_bytes);
}

struct Filled {
  Slab slab;
  Table table;
  Filled(uint64_t keys, HugePages huge_pages)
      : slab({.huge_pages = huge_pages}), table(slab, {.seed = 0x5eed}) {
    for (uint64_t i = 0; i < keys; ++i) InsertKey(table, i, 32);
  }
};

// One filled table at a time, kept between benchmarks of the same size.
Filled& FilledTable(const benchmark::State& state) {
  static std::unique_ptr<Filled> filled;
  static int64_t keys = 0, huge = 0;
  if (keys != state.range(0) || huge != state.range(1)) {
    filled.reset();
    keys = state.range(0);
    huge = state.range(1);
    filled =
        std::make_unique<Filled>(static_cast<uint64_t>(keys), huge != 0 ? HugePages::kOn : HugePages::kOff);
  }
  return *filled;
}

// Keys are made a block ahead: a key whose two halves were just stored cannot be loaded as one word before
// they have left the store buffer, and then no two lookups would overlap.
constexpr size_t kBlockKeys = 256;

template <bool kPresent>
void FindAll(benchmark::State& state) {
  const Table& table = FilledTable(state).table;
  base::Random random(1);
  const auto keys = static_cast<uint64_t>(state.range(0));
  std::vector<Key> wanted(kBlockKeys, Key(0));
  while (state.KeepRunningBatch(kBlockKeys)) {
    for (Key& key : wanted) key = Key(random.Below(keys) + (kPresent ? 0 : keys));
    for (const Key& key : wanted) {
      const Table::Ref ref = table.Find(table.Hash(key.view()), key.view());
      if constexpr (kPresent) {
        benchmark::DoNotOptimize(table.entry(ref)->value()[0]);
      } else {
        benchmark::DoNotOptimize(ref.segment);
      }
    }
  }
}
void BM_FindHit(benchmark::State& state) {
  FindAll<true>(state);
}
void BM_FindMiss(benchmark::State& state) {
  FindAll<false>(state);
}

// A hit whose key depends on the last one found: what a lookup costs that nothing overlaps.
void BM_FindHitDependent(benchmark::State& state) {
  const Table& table = FilledTable(state).table;
  base::Random random(1);
  const auto keys = static_cast<uint64_t>(state.range(0));
  uint64_t last = 0;
  for (auto _ : state) {
    const Key key((random.Below(keys - 256) + last) % keys);
    const Table::Ref ref = table.Find(table.Hash(key.view()), key.view());
    last = static_cast<uint8_t>(table.entry(ref)->value()[0]);
  }
  benchmark::DoNotOptimize(last);
}

void BM_FindBatch(benchmark::State& state) {
  const Table& table = FilledTable(state).table;
  base::Random random(1);
  const auto keys = static_cast<uint64_t>(state.range(0));
  const auto batch = static_cast<size_t>(state.range(2));
  std::vector<Key> wanted(kBlockKeys, Key(0));
  std::vector<uint64_t> hashes(batch);
  while (state.KeepRunningBatch(kBlockKeys)) {
    for (Key& key : wanted) key = Key(random.Below(keys));
    for (const Key* first = wanted.data(); first < wanted.data() + kBlockKeys; first += batch) {
      for (size_t i = 0; i < batch; ++i) {
        hashes[i] = table.Hash(first[i].view());
        table.PrefetchSegment(hashes[i]);
      }
      for (size_t i = 0; i < batch; ++i) table.PrefetchEntry(hashes[i]);
      for (size_t i = 0; i < batch; ++i) {
        const Table::Ref ref = table.Find(hashes[i], first[i].view());
        benchmark::DoNotOptimize(table.entry(ref)->value()[0]);
      }
    }
  }
}

// Bytes per key for keys of 16 bytes: {keys, value bytes, deadlines 0/1, huge pages 0/1}.
void BM_Memory(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    const size_t before = ResidentBytes();
    Slab slab({.huge_pages = state.range(3) != 0 ? HugePages::kOn : HugePages::kOff});
    Table table(slab, {.seed = 0x5eed});
    base::Random random(2);
    for (uint64_t i = 0; i < keys; ++i) {
      const TimeMs deadline =
          state.range(2) != 0 ? kNow + static_cast<TimeMs>(random.Below(86'400'000)) : kNoDeadline;
      InsertKey(table, i, static_cast<size_t>(state.range(1)), deadline);
    }
    const auto count = static_cast<double>(keys);
    state.counters["rss_B_per_key"] = static_cast<double>(ResidentBytes() - before) / count;
    state.counters["account_B_per_key"] =
        static_cast<double>(table.index_bytes() + table.entry_bytes()) / count;
    state.counters["index_B_per_key"] = static_cast<double>(table.index_bytes()) / count;
  }
}

// Latencies in ns, exact to 1/16.
class Histogram {
 public:
  void Add(uint64_t ns) {
    ++counts_[Bucket(ns)];
    worst_ = std::max(worst_, ns);
  }
  double PercentileUs(double share) const {
    uint64_t total = 0, seen = 0;
    for (uint64_t count : counts_) total += count;
    const auto wanted = static_cast<uint64_t>(static_cast<double>(total) * share);
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen > wanted) return static_cast<double>(Upper(i)) / 1000;
    }
    return static_cast<double>(worst_) / 1000;
  }
  double worst_us() const { return static_cast<double>(worst_) / 1000; }

 private:
  static constexpr size_t kBuckets = 64 * 16;
  static size_t Bucket(uint64_t ns) {
    if (ns < 16) return ns;
    const auto shift = static_cast<size_t>(std::bit_width(ns)) - 5;
    return (shift + 1) * 16 + ((ns >> shift) & 15);
  }
  static uint64_t Upper(size_t bucket) {
    if (bucket < 16) return bucket;
    return (16 + bucket % 16 + 1) << (bucket / 16 - 1);
  }
  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kBuckets);
  uint64_t worst_ = 0;
};

// CPU time leaves out when the thread was preempted, which on a shared machine is what the worst wall times
// show.
TimeNs ReadClock(bool cpu) {
  timespec time;
  ::clock_gettime(cpu ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return time.tv_sec * TimeNs{1'000'000'000} + time.tv_nsec;
}

// Inserts from an empty table on, each one timed: {keys, value bytes, huge pages 0/1, CPU clock 0/1}.
void BM_Growth(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    const size_t before = ResidentBytes();
    Slab slab({.huge_pages = state.range(2) != 0 ? HugePages::kOn : HugePages::kOff});
    shard::RealEnv env;
    PageAhead ahead(env.MakeWorker("pages"));
    if (state.range(4) != 0) slab.set_page_ahead(&ahead);
    Table table(slab, {.seed = 0x5eed});
    Histogram histogram;
    const bool cpu = state.range(3) != 0;
    const TimeNs start = ReadClock(cpu);
    TimeNs last = start;
    for (uint64_t i = 0; i < keys; ++i) {
      InsertKey(table, i, static_cast<size_t>(state.range(1)));
      const TimeNs now = ReadClock(cpu);
      histogram.Add(static_cast<uint64_t>(now - last));
      last = now;
    }
    const auto count = static_cast<double>(keys);
    state.counters["insert_ns"] = static_cast<double>(last - start) / count;
    state.counters["p50_us"] = histogram.PercentileUs(0.5);
    state.counters["p999_us"] = histogram.PercentileUs(0.999);
    state.counters["p9999_us"] = histogram.PercentileUs(0.9999);
    state.counters["worst_us"] = histogram.worst_us();
    state.counters["rss_B_per_key"] = static_cast<double>(ResidentBytes() - before) / count;
  }
}

// All keys fall due in one millisecond; each NextDue + Erase is timed: {keys}.
void BM_ExpireBurst(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  for (auto _ : state) {
    Slab slab;
    Table table(slab, {.seed = 0x5eed});
    table.NextDue(kNow);
    for (uint64_t i = 0; i < keys; ++i) InsertKey(table, i, 32, kNow + 3'600'000);
    for (TimeMs now = kNow; now < kNow + 3'600'000; now += 1000) table.NextDue(now);
    Histogram histogram;
    const auto start = std::chrono::steady_clock::now();
    auto last = start;
    uint64_t empty = 0;
    while (table.size() > 0) {
      const Table::Ref ref = table.NextDue(kNow + 3'600'000);
      const auto now = std::chrono::steady_clock::now();
      histogram.Add(static_cast<uint64_t>((now - last).count()));
      if (ref) {
        table.Erase(ref);
      } else {
        ++empty;
      }
      last = std::chrono::steady_clock::now();
    }
    state.counters["ns_per_key"] = static_cast<double>((last - start).count()) / static_cast<double>(keys);
    state.counters["next_p50_us"] = histogram.PercentileUs(0.5);
    state.counters["next_p9999_us"] = histogram.PercentileUs(0.9999);
    state.counters["next_worst_us"] = histogram.worst_us();
    state.counters["bounded_calls"] = static_cast<double>(empty);
  }
}

constexpr int64_t kMillion = 1'000'000;
const std::vector<std::string> kFindArgs = {"keys", "huge"};

BENCHMARK(BM_FindHit)->ArgNames(kFindArgs)->ArgsProduct({{kMillion, 20 * kMillion}, {0, 1}});
BENCHMARK(BM_FindMiss)->ArgNames(kFindArgs)->ArgsProduct({{kMillion, 20 * kMillion}, {0, 1}});
BENCHMARK(BM_FindHitDependent)->ArgNames(kFindArgs)->ArgsProduct({{kMillion, 20 * kMillion}, {0, 1}});
BENCHMARK(BM_FindBatch)
    ->ArgNames({"keys", "huge", "batch"})
    ->ArgsProduct({{kMillion, 20 * kMillion}, {0, 1}, {8, 16, 32}});
BENCHMARK(BM_Memory)
    ->ArgNames({"keys", "value", "ttl", "huge"})
    ->ArgsProduct({{kMillion, 5 * kMillion}, {8, 16, 32, 64, 128, 256, 512, 1024}, {0, 1}, {0}})
    ->ArgsProduct({{kMillion, 5 * kMillion}, {8, 32}, {0}, {1}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Growth)
    ->ArgNames({"keys", "value", "huge", "cpu", "ahead"})
    ->ArgsProduct({{kMillion, 20 * kMillion}, {8, 32}, {0, 1}, {0, 1}, {0, 1}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_ExpireBurst)->ArgNames({"keys"})->Arg(kMillion)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace moonshard::dash
