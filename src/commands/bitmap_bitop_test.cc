// BITOP: a model for all operations, the shares of shards, and the operations of Redis 8.2 as its manual
// describes them (redis.io/docs/latest/commands/bitop).

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "commands/bitmap_combine.h"
#include "commands/bitmap_testing.h"

namespace moonshard::commands {
namespace {

constexpr BitOp kAllOps[] = {BitOp::kAnd,  BitOp::kOr,    BitOp::kXor,   BitOp::kNot,
                             BitOp::kDiff, BitOp::kDiff1, BitOp::kAndOr, BitOp::kOne};

// One bit of the result, from the bits of the sources at its place.
bool PlainBit(BitOp op, const std::vector<bool>& bits) {
  const auto set = static_cast<size_t>(std::ranges::count(bits, true));
  const bool first = bits[0];
  const bool any_other = set > (first ? 1u : 0u);
  switch (op) {
    case BitOp::kAnd:
      return set == bits.size();
    case BitOp::kOr:
      return set != 0;
    case BitOp::kXor:
      return set % 2 == 1;
    case BitOp::kNot:
      return !first;
    case BitOp::kDiff:
      return first && !any_other;
    case BitOp::kDiff1:
      return !first && any_other;
    case BitOp::kAndOr:
      return first && any_other;
    case BitOp::kOne:
      return set == 1;
  }
  return false;
}

std::string PlainCombine(BitOp op, const std::vector<std::string>& sources) {
  size_t size = 0;
  for (const std::string& source : sources) size = std::max(size, source.size());
  std::string result(size, '\0');
  std::vector<bool> bits(sources.size());
  for (size_t at = 0; at < size * 8; ++at) {
    for (size_t i = 0; i < sources.size(); ++i) {
      const std::string& source = sources[i];
      bits[i] = at / 8 < source.size() && (static_cast<uint8_t>(source[at / 8]) >> (7 - at % 8) & 1) != 0;
    }
    if (PlainBit(op, bits)) result[at / 8] = static_cast<char>(result[at / 8] | 0x80 >> at % 8);
  }
  return result;
}

std::vector<std::string> RandomSources(std::mt19937_64& random, BitOp op) {
  const size_t least = SplitsFirst(op) ? 2 : 1;
  std::vector<std::string> sources(op == BitOp::kNot ? 1 : least + random() % 10);
  // Lengths near each other, near the size of a block, and zero.
  const size_t around = random() % 10 == 0 ? 8190 : random() % 200;
  for (std::string& source : sources) {
    source.resize(random() % 8 == 0 ? 0 : around + random() % 5);
    // Dense ones, or AND would always be zero.
    const bool dense = random() % 2 == 0;
    for (char& byte : source) byte = static_cast<char>(dense ? random() | random() | random() : random());
  }
  return sources;
}

std::string Combined(BitOp op, const std::vector<std::string>& sources) {
  std::vector<Operand> operands;
  for (const std::string& source : sources) operands.push_back({source, {}});
  size_t size = 0;
  for (const std::string& source : sources) size = std::max(size, source.size());
  std::string result(size, 'x');
  std::span<const Operand> rest = operands;
  std::string_view first;
  if (SplitsFirst(op)) {
    first = rest[0].bits;
    rest = rest.subspan(1);
  }
  CombineBits(op, first, rest, result.data(), size);
  return result;
}

// The same by way of shares, each of some of the sources.
std::string CombinedByShares(BitOp op, const std::vector<std::string>& sources, std::mt19937_64& random) {
  struct Share {
    std::vector<Operand> operands;
    std::string bits;
    std::string twice;
  };
  std::vector<Share> shares(1 + random() % 4);
  size_t size = 0;
  for (size_t i = 0; i < sources.size(); ++i) {
    size = std::max(size, sources[i].size());
    if (i != 0 || !SplitsFirst(op)) shares[random() % shares.size()].operands.push_back({sources[i], {}});
  }
  std::vector<Operand> reduced;
  for (Share& share : shares) {
    if (share.operands.empty()) continue;
    size_t longest = 0;
    for (const Operand& operand : share.operands) longest = std::max(longest, operand.bits.size());
    share.bits.assign(longest, 'x');
    if (op == BitOp::kOne) share.twice.assign(longest, 'x');
    ReduceBits(op, share.operands, share.bits.data(), share.twice.data(), longest);
    reduced.push_back({share.bits, share.twice});
  }
  std::string result(size, 'x');
  CombineBits(op, SplitsFirst(op) ? sources[0] : std::string_view(), reduced, result.data(), size);
  return result;
}

TEST(Bitop, AgreesWithAPlainModelAlsoByShares) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (BitOp op : kAllOps) {
    SCOPED_TRACE(BitOpName(op));
    for (int round = 0; round < 60; ++round) {
      const std::vector<std::string> sources = RandomSources(random, op);
      const std::string expected = PlainCombine(op, sources);
      ASSERT_EQ(Combined(op, sources), expected);
      ASSERT_EQ(CombinedByShares(op, sources, random), expected);
    }
  }
}

TEST(Bitop, CommandsAgreeWithAPlainModel) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  BitmapWorld world;
  for (int round = 0; round < 200; ++round) {
    const BitOp op = kAllOps[random() % std::size(kAllOps)];
    const std::vector<std::string> sources = RandomSources(random, op);
    // The destination may be one of the sources.
    std::vector<std::string> words = {"bitop", std::string(BitOpName(op)), random() % 3 == 0 ? "s0" : "d"};
    for (size_t i = 0; i < sources.size(); ++i) {
      words.push_back("s" + std::to_string(i));
      if (sources[i].empty() && random() % 2 == 0) {
        world.database().Erase(world.KeyOf(words.back()), "del");
      } else {
        world.Set(words.back(), sources[i]);
      }
    }
    const std::string expected = PlainCombine(op, sources);
    ASSERT_EQ(world.Run(words), ":" + std::to_string(expected.size()) + "\r\n");
    ASSERT_EQ(world.Get(words[2]), expected.empty() ? "(none)" : expected);
  }
  world.CheckReports();
}

