// What is noted of calls: how many, how long, which failed; on one shard and over several.

#include "command/observation.h"

#include <gtest/gtest.h>

#include <map>

#include "command/testing.h"

namespace moonshard::command {
namespace {

using testing::TestClient;
using testing::TestWorld;

std::string Request(std::initializer_list<std::string_view> args) {
  std::string bytes = "*" + std::to_string(args.size()) + "\r\n";
  for (std::string_view arg : args) {
    bytes += "$" + std::to_string(arg.size()) + "\r\n" + std::string(arg) + "\r\n";
  }
  return bytes;
}

class Observed : public ::testing::TestWithParam<uint16_t> {
 protected:
  Observed() : world_(GetParam(), 5), client_(world_.Connect(0)) {}
  ~Observed() override {
    EXPECT_TRUE(world_.RunUntil([&] { return world_.AtRest(); }));
  }

  void Run(const std::string& bytes) {
    world_.Feed(*client_, 0, bytes);
    EXPECT_TRUE(world_.RunUntil([&] { return !client_->waiting(); }));
  }
  // Summed over the shards.
  CommandFigures Figures(std::string_view name) {
    const Registry& registry = world_.control().registry();
    const Command* command = registry.Find(name.substr(0, name.find('|')));
    if (name.find('|') != std::string_view::npos) {
      command = Registry::FindSubcommand(*command, name.substr(name.find('|') + 1));
    }
    CommandFigures sum;
    for (uint16_t shard = 0; shard < GetParam(); ++shard) {
      const CommandFigures& figures = Shard(shard).commands()[command->index];
      sum.calls += figures.calls;
      sum.ticks += figures.ticks;
      sum.rejected += figures.rejected;
      sum.failed += figures.failed;
      if (figures.latency_ns == nullptr) continue;
      if (sum.latency_ns == nullptr) sum.latency_ns = std::make_unique<base::Histogram>();
      sum.latency_ns->Merge(*figures.latency_ns);
    }
    return sum;
  }
  std::map<std::string, uint64_t> Errors() {
    std::map<std::string, uint64_t> sum;
    for (uint16_t shard = 0; shard < GetParam(); ++shard) {
      for (const ErrorFigures& error : Shard(shard).errors()) sum[error.prefix] += error.count;
    }
    return sum;
  }
  Observation& Shard(uint16_t shard) { return world_.state(shard).engine->observation(); }
  size_t Logged() { return Shard(0).slow_log().size(); }

  TestWorld world_;
  std::unique_ptr<TestClient> client_;
};

TEST_P(Observed, CountsEveryCallOnce) {
  std::string bytes;
  for (int i = 0; i < 100; ++i) bytes += Request({"set", "k" + std::to_string(i), "v"});
  for (int i = 0; i < 70; ++i) bytes += Request({"get", "k" + std::to_string(i)});
  bytes += Request({"mget", "k1", "k2", "k3", "k4", "k5"});
  bytes += Request({"mset", "a", "1", "b", "2", "c", "3", "d", "4"});
  bytes += Request({"size"}) + Request({"rename", "k1", "k2"}) + Request({"nap"}) + Request({"session"});
  bytes += Request({"box", "one"});
  Run(bytes);
  for (auto [name, calls] : std::map<std::string, uint64_t>{{"set", 100},
                                                            {"get", 70},
                                                            {"mget", 1},
                                                            {"mset", 1},
                                                            {"size", 1},
                                                            {"rename", 1},
                                                            {"nap", 1},
                                                            {"session", 1},
                                                            {"box|one", 1},
                                                            {"box", 0}}) {
    CommandFigures figures = Figures(name);
    EXPECT_EQ(figures.calls, calls) << name;
    EXPECT_EQ(figures.rejected + figures.failed, 0u) << name;
    EXPECT_EQ(figures.latency_ns == nullptr ? 0 : figures.latency_ns->count(), calls) << name;
  }
}

TEST_P(Observed, TellsRefusedFromFailed) {
  Run(Request({"get"}) + Request({"get", "a", "b"}) + Request({"rename", "nosuch", "x"}) +
      Request({"nosuch"}) + Request({"box"}) + Request({"box", "three"}) + Request({"box", "two"}) +
      Request({"get", "a"}));
  EXPECT_EQ(Figures("get").calls, 1u);
  EXPECT_EQ(Figures("get").rejected, 2u);
  EXPECT_EQ(Figures("rename").calls, 1u);
  EXPECT_EQ(Figures("rename").failed, 1u);
  EXPECT_EQ(Figures("rename").rejected, 0u);
  EXPECT_EQ(Figures("box").rejected, 1u);      // its arity
  EXPECT_EQ(Figures("box|two").rejected, 1u);  // its own; the unknown subcommand is nobody's
  EXPECT_EQ(Errors(), (std::map<std::string, uint64_t>{{"ERR", 7}}));
}

TEST_P(Observed, ResetStartsAnew) {
  Run(Request({"get", "a"}) + Request({"get"}));
  for (uint16_t shard = 0; shard < GetParam(); ++shard) Shard(shard).Reset();
  EXPECT_EQ(Figures("get").calls, 0u);
  EXPECT_EQ(Figures("get").rejected, 0u);
  EXPECT_TRUE(Errors().empty());
  Run(Request({"get", "a"}));
  EXPECT_EQ(Figures("get").calls, 1u);
}

// Simulated time stands still while a turn runs, so a call that waits for others has taken nothing.
TEST_P(Observed, WaitsAreNobodysTime) {
  const TimeNs before = world_.runtime().set().env.MonotonicNow();
  Run(Request({"set", "a", "1"}) + Request({"nap"}) + Request({"rename", "a", "b"}) +
      Request({"mget", "a", "b", "c", "d"}));
  if (GetParam() > 1) EXPECT_GT(world_.runtime().set().env.MonotonicNow(), before);
  for (std::string_view name : {"set", "nap", "rename", "mget"}) {
    EXPECT_EQ(Figures(name).calls, 1u) << name;
    EXPECT_EQ(Figures(name).ticks, 0u) << name;
  }
}

TEST_P(Observed, SlowLogTakesWhatPassesItsLimit) {
  LiveSettings& live = world_.control().live();
  live.slowlog_slower_than_us = -1;
  Run(Request({"get", "a"}) + Request({"mget", "a", "b", "c"}));
  EXPECT_EQ(Logged(), 0u);
  live.slowlog_slower_than_us = 1;
  Run(Request({"get", "a"}));
  EXPECT_EQ(Logged(), 0u);
  live.slowlog_slower_than_us = 0;
  client_->session.name = "me";
  client_->session.peer = "there:1";
  Run(Request({"get", "a"}) + Request({"get"}) + Request({"mget", "a", "b", "c"}) + Request({"nap"}) +
      Request({"set", "a", "1"}));
  const auto& entries = Shard(0).slow_log().entries();
  std::vector<std::string> names;
  for (const SlowLogEntry& entry : entries) {
    names.push_back(entry.args[0]);
    EXPECT_EQ(entry.client_name, "me");
    EXPECT_EQ(entry.peer, "there:1");
    EXPECT_EQ(entry.id, names.size() - 1);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"get", "mget", "nap", "set"}));
}

