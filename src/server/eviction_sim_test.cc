// The data budget in the whole server, simulated: whatever the clients write, after no turn of any shard do
// the accounted bytes exceed maxmemory, and what has been reserved is never forgotten.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "command/engine.h"
#include "command/shard_state.h"
#include "server/server.h"
#include "server/sim_clients.h"
#include "shard/sim_driver.h"
#include "shard/sim_env.h"

namespace moonshard::server {
namespace {

constexpr uint64_t kLimit = 400'000;
constexpr size_t kClients = 6;
constexpr std::string_view kOomLine = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

Settings SettingsOf(uint16_t shards, std::string policy) {
  Settings settings;
  settings.shards = shards;
  settings.port = 7000;
  settings.loglevel = "warning";
  settings.maxmemory = kLimit;
  settings.maxmemory_policy = std::move(policy);
  return settings;
}

// MS_SIM_SEEDS=<n> runs n seeds instead of one.
uint64_t SeedCount() {
  const char* text = std::getenv("MS_SIM_SEEDS");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

class EvictionWorld {
 public:
  EvictionWorld(uint16_t shards, const std::string& policy, uint64_t seed)
      : shards_(shards), random_(seed * 31 + shards), env_(seed), server_(env_, SettingsOf(shards, policy)) {
    EXPECT_TRUE(server_.Start().ok());
    driver_ = std::make_unique<shard::SimDriver>(server_.runtime(), env_, seed);
    for (size_t i = 0; i < kClients; ++i) clients_.push_back(env_.network().Connect(7000).value());
  }
  ~EvictionWorld() {
    driver_.reset();
    server_.RequestStop();
    server_.Join();
  }

  template <typename Fn>
  uint64_t Sum(Fn&& fn) {
    uint64_t sum = 0;
    for (uint16_t i = 0; i < shards_; ++i) {
      server_.runtime().RunOn(ShardId(i),
                              [&](shard::Shard& shard) { sum += fn(shard.local<command::ShardState>()); });
    }
    return sum;
  }
  uint64_t UsedBytes() {
    return Sum([](command::ShardState& state) { return state.keyspace->used_bytes(); });
  }
  uint64_t Evicted() {
    return Sum([](command::ShardState& state) { return state.keyspace->stats().evicted; });
  }
  uint64_t Counter() { return server_.used_memory().load(); }

  void Step(uint64_t limit) {
    driver_->Run(1);
    const uint64_t used = UsedBytes();
    used_max = std::max(used_max, used);
    ASSERT_LE(used, limit);
    // With reservations, and with an index that grew unforeseen until other shards have made up for it.
    ASSERT_LE(Counter(), limit + limit / 64);
    ASSERT_LE(used, Counter());
    TakeReplies();
  }
  void TakeReplies() {
    for (shard::SimClient& client : clients_) CountReplies(client.Take());
  }
  void CountReplies(const std::string& bytes) {
    for (size_t at = bytes.find('\n'); at != std::string::npos; at = bytes.find('\n', at + 1)) ++lines;
    for (size_t at = bytes.find(kOomLine); at != std::string::npos; at = bytes.find(kOomLine, at + 1))
      ++refused;
  }

  std::string RandomKey() { return "key:" + std::to_string(random_.Below(20'000)); }
  std::string RandomValue() {
    const size_t most = random_.OneIn(40) ? 40'000 : random_.OneIn(5) ? 1'500 : 100;
    return std::string(random_.Below(most), 'v');
  }
  std::vector<std::string> RandomCommand() {
    switch (random_.Below(12)) {
      case 0:
        return {"DEL", RandomKey(), RandomKey()};
      case 1:
        return {"GET", RandomKey()};
      case 2:
        return {"INCR", "n" + RandomKey()};
      case 3: {
        std::vector<std::string> words = {"MSET"};
        for (uint64_t count = 2 + random_.Below(5); count > 0; --count) {
          words.push_back(RandomKey());
          words.push_back(RandomValue());
        }
        return words;
      }
      case 4:
        return random_.OneIn(100) ? std::vector<std::string>{"FLUSHALL"}
                                  : std::vector<std::string>{"MGET", RandomKey(), RandomKey()};
      case 5:
        if (random_.OneIn(20)) return {"SELECT", std::to_string(random_.Below(3))};
        [[fallthrough]];
      case 6:
      case 7:
        return {"SET", RandomKey(), RandomValue(), "PX", std::to_string(1'000 + random_.Below(100'000))};
      default:
        return {"SET", RandomKey(), RandomValue()};
    }
  }
  void Act() {
    std::string bytes;
    for (uint64_t count = 1 + random_.Below(16); count > 0; --count) bytes += Encode(RandomCommand());
    size_t which = random_.Below(kClients);
    // Some go while their commands run, or while they wait for room.
    if (random_.OneIn(50)) clients_[which] = env_.network().Connect(7000).value();
    clients_[which].Send(bytes);
  }
  void Fill(uint64_t bytes, bool deadlines) {
    for (uint64_t i = 0; UsedBytes() < bytes; ++i) {
      std::vector<std::string> words = {"SET", "fill:" + std::to_string(i), RandomValue()};
      if (deadlines && i % 2 == 0) words.insert(words.end(), {"EX", std::to_string(10'000 + i)});
      clients_[0].Send(Encode(words));
      ASSERT_TRUE(driver_->RunUntil([&] { return clients_[0].available() >= 5; }, 100'000));
      ASSERT_EQ(clients_[0].Take(), "+OK\r\n");
    }
  }
  void Set(const std::string& name, const std::string& value) {
    clients_[0].Send(Encode({"CONFIG", "SET", name, value}));
    ASSERT_TRUE(driver_->RunUntil([&] { return clients_[0].available() >= 5; }, 100'000));
    ASSERT_EQ(clients_[0].Take(), "+OK\r\n");
  }

  bool Drained() {
    TakeReplies();
    return Sum([](command::ShardState& state) { return state.engine->batches_away(); }) == 0;
  }
  void Drain() {
    EXPECT_TRUE(driver_->RunUntil([&] { return Drained(); }, 1'000'000))
        << Counter() << " counted, " << UsedBytes() << " used, " << server_.live().budget.wanted
        << " wanted, " << Sum([](command::ShardState& state) { return state.engine->batches_away(); })
        << " batches away";
  }

  base::Random& random() { return random_; }
  shard::SimDriver& driver() { return *driver_; }

  uint64_t used_max = 0;
  uint64_t lines = 0;
  uint64_t refused = 0;

 private:
  uint16_t shards_;
  base::Random random_;
  shard::SimEnv env_;
  Server server_;
  std::unique_ptr<shard::SimDriver> driver_;
  std::vector<shard::SimClient> clients_;
};

class EvictionSimulation : public testing::TestWithParam<std::tuple<uint16_t, std::string>> {
 protected:
  uint16_t shards() const { return std::get<0>(GetParam()); }
  const std::string& policy() const { return std::get<1>(GetParam()); }
  void KeepsTheLimit(uint64_t seed);
};

TEST_P(EvictionSimulation, TheLimitIsKeptAfterEveryTurn) {
  for (uint64_t seed = 1; seed <= SeedCount() && !HasFatalFailure(); ++seed) KeepsTheLimit(seed);
}

void EvictionSimulation::KeepsTheLimit(uint64_t seed) {
  SCOPED_TRACE(seed);
  EvictionWorld world(shards(), policy(), seed);
  for (int i = 0; i < 1'500 && !HasFatalFailure(); ++i) {
    world.Act();
    for (uint64_t steps = world.random().Below(6u * shards()); steps > 0 && !HasFatalFailure(); --steps) {
      world.Step(kLimit);
    }
  }
  EXPECT_GT(world.lines, 500u);
  // It was tight: most of the memory was in use, and somebody paid for it.
  EXPECT_GT(world.used_max, kLimit * 85 / 100);
  EXPECT_GT(world.Evicted() + world.refused, 200u);
  if (policy() == "noeviction") EXPECT_EQ(world.Evicted(), 0u);
  if (policy().starts_with("allkeys")) {
    EXPECT_EQ(world.refused, 0u) << "everything may go, and every write fits by itself";
  }
  // Nothing is left reserved.
  world.Drain();
  constexpr uint64_t kSurplusMax = kLimit / 64;
  EXPECT_LE(world.Counter(), world.UsedBytes() + kSurplusMax);
}

TEST_P(EvictionSimulation, ALowerLimitIsReachedInBoundedTurnsWithoutHelpFromClients) {
  EvictionWorld world(shards(), policy(), 2);
  world.Set("maxmemory", "4000000");
  world.Fill(1'200'000, policy().starts_with("volatile"));
  const uint64_t before = world.UsedBytes();
  ASSERT_GT(before, 2 * kLimit);
  world.Set("maxmemory", std::to_string(kLimit));
  const bool reached = world.driver().RunUntil([&] { return world.Counter() <= kLimit; }, 4'000u * shards());
  if (policy().starts_with("allkeys")) {
    EXPECT_TRUE(reached);
    EXPECT_GT(world.UsedBytes(), kLimit * 3 / 4) << "it evicts what it must and not everything";
  } else if (policy() == "noeviction") {
    EXPECT_EQ(world.UsedBytes(), before);
  } else {
    // What has no deadline stays, whether or not it fits.
    EXPECT_EQ(reached ? 0 : world.Sum([](command::ShardState& state) {
      uint64_t count = 0;
      for (uint16_t i = 0; i < db::kDatabaseCount; ++i) {
        count += state.keyspace->database(DbIndex(i)).deadline_count();
      }
      return count;
    }),
              0u);
  }
}

std::string NameOf(const testing::TestParamInfo<std::tuple<uint16_t, std::string>>& info) {
  std::string name = std::get<1>(info.param) + "_" + std::to_string(std::get<0>(info.param));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<std::string> Policies() {
  std::vector<std::string> names;
  for (const db::EvictionPolicyName& row : db::kEvictionPolicies) names.emplace_back(row.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Policies, EvictionSimulation,
                         testing::Combine(testing::Values<uint16_t>(1, 3, 12), testing::ValuesIn(Policies())),
                         NameOf);

}  // namespace
}  // namespace moonshard::server
