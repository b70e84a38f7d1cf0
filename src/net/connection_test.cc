// Connections over the simulated network: order, back pressure, half closes, ends in the middle.

#include "net/connection.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "command/testing.h"
#include "net/listener.h"

namespace moonshard::net {
namespace {

using command::testing::TestControl;
using command::testing::TestShard;

constexpr uint16_t kPort = 7100;

class NetShard final : public TestShard {
 public:
  NetShard(shard::Shard& shard, command::ServerControl& control, ConnectionBalance& balance)
      : TestShard(shard, control), listener_(state(), balance) {
    if (shard.id() != ShardId(0)) return;
    shard::ListenAddress address;
    address.port = kPort;
    EXPECT_TRUE(listener_.Listen(address).ok());
  }
  void EndTurn() override {
    TestShard::EndTurn();
    listener_.EndTurn();
  }
  bool HasWork() const override { return TestShard::HasWork() || listener_.has_dirty(); }
  Listener& listener() { return listener_; }

 private:
  Listener listener_;
};

class ConnectionTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  static constexpr uint16_t kShards = 3;

  ConnectionTest()
      : env_(GetParam()), balance_(kShards), runtime_(env_, Options(), [this](shard::Shard& shard) {
          auto made = std::make_unique<NetShard>(shard, control_, balance_);
          shards_.push_back(made.get());
          return made;
        }) {
    EXPECT_TRUE(runtime_.Start().ok());
    driver_.emplace(runtime_, env_, GetParam());
  }
  ~ConnectionTest() override {
    driver_.reset();
    runtime_.RequestStop();
    runtime_.Join();
  }

