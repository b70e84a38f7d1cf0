#include "types/rdb_value.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "base/crc64.h"
#include "base/number.h"
#include "base/random.h"
#include "dash/slab.h"
#include "dash/table.h"
#include "types/rdb_coding.h"
#include "types/string_value.h"

namespace moonshard::types {
namespace {

using namespace std::string_literals;

std::string Coded(std::string_view bytes) {
  base::Buffer out;
  AppendRdbString(out, bytes);
  return std::string(out.view());
}
std::string CodedLength(uint64_t length) {
  base::Buffer out;
  AppendRdbLength(out, length);
  return std::string(out.view());
}

std::string WithFooter(std::string body, uint16_t version = kRdbVersion) {
  body.append(reinterpret_cast<const char*>(&version), sizeof version);
  const uint64_t checksum = base::Crc64(0, body);
  body.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  return body;
}

// The text of what RESTORE would make of it, or of the error.
std::string Restored(std::string_view payload) {
  auto value = RestoreDump(payload);
  if (!value.ok()) return "error: " + std::string(value.status().text());
  char scratch[base::kMaxInt64Chars];
  return std::string(value->StringBytes(scratch));
}
const std::string kDataError = "error: Bad data format";
const std::string kFooterError = "error: DUMP payload version or checksum are wrong";

// Lengths on both sides of every bound, by the public description of the format.
TEST(RdbCoding, Lengths) {
  EXPECT_EQ(CodedLength(0), "\0"s);
  EXPECT_EQ(CodedLength(63), "\x3f");
  EXPECT_EQ(CodedLength(64), "\x40\x40");
  EXPECT_EQ(CodedLength(16383), "\x7f\xff");
  EXPECT_EQ(CodedLength(16384), "\x80\x00\x00\x40\x00"s);
  EXPECT_EQ(CodedLength(0xffffffff), "\x80\xff\xff\xff\xff");
  EXPECT_EQ(CodedLength(0x100000000), "\x81\x00\x00\x00\x01\x00\x00\x00\x00"s);
  for (uint64_t length : {uint64_t{0}, uint64_t{63}, uint64_t{64}, uint64_t{16383}, uint64_t{16384},
                          uint64_t{0xffffffff}, uint64_t{0x100000000}, ~uint64_t{0}}) {
    std::string text = CodedLength(length);
    RdbReader reader(text);
    EXPECT_EQ(reader.Length(), length);
    EXPECT_TRUE(reader.rest().empty());
    for (size_t cut = 0; cut < text.size(); ++cut) {
      EXPECT_FALSE(RdbReader(std::string_view(text).substr(0, cut)).Length()) << length << " cut to " << cut;
    }
  }
  EXPECT_FALSE(RdbReader("\x82").Length());
  EXPECT_FALSE(RdbReader("\xbf\0\0\0\0\0\0\0\0"s).Length());
}

TEST(RdbCoding, IntegersTakeTheirShortestForm) {
  EXPECT_EQ(Coded("0"), "\xc0\x00"s);
  EXPECT_EQ(Coded("-128"), "\xc0\x80");
  EXPECT_EQ(Coded("127"), "\xc0\x7f");
  EXPECT_EQ(Coded("128"), "\xc1\x80\x00"s);
  EXPECT_EQ(Coded("-129"), "\xc1\x7f\xff");
  EXPECT_EQ(Coded("32767"), "\xc1\xff\x7f");
  EXPECT_EQ(Coded("32768"), "\xc2\x00\x80\x00\x00"s);
  EXPECT_EQ(Coded("-2147483648"), "\xc2\x00\x00\x00\x80"s);
  EXPECT_EQ(Coded("2147483648"),
            "\x0a"
            "2147483648");
  EXPECT_EQ(Coded("-9223372036854775808"),
            "\x14"
            "-9223372036854775808");
  for (std::string_view not_canonical : {"+1", "01", "-0", " 1", "1 ", "1.0", ""}) {
    EXPECT_EQ(Coded(not_canonical),
              std::string(1, static_cast<char>(not_canonical.size())) + std::string(not_canonical));
  }
}

TEST(RdbCoding, CompressionBeginsAbove20BytesAndMustGainFour) {
  EXPECT_EQ(Coded(std::string(20, 'a'))[0], 20);
  EXPECT_EQ(Coded(std::string(21, 'a'))[0], '\xc3');
  std::string plain = "abcdefghijklmnopqrstuvwxyz0123456789";
  EXPECT_EQ(Coded(plain), static_cast<char>(plain.size()) + plain);
}

TEST(RdbCoding, StringsOfEveryKindReadBack) {
  base::Random random(7);
  for (size_t round = 0; round < 4'000; ++round) {
    std::string bytes(random.Below(round % 100 == 0 ? 100'000 : 200), '\0');
    const uint64_t letters = 1 + random.Below(256);
    for (char& c : bytes) c = static_cast<char>(random.Below(letters));
    if (random.OneIn(4)) bytes = std::to_string(static_cast<int64_t>(random.Next() >> random.Below(64)));
    std::string coded = Coded(bytes);
    RdbReader reader(coded);
    ASSERT_EQ(reader.String(), bytes);
    ASSERT_TRUE(reader.rest().empty());
    // No prefix of it is a string.
    ASSERT_FALSE(RdbReader(std::string_view(coded).substr(0, random.Below(coded.size()))).String());
  }
}

TEST(RdbCoding, LengthsThatPromiseTooMuchAreRefused) {
  // 4 GiB and 2^63 bytes of a few; a compressed string that could never grow to what it says.
  EXPECT_FALSE(RdbReader("\x80\xff\xff\xff\xff"s + "abc").String());
  EXPECT_FALSE(RdbReader("\x81\x7f\xff\xff\xff\xff\xff\xff\xff"s + "abc").String());
  EXPECT_FALSE(RdbReader("\xc3\x03\x80\x1f\xff\xff\xff"s + "\xe0\xff\x00"s).String());
  EXPECT_FALSE(RdbReader("\xc3\x81\xff\xff\xff\xff\xff\xff\xff\xff\x10"s + "abc").String());
  EXPECT_FALSE(RdbReader("\xc3\x00\x01"s).String());
  // Unknown forms.
  for (int form = 4; form < 64; ++form) {
    EXPECT_FALSE(RdbReader(std::string(1, static_cast<char>(0xc0 | form)) + std::string(20, 'x')).String());
  }
}

// The payload of "hello" as redis-server 7.0 has it (its documentation of DUMP shows that of version 9 of
// "10": \x00\xc0\n\t\x00\xbem\x06\x89Z(\x00\n).
TEST(RdbValue, ThePayloadOfRedisDocumentation) {
  EXPECT_EQ(Restored("\x00\xc0\n\t\x00\xbem\x06\x89Z(\x00\n"s), "10");
}

TEST(RdbValue, VersionsUpTo12AreRead) {
  std::string body = "\x00\x05hello"s;
  for (uint16_t version = 0; version <= 12; ++version) {
    EXPECT_EQ(Restored(WithFooter(body, version)), "hello") << version;
  }
  EXPECT_EQ(Restored(WithFooter(body, 13)), kFooterError);
  EXPECT_EQ(Restored(WithFooter(body, 0xffff)), kFooterError);
}

TEST(RdbValue, EveryFlippedBitIsNoticed) {
  std::string payload = WithFooter("\x00\x05hello"s);
  for (size_t bit = 0; bit < payload.size() * 8; ++bit) {
    std::string damaged = payload;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    EXPECT_EQ(Restored(damaged), kFooterError) << bit;
  }
  for (size_t size = 0; size < payload.size(); ++size) {
    EXPECT_EQ(Restored(std::string_view(payload).substr(0, size)), kFooterError) << size;
  }
}

TEST(RdbValue, OtherTypesAreRefused) {
  for (int type = 1; type < 256; ++type) {
    EXPECT_EQ(Restored(WithFooter(std::string(1, static_cast<char>(type)) + "\x05hello")), kDataError);
  }
  EXPECT_EQ(Restored(WithFooter("")), kDataError);
}

class RdbEntry : public testing::Test {
 protected:
  std::string Dump(std::string_view bytes) {
    DetachedValue value = DetachedValue::OfString(bytes);
    dash::Table table(slab_, {});
    dash::Table::Ref ref =
        table.Insert(table.Hash("k"), "k", value.type(), value.encoding(), value.entry_bytes().size());
    value.MoveInto(*table.entry(ref));
    base::Buffer payload;
    AppendDump(payload, *table.entry(ref));
    ReleaseOutside(*table.entry(ref));
    return std::string(payload.view());
  }
  dash::Slab slab_{dash::SlabOptions{}};
};

TEST_F(RdbEntry, ADumpReadsBack) {
  base::Random random(3);
  for (size_t round = 0; round < 500; ++round) {
    std::string bytes(random.Below(20'000), '\0');
    for (char& c : bytes) c = static_cast<char>(random.Below(5));
    if (random.OneIn(3)) bytes = std::to_string(static_cast<int64_t>(random.Next() >> random.Below(64)));
    ASSERT_EQ(Restored(Dump(bytes)), bytes);
  }
}

}  // namespace
}  // namespace moonshard::types
