// A connection whose command waits: what was answered before leaves at once, and the peer's end ends the
// wait.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/number.h"
#include "command/wait_testing.h"
#include "net/listener.h"
#include "shard/runtime.h"
#include "shard/sim_driver.h"
#include "shard/sim_env.h"

namespace moonshard::net {
namespace {

using command::CommandRow;
using command::Context;
using command::KeySpec;
using command::Outcome;

// tset key: the key is there from now on.
Outcome Set(Context& context) {
  EXPECT_TRUE(context.db->SetString(context.key(), "1", kNoDeadline).ok());
  context.reply.Integer(1);
  return Outcome::kDone;
}
// twait key timeout-ms: waits for the key and takes it.
Outcome Wait(Context& context) {
  if (context.timed_out) {
    context.reply.Null();
    return Outcome::kDone;
  }
  if (context.MayTake() && context.db->Erase(context.key(), "del")) {
    context.reply.Simple("TAKEN");
    return Outcome::kDone;
  }
  int64_t timeout = *base::ParseInt64(context.arg(2));
  return context.Park(timeout == 0 ? kNoDeadline : context.shard.keyspace->now() + timeout);
}

constexpr KeySpec kOneKey[] = {{.begin_index = 1}};
constexpr CommandRow kRows[] = {
    {.name = "tset",
     .arity = 2,
     .flags = command::kWrite,
     .keys = kOneKey,
     .since = "0",
     .summary = "t",
     .handler = Set},
    {.name = "twait",
     .arity = 3,
     .flags = command::kWrite | command::kBlocking,
     .keys = kOneKey,
     .since = "0",
     .summary = "t",
     .handler = Wait},
};
static_assert(command::RowsAreSane(kRows));
constexpr std::span<const CommandRow> kTables[] = {kRows};

class TestShard final : public command::testing::WaitShard {
 public:
  TestShard(shard::Shard& shard, command::ServerControl& control, ConnectionBalance& balance)
      : WaitShard(shard, control), listener_(state(), balance) {}
  void EndTurn() override {
    WaitShard::EndTurn();
    listener_.EndTurn();
  }
  bool HasWork() const override { return WaitShard::HasWork() || listener_.has_dirty(); }
  Listener& listener() { return listener_; }

