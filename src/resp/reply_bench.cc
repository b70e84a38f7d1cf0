// Writing of replies into a warm buffer, 256 elements a round. items_per_second counts elements.

#include <benchmark/benchmark.h>

#include <string>

#include "base/random.h"
#include "resp/reply.h"

namespace moonshard::resp {
namespace {

constexpr size_t kElements = 256;

template <typename Write>
void WriteAll(benchmark::State& state, Write write) {
  base::Buffer out;
  for (auto _ : state) {
    out.Clear();
    Reply reply(out, Protocol::kResp2);
    for (size_t i = 0; i < kElements; ++i) write(reply, i);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kElements));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(out.size()));
}

void BM_Ok(benchmark::State& state) {
  WriteAll(state, [](Reply& reply, size_t) { reply.Ok(); });
}
BENCHMARK(BM_Ok);

void BM_Null(benchmark::State& state) {
  WriteAll(state, [](Reply& reply, size_t) { reply.Null(); });
}
BENCHMARK(BM_Null);

void BM_Bulk(benchmark::State& state) {
  std::string bytes(static_cast<size_t>(state.range(0)), 'b');
  WriteAll(state, [&](Reply& reply, size_t) { reply.Bulk(bytes); });
}
BENCHMARK(BM_Bulk)->Arg(3)->Arg(16)->Arg(32)->Arg(64)->Arg(300)->Arg(4096);

void BM_BulkMixed(benchmark::State& state) {
  std::string bytes(64, 'b');
  base::Random random(1);
  std::array<size_t, kElements> sizes;
  for (size_t& size : sizes) size = random.Below(64);
  WriteAll(state, [&](Reply& reply, size_t i) { reply.Bulk({bytes.data(), sizes[i]}); });
}
BENCHMARK(BM_BulkMixed);

void BM_Integer(benchmark::State& state) {
  int64_t value = state.range(0);
  WriteAll(state, [&](Reply& reply, size_t) { reply.Integer(value); });
}
BENCHMARK(BM_Integer)->Arg(1)->Arg(12345)->Arg(1234567890123);

void BM_ArrayOfTwo(benchmark::State& state) {
  WriteAll(state, [](Reply& reply, size_t) { reply.Array(2), reply.Bulk("field"), reply.Bulk("value"); });
}
BENCHMARK(BM_ArrayOfTwo);

void BM_DoubleWhole(benchmark::State& state) {
  WriteAll(state, [](Reply& reply, size_t i) { reply.Double(static_cast<double>(i)); });
}
BENCHMARK(BM_DoubleWhole);

void BM_DoubleFraction(benchmark::State& state) {
  WriteAll(state, [](Reply& reply, size_t i) { reply.Double(0.1 + static_cast<double>(i)); });
}
BENCHMARK(BM_DoubleFraction);

}  // namespace
}  // namespace moonshard::resp
