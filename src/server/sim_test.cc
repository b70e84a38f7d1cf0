// The whole server in one thread from one seed: all shards, simulated sockets and clock, clients that
// misbehave. What the clients saw must be explained by some serial order that respects real time.
//
// MS_SIM_SEEDS=<n> runs n seeds per shard count instead of a few; MS_SIM_FIRST_SEED=<s> starts at another
// one.

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "command/engine.h"
#include "command/shard_state.h"
#include "server/server.h"
#include "server/sim_clients.h"
#include "shard/sim_driver.h"
#include "shard/sim_env.h"

namespace moonshard::server {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Settings SimSettings(uint16_t shards) {
  Settings settings;
  settings.shards = shards;
  settings.port = 7000;
  settings.loglevel = "warning";
  return settings;
}

struct WorldOptions {
  uint16_t shards = 2;
  uint64_t seed = 1;
  size_t actors = 7;
  size_t actions = 700;
  tx::Mistake mistake = tx::Mistake::kNone;
};

class World {
 public:
  explicit World(const WorldOptions& options)
      : options_(options),
        random_(options.seed * 7919 + options.shards),
        env_(options.seed),
        server_(env_, SimSettings(options.shards), {.mistake = options.mistake}) {
    EXPECT_TRUE(server_.Start().ok());
    driver_ = std::make_unique<shard::SimDriver>(server_.runtime(), env_, options.seed);
    record_.flushes_all = options.seed % 4 == 0;
    for (size_t i = 0; i < options.actors; ++i) {
      bool flushes = i + 2 >= options.actors;
      actors_.emplace_back(i, flushes ? SimActor::Role::kFlusher : SimActor::Role::kMixed, record_, random_);
    }
  }
  ~World() {
    driver_.reset();
    server_.RequestStop();
    server_.Join();
  }

  // The first violation.
  std::optional<std::string> Run() {
    SetUp();
    RunActions();
    if (!Finish() && record_.violations.empty()) {
      record_.Violate("the server does not come to rest: " + StateText());
    }
    return record_.Verdict();
  }

  void RunActions() {
    for (size_t i = 0; i < options_.actions; ++i) {
      SimActor& actor = actors_[random_.Below(actors_.size())];
      if (actor.connected()) {
        actor.Act(env_.WallNow());
      } else {
        actor.Connect(env_.network(), 7000);
      }
      if (random_.OneIn(20)) env_.AdvanceClock(static_cast<TimeNs>(random_.Below(40'000'000)));
      driver_->Run(random_.Below(8 * options_.shards));
      for (SimActor& each : actors_) each.Poll(env_.WallNow());
    }
  }

  uint64_t trace_hash() const { return driver_->trace_hash() ^ record_.replies_hash; }
  uint64_t answered() const { return record_.answered; }

 private:
  template <typename Fn>
  uint64_t Sum(Fn&& fn) {
    uint64_t sum = 0;
    for (uint16_t i = 0; i < options_.shards; ++i) {
      server_.runtime().RunOn(ShardId(i),
                              [&](shard::Shard& shard) { sum += fn(shard.local<command::ShardState>()); });
    }
    return sum;
  }
  bool AtRest() {
    return Sum([](command::ShardState& state) {
             return state.stats.connections_open + state.engine->batches_away() +
                    (state.tx->drained() ? 0 : 1);
           }) == 0;
  }
  std::string StateText() {
    return fmt::format("{} connections, {} batches away, {} shards not drained",
                       Sum([](command::ShardState& state) { return state.stats.connections_open; }),
                       Sum([](command::ShardState& state) { return state.engine->batches_away(); }),
                       Sum([](command::ShardState& state) { return state.tx->drained() ? 0u : 1u; }));
  }

