#include "base/sha1.h"

#include <gtest/gtest.h>

namespace moonshard::base {
namespace {

// Examples of FIPS 180 and RFC 3174.
TEST(Sha1, PublishedExamples) {
  EXPECT_EQ(HexOf(Sha1("")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(HexOf(Sha1("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(HexOf(Sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
  EXPECT_EQ(HexOf(Sha1(std::string(1'000'000, 'a'))), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

// Lengths around the end of a block, where the padding changes. The values are those of sha1sum.
TEST(Sha1, LengthsAroundABlock) {
  EXPECT_EQ(HexOf(Sha1(std::string(55, 'a'))), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
  EXPECT_EQ(HexOf(Sha1(std::string(56, 'a'))), "c2db330f6083854c99d4b5bfb6e8f29f201be699");
  EXPECT_EQ(HexOf(Sha1(std::string(63, 'a'))), "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
  EXPECT_EQ(HexOf(Sha1(std::string(64, 'a'))), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
  EXPECT_EQ(HexOf(Sha1(std::string(65, 'a'))), "11655326c708d70319be2610e8a57d9a5b959d3b");
}

}  // namespace
}  // namespace moonshard::base