TEST_P(Observed, LatencyTrackingOffKeepsNoHistogram) {
  world_.control().live().latency_tracking = false;
  Run(Request({"get", "a"}) + Request({"nap"}));
  EXPECT_EQ(Figures("get").calls, 1u);
  EXPECT_EQ(Figures("get").latency_ns, nullptr);
  EXPECT_EQ(Figures("nap").latency_ns, nullptr);
}

INSTANTIATE_TEST_SUITE_P(Shards, Observed, ::testing::Values(1, 3));

// ---- the sharing out of a run's time

class Shared : public ::testing::Test {
 protected:
  Shared() : world_(1, 9), observation_(world_.state(0).engine->observation()) {}

  const Command* Row(std::string_view name) { return world_.control().registry().Find(name); }
  uint64_t Ticks(std::string_view name) { return observation_.commands()[Row(name)->index].ticks; }
  uint64_t Calls(std::string_view name) { return observation_.commands()[Row(name)->index].calls; }
  void RunTogether(const std::vector<std::string_view>& names, uint64_t ticks) {
    batch_.calls.clear();
    for (std::string_view name : names) {
      Call& call = batch_.calls.emplace_back();
      call.command = Row(name);
      call.arg_begin = 0;
      call.arg_count = 1;
      call.timed_alone = false;
    }
    batch_.args.clear();
    batch_.args.push_back("name");
    observation_.RanTogether(batch_, batch_.calls, ticks, last_, nullptr);
  }

  TestWorld world_;
  Observation& observation_;
  Batch batch_;
  Observation::Last last_ = Observation::Last::kLikeTheRest;
};

TEST_F(Shared, OfOneCommandEqually) {
  RunTogether(std::vector<std::string_view>(32, "get"), 3200);
  EXPECT_EQ(Ticks("get"), 3200u);
  EXPECT_EQ(Calls("get"), 32u);
  const base::Histogram& histogram = *observation_.commands()[Row("get")->index].latency_ns;
  EXPECT_EQ(histogram.count(), 32u);
  EXPECT_EQ(histogram.max(), 100u);
}

TEST_F(Shared, OfSeveralByTheirTypicalTimes) {
  for (int i = 0; i < 200; ++i) {
    RunTogether({"get"}, 100);
    RunTogether({"set"}, 300);
  }
  const uint64_t gets_before = Ticks("get");
  const uint64_t sets_before = Ticks("set");
  std::vector<std::string_view> mixed;
  for (int i = 0; i < 16; ++i) mixed.insert(mixed.end(), {"get", "set"});
  RunTogether(mixed, 6400);
  const uint64_t gets = Ticks("get") - gets_before;
  const uint64_t sets = Ticks("set") - sets_before;
  // Nothing gets lost but what division leaves.
  EXPECT_LE(gets + sets, 6400u);
  EXPECT_GE(gets + sets, 6400u - 32);
  EXPECT_NEAR(static_cast<double>(gets), 1600.0, 100.0);
  EXPECT_NEAR(static_cast<double>(sets), 4800.0, 100.0);
}