 private:
  Listener listener_;
};

class ConnectionWaitTest : public testing::TestWithParam<uint64_t> {
 protected:
  ConnectionWaitTest() : env_(GetParam()), balance_(kShards) {
    shard::RuntimeOptions options;
    options.shard_count = kShards;
    runtime_ = std::make_unique<shard::Runtime>(env_, options, [&](shard::Shard& shard) {
      auto made = std::make_unique<TestShard>(shard, control_, balance_);
      if (shards_.empty()) port_ = *made->listener().Listen(shard::ListenAddress());
      shards_.push_back(made.get());
      return made;
    });
    EXPECT_TRUE(runtime_->Start().ok());
    driver_ = std::make_unique<shard::SimDriver>(*runtime_, env_, GetParam());
  }
  shard::SimClient Connect() { return env_.network().Connect(port_).value(); }
  // Everything `client` hears until `expected` is complete.
  void Expect(shard::SimClient& client, std::string_view expected) {
    std::string got;
    EXPECT_TRUE(driver_->RunUntil([&] { return (got += client.Take()).size() >= expected.size(); }, 100'000));
    EXPECT_EQ(got, expected);
  }
  size_t Parked() { return shards_[0]->engine().clients_parked() + shards_[1]->engine().clients_parked(); }
  size_t Waiting() {
    return shards_[0]->engine().waits().waiter_count() + shards_[1]->engine().waits().waiter_count();
  }
  size_t Open() { return balance_.Total(); }

  static constexpr uint16_t kShards = 2;
  shard::SimEnv env_;
  command::testing::WaitControl control_{kTables};
  ConnectionBalance balance_;
  std::vector<TestShard*> shards_;
  std::unique_ptr<shard::Runtime> runtime_;
  std::unique_ptr<shard::SimDriver> driver_;
  uint16_t port_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Seeds, ConnectionWaitTest, testing::Range<uint64_t>(1, 11));

TEST_P(ConnectionWaitTest, EarlierRepliesLeaveWhileItWaits) {
  shard::SimClient waiting = Connect();
  waiting.Send("tset a\r\ntset b\r\ntwait c 0\r\ntset d\r\n");
  Expect(waiting, ":1\r\n:1\r\n");
  ASSERT_TRUE(driver_->RunUntil([&] { return Parked() == 1; }, 100'000));
  shard::SimClient other = Connect();
  other.Send("tset c\r\n");
  Expect(other, ":1\r\n");
  Expect(waiting, "+TAKEN\r\n:1\r\n");
  EXPECT_EQ(Waiting(), 0u);
}

TEST_P(ConnectionWaitTest, ThePeersEndEndsTheWait) {
  shard::SimClient waiting = Connect();
  waiting.Send("tset a\r\ntwait c 0\r\n");
  if (GetParam() % 2 == 0) ASSERT_TRUE(driver_->RunUntil([&] { return Parked() == 1; }, 100'000));
  waiting.ShutdownWrite();
  Expect(waiting, ":1\r\n");
  EXPECT_TRUE(driver_->RunUntil([&] { return waiting.ended() && Open() == 0; }, 100'000));
  ASSERT_TRUE(driver_->RunUntil([&] { return Waiting() == 0; }, 100'000));
  // Nobody takes it any more.
  shard::SimClient other = Connect();
  other.Send("tset c\r\ntwait c 0\r\n");
  Expect(other, ":1\r\n+TAKEN\r\n");
}

TEST_P(ConnectionWaitTest, AResetOrATimeoutEndsTheWait) {
  shard::SimClient reset = Connect();
  reset.Send("twait c 0\r\n");
  ASSERT_TRUE(driver_->RunUntil([&] { return Parked() == 1; }, 100'000));
  reset.Reset();
  ASSERT_TRUE(driver_->RunUntil([&] { return Waiting() == 0 && Open() == 0; }, 100'000));
  shard::SimClient patient = Connect();
  patient.Send("twait c 25\r\n");
  Expect(patient, "$-1\r\n");
  patient.Send("tset c\r\ntwait c 0\r\n");
  Expect(patient, ":1\r\n+TAKEN\r\n");
}

// CLIENT UNBLOCK, on the shard of the client.
TEST_P(ConnectionWaitTest, AWaitCanBeEndedFromOutside) {
  const std::string errors = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
  for (auto reason : {command::UnblockReason::kTimeout, command::UnblockReason::kError}) {
    for (std::string_view key : {"a", "b", "c", "d"}) {
      shard::SimClient waiting = Connect();
      waiting.Send("twait " + std::string(key) + " 0\r\ntset " + std::string(key) + "\r\ntwait " +
                   std::string(key) + " 0\r\n");
      ASSERT_TRUE(driver_->RunUntil([&] { return Parked() == 1; }, 100'000));
      size_t ended = 0;
      for (int twice = 0; twice < 2; ++twice) {
        for (TestShard* shard : shards_) {
          runtime_->RunOn(shard->shard().id(), [&](shard::Shard&) {
            shard->state().clients.Visit(0, 100,
                                         [&](command::Client& client) { ended += client.Unblock(reason); });
          });
        }
      }
      EXPECT_EQ(ended, 1u);
      std::string first = reason == command::UnblockReason::kTimeout ? "$-1\r\n" : errors;
      Expect(waiting, first + ":1\r\n+TAKEN\r\n");
      EXPECT_EQ(Waiting(), 0u);
      EXPECT_EQ(Parked(), 0u);
    }
  }
}

TEST_P(ConnectionWaitTest, WhoWaitsIsNotIdle) {
  control_.live().idle_timeout_s = 3;
  shard::SimClient waiting = Connect();
  shard::SimClient idle = Connect();
  waiting.Send("twait c 0\r\n");
  idle.Send("tset a\r\n");
  Expect(idle, ":1\r\n");
  EXPECT_TRUE(driver_->RunUntil([&] { return idle.ended(); }, 100'000));
  EXPECT_FALSE(waiting.ended());
  EXPECT_EQ(Parked(), 1u);
}

}  // namespace
}  // namespace moonshard::net
