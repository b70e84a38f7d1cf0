// ns per call of the kernels over strings of bits, and bytes per second; the strings lie in the first cache
// level up to 16 KiB.
//   build/bench/ms_simd_bench --benchmark_filter=Bits

#include <benchmark/benchmark.h>

#include <random>
#include <string>

#include "simd/bits.h"

namespace moonshard::simd {
namespace {

std::string RandomBytes(int64_t size) {
  std::mt19937_64 random(1);
  std::string bytes(static_cast<size_t>(size), '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

template <size_t (*kKernel)(const char*, size_t)>
void BM_BitsCount(benchmark::State& state) {
  const std::string bytes = RandomBytes(state.range(0));
  for (auto _ : state) {
    const char* data = bytes.data();
    benchmark::DoNotOptimize(data);
    benchmark::DoNotOptimize(kKernel(data, bytes.size()));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BitsCount<CountOnes>)->RangeMultiplier(4)->Range(16, 1 << 20);

template <size_t (*kKernel)(const char*, size_t, Bit)>
void BM_BitsFind(benchmark::State& state) {
  const std::string bytes(static_cast<size_t>(state.range(0)), '\0');
  for (auto _ : state) {
    const char* data = bytes.data();
    benchmark::DoNotOptimize(data);
    benchmark::DoNotOptimize(kKernel(data, bytes.size(), Bit::kSet));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BitsFind<FindBit>)->RangeMultiplier(8)->Range(16, 1 << 20);
BENCHMARK(BM_BitsFind<FindBitScalar>)->RangeMultiplier(8)->Range(16, 1 << 20);

// Into a string of its own, and, as a chain of sources needs it, onto the first one.
template <void (*kKernel)(char*, const char*, const char*, size_t), bool kInPlace>
void BM_BitsCombine(benchmark::State& state) {
  std::string a = RandomBytes(state.range(0));
  const std::string b = RandomBytes(state.range(0));
  std::string other(a.size(), '\0');
  std::string& to = kInPlace ? a : other;
  for (auto _ : state) {
    kKernel(to.data(), a.data(), b.data(), to.size());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BitsCombine<And, false>)->RangeMultiplier(8)->Range(16, 1 << 20);
BENCHMARK(BM_BitsCombine<AndScalar, false>)->RangeMultiplier(8)->Range(16, 1 << 20);
BENCHMARK(BM_BitsCombine<And, true>)->RangeMultiplier(8)->Range(16, 1 << 20);
BENCHMARK(BM_BitsCombine<AndScalar, true>)->RangeMultiplier(8)->Range(16, 1 << 20);

template <void (*kKernel)(char*, char*, const char*, size_t)>
void BM_BitsCountTwice(benchmark::State& state) {
  std::string once = RandomBytes(state.range(0));
  std::string twice = once;
  const std::string more = once;
  for (auto _ : state) {
    kKernel(once.data(), twice.data(), more.data(), more.size());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_BitsCountTwice<CountTwice>)->RangeMultiplier(8)->Range(16, 1 << 20);
BENCHMARK(BM_BitsCountTwice<CountTwiceScalar>)->RangeMultiplier(8)->Range(16, 1 << 20);

}  // namespace
}  // namespace moonshard::simd