TEST_F(Shared, ALargeReplyPaysForItself) {
  for (int i = 0; i < 200; ++i) RunTogether({"get"}, 100);
  RunTogether({"set"}, 0);
  const uint64_t gets_before = Ticks("get");
  last_ = Observation::Last::kLarge;
  RunTogether({"get", "get", "get", "set"}, 1'000'000);
  EXPECT_NEAR(static_cast<double>(Ticks("get") - gets_before), 300.0, 40.0);
  EXPECT_NEAR(static_cast<double>(Ticks("set")), 999'700.0, 40.0);
  // What is large now and then does not become typical.
  for (int i = 0; i < 50; ++i) RunTogether({"get"}, 1'000'000);
  const uint64_t later = Ticks("get");
  RunTogether({"get", "set"}, 1'000'000);
  EXPECT_NEAR(static_cast<double>(Ticks("get") - later), 100.0, 20.0);
  EXPECT_EQ(observation_.slow_log().size(), 0u);
  RunTogether({"get", "get", "set"}, 30'000'000);
  ASSERT_EQ(observation_.slow_log().size(), 1u);
  EXPECT_EQ(observation_.slow_log().entries().front().duration_us, 29'999u);
}

TEST_F(Shared, ARunThatIsSlowIsLoggedOnceAndWatchedAfter) {
  for (int i = 0; i < 100 && observation_.TimesEachCall(); ++i) {
  }
  ASSERT_FALSE(observation_.TimesEachCall());
  RunTogether({"get", "set", "get"}, 20'000'000);  // 20 ms; the limit is 10
  EXPECT_EQ(observation_.slow_log().size(), 1u);
  EXPECT_EQ(observation_.slow_log().entries().front().duration_us, 20'000u);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(observation_.TimesEachCall());
}

TEST_F(Shared, ALowLimitIsWatchedCallByCall) {
  LiveSettings& live = world_.control().live();
  auto each = [&] {
    int count = 0;
    for (int i = 0; i < 256; ++i) count += observation_.TimesEachCall() ? 1 : 0;
    return count;
  };
  EXPECT_EQ(each(), 1);
  live.slowlog_slower_than_us = 999;
  EXPECT_EQ(each(), 256);
  live.slowlog_slower_than_us = 1000;
  EXPECT_EQ(each(), 1);
  live.slowlog_slower_than_us = 0;
  EXPECT_EQ(each(), 256);
  live.slowlog_slower_than_us = -1;
  EXPECT_EQ(each(), 1);
  // A limit that no clock reaches is no limit.
  live.slowlog_slower_than_us = INT64_MAX;
  live.latency_monitor_ms = UINT64_MAX;
  EXPECT_EQ(each(), 1);
}

TEST_F(Shared, EventsNeedAThreshold) {
  observation_.NoteEvent(LatencyEvent::kExpireCycle, 1000);
  EXPECT_TRUE(observation_.latency().history(LatencyEvent::kExpireCycle).empty());
  world_.control().live().latency_monitor_ms = 5;
  observation_.NoteEvent(LatencyEvent::kExpireCycle, 4);
  EXPECT_TRUE(observation_.latency().history(LatencyEvent::kExpireCycle).empty());
  observation_.NoteEvent(LatencyEvent::kExpireCycle, 5);
  EXPECT_EQ(observation_.latency().history(LatencyEvent::kExpireCycle).last().latency_ms, 5u);
  RunTogether({"set"}, 7'000'000);
  EXPECT_EQ(observation_.latency().history(LatencyEvent::kCommand).last().latency_ms, 7u);
}

TEST_F(Shared, ErrorPrefixes) {
  Call call;
  call.command = Row("get");
  auto answered = [&](std::string_view reply) { observation_.Answered(call, reply); };
  answered("+OK\r\n");
  answered("");
  EXPECT_EQ(observation_.error_replies(), 0u);
  answered("-WRONGTYPE Operation against\r\n");
  answered("-ERR x\r\n");
  answered("-noprefix\r\n");
  answered("-" + std::string(40, 'A') + " too long\r\n");
  std::map<std::string, uint64_t> found;
  for (const ErrorFigures& error : observation_.errors()) found[error.prefix] = error.count;
  EXPECT_EQ(found, (std::map<std::string, uint64_t>{{"ERR", 3}, {"WRONGTYPE", 1}}));
  EXPECT_EQ(observation_.error_replies(), 4u);
  // A script can make up any number of them.
  for (int i = 0; i < 1000; ++i) answered("-E" + std::to_string(i) + " x\r\n");
  EXPECT_EQ(observation_.errors().size(), Observation::kErrorKindsMax);
  EXPECT_EQ(observation_.error_replies(), 1004u);
}

}  // namespace
}  // namespace moonshard::command
