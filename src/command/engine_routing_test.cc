// Calls whose routing their key specifications do not say, and replies that are put together of elements or
// drawn among the shards.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "command/engine.h"
#include "command/testing.h"

namespace moonshard::command {
namespace {

using testing::TestClient;
using testing::TestWorld;

class RoutingTest : public ::testing::TestWithParam<uint16_t> {
 protected:
  // The replies to `bytes`, from a client of the first shard.
  std::string Ask(const std::string& bytes) {
    auto client = world_.Connect(0);
    world_.Feed(*client, 0, bytes);
    EXPECT_TRUE(world_.RunUntil([&] { return !client->waiting(); }));
    std::string replies = client->replies();
    EXPECT_TRUE(world_.RunUntil([&] { return world_.AtRest(); }));
    return replies;
  }
  uint16_t shards() const { return GetParam(); }

  TestWorld world_{GetParam(), 5};
};

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

TEST_P(RoutingTest, ElementsOfAllShardsAreOneArray) {
  EXPECT_EQ(Ask("NAMES\r\n"), "*0\r\n");
  std::set<std::string> names;
  std::string sets;
  for (int i = 0; i < 40; ++i) {
    names.insert("key" + std::to_string(i));
    sets += "SET key" + std::to_string(i) + " v\r\n";
  }
  Ask(sets);
  // Between other calls, so that pieces are taken in their places.
  std::string replies = Ask("GET key0\r\nNAMES\r\nGET key1\r\nNAMES\r\nSIZE\r\n");
  size_t length = replies.size();
  std::string_view rest = replies;
  auto take = [&](const std::string& expected) {
    ASSERT_EQ(rest.substr(0, expected.size()), expected);
    rest.remove_prefix(expected.size());
  };
  auto take_names = [&] {
    take("*40\r\n");
    std::set<std::string> found;
    for (int i = 0; i < 40; ++i) {
      for (const std::string& name : names) {
        if (!rest.starts_with(Bulk(name))) continue;
        found.insert(name);
        rest.remove_prefix(Bulk(name).size());
        break;
      }
    }
    EXPECT_EQ(found, names);
  };
  take(Bulk("v"));
  take_names();
  take(Bulk("v"));
  take_names();
  take(":40\r\n");
  EXPECT_TRUE(rest.empty()) << length;
}

TEST_P(RoutingTest, AReplyIsDrawnByTheWeightsOfTheShards) {
  EXPECT_EQ(Ask("DRAW\r\n"), "$-1\r\n");
  std::map<std::string, int> drawn;
  std::string sets;
  for (int i = 0; i < 8; ++i) {
    drawn[Bulk("key" + std::to_string(i))] = 0;
    sets += "SET key" + std::to_string(i) + " v\r\n";
  }
  Ask(sets);
  constexpr int kDraws = 1600;
  auto client = world_.Connect(0);
  for (int i = 0; i < kDraws; ++i) {
    client->out.Clear();
    world_.Feed(*client, 0, "DRAW\r\n");
    ASSERT_TRUE(world_.RunUntil([&] { return !client->waiting(); }));
    auto found = drawn.find(client->replies());
    ASSERT_NE(found, drawn.end()) << client->replies();
    ++found->second;
  }
  // 200 each, with a standard deviation of 13.
  for (const auto& [name, count] : drawn) {
    EXPECT_GT(count, 120) << name;
    EXPECT_LT(count, 280) << name;
  }
  ASSERT_TRUE(world_.RunUntil([&] { return world_.AtRest(); }));
}

TEST_P(RoutingTest, OneShardAloneHasTheKeyThatIsDrawn) {
  Ask("SET " + world_.KeyOn(static_cast<uint16_t>(shards() - 1)) + " v\r\n");
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Ask("DRAW\r\n"), Bulk(world_.KeyOn(static_cast<uint16_t>(shards() - 1))));
  }
}

// While it counts, a writer sets keys in pairs, one pair a command: a count under locks is even.
TEST_P(RoutingTest, AWholeCallSeesOneMoment) {
  auto reader = world_.Connect(0);
  auto writer = world_.Connect(0);
  const std::string first = world_.KeyOn(0, "a");
  const std::string last = world_.KeyOn(static_cast<uint16_t>(shards() - 1), "b");
  for (int i = 0; i < 60; ++i) {
    reader->out.Clear();
    std::string tag = std::to_string(i);
    reader->Add("CENSUS whole\r\n");
    writer->Add("MSET {" + first + "}" + tag + " v {" + last + "}" + tag + " v\r\n");
    world_.Feed(*reader, 0, "");
    world_.Feed(*writer, 0, "");
    ASSERT_TRUE(world_.RunUntil([&] { return !reader->waiting() && !writer->waiting(); }));
    int count = std::stoi(reader->replies().substr(1));
    ASSERT_EQ(count % 2, 0) << count;
  }
  EXPECT_EQ(Ask("CENSUS not\r\n"), ":120\r\n");
  ASSERT_TRUE(world_.RunUntil([&] { return world_.AtRest(); }));
}

TEST_P(RoutingTest, AKeyIsNamedInBothDatabases) {
  EXPECT_EQ(Ask("KEYREFS k 3\r\n"), "*2\r\n:0\r\n:3\r\n");
  EXPECT_EQ(Ask("KEYREFS k 0\r\n"), "*1\r\n:0\r\n");
  EXPECT_EQ(Ask("KEYREFS k 16\r\n"), "*1\r\n:0\r\n");
  EXPECT_EQ(Ask("KEYREFS k x\r\n"), "*1\r\n:0\r\n");
}

TEST_P(RoutingTest, ACommandMayFindItsKeysItself) {
  for (uint16_t shard = 0; shard < shards(); ++shard) {
    std::string key = world_.KeyOn(shard);
    EXPECT_EQ(Ask("LASTKEY some words " + key + "\r\n"), Bulk(key));
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, RoutingTest, ::testing::Values(1, 2, 4));

}  // namespace
}  // namespace moonshard::command