  static shard::RuntimeOptions Options() {
    shard::RuntimeOptions options;
    options.shard_count = kShards;
    return options;
  }
  shard::SimClient Connect() { return env_.network().Connect(kPort).value(); }
  bool RunUntil(const std::function<bool()>& predicate) { return driver_->RunUntil(predicate, 60'000); }
  // Collects until `size` bytes are there.
  std::string Receive(shard::SimClient& client, size_t size) {
    std::string got;
    EXPECT_TRUE(RunUntil([&] {
      got += client.Take();
      return got.size() >= size;
    })) << got.size();
    return got;
  }
  uint64_t OpenConnections() {
    uint64_t open = 0;
    for (NetShard* shard : shards_) open += shard->state().stats.connections_open;
    return open;
  }
  uint64_t Commands() {
    uint64_t sum = 0;
    for (NetShard* shard : shards_) sum += shard->state().stats.commands;
    return sum;
  }
  bool AtRest() {
    for (NetShard* shard : shards_) {
      command::ShardState& state = shard->state();
      if (state.engine->batches_away() != 0 || !state.tx->drained()) return false;
    }
    return OpenConnections() == 0 && balance_.Total() == 0;
  }

  shard::SimEnv env_;
  TestControl control_;
  ConnectionBalance balance_;
  std::vector<NetShard*> shards_;
  shard::Runtime runtime_;
  std::optional<shard::SimDriver> driver_;
};

TEST_P(ConnectionTest, ConnectionsSpreadEvenly) {
  std::vector<shard::SimClient> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(Connect());
  ASSERT_TRUE(RunUntil([&] { return OpenConnections() == 12; }));
  for (NetShard* shard : shards_) EXPECT_EQ(shard->state().stats.connections_open, 4u);
  clients.clear();
  ASSERT_TRUE(RunUntil([&] { return AtRest(); }));
}

TEST_P(ConnectionTest, OverMaxclientsSaysSoAndCloses) {
  balance_.max_clients = 1;
  shard::SimClient first = Connect();
  ASSERT_TRUE(RunUntil([&] { return OpenConnections() == 1; }));
  shard::SimClient second = Connect();
  std::string expected = "-ERR max number of clients reached\r\n";
  EXPECT_EQ(Receive(second, expected.size()), expected);
  ASSERT_TRUE(RunUntil([&] { return second.ended(); }));
  first.Send("SET a b\r\n");
  EXPECT_EQ(Receive(first, 5), "+OK\r\n");
}

TEST_P(ConnectionTest, AHalfClosedConnectionIsAnsweredInFull) {
  shard::SimClient client = Connect();
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    client.Send("SET k" + std::to_string(i) + " v\r\nNAP\r\nGET k" + std::to_string(i) + "\r\n");
    expected += "+OK\r\n+RESTED\r\n$1\r\nv\r\n";
  }
  client.ShutdownWrite();
  EXPECT_EQ(Receive(client, expected.size()), expected);
  ASSERT_TRUE(RunUntil([&] { return client.ended() && AtRest(); }));
}

TEST_P(ConnectionTest, AProtocolErrorComesBehindTheRepliesBeforeIt) {
  shard::SimClient client = Connect();
  client.Send("NAP\r\nSET a 1\r\nGET a\r\nMGET a b c d e f\r\n*1\r\n$-9\r\nGET a\r\n");
  std::string expected =
      "+RESTED\r\n+OK\r\n$1\r\n1\r\n*6\r\n$1\r\n1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n"
      "-ERR Protocol error: invalid bulk length\r\n";
  EXPECT_EQ(Receive(client, expected.size()), expected);
  ASSERT_TRUE(RunUntil([&] { return client.ended() && AtRest(); }));
}

TEST_P(ConnectionTest, AClientThatDoesNotReadStopsItselfOnly) {
  constexpr size_t kReply = 100'000;
  shard::SimClient lazy = Connect();
  lazy.StopReading();
  constexpr uint64_t kCommands = 2'000;
  for (uint64_t i = 0; i < kCommands; ++i) lazy.Send("BIG 100000\r\n");
  driver_->Run(20'000);
  uint64_t ran = Commands();
  EXPECT_LT(ran, 100u) << "some 200 MB of replies would have gathered";
  driver_->Run(5'000);
  EXPECT_EQ(Commands(), ran);
  shard::SimClient other = Connect();
  other.Send("SET a b\r\nGET a\r\n");
  EXPECT_EQ(Receive(other, 12), "+OK\r\n$1\r\nb\r\n");
  // It reads again: everything comes.
  lazy.ResumeReading();
  size_t expected = kCommands * (kReply + 11);
  size_t got = 0;
  ASSERT_TRUE(driver_->RunUntil(
      [&] {
        got += lazy.Take().size();
        return got >= expected;
      },
      400'000));
  EXPECT_EQ(got, expected);
}

// Replies from every shard, for clients that do not read, under a limit of a few of them.
TEST_P(ConnectionTest, TheLargestClientsGoWhenAllTakeTooMuch) {
  command::LiveSettings& live = control_.live();
  live.client_bytes_max = 4 << 20;
  auto biggest = [&] {
    int64_t bytes = 0;
    for (NetShard* shard : shards_) bytes += shard->state().stats.client_bytes;
    return bytes;
  };
  shard::SimClient setter = Connect();
  std::string value(700'000, 'v');
  for (int i = 0; i < 6; ++i) {
    setter.Send("*3\r\n$3\r\nSET\r\n$2\r\nk" + std::to_string(i) + "\r\n$700000\r\n" + value + "\r\n");
  }
  EXPECT_EQ(Receive(setter, 30).size(), 30u);
  std::vector<shard::SimClient> lazy;
  for (int i = 0; i < 20; ++i) {
    lazy.push_back(Connect());
    lazy.back().StopReading();
    std::string requests;
    for (int j = 0; j < 20; ++j) requests += "GET k" + std::to_string((i + j) % 6) + "\r\n";
    lazy.back().Send(requests);
  }
  // Some have more than is allowed before their shards know of it; it never stays so.
  EXPECT_FALSE(driver_->RunUntil([&] { return biggest() > (12 << 20); }, 100'000));
  EXPECT_LE(biggest(), 5 << 20);
  uint64_t evicted = 0;
  for (NetShard* shard : shards_) evicted += shard->state().stats.clients_evicted;
  EXPECT_GT(evicted, 5u);
  EXPECT_LT(evicted, 21u);
  setter.Send("GET none\r\n");
  EXPECT_EQ(Receive(setter, 5), "$-1\r\n");
  lazy.clear();
  setter.Close();
  ASSERT_TRUE(RunUntil([&] { return AtRest(); }));
  EXPECT_EQ(biggest(), 0);
  EXPECT_LE(std::abs(live.client_bytes.load()), kShards * kClientGrain);
  for (auto& largest : live.largest_client) EXPECT_EQ(largest.load(), 0);
}

TEST_P(ConnectionTest, OutputLimitsEndAConnection) {
  auto& limit = control_.live().output_limits[static_cast<size_t>(command::ClientClass::kNormal)];
  limit.hard = 300'000;
  limit.soft = 100'000;
  limit.soft_seconds = 2;
  shard::SimClient hard = Connect();
  hard.Send("BIG 100000\r\n");
  EXPECT_EQ(Receive(hard, 100'000).size(), 100'011u);
  hard.Send("BIG 400000\r\n");
  ASSERT_TRUE(RunUntil([&] { return hard.ended(); }));
  EXPECT_EQ(hard.Take(), "");
  shard::SimClient soft = Connect();
  soft.StopReading();
  soft.Send("BIG 200000\r\nBIG 50000\r\n");
  ASSERT_TRUE(RunUntil([&] { return OpenConnections() == 1; }));
  TimeMs begun = shards_[0]->state().shard->now_ms();
  ASSERT_TRUE(RunUntil([&] { return OpenConnections() == 0; }));
  EXPECT_GE(shards_[0]->state().shard->now_ms(), begun + 1'500);
}

TEST_P(ConnectionTest, TooLargeARequestEndsAConnection) {
  control_.live().query_buffer_limit = 200'000;
  shard::SimClient client = Connect();
  client.Send("*2\r\n$3\r\nGET\r\n$500000\r\n" + std::string(150'000, 'k'));
  driver_->Run(2'000);
  EXPECT_FALSE(client.ended());
  client.Send(std::string(100'000, 'k'));
  ASSERT_TRUE(RunUntil([&] { return client.ended() && AtRest(); }));
}

TEST_P(ConnectionTest, AClientMayVanishAtAnyTime) {
  for (uint64_t steps = 0; steps < 60; ++steps) {
    shard::SimClient client = Connect();
    client.Send(
        "SET a 1\r\nMSET a 1 b 2 c 3 d 4 e 5\r\nMGET a b c d e\r\nSESSION\r\nRENAME a f\r\nRENAME f "
        "a\r\nNAP\r\nSIZE\r\n");
    driver_->Run(steps);
    if (steps % 2 == 0) {
      client.Reset();
    } else {
      client.Close();
    }
    if (steps % 4 == 0) ASSERT_TRUE(RunUntil([&] { return AtRest(); })) << steps;
  }
  ASSERT_TRUE(RunUntil([&] { return AtRest(); }));
}

TEST_P(ConnectionTest, RepliesHeldByTheGateHoldNobodyElse) {
  command::testing::HoldingGate gate(kShards);
  shard::SimClient held = Connect();
  shard::SimClient leaving = Connect();
  shard::SimClient free = Connect();
  ASSERT_TRUE(RunUntil([&] { return OpenConnections() == 3; }));
  shards_[0]->state().engine->set_gate(&gate);  // the home of the first connection
  held.Send("SET x 1\r\nSESSION\r\nMSET a 1 b 2 c 3 d 4 e 5\r\n");
  free.Send("SET y 1\r\nGET x\r\n");
  EXPECT_EQ(Receive(free, 5).substr(0, 5), "+OK\r\n");
  ASSERT_TRUE(RunUntil([&] { return gate.held_count() == 1; }));
  driver_->Run(2'000);
  EXPECT_EQ(held.available(), 0u);
  held.Reset();
  driver_->Run(2'000);
  runtime_.RunOn(ShardId(0), [&](shard::Shard&) {
    for (uint16_t i = 0; i < kShards; ++i) gate.SetDurable(ShardId(i), Lsn(UINT64_MAX));
  });
  free.Close();
  leaving.Close();
  ASSERT_TRUE(RunUntil([&] { return AtRest(); }));
  EXPECT_EQ(gate.held_count(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ConnectionTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace moonshard::net
