// ns per probe of 64 tags, the segments in the first two cache levels. "Chain" probes wait for the one
// before.
//   build/bench/ms_simd_bench

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "simd/match_tags.h"

namespace moonshard::simd {
namespace {

using Kernel = uint64_t (*)(const uint16_t*, uint16_t);

#if defined(__x86_64__)
inline const bool kHasAvx512 = __builtin_cpu_supports("avx512bw") != 0;

// What a caller would write: a predictable branch on the machine, then a call.
inline uint64_t Dispatched(const uint16_t* tags, uint16_t tag) {
  return kHasAvx512 ? MatchTags64Avx512(tags, tag) : MatchTags64(tags, tag);
}
#endif

template <Kernel kKernel, bool kChain>
void BM_Match(benchmark::State& state) {
  const auto segments = static_cast<size_t>(state.range(0));
  std::mt19937_64 random(1);
  std::vector<uint16_t> tags(segments * 64);
  for (uint16_t& tag : tags) tag = static_cast<uint16_t>(random());
  std::vector<uint32_t> order(4096);
  for (uint32_t& segment : order) segment = static_cast<uint32_t>(random() % segments);
  uint64_t last = 0;
  size_t i = 0;
  for (auto _ : state) {
    const size_t segment = (order[i] + (kChain ? last : 0)) % segments;
    uint64_t mask = kKernel(&tags[segment * 64], static_cast<uint16_t>(i));
    benchmark::DoNotOptimize(mask);
    last = mask >> 63;
    i = (i + 1) % order.size();
  }
}

BENCHMARK(BM_Match<MatchTags64, false>)->Arg(64)->Arg(512);
BENCHMARK(BM_Match<MatchTags64, true>)->Arg(64)->Arg(512);
#if defined(__x86_64__)
BENCHMARK(BM_Match<Dispatched, false>)->Arg(64)->Arg(512);
BENCHMARK(BM_Match<Dispatched, true>)->Arg(64)->Arg(512);
#endif
BENCHMARK(BM_Match<MatchTags64Scalar, false>)->Arg(64)->Arg(512);

}  // namespace
}  // namespace moonshard::simd