// ---- what Redis 8.2 added

TEST(Bitop, ManualOfRedis82) {
  BitmapWorld world;
  world.Set("X", "\xF0");   // 11110000
  world.Set("Y1", "\xC0");  // 11000000
  world.Set("Y2", "\x81");  // 10000001
  // Set in X, but not in any of Y1, Y2.
  EXPECT_EQ(world.Run({"bitop", "DIFF", "d", "X", "Y1", "Y2"}), ":1\r\n");
  EXPECT_EQ(world.Get("d"), "\x30");
  // Set in one or more of Y1, Y2, but not in X.
  EXPECT_EQ(world.Run({"bitop", "DIFF1", "d", "X", "Y1", "Y2"}), ":1\r\n");
  EXPECT_EQ(world.Get("d"), "\x01");
  // Set in X and also in one or more of Y1, Y2.
  EXPECT_EQ(world.Run({"bitop", "ANDOR", "d", "X", "Y1", "Y2"}), ":1\r\n");
  EXPECT_EQ(world.Get("d"), "\xC0");
  // Set in exactly one.
  EXPECT_EQ(world.Run({"bitop", "ONE", "d", "X", "Y1", "Y2"}), ":1\r\n");
  EXPECT_EQ(world.Get("d"), "\x31");
  EXPECT_EQ(world.Run({"bitop", "one", "d", "X"}), ":1\r\n");
  EXPECT_EQ(world.Get("d"), "\xF0");
}

// "Treated as if they were zero-padded up to the length of the longest string", absent keys too.
TEST(Bitop, ManualOfRedis82OnLengths) {
  BitmapWorld world;
  world.Set("long", "\xFF\xFF\xFF");
  world.Set("short", "\x0F");
  const std::string three_zeros(3, '\0');
  EXPECT_EQ(world.Run({"bitop", "diff", "d", "long", "short"}), ":3\r\n");
  EXPECT_EQ(world.Get("d"), "\xF0\xFF\xFF");
  EXPECT_EQ(world.Run({"bitop", "diff", "d", "short", "long"}), ":3\r\n");
  EXPECT_EQ(world.Get("d"), three_zeros);
  EXPECT_EQ(world.Run({"bitop", "diff1", "d", "short", "long"}), ":3\r\n");
  EXPECT_EQ(world.Get("d"), "\xF0\xFF\xFF");
  EXPECT_EQ(world.Run({"bitop", "diff1", "d", "long", "short"}), ":3\r\n");
  EXPECT_EQ(world.Get("d"), three_zeros);
  EXPECT_EQ(world.Run({"bitop", "andor", "d", "short", "long"}), ":3\r\n");
  EXPECT_EQ(world.Get("d"), std::string("\x0F\x00\x00", 3));
  EXPECT_EQ(world.Run({"bitop", "one", "d", "short", "long", "none"}), ":3\r\n");
  EXPECT_EQ(world.Get("d"), "\xF0\xFF\xFF");
  EXPECT_EQ(world.Run({"bitop", "diff", "d", "none", "long"}), ":3\r\n");
  EXPECT_EQ(world.Get("d"), three_zeros);
  EXPECT_EQ(world.Run({"bitop", "diff1", "d", "none", "long", "none"}), ":3\r\n");
  EXPECT_EQ(world.Get("d"), "\xFF\xFF\xFF");
  EXPECT_EQ(world.Run({"bitop", "diff", "d", "none", "none2"}), ":0\r\n");
  EXPECT_EQ(world.Get("d"), "(none)");
}

TEST(Bitop, TheSplittingOperationsNeedTwoSources) {
  BitmapWorld world;
  world.Set("a", "\xFF");
  for (const char* name : {"DIFF", "DIFF1", "ANDOR"}) {
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return static_cast<char>(c | (c >= 'A' ? 32 : 0)); });
    for (const std::string& given : {std::string(name), lower}) {
      EXPECT_EQ(world.Run({"bitop", given, "d", "a"}),
                std::string("-ERR BITOP ") + name + " must be called with at least two source keys.\r\n");
    }
  }
  EXPECT_EQ(world.Run({"bitop", "DIFF2", "d", "a", "a"}), "-ERR syntax error\r\n");
  EXPECT_EQ(world.Get("d"), "(none)");
}

}  // namespace
}  // namespace moonshard::commands
