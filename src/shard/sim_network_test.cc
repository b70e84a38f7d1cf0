#include "shard/sim_network.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "shard/echo_testing.h"
#include "shard/runtime.h"
#include "shard/sim_driver.h"
#include "shard/sim_env.h"

namespace moonshard::shard {
namespace {

class SimIoTest : public testing::TestWithParam<uint64_t> {
 protected:
  SimIoTest()
      : env_(GetParam()),
        runtime_(env_, MakeOptions(), [](Shard& shard) { return std::make_unique<EchoServer>(shard); }),
        started_(runtime_.Start().ok()),
        driver_(runtime_, env_, GetParam()) {
    runtime_.RunOn(ShardId(0), [&](Shard& shard) {
      server().spread = true;
      port_ = shard.io().PortOf(*shard.io().Listen(ListenAddress(), server()));
    });
  }
  ~SimIoTest() override {
    for (uint16_t id = 0; id < 2; ++id) {
      runtime_.RunOn(ShardId(id), [&](Shard&) {
        for (Echo* echo : server(id).connections) {
          if (!echo->closing) echo->Close();
        }
      });
    }
    EXPECT_TRUE(driver_.RunUntil([&] { return live() == 0; }, 10'000));
  }
  static RuntimeOptions MakeOptions() {
    RuntimeOptions options;
    options.shard_count = 2;
    return options;
  }
  EchoServer& server(uint16_t id = 0) {
    return static_cast<EchoServer&>(*runtime_.shard(ShardId(id)).hooks());
  }
  SimClient Connect() { return env_.network().Connect(port_).value(); }
  size_t live() { return server(0).connections.size() + server(1).connections.size(); }

  SimEnv env_;
  Runtime runtime_;
  bool started_;
  SimDriver driver_;
  uint16_t port_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Seeds, SimIoTest, testing::Range<uint64_t>(1, 21));

TEST_P(SimIoTest, EchoesInOrderWhateverTheSplits) {
  std::vector<SimClient> clients;
  std::vector<std::string> sent(5), got(5);
  for (size_t i = 0; i < 5; ++i) clients.push_back(Connect());
  base::Random random(GetParam());
  for (int step = 0; step < 200; ++step) {
    const size_t i = random.Below(5);
    const std::string bytes = RandomBytes(random.Next(), random.Below(3'000));
    clients[i].Send(bytes);
    sent[i] += bytes;
    driver_.Run(random.Below(5));
  }
  EXPECT_TRUE(driver_.RunUntil(
      [&] {
        for (size_t i = 0; i < 5; ++i) got[i] += clients[i].Take();
        return got == sent;
      },
      100'000));
  for (SimClient& client : clients) client.ShutdownWrite();
  EXPECT_TRUE(driver_.RunUntil([&] { return live() == 0; }, 10'000));
  for (SimClient& client : clients) EXPECT_TRUE(client.ended());
}

TEST_P(SimIoTest, AClientThatStopsReadingStallsTheSend) {
  env_.network().window_bytes = 1'000;
  SimClient client = Connect();
  client.StopReading();
  client.Send(std::string(50'000, 'x'));
  driver_.Run(3'000);
  EXPECT_EQ(client.available(), 1'000u);
  client.ResumeReading();
  EXPECT_TRUE(driver_.RunUntil([&] { return client.available() == 50'000; }, 10'000));
}

TEST_P(SimIoTest, ResetAndCloseFreeTheConnection) {
  SimClient reset = Connect();
  SimClient closed = Connect();
  reset.Send("abc");
  closed.Send("abc");
  driver_.Run(GetParam() * 5);
  reset.Reset();
  closed.Close();
  EXPECT_TRUE(driver_.RunUntil([&] { return server(0).closed + server(1).closed == 2; }, 10'000));
  EXPECT_GE(server(0).errors + server(1).errors, 1u);
  EXPECT_FALSE(env_.network().Connect(1).ok());
}

TEST_P(SimIoTest, PausedStreamsHearNothing) {
  for (uint16_t id = 0; id < 2; ++id) server(id).pause_once = true;
  SimClient client = Connect();
  client.Send("a");
  ASSERT_TRUE(driver_.RunUntil([&] { return client.available() == 1; }, 10'000));
  client.Send("bc");
  client.ShutdownWrite();
  driver_.Run(500);
  EXPECT_EQ(client.available(), 1u);
  EXPECT_EQ(live(), 1u);
  for (uint16_t id = 0; id < 2; ++id) {
    for (Echo* echo : server(id).connections) echo->Resume();
  }
  EXPECT_TRUE(driver_.RunUntil([&] { return live() == 0; }, 10'000));
  EXPECT_EQ(client.Take(), "abc");
}

}  // namespace
}  // namespace moonshard::shard
