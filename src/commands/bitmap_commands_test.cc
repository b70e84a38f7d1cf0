// What a reply does not show: which changes are reported and which events announced; and values of other
// types.

#include <gtest/gtest.h>

#include "commands/bitmap_testing.h"

namespace moonshard::commands {
namespace {

using Events = std::vector<std::string>;
constexpr char kWrongTypeLine[] = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

TEST(BitmapCommands, SetbitAnnouncesAChangeOnly) {
  BitmapWorld world;
  EXPECT_EQ(world.Run({"setbit", "k", "9", "0"}), ":0\r\n");
  EXPECT_EQ(world.TakeEvents(), (Events{"new k", "setbit k"}));
  EXPECT_EQ(world.Run({"setbit", "k", "9", "1"}), ":0\r\n");
  EXPECT_EQ(world.TakeEvents(), (Events{"setbit k"}));
  const uint64_t before = world.change_count();
  EXPECT_EQ(world.Run({"setbit", "k", "9", "1"}), ":1\r\n");
  EXPECT_EQ(world.Run({"setbit", "k", "15", "0"}), ":0\r\n");
  EXPECT_EQ(world.TakeEvents(), Events{});
  EXPECT_EQ(world.change_count(), before);
  EXPECT_EQ(world.Run({"setbit", "k", "16", "0"}), ":0\r\n");
  EXPECT_EQ(world.TakeEvents(), (Events{"setbit k"}));
  EXPECT_EQ(world.Get("k"), std::string("\x00\x40\x00", 3));
  world.CheckReports();
}

TEST(BitmapCommands, SetbitOfALargeValueDoesNotMoveIt) {
  BitmapWorld world;
  world.Set("k", std::string(1 << 20, 'x'));
  const char* data = types::LoadHeap(*world.EntryOf("k")).data;
  for (int i = 0; i < 100; ++i) world.Run({"setbit", "k", std::to_string(i * 83'000), "1"});
  EXPECT_EQ(types::LoadHeap(*world.EntryOf("k")).data, data);
  world.CheckReports();
}

TEST(BitmapCommands, BitfieldAnnouncesOnceForAllItsOperations) {
  BitmapWorld world;
  EXPECT_EQ(world.Run({"bitfield", "k", "set", "u8", "0", "1", "incrby", "u8", "800", "2"}),
            "*2\r\n:0\r\n:2\r\n");
  EXPECT_EQ(world.TakeEvents(), (Events{"new k", "setbit k"}));
  world.Run({"bitfield", "k", "set", "u8", "0", "2", "set", "u8", "8", "3", "get", "u8", "0"});
  EXPECT_EQ(world.TakeEvents(), (Events{"setbit k"}));
  world.CheckReports();
}

TEST(BitmapCommands, BitfieldThatChangesNothingIsSilent) {
  BitmapWorld world;
  world.Set("k", "\x01\x02");
  const uint64_t before = world.change_count();
  EXPECT_EQ(world.Run({"bitfield", "k", "set", "u8", "0", "1", "incrby", "u8", "8", "0"}),
            "*2\r\n:1\r\n:2\r\n");
  EXPECT_EQ(world.Run({"bitfield", "k", "overflow", "fail", "set", "u8", "0", "256"}), "*1\r\n$-1\r\n");
  EXPECT_EQ(world.Run({"bitfield", "k", "get", "u8", "100"}), "*1\r\n:0\r\n");
  EXPECT_EQ(world.TakeEvents(), Events{});
  EXPECT_EQ(world.change_count(), before);
}

// As in Redis, where the string is made before the operations are run.
TEST(BitmapCommands, BitfieldThatFailsGrowsTheStringWithoutAnEvent) {
  BitmapWorld world;
  EXPECT_EQ(world.Run({"bitfield", "k", "overflow", "fail", "set", "u8", "8", "256"}), "*1\r\n$-1\r\n");
  EXPECT_EQ(world.Get("k"), std::string(2, '\0'));
  EXPECT_EQ(world.TakeEvents(), (Events{"new k"}));
  EXPECT_EQ(
      world.Run({"bitfield", "k", "overflow", "fail", "set", "u8", "80", "256", "set", "u8", "0", "-1"}),
      "*2\r\n$-1\r\n$-1\r\n");
  EXPECT_EQ(world.Get("k"), std::string(11, '\0'));
  EXPECT_EQ(world.TakeEvents(), Events{});
  // Here one operation does not fail, and growing alone is a change.
  world.Run({"bitfield", "k", "overflow", "fail", "set", "u8", "160", "256", "set", "u8", "0", "0"});
  EXPECT_EQ(world.TakeEvents(), (Events{"setbit k"}));
  world.CheckReports();
}

TEST(BitmapCommands, BitopAnnouncesSetOrDel) {
  BitmapWorld world;
  world.Set("a", "\x0f");
  EXPECT_EQ(world.Run({"bitop", "not", "d", "a"}), ":1\r\n");
  EXPECT_EQ(world.TakeEvents(), (Events{"new d", "set d"}));
  EXPECT_EQ(world.Run({"bitop", "or", "d", "a"}), ":1\r\n");
  EXPECT_EQ(world.TakeEvents(), (Events{"set d"}));
  EXPECT_EQ(world.Run({"bitop", "or", "d", "none", "none2"}), ":0\r\n");
  EXPECT_EQ(world.TakeEvents(), (Events{"del d"}));
  const uint64_t before = world.change_count();
  EXPECT_EQ(world.Run({"bitop", "or", "d", "none"}), ":0\r\n");
  EXPECT_EQ(world.TakeEvents(), Events{});
  EXPECT_EQ(world.change_count(), before);
  world.CheckReports();
}

TEST(BitmapCommands, BitopTakesTheDeadlineAway) {
  BitmapWorld world;
  world.Set("d", "old", 2'000'000);
  world.Set("a", "\x0f", 3'000'000);
  world.Run({"bitop", "not", "d", "a"});
  EXPECT_EQ(world.EntryOf("d")->deadline(), kNoDeadline);
  EXPECT_EQ(world.EntryOf("a")->deadline(), 3'000'000);
}

// The sources are looked up again after one of them was erased on the way.
TEST(BitmapCommands, BitopSeesExpiredSourcesAsAbsent) {
  BitmapWorld world;
  for (int i = 0; i < 12; ++i) {
    const std::string key = "s" + std::to_string(i);
    world.Set(key, std::string(size_t(i) + 1, static_cast<char>(1 << i % 8)),
              i % 3 == 2 ? 1'000'500 : kNoDeadline);
  }
  world.keyspace().SetNow(1'000'500);
  EXPECT_EQ(world.Run({"bitop", "or", "d", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10",
                       "s11"}),
            ":11\r\n");
  EXPECT_EQ(world.Get("s2"), "(none)");
  EXPECT_EQ(world.Get("s11"), "(none)");
  std::string expected(11, '\0');
  for (size_t i : {0u, 1u, 3u, 4u, 6u, 7u, 9u, 10u}) {
    for (size_t at = 0; at <= i; ++at) expected[at] = static_cast<char>(expected[at] | 1 << i % 8);
  }
  EXPECT_EQ(world.Get("d"), expected);
  world.CheckReports();
}

TEST(BitmapCommands, OtherTypesAreRefused) {
  BitmapWorld world;
  world.SetOtherType("l");
  world.Set("s", "abc");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"setbit", "l", "1", "1"},
           {"getbit", "l", "1"},
           {"bitcount", "l"},
           {"bitcount", "l", "x", "y", "z"},
           {"bitpos", "l", "1"},
           {"bitpos", "l", "1", "x"},
           {"bitfield", "l"},
           {"bitfield", "l", "get", "u8", "0"},
           {"bitfield", "l", "set", "u8", "0", "1"},
           {"bitfield_ro", "l", "get", "u8", "0"},
           {"bitop", "and", "d", "l"},
           {"bitop", "or", "s", "s", "none", "l"},
       }) {
    EXPECT_EQ(world.Run(words), kWrongTypeLine) << words[0];
  }
  EXPECT_EQ(world.Get("d"), "(none)");
  EXPECT_EQ(world.Get("s"), "abc");
  // What Redis finds before it looks at the key.
  EXPECT_NE(world.Run({"setbit", "l", "x", "1"}), kWrongTypeLine);
  EXPECT_NE(world.Run({"bitpos", "l", "2"}), kWrongTypeLine);
  EXPECT_NE(world.Run({"bitfield", "l", "get", "u64", "0"}), kWrongTypeLine);
  EXPECT_NE(world.Run({"bitfield_ro", "l", "set", "u8", "0", "1"}), kWrongTypeLine);
  // A destination is overwritten whatever it holds.
  EXPECT_EQ(world.Run({"bitop", "or", "l", "s"}), ":3\r\n");
  EXPECT_EQ(world.Get("l"), "abc");
}

TEST(BitmapCommands, NoFieldReachesBeyondTheLargestString) {
  BitmapWorld world;
  EXPECT_EQ(world.Run({"bitfield", "k", "get", "i64", "4294967295"}), "*1\r\n:0\r\n");
  EXPECT_EQ(world.Run({"bitfield", "k", "set", "u2", "4294967295", "1"}),
            "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
  EXPECT_EQ(world.Get("k"), "(none)");
}

}  // namespace
}  // namespace moonshard::commands
