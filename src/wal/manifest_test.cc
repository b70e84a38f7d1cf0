#include "wal/manifest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "base/crc32c.h"

namespace moonshard::wal {
namespace {

// Version 1, written by hand; the checksum comes from a program of its own. If this fails, existing data
// directories can no longer be opened.
constexpr std::string_view kGolden =
    "moonshard-log 1\n"
    "incarnation 0123456789abcdef\n"
    "hash-seed 00000000deadbeef\n"
    "clock 1700000000000\n"
    "snapshot none\n"
    "shards 2\n"
    "shard 0 from 40\n"
    "file 6 00000000000000aa 1048576 closed 81920 41\n"
    "file 7 0123456789abcdef 2097152 open\n"
    "shard 1 from 0\n"
    "crc32c 3ced1ce6\n";

Manifest GoldenManifest() {
  Manifest manifest;
  manifest.incarnation = 0x0123456789abcdef;
  manifest.hash_seed = 0xdeadbeef;
  manifest.clock_floor = 1'700'000'000'000;
  manifest.shards.resize(2);
  manifest.shards[0].from = Lsn(40);
  manifest.shards[0].files.push_back({{0xaa, 6}, 1 << 20, ManifestFile::End{81920, Lsn(41)}});
  manifest.shards[0].files.push_back({{0x0123456789abcdef, 7}, 2 << 20, std::nullopt});
  return manifest;
}

std::string ErrorOf(std::string_view text) {
  const base::Result<Manifest> parsed = ParseManifest(text);
  return parsed.ok() ? "accepted" : std::string(parsed.status().text());
}

// The text with another checksum.
std::string Resealed(std::string text) {
  text.resize(text.rfind("crc32c "));
  return text + fmt::format("crc32c {:08x}\n", base::Crc32c(0, text));
}
std::string Changed(std::string_view from, std::string_view to) {
  std::string text(kGolden);
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return Resealed(text.replace(at, from.size(), to));
}

TEST(Golden, Manifest) {
  EXPECT_EQ(PrintManifest(GoldenManifest()), kGolden);
  const base::Result<Manifest> parsed = ParseManifest(kGolden);
  ASSERT_TRUE(parsed.ok()) << parsed.status().text();
  EXPECT_EQ(*parsed, GoldenManifest());
}

TEST(Manifest, EveryChangedBitAndEveryCutIsRefused) {
  std::string text(kGolden);
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    text[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_FALSE(ParseManifest(text).ok()) << bit;
    text[bit / 8] ^= static_cast<char>(1 << bit % 8);
  }
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(ParseManifest(kGolden.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(ParseManifest(text + "\n").ok());
  EXPECT_FALSE(ParseManifest(text + text).ok());
}

TEST(Manifest, ANewerVersionIsNamed) {
  EXPECT_EQ(ErrorOf(Changed("moonshard-log 1", "moonshard-log 2")),
            "the manifest is of version 2, and this server knows version 1 only");
}

TEST(Manifest, NonsenseIsRefusedWithItsLine) {
  const std::string damaged = "the manifest is damaged: ";
  EXPECT_EQ(ErrorOf(Changed("clock 1700000000000", "clock -1")),
            damaged + "line 4: a number is missing or out of its range");
  EXPECT_EQ(ErrorOf(Changed("clock 17", "clock 017")),
            damaged + "line 4: a number is missing or out of its range");
  EXPECT_EQ(ErrorOf(Changed("snapshot none", "snapshot 7")),
            damaged + "line 5: a snapshot, of which this version knows nothing");
  EXPECT_EQ(ErrorOf(Changed("shards 2", "shards 0")), damaged + "line 6: no shards");
  EXPECT_EQ(ErrorOf(Changed("shards 2", "shards 257")),
            damaged + "line 6: a number is missing or out of its range");
  EXPECT_EQ(ErrorOf(Changed("shards 2", "shards 3")), damaged + "line 11: 'shard' is missing");
  EXPECT_EQ(ErrorOf(Changed("shards 2", "shards 1")), damaged + "line 9: more than belongs there");
  EXPECT_EQ(ErrorOf(Changed("shard 1 from", "shard 2 from")),
            damaged + "line 10: the shards are not in their order");
  EXPECT_EQ(ErrorOf(Changed("1048576", "1048577")), damaged + "line 8: no size of a file");
  EXPECT_EQ(ErrorOf(Changed("1048576", "4096")), damaged + "line 8: a file ends outside itself");
  EXPECT_EQ(ErrorOf(Changed("closed 81920", "closed 4095")), damaged + "line 8: a file ends outside itself");
  EXPECT_EQ(ErrorOf(Changed("81920 41", "81920 39")), damaged + "line 8: positions fall");
  EXPECT_EQ(ErrorOf(Changed("closed 81920 41", "open")),
            damaged + "line 8: a file of an earlier incarnation is open");
  EXPECT_EQ(ErrorOf(Changed("file 7", "file 6")), damaged + "line 9: sequences do not rise");
  EXPECT_EQ(ErrorOf(Changed("open", "half")), damaged + "line 9: a file is open or closed");
  EXPECT_EQ(ErrorOf(Changed("open", "open ")), damaged + "line 9: a blank at the end");
  EXPECT_EQ(ErrorOf(Changed("open", "open 1")), damaged + "line 9: more than belongs there");
  EXPECT_EQ(ErrorOf(Changed("00000000deadbeef", "00000000DEADBEEF")),
            damaged + "line 3: 16 hexadecimal digits are missing");
  EXPECT_EQ(ErrorOf(""), damaged + "line 1: 'moonshard-log' is missing");
  EXPECT_EQ(ErrorOf(std::string(kManifestBytesMax + 1, 'x')), damaged + "it is too long");
}

}  // namespace
}  // namespace moonshard::wal
