// What holds answers back or drops them: pauses, CLIENT REPLY; and what shows commands to others: MONITOR.

#include <gtest/gtest.h>

#include <string>

#include "command/testing.h"

namespace moonshard::command {
namespace {

using testing::TestClient;
using testing::TestWorld;

class PauseTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  PauseTest() {
    for (uint16_t i = 0; i < 3; ++i) keys_.push_back(world_.KeyOn(i, "k"));
  }
  void Settle() {
    ASSERT_TRUE(world_.RunUntil([&] { return world_.AtRest(); }));
  }
  // Nothing moves but what a pause holds.
  void SettleBut(const TestClient& held) {
    ASSERT_TRUE(world_.RunUntil([&] { return held.parked != 0; }));
  }
  void PauseFor(TimeMs ms, bool all) {
    auto until = static_cast<uint64_t>(world_.state(0).shard->now_ms() + ms);
    world_.control().live().pause = until << 1 | uint64_t{all};
  }
  void Unpause() {
    world_.control().live().pause = 0;
    for (uint16_t i = 0; i < 3; ++i) {
      world_.On(i, [](ShardState& state) { state.engine->ResumeHeld(); });
    }
  }

  TestWorld world_{3, GetParam()};
  std::vector<std::string> keys_;
};

TEST_P(PauseTest, HoldsWritesAndAnswersWhatComesBefore) {
  auto writer = world_.Connect(0);
  auto reader = world_.Connect(1);
  PauseFor(100'000, false);
  for (const std::string& key : keys_) {
    writer = world_.Connect(0);
    std::string get = "GET " + key + "\r\n";
    world_.Feed(*writer, 0, get + "SET\r\n" + "SET " + key + " new\r\n" + get);
    SettleBut(*writer);
    EXPECT_EQ(writer->replies(), "$-1\r\n-ERR wrong number of arguments for 'set' command\r\n");
    world_.Feed(*reader, 1, get + "SIZE\r\n");
    ASSERT_TRUE(world_.RunUntil([&] { return !reader->waiting(); }));
    EXPECT_EQ(reader->replies(), "$-1\r\n:0\r\n");
    reader->out.Clear();
    writer.reset();
  }
  Settle();
}

TEST_P(PauseTest, EndsByItself) {
  auto client = world_.Connect(0);
  PauseFor(5'000, false);
  TimeMs begun = world_.state(0).shard->now_ms();
  world_.Feed(*client, 0,
              "MSET " + keys_[0] + " 1 " + keys_[1] + " 2 " + keys_[2] + " 3\r\nGET " + keys_[1] + "\r\n");
  SettleBut(*client);
  EXPECT_EQ(client->replies(), "");
  Settle();
  EXPECT_EQ(client->replies(), "+OK\r\n$1\r\n2\r\n");
  EXPECT_GE(world_.state(0).shard->now_ms(), begun + 5'000);
}

TEST_P(PauseTest, CanBeEndedAndMadeLonger) {
  auto client = world_.Connect(0);
  PauseFor(1'000, true);
  world_.Feed(*client, 0, "GET " + keys_[2] + "\r\nSESSION\r\n");
  SettleBut(*client);
  PauseFor(1'000'000, true);
  TimeMs begun = world_.state(0).shard->now_ms();
  ASSERT_TRUE(world_.RunUntil([&] { return world_.state(0).shard->now_ms() > begun + 2'000; }));
  EXPECT_EQ(client->replies(), "");
  Unpause();
  Settle();
  EXPECT_EQ(client->replies(), "$-1\r\n:" + std::to_string(client->session.id) + "\r\n");
}

TEST_P(PauseTest, ABatchIsLookedAtAgainBeforeEachStage) {
  auto client = world_.Connect(0);
  // The last call is a stage of its own and was framed before the pause.
  world_.Feed(*client, 0, "NAP\r\n");
  client->Add("GET " + keys_[1] + "\r\nRENAME " + keys_[1] + " " + keys_[2] + "\r\n");
  PauseFor(5'000, false);
  Settle();
  EXPECT_EQ(client->replies(), "+RESTED\r\n$-1\r\n-ERR no such key\r\n");
  EXPECT_EQ(client->parked, 1u);
}

TEST_P(PauseTest, WhoIsHeldMayGo) {
  auto first = world_.Connect(0);
  auto second = world_.Connect(0);
  PauseFor(3'000, false);
  world_.Feed(*first, 0, "SET " + keys_[1] + " first\r\n");
  SettleBut(*first);
  world_.Feed(*second, 0, "SET " + keys_[2] + " second\r\n");
  SettleBut(*second);
  world_.On(0, [&](ShardState&) { first->Go(); });
  Settle();
  EXPECT_EQ(second->replies(), "+OK\r\n");
  world_.Feed(*second, 0, "MGET " + keys_[1] + " " + keys_[2] + "\r\n");
  Settle();
  EXPECT_EQ(second->replies(), "+OK\r\n*2\r\n$-1\r\n$6\r\nsecond\r\n");
}

TEST_P(PauseTest, APhaseEndsWhenWhatBeganBeforeHasFinished) {
  auto slow = world_.Connect(0);
  auto held = world_.Connect(0);
  world_.Feed(*slow, 0, "NAP\r\n");
  uint8_t phase = 0;
  size_t at_once = 0;
  world_.On(0, [&](ShardState& state) {
    phase = state.engine->ChangePhase();
    at_once = state.engine->running(phase);
  });
  EXPECT_EQ(at_once, slow->waiting() ? 1u : 0u);
  PauseFor(1'000'000, false);
  world_.Feed(*held, 0, "SET " + keys_[1] + " x\r\n");
  SettleBut(*held);
  ASSERT_TRUE(world_.RunUntil([&] { return !slow->waiting(); }));
  EXPECT_EQ(world_.state(0).engine->running(phase), 0u);
  EXPECT_EQ(world_.state(0).engine->running(static_cast<uint8_t>(1 - phase)), 0u)
      << "what is held does not run";
  Unpause();
  Settle();
  EXPECT_EQ(held->replies(), "+OK\r\n");
}

// ---- replies that nobody wants

TEST_P(PauseTest, AMuteClientIsNotAnswered) {
  const std::string requests[] = {
      "GET " + keys_[0] + "\r\nBIG 10\r\nNOPE\r\n",
      "GET " + keys_[0] + "\r\nGET " + keys_[1] + "\r\nSESSION\r\n",
      "MSET " + keys_[0] + " 1 " + keys_[1] + " 2\r\nMGET " + keys_[1] + " " + keys_[0] + "\r\nSIZE\r\n",
      "NAP\r\nRENAME " + keys_[0] + " " + keys_[1] + "\r\nGET " + keys_[1] + "\r\n",
  };
  for (const std::string& request : requests) {
    auto off = world_.Connect(0);
    off->session.reply_mode = ReplyMode::kOff;
    world_.Feed(*off, 0, request);
    Settle();
    EXPECT_EQ(off->replies(), "") << request;
    // The first of them only.
    auto skip = world_.Connect(0);
    auto all = world_.Connect(0);
    world_.Feed(*all, 0, request);
    Settle();
    skip->session.reply_mode = ReplyMode::kSkipNext;
    world_.Feed(*skip, 0, "BIG 5\r\n" + request);
    Settle();
    EXPECT_EQ(skip->replies().substr(0, 4), all->replies().substr(0, 4)) << request;
    EXPECT_EQ(skip->session.reply_mode, ReplyMode::kOn);
  }
}

// ---- monitors

TEST_P(PauseTest, MonitorsOfAllShardsSeeEveryCommandOnce) {
  std::vector<std::unique_ptr<TestClient>> monitors;
  for (uint16_t i = 0; i < 3; ++i) {
    monitors.push_back(world_.Connect(i));
    world_.On(i, [&](ShardState& state) { state.engine->monitors().Add(*monitors[i]); });
  }
  auto client = world_.Connect(1);
  client->session.peer = "1.2.3.4:5";
  std::string expected;
  std::string requests;
  for (int i = 0; i < 100; ++i) {
    std::string key = keys_[static_cast<size_t>(i) % 3];
    requests += "SET " + key + " " + std::to_string(i) + "\r\nMGET " + key + " " + keys_[0] + "\r\nSET\r\n";
    expected += "\"SET\" \"" + key + "\" \"" + std::to_string(i) + "\"\n\"MGET\" \"" + key + "\" \"" +
                keys_[0] + "\"\n";
  }
  world_.Feed(*client, 1, requests);
  Settle();
  ASSERT_TRUE(world_.RunUntil([&] {
    for (auto& monitor : monitors) {
      if (std::ranges::count(monitor->replies(), '\n') < 200) return false;
    }
    return true;
  }));
  for (auto& monitor : monitors) {
    std::string words;
    std::string text = monitor->replies();
    for (size_t at = 0; at < text.size();) {
      size_t end = text.find("\r\n", at);
      std::string line = text.substr(at, end - at);
      EXPECT_NE(line.find(" [0 1.2.3.4:5] "), std::string::npos) << line;
      words += line.substr(line.find("] ") + 2) + "\n";
      at = end + 2;
    }
    EXPECT_EQ(words, expected);
    EXPECT_GT(monitor->pushes, 0u);
  }
  for (uint16_t i = 0; i < 3; ++i) {
    world_.On(i, [&](ShardState& state) { state.engine->monitors().Remove(*monitors[i]); });
    monitors[i]->out.Clear();
  }
  EXPECT_FALSE(world_.state(0).engine->monitors().active());
  world_.Feed(*client, 1, "SET " + keys_[0] + " x\r\n");
  Settle();
  for (auto& monitor : monitors) EXPECT_EQ(monitor->replies(), "");
}

TEST_P(PauseTest, AShardThatFallsFarBehindLosesItsMonitors) {
  auto monitor = world_.Connect(2);
  auto near = world_.Connect(0);
  world_.On(2, [&](ShardState& state) { state.engine->monitors().Add(*monitor); });
  world_.On(0, [&](ShardState& state) { state.engine->monitors().Add(*near); });
  // More within one turn than may gather.
  world_.On(0, [&](ShardState& state) {
    const Command& command = *state.server->registry().Find("set");
    std::string value(1 << 20, 'v');
    const std::string_view args[] = {"SET", "k", value};
    for (size_t i = 0; i <= kMonitorLagMax / value.size(); ++i) {
      state.engine->monitors().Feed("x", DbIndex(), command, args);
    }
    state.engine->monitors().EndTurn();
  });
  ASSERT_TRUE(world_.RunUntil([&] { return monitor->killed; }));
  EXPECT_EQ(monitor->replies(), "") << "all or nothing";
  EXPECT_FALSE(near->killed);
  world_.On(2, [&](ShardState& state) { state.engine->monitors().Remove(*monitor); });
  world_.On(0, [&](ShardState& state) { state.engine->monitors().Remove(*near); });
}

TEST(AppendQuoted, EscapesAsRedisDoes) {
  std::string text;
  AppendQuoted(text, std::string_view("a\"b\\c\n\r\t\a\b\0\x7f\xff ~", 15));
  EXPECT_EQ(text, R"("a\"b\\c\n\r\t\a\b\x00\x7f\xff ~")");
}

INSTANTIATE_TEST_SUITE_P(Seeds, PauseTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace moonshard::command