  void SetUp() {
    auto client = env_.network().Connect(7000);
    std::string expected = "+OK\r\n+OK\r\n";
    client.value().Send(Encode({"SET", "t0", "token"}) + Encode({"SET", "big", std::string(100'000, 'b')}));
    EXPECT_TRUE(driver_->RunUntil([&] { return client.value().available() == expected.size(); }, 100'000));
    EXPECT_EQ(client.value().Take(), expected);
  }

  bool Finish() {
    auto quiet = [&] {
      size_t outstanding = 0;
      for (SimActor& actor : actors_) {
        actor.Quiet();
        actor.Poll(env_.WallNow());
        outstanding += actor.outstanding();
      }
      return outstanding == 0;
    };
    if (!driver_->RunUntil(quiet, 400'000)) return false;
    actors_.emplace_back(actors_.size(), SimActor::Role::kMixed, record_, random_);
    actors_.back().Connect(env_.network(), 7000);
    actors_.back().SendFinalReads(env_.WallNow());
    if (!driver_->RunUntil(quiet, 400'000)) return false;
    for (SimActor& actor : actors_) actor.Close();
    return driver_->RunUntil([&] { return AtRest(); }, 400'000);
  }

  WorldOptions options_;
  base::Random random_;
  shard::SimEnv env_;
  Server server_;
  std::unique_ptr<shard::SimDriver> driver_;
  SimRecord record_;
  std::vector<SimActor> actors_;
};

class Simulation : public testing::TestWithParam<uint16_t> {};

TEST_P(Simulation, ClientsSeeAtomicCommandsInOrder) {
  uint64_t seeds = FromEnvironment("MS_SIM_SEEDS", 12);
  uint64_t first = FromEnvironment("MS_SIM_FIRST_SEED", 1);
  uint64_t answered = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    World world({.shards = GetParam(), .seed = seed});
    auto violation = world.Run();
    ASSERT_EQ(violation, std::nullopt) << "seed " << seed << ", " << GetParam() << " shards";
    answered += world.answered();
  }
  RecordProperty("answered", std::to_string(answered));
  EXPECT_GT(answered, seeds * 500);
}

TEST_P(Simulation, TheSameSeedGivesTheSameRun) {
  uint64_t hashes[3];
  for (size_t i = 0; i < 3; ++i) {
    World world({.shards = GetParam(), .seed = i == 2 ? 6u : 5u, .actions = 200});
    ASSERT_EQ(world.Run(), std::nullopt);
    hashes[i] = world.trace_hash();
  }
  EXPECT_EQ(hashes[0], hashes[1]);
  EXPECT_NE(hashes[0], hashes[2]);
}

// ---- the checker finds what it is there for

// Mistakes of the transaction manager that tear what several keys are read or written together.
class PlantedMistake : public testing::TestWithParam<tx::Mistake> {};

TEST_P(PlantedMistake, IsFound) {
  std::string found;
  uint64_t seed = 0;
  while (found.empty() && ++seed <= 100) {
    World world({.shards = static_cast<uint16_t>(2 + seed % 3), .seed = seed, .mistake = GetParam()});
    found = world.Run().value_or("");
  }
  EXPECT_NE(found, "");
  RecordProperty("seed", std::to_string(seed));
  RecordProperty("found", found);
}

// Not kOvertake: handlers check what locks promise them and would abort; the sim of tx finds it.
INSTANTIATE_TEST_SUITE_P(Mistakes, PlantedMistake,
                         testing::Values(tx::Mistake::kNoWait, tx::Mistake::kEagerRun));

// ---- the clock

class ClockTest : public testing::TestWithParam<uint16_t> {
 protected:
  ClockTest() : server_(env_, SimSettings(GetParam())) {
    EXPECT_TRUE(server_.Start().ok());
    driver_.emplace(server_.runtime(), env_, 1);
    client_.emplace(env_.network().Connect(7000).value());
  }
  ~ClockTest() override {
    driver_.reset();
    server_.RequestStop();
    server_.Join();
  }
  void Expect(const std::string& commands, const std::string& replies) {
    client_->Send(commands);
    ASSERT_TRUE(driver_->RunUntil([&] { return client_->available() >= replies.size(); }, 100'000));
    ASSERT_EQ(client_->Take(), replies);
  }
  uint64_t Expired() {
    uint64_t sum = 0;
    for (uint16_t i = 0; i < GetParam(); ++i) {
      server_.runtime().RunOn(ShardId(i), [&](shard::Shard& shard) {
        sum += shard.local<command::ShardState>().keyspace->stats().expired;
      });
    }
    return sum;
  }

  shard::SimEnv env_{3};
  Server server_;
  std::optional<shard::SimDriver> driver_;
  std::optional<shard::SimClient> client_;
};

TEST_P(ClockTest, ATimeToLiveCountsFromTheCommandNotFromTheTurnBefore) {
  for (int i = 0; i < 10; ++i) {
    env_.AdvanceClock(10'000'000'000);
    std::string key = "k" + std::to_string(i);
    Expect(Encode({"SET", key, "v", "PX", "5000"}) + Encode({"GET", key}), "+OK\r\n$1\r\nv\r\n");
  }
}

TEST_P(ClockTest, AnIdleServerExpiresKeysOnTime) {
  for (int i = 0; i < 20; ++i) {
    Expect(Encode({"SET", "k" + std::to_string(i), "v", "PX", std::to_string(1'000 + i)}), "+OK\r\n");
  }
  ASSERT_EQ(Expired(), 0u);
  TimeMs begin = env_.WallNow();
  EXPECT_TRUE(driver_->RunUntil([&] { return Expired() == 20; }, 200'000));
  EXPECT_LT(env_.WallNow() - begin, 2'000);
}

INSTANTIATE_TEST_SUITE_P(Shards, ClockTest, testing::Values<uint16_t>(1, 4));

// Nothing leaks and nothing is touched that is gone; the sanitizers judge.
TEST_P(Simulation, TheServerMayStopAtAnyTime) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    World world({.shards = GetParam(), .seed = seed, .actions = seed * 2});
    world.RunActions();
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, Simulation, testing::Values<uint16_t>(1, 2, 4, 12));

}  // namespace
}  // namespace moonshard::server
