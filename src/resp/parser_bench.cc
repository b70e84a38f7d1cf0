// Parsing of whole pipelines as a connection sees them: a receive buffer with many commands, 32 framed at a
// time. items_per_second counts arguments.

#include <benchmark/benchmark.h>

#include <string>

#include "base/check.h"
#include "base/random.h"
#include "resp/parser.h"

namespace moonshard::resp {
namespace {

constexpr size_t kCommands = 256;
constexpr size_t kCommandsPerFrame = 32;

std::string Bulk(const std::string& bytes) {
  return "$" + std::to_string(bytes.size()) + "\r\n" + bytes + "\r\n";
}
std::string Key(size_t i) {
  std::string key = "key:000000000000";
  std::string digits = std::to_string(i);
  return key.replace(key.size() - digits.size(), digits.size(), digits);
}

void ParseAll(benchmark::State& state, const std::string& input, size_t args_expected) {
  std::string buffer = input;
  CommandParser parser;
  ArgVector args;
  for (auto _ : state) {
    std::span<char> rest(buffer);
    size_t args_seen = 0;
    size_t consumed = 0;
    for (;;) {
      args.clear();
      CommandParser::Outcome outcome = CommandParser::Outcome::kCommand;
      for (size_t i = 0; i < kCommandsPerFrame && outcome == CommandParser::Outcome::kCommand; ++i) {
        outcome = parser.Next(rest, args, &consumed);
        rest = rest.subspan(consumed);
      }
      benchmark::DoNotOptimize(args.data());
      args_seen += args.size();
      if (outcome != CommandParser::Outcome::kCommand) break;
    }
    MS_CHECK(args_seen == args_expected && rest.empty());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(args_expected));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(input.size()));
}

void BM_PipelineGet(benchmark::State& state) {
  std::string input;
  for (size_t i = 0; i < kCommands; ++i) input += "*2\r\n$3\r\nGET\r\n" + Bulk(Key(i));
  ParseAll(state, input, kCommands * 2);
}
BENCHMARK(BM_PipelineGet);

void BM_PipelineSet(benchmark::State& state) {
  std::string value(static_cast<size_t>(state.range(0)), 'v');
  std::string input;
  for (size_t i = 0; i < kCommands; ++i) input += "*3\r\n$3\r\nSET\r\n" + Bulk(Key(i)) + Bulk(value);
  ParseAll(state, input, kCommands * 3);
}
BENCHMARK(BM_PipelineSet)->Arg(3)->Arg(32)->Arg(500)->Arg(5000);

// Lengths of one to three digits at random, more of them than the branch predictor can remember.
void BM_PipelineSetMixed(benchmark::State& state) {
  constexpr size_t kMixedCommands = 1 << 15;
  base::Random random(1);
  std::string input;
  for (size_t i = 0; i < kMixedCommands; ++i) {
    static constexpr size_t kSizes[] = {8, 80, 200};
    input += "*3\r\n$3\r\nSET\r\n" + Bulk(std::string(random.OneIn(2) ? 9 : 10, 'k')) +
             Bulk(std::string(random.Below(kSizes[random.Below(3)]), 'v'));
  }
  ParseAll(state, input, kMixedCommands * 3);
}
BENCHMARK(BM_PipelineSetMixed);

void BM_PipelineHsetWide(benchmark::State& state) {
  std::string input;
  for (size_t i = 0; i < 16; ++i) {
    input += "*102\r\n$4\r\nHSET\r\n" + Bulk(Key(i));
    for (size_t field = 0; field < 50; ++field)
      input += Bulk("field" + std::to_string(field)) + Bulk("value");
  }
  ParseAll(state, input, 16 * 102);
}
BENCHMARK(BM_PipelineHsetWide);

void BM_InlineGet(benchmark::State& state) {
  std::string input;
  for (size_t i = 0; i < kCommands; ++i) input += "GET " + Key(i) + "\r\n";
  ParseAll(state, input, kCommands * 2);
}
BENCHMARK(BM_InlineGet);

// Each command arrives in two pieces and takes the path that keeps offsets.
void BM_SplitSet(benchmark::State& state) {
  std::string input = "*3\r\n$3\r\nSET\r\n" + Bulk(Key(1)) + Bulk(std::string(32, 'v'));
  CommandParser parser;
  ArgVector args;
  for (auto _ : state) {
    args.clear();
    size_t consumed = 0;
    MS_CHECK(parser.Next({input.data(), input.size() / 2}, args, &consumed) ==
             CommandParser::Outcome::kNeedMore);
    MS_CHECK(parser.Next(input, args, &consumed) == CommandParser::Outcome::kCommand);
    benchmark::DoNotOptimize(args.data());
  }
  state.SetItemsProcessed(state.iterations() * 3);
}
BENCHMARK(BM_SplitSet);

}  // namespace
}  // namespace moonshard::resp
