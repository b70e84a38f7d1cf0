#include "types/value_digest.h"

#include <gtest/gtest.h>

#include <string>

#include "dash/slab.h"
#include "dash/table.h"
#include "types/detached_value.h"
#include "types/string_value.h"

namespace moonshard::types {
namespace {

std::string Hex(const Digest& digest) {
  return base::HexOf(digest.bytes());
}

class ValueDigest : public testing::Test {
 protected:
  const dash::Entry& Make(std::string_view key, std::string_view bytes, TimeMs deadline = kNoDeadline) {
    DetachedValue value = DetachedValue::OfString(bytes);
    dash::Table::Ref ref = table_.Insert(table_.Hash(key), key, value.type(), value.encoding(),
                                         value.entry_bytes().size(), deadline);
    value.MoveInto(*table_.entry(ref));
    return *table_.entry(ref);
  }
  dash::Slab slab_{dash::SlabOptions{}};
  dash::Table table_{slab_, {}};
};

// redis-server 7.0.15 says so of: SET a 1; DEBUG DIGEST-VALUE a; DEBUG DIGEST.
TEST_F(ValueDigest, OfOneStringAsRedisHasIt) {
  Digest value;
  MixValue(value, Make("a", "1"));
  EXPECT_EQ(Hex(value), "b4fc66738120fba0b5aa500ab5c2bf89cea1c5da");
  Digest all;
  all.MixNumber(0);
  all.XorDigest(KeyDigest(Make("b", "x")));
  Digest one;
  one.MixNumber(0);
  one.XorDigest(KeyDigest(*table_.entry(table_.Find(table_.Hash("a"), "a"))));
  EXPECT_EQ(Hex(one), "943d800368fb9c0e951138f1bc0e313ac769d91f");
  EXPECT_NE(Hex(all), Hex(one));
}

TEST_F(ValueDigest, ADeadlineCountsButNotWhichAndNotTheEncoding) {
  Digest without;
  Digest early;
  Digest late;
  MixValue(without, Make("a", "12"));
  MixValue(early, Make("b", "12", 1'000));
  MixValue(late, Make("c", "12", 2'000));
  EXPECT_NE(Hex(without), Hex(early));
  EXPECT_EQ(Hex(early), Hex(late));
}

TEST_F(ValueDigest, MixingHasAnOrderAndXorHasNone) {
  Digest ab;
  Digest ba;
  ab.Mix("a");
  ab.Mix("b");
  ba.Mix("b");
  ba.Mix("a");
  EXPECT_NE(Hex(ab), Hex(ba));
  Digest x;
  Digest y;
  x.Xor("a");
  x.Xor("b");
  y.Xor("b");
  y.Xor("a");
  EXPECT_EQ(Hex(x), Hex(y));
}

}  // namespace
}  // namespace moonshard::types
