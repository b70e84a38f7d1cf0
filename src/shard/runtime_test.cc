#include "shard/runtime.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <thread>

#include "base/random.h"
#include "shard/hop.h"
#include "shard/sim_driver.h"
#include "shard/sim_env.h"
#include "shard/task.h"
#include "shard/testing.h"

namespace moonshard::shard {
namespace {

struct Counter {
  uint64_t value = 0;
};

struct Local final : IdleHooks {
  explicit Local(Shard& shard) { shard.set_local(&counter); }
  Counter counter;
  TaskScope tasks;
};

RuntimeOptions Options(uint16_t shard_count, uint32_t ring_slots = kDefaultRingSlots) {
  RuntimeOptions options;
  options.shard_count = shard_count;
  options.ring_slots = ring_slots;
  return options;
}

std::unique_ptr<TurnHooks> MakeLocal(Shard& shard) {
  return std::make_unique<Local>(shard);
}
Local& LocalOf(Shard& shard) {
  return static_cast<Local&>(*shard.hooks());
}

// Adds one to each other shard's counter, `rounds` times, one hop at a time.
Task<void> Increment(uint64_t rounds, std::atomic<int>* running) {
  Shards<Counter> shards;
  Shard& here = Shard::Current();
  for (uint64_t round = 0; round < rounds; ++round) {
    const ShardId target(static_cast<uint16_t>((here.id().value() + 1 + round) % here.shard_count()));
    const uint64_t seen = co_await shards.On(target, [&](Counter& counter) { return ++counter.value; });
    EXPECT_GT(seen, 0u);
    EXPECT_EQ(&Shard::Current(), &here);
  }
  running->fetch_sub(1);
}

uint64_t SumOfCounters(Runtime& runtime) {
  uint64_t sum = 0;
  for (uint16_t id = 0; id < runtime.shard_count(); ++id) {
    runtime.RunOn(ShardId(id), [&](Shard& shard) { sum += shard.local<Counter>().value; });
  }
  return sum;
}

template <typename Predicate>
bool WaitFor(Predicate predicate, int seconds = 60) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!predicate()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

class RealRuntime : public testing::TestWithParam<Backend> {
 protected:
  BackendEnv env_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Backends, RealRuntime,
                         testing::Values(Backend::kUring, Backend::kUringEventfd, Backend::kEpoll),
                         [](const auto& of) { return BackendName(of.param); });

TEST_P(RealRuntime, StartsAndStops) {
  for (int i = 0; i < 20; ++i) {
    Runtime runtime(env_, Options(3), MakeLocal);
    ASSERT_TRUE(runtime.Start().ok());
    if (i % 2 == 0) runtime.RequestStop();
  }
}

TEST_P(RealRuntime, HopsArriveAndReturn) {
  constexpr uint64_t kTasks = 8, kRounds = 5'000;
  Runtime runtime(env_, Options(3), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  std::atomic<int> running{3 * kTasks};
  for (uint16_t id = 0; id < 3; ++id) {
    runtime.RunOn(ShardId(id), [&](Shard& shard) {
      for (uint64_t i = 0; i < kTasks; ++i) LocalOf(shard).tasks.Spawn(Increment(kRounds, &running));
    });
  }
  ASSERT_TRUE(WaitFor([&] { return running.load() == 0; }));
  EXPECT_EQ(SumOfCounters(runtime), 3 * kTasks * kRounds);
}

// Rings of two slots and hundreds of tasks: almost every message waits for room, and both sides starve each
// other.
TEST_P(RealRuntime, FullRingsParkAndDeliver) {
  constexpr int kTasks = 200;
  constexpr uint64_t kRounds = 100;
  Runtime runtime(env_, Options(2, 2), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  std::atomic<int> running{2 * kTasks};
  for (uint16_t id = 0; id < 2; ++id) {
    runtime.RunOn(ShardId(id), [&](Shard& shard) {
      for (int i = 0; i < kTasks; ++i) LocalOf(shard).tasks.Spawn(Increment(kRounds, &running));
    });
  }
  ASSERT_TRUE(WaitFor([&] { return running.load() == 0; }));
  EXPECT_EQ(SumOfCounters(runtime), 2 * kTasks * kRounds);
  uint64_t parks = 0;
  runtime.RunOn(ShardId(0), [&](Shard& shard) { parks = shard.counters().ring_full_parks; });
  EXPECT_GT(parks, 0u);
}

// A token goes round; each shard sleeps between its visits, so every single hop needs its wake-up.
TEST_P(RealRuntime, NoWakeUpIsLost) {
  for (BusyPoll::Mode mode : {BusyPoll::Mode::kNo, BusyPoll::Mode::kFixed}) {
    RuntimeOptions options = Options(4);
    options.busy_poll = {mode, 3};
    Runtime runtime(env_, options, MakeLocal);
    ASSERT_TRUE(runtime.Start().ok());
    std::atomic<int> running{1};
    runtime.RunOn(ShardId(0), [&](Shard& shard) { LocalOf(shard).tasks.Spawn(Increment(10'000, &running)); });
    ASSERT_TRUE(WaitFor([&] { return running.load() == 0; }));
    EXPECT_EQ(SumOfCounters(runtime), 10'000u);
  }
}

struct Posted : ExternalWork {
  std::atomic<uint64_t>* ran;
};

TEST_P(RealRuntime, PostedWorkWakesASleepingShard) {
  RuntimeOptions options = Options(1);
  options.busy_poll.mode = BusyPoll::Mode::kNo;
  Runtime runtime(env_, options, MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  std::atomic<uint64_t> ran{0};
  constexpr uint64_t kPosters = 3, kPosts = 3'000;
  std::vector<std::thread> posters;
  for (uint64_t poster = 0; poster < kPosters; ++poster) {
    posters.emplace_back([&, poster] {
      base::Random random(poster);
      std::vector<Posted> works(kPosts);
      for (Posted& work : works) {
        work.ran = &ran;
        work.run = [](Shard&, ExternalWork& posted) { static_cast<Posted&>(posted).ran->fetch_add(1); };
        runtime.shard(ShardId(0)).Post(work);
        if (random.OneIn(16)) std::this_thread::sleep_for(std::chrono::microseconds(random.Below(100)));
      }
      // The works die with this thread.
      EXPECT_TRUE(WaitFor([&] { return ran.load() == kPosters * kPosts; }));
    });
  }
  for (std::thread& poster : posters) poster.join();
  EXPECT_EQ(ran.load(), kPosters * kPosts);
}

Task<void> SleepThenCount(TimeNs duration, std::atomic<int>* done, std::atomic<TimeNs>* slept) {
  const TimeNs before = Shard::Current().now_ns();
  co_await SleepFor(duration);
  slept->store(Shard::Current().now_ns() - before);
  done->fetch_add(1);
}

TEST_P(RealRuntime, TimersWakeASleepingShard) {
  Runtime runtime(env_, Options(1), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  std::atomic<int> done{0};
  std::atomic<TimeNs> slept{0};
  runtime.RunOn(ShardId(0),
                [&](Shard& shard) { LocalOf(shard).tasks.Spawn(SleepThenCount(20'000'000, &done, &slept)); });
  ASSERT_TRUE(WaitFor([&] { return done.load() == 1; }, 5));
  EXPECT_GE(slept.load(), 20'000'000);
}

TEST_P(RealRuntime, AnIdleShardTakesNoTurns) {
  Runtime runtime(env_, Options(2), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  uint64_t before = 0, after = 0;
  runtime.RunOn(ShardId(1), [&](Shard& shard) { before = shard.counters().turns; });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  runtime.RunOn(ShardId(1), [&](Shard& shard) { after = shard.counters().turns; });
  // The spin after the first call, if any, at some 100 ns a turn; a shard that polled on would take millions.
  EXPECT_LT(after - before, 10'000u);
}

TEST_P(RealRuntime, ALongTurnIsCountedAsAStall) {
  Runtime runtime(env_, Options(1), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  runtime.RunOn(ShardId(0), [](Shard&) { std::this_thread::sleep_for(std::chrono::milliseconds(15)); });
  runtime.RunOn(ShardId(0), [](Shard& shard) {
    EXPECT_GE(shard.counters().stalls, 1u);
    EXPECT_GE(shard.counters().longest_turn_ns, 15'000'000);
  });
}

// The second of three shards gets no Io.
class OneRefusal final : public Env {
 public:
  bool simulated() const override { return false; }
  TimeNs MonotonicNow() override { return real_.MonotonicNow(); }
  TimeNs WallNowNs() override { return real_.WallNowNs(); }
  uint64_t RandomSeed() override { return real_.RandomSeed(); }
  base::Result<std::unique_ptr<Io>> MakeIo(ShardId shard, const IoOptions& options) override {
    if (shard == ShardId(1)) return FileError(EPERM, "make", "io");
    return real_.MakeIo(shard, options);
  }
  std::unique_ptr<Worker> MakeWorker(std::string_view name) override { return real_.MakeWorker(name); }
  FileSystem& files() override { return real_.files(); }

 private:
  RealEnv real_;
};

TEST(RuntimeStart, AFailedStartLeavesNothingRunning) {
  OneRefusal env;
  Runtime runtime(env, Options(3), MakeLocal);
  EXPECT_FALSE(runtime.Start().ok());
}

Task<void> FanOut(int rounds, std::atomic<int>* running) {
  Shards<Counter> shards;
  Shard& here = Shard::Current();
  base::Random random(here.id().value() + 1u);
  for (int round = 0; round < rounds; ++round) {
    // Any ids, repeated ones too.
    std::vector<ShardId> ids;
    for (uint64_t i = random.Below(8); i != 0; --i) {
      ids.push_back(ShardId(static_cast<uint16_t>(random.Below(here.shard_count()))));
    }
    std::vector<uint16_t> ran_on(ids.size(), UINT16_MAX);
    const uint64_t sent_before = here.counters().hops;
    co_await shards.OnEach(ids, [&](Counter& counter, size_t index) {
      ++counter.value;
      ran_on[index] = Shard::Current().id().value();
    });
    for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(ran_on[i], ids[i].value());
    if (running == nullptr) {
      EXPECT_LT(here.counters().hops - sent_before, here.shard_count());
    }
  }
  if (running != nullptr) running->fetch_sub(1);
}

TEST_P(RealRuntime, OnEachRunsEachIndexOnItsShard) {
  Runtime runtime(env_, Options(4, 4), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  std::atomic<int> running{4 * 20};
  for (uint16_t id = 0; id < 4; ++id) {
    runtime.RunOn(ShardId(id), [&](Shard& shard) {
      for (int i = 0; i < 20; ++i) LocalOf(shard).tasks.Spawn(FanOut(200, &running));
    });
  }
  ASSERT_TRUE(WaitFor([&] { return running.load() == 0; }));
}

// Rule 4 of the commit protocol, as far as memory ordering goes: a shard publishes a floor before it draws
// its stamp, so nobody who sees the stamp may compute a watermark above that floor while it stands.
struct FloorHooks final : IdleHooks {
  explicit FloorHooks(Shard& shard) : here(shard) {}
  void BeforeStamp() override {
    here.set().floors[here.id().value()].value.store(here.set().counter.load() + 1,
                                                     std::memory_order_release);
  }
  void EndTurn() override {
    std::atomic<uint64_t>& floor = here.set().floors[here.id().value()].value;
    if (floor.load() == UINT64_MAX) return;
    EXPECT_LE(here.set().Watermark(), here.stamp().value());
    floor.store(UINT64_MAX, std::memory_order_release);
  }
  Shard& here;
  Outgoing ball;
  uint64_t left = 0;
};

void PassOn(Shard& here, const Message& message) {
  auto& hooks = static_cast<FloorHooks&>(*here.hooks());
  const uint64_t left = message.word[0];
  EXPECT_LT(message.word[1], here.stamp().value());  // stamps respect causality
  auto* done = reinterpret_cast<std::atomic<bool>*>(message.word[2]);
  if (left == 0) {
    done->store(true);
    return;
  }
  hooks.ball.message = message;
  hooks.ball.message.word[0] = left - 1;
  hooks.ball.message.word[1] = here.stamp().value();
  here.Send(ShardId(static_cast<uint16_t>((here.id().value() + 1) % here.shard_count())), hooks.ball);
}

TEST_P(RealRuntime, StampsGrowAlongMessagesAndFloorsHoldTheWatermark) {
  Runtime runtime(env_, Options(3), [](Shard& shard) { return std::make_unique<FloorHooks>(shard); });
  ASSERT_TRUE(runtime.Start().ok());
  std::atomic<bool> done{false};
  runtime.RunOn(ShardId(0), [&](Shard& shard) {
    Message message;
    message.run = &PassOn;
    message.flags = kOrders;
    message.word[0] = 20'000;
    message.word[2] = reinterpret_cast<uint64_t>(&done);
    auto& hooks = static_cast<FloorHooks&>(*shard.hooks());
    hooks.ball.message = message;
    shard.Send(ShardId(0), hooks.ball);
  });
  uint64_t highest = 0;
  while (!done.load()) {
    const uint64_t watermark = runtime.Watermark();
    EXPECT_LE(watermark, runtime.set().counter.load() + 1);
    highest = std::max(highest, watermark);
    std::this_thread::yield();
  }
  EXPECT_GT(highest, 1u);
}

// ---- simulated ----

uint64_t SimulatedTrace(uint64_t seed, uint64_t* sum) {
  SimEnv env(seed);
  Runtime runtime(env, Options(3, 4), MakeLocal);
  EXPECT_TRUE(runtime.Start().ok());
  SimDriver driver(runtime, env, seed);
  std::atomic<int> running{30};
  for (uint16_t id = 0; id < 3; ++id) {
    runtime.RunOn(ShardId(id), [&](Shard& shard) {
      for (int i = 0; i < 10; ++i) LocalOf(shard).tasks.Spawn(Increment(20, &running));
    });
  }
  EXPECT_TRUE(driver.RunUntil([&] { return running.load() == 0; }, 100'000)) << "seed " << seed;
  if (sum != nullptr) *sum = SumOfCounters(runtime);
  return driver.trace_hash();
}

TEST(SimRuntime, HopsArriveUnderEveryOrder) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    uint64_t sum = 0;
    SimulatedTrace(seed, &sum);
    EXPECT_EQ(sum, 3u * 10 * 20) << "seed " << seed;
  }
}

TEST(SimRuntime, TheSameSeedGivesTheSameTrace) {
  EXPECT_EQ(SimulatedTrace(7, nullptr), SimulatedTrace(7, nullptr));
  EXPECT_NE(SimulatedTrace(7, nullptr), SimulatedTrace(8, nullptr));
}

TEST(SimRuntime, OnEachSendsAtMostOneMessagePerShard) {
  SimEnv env(1);
  Runtime runtime(env, Options(3), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  SimDriver driver(runtime, env, 1);
  runtime.RunOn(ShardId(1), [&](Shard& shard) { LocalOf(shard).tasks.Spawn(FanOut(50, nullptr)); });
  EXPECT_TRUE(driver.RunUntil([&] { return LocalOf(runtime.shard(ShardId(1))).tasks.count() == 0; }, 10'000));
}

TEST(SimRuntime, TheClockSkipsToTheNextDeadlineWhenNothingElseHappens) {
  SimEnv env(1);
  Runtime runtime(env, Options(2), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  SimDriver driver(runtime, env, 1);
  std::atomic<int> done{0};
  std::atomic<TimeNs> slept{0};
  runtime.RunOn(ShardId(1), [&](Shard& shard) {
    LocalOf(shard).tasks.Spawn(SleepThenCount(3600 * TimeNs{1'000'000'000}, &done, &slept));
  });
  EXPECT_TRUE(driver.RunUntil([&] { return done.load() == 1; }, 1'000));
  EXPECT_GE(slept.load(), 3600 * TimeNs{1'000'000'000});
}

TEST(SimRuntime, NowMsNeverGoesBack) {
  SimEnv env(1);
  Runtime runtime(env, Options(1), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  SimDriver driver(runtime, env, 1);
  Shard& shard = runtime.shard(ShardId(0));
  auto turn = [&] {
    Outgoing outgoing;
    outgoing.message.run = [](Shard&, const Message&) {};
    shard.Send(ShardId(0), outgoing);
    driver.Run(40);
  };
  turn();
  const TimeMs before = shard.now_ms();
  env.JumpWallClock(-1'000'000);
  turn();
  EXPECT_EQ(shard.now_ms(), before);
  env.JumpWallClock(2'000'000);
  turn();
  EXPECT_GT(shard.now_ms(), before);
  shard.RaiseClock(shard.now_ms() + 5'000'000);
  const TimeMs raised = shard.now_ms();
  turn();
  EXPECT_EQ(shard.now_ms(), raised);
}

// What the hooks see is the order of the header.
struct OrderHooks final : IdleHooks {
  explicit OrderHooks(Shard& shard) : here(shard) {}
  void BeforeStamp() override { log += "B" + std::to_string(here.stamp().value()) + " "; }
  void EndTurn() override { log += "E" + std::to_string(here.stamp().value()) + " "; }
  Shard& here;
  std::string log;
};

TEST(SimRuntime, BeforeStampComesBeforeTheStampAndOnlyForOrders) {
  SimEnv env(1);
  Runtime runtime(env, Options(1), [](Shard& shard) { return std::make_unique<OrderHooks>(shard); });
  ASSERT_TRUE(runtime.Start().ok());
  SimDriver driver(runtime, env, 1);
  driver.Run(20);
  Shard& shard = runtime.shard(ShardId(0));
  auto& hooks = static_cast<OrderHooks&>(*shard.hooks());
  EXPECT_EQ(hooks.log, "E1 ");  // the first turn, which publishes what the factory queued
  Outgoing plain, orders;
  plain.message.run = orders.message.run = [](Shard& here, const Message& message) {
    static_cast<OrderHooks&>(*here.hooks()).log += message.flags == kOrders ? "o " : "p ";
  };
  orders.message.flags = kOrders;
  hooks.log.clear();
  shard.Send(ShardId(0), plain);
  driver.Run(40);
  EXPECT_EQ(hooks.log, "E2 p E3 ");
  hooks.log.clear();
  shard.Send(ShardId(0), orders);
  driver.Run(40);
  EXPECT_EQ(hooks.log, "E4 B4 o E5 ");
}

TEST(SimRuntime, MessagesOfOnePairKeepTheirOrderThroughParking) {
  SimEnv env(5);
  Runtime runtime(env, Options(2, 2), MakeLocal);
  ASSERT_TRUE(runtime.Start().ok());
  SimDriver driver(runtime, env, 5);
  std::vector<Outgoing> nodes(50);
  std::vector<uint64_t> got;
  for (size_t i = 0; i < nodes.size(); ++i) {
    nodes[i].message.word[0] = i;
    nodes[i].message.word[1] = reinterpret_cast<uint64_t>(&got);
    nodes[i].message.run = [](Shard&, const Message& message) {
      reinterpret_cast<std::vector<uint64_t>*>(message.word[1])->push_back(message.word[0]);
    };
    runtime.shard(ShardId(0)).Send(ShardId(1), nodes[i]);
  }
  ASSERT_TRUE(driver.RunUntil([&] { return got.size() == nodes.size(); }, 10'000));
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], i);
  EXPECT_EQ(runtime.shard(ShardId(0)).counters().ring_full_parks, 48u);
}

struct CountJob : Job {
  int* count;
};

TEST(SimRuntime, JobsOfAWorkerRunInOrder) {
  SimEnv env(2);
  std::unique_ptr<Worker> worker = env.MakeWorker("wal");
  int count = 0;
  CountJob first, second;
  first.count = second.count = &count;
  first.run = [](Job& job) { EXPECT_EQ((*static_cast<CountJob&>(job).count)++, 0); };
  second.run = [](Job& job) { EXPECT_EQ((*static_cast<CountJob&>(job).count)++, 1); };
  worker->Submit(first);
  worker->Submit(second);
  EXPECT_TRUE(env.RunOneJob());
  EXPECT_EQ(count, 1);
  EXPECT_TRUE(env.RunOneJob());
  EXPECT_FALSE(env.RunOneJob());
  EXPECT_EQ(count, 2);
}

TEST(RealWorker, RunsJobsInOrderAndItsDestructorWaits) {
  RealEnv env;
  struct Append : Job {
    std::vector<int>* out;
    int number;
  };
  std::vector<int> out;
  std::vector<Append> jobs(1'000);
  {
    std::unique_ptr<Worker> worker = env.MakeWorker("worker");
    for (size_t i = 0; i < jobs.size(); ++i) {
      jobs[i].out = &out;
      jobs[i].number = static_cast<int>(i);
      jobs[i].run = [](Job& job) {
        auto& append = static_cast<Append&>(job);
        append.out->push_back(append.number);
      };
      worker->Submit(jobs[i]);
    }
  }
  ASSERT_EQ(out.size(), jobs.size());
  for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i], static_cast<int>(i));
}

}  // namespace
}  // namespace moonshard::shard
