#include "resp/reply.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <limits>
#include <string>

#include "base/random.h"

namespace moonshard::resp {
namespace {

template <typename Write>
std::string Written(Protocol protocol, Write write) {
  base::Buffer out;
  Reply reply(out, protocol);
  write(reply);
  return std::string(out.view());
}

template <typename Write>
void ExpectBytes(std::string_view resp2, std::string_view resp3, Write write) {
  EXPECT_EQ(Written(Protocol::kResp2, write), resp2);
  EXPECT_EQ(Written(Protocol::kResp3, write), resp3);
}

template <typename Write>
void ExpectBytes(std::string_view both, Write write) {
  ExpectBytes(both, both, write);
}

constexpr base::StaticError kWrongType{base::Code::kWrongType, "Operation against a key"};
constexpr base::StaticError kTwoLines{base::Code::kErr, "two\r\nlines"};

TEST(Reply, Lines) {
  ExpectBytes("+OK\r\n", [](Reply& r) { r.Ok(); });
  ExpectBytes("+QUEUED\r\n", [](Reply& r) { r.Simple("QUEUED"); });
  ExpectBytes("+a  b\r\n", [](Reply& r) { r.Simple("a\r\nb"); });
  ExpectBytes("-WRONGTYPE Operation against a key\r\n", [](Reply& r) { r.Error(kWrongType); });
  ExpectBytes("-ERR two  lines\r\n", [](Reply& r) { r.Error(kTwoLines); });
  ExpectBytes("-MYERR a b \r\n", [](Reply& r) { r.ErrorLine("MYERR a\nb \n\r"); });
  ExpectBytes("-\r\n", [](Reply& r) { r.ErrorLine(""); });
}

TEST(Reply, NullsAndBooleans) {
  ExpectBytes("$-1\r\n", "_\r\n", [](Reply& r) { r.Null(); });
  ExpectBytes("*-1\r\n", "_\r\n", [](Reply& r) { r.NullArray(); });
  ExpectBytes(":1\r\n", "#t\r\n", [](Reply& r) { r.Bool(true); });
  ExpectBytes(":0\r\n", "#f\r\n", [](Reply& r) { r.Bool(false); });
}

TEST(Reply, Aggregates) {
  ExpectBytes("*0\r\n", [](Reply& r) { r.Array(0); });
  ExpectBytes("*3\r\n", [](Reply& r) { r.Array(3); });
  ExpectBytes("*6\r\n", "%3\r\n", [](Reply& r) { r.Map(3); });
  ExpectBytes("*0\r\n", "%0\r\n", [](Reply& r) { r.Map(0); });
  ExpectBytes("*2\r\n", "~2\r\n", [](Reply& r) { r.Set(2); });
  ExpectBytes("*2\r\n", ">2\r\n", [](Reply& r) { r.Push(2); });
  ExpectBytes("*1000000\r\n", "~1000000\r\n", [](Reply& r) { r.Set(1000000); });
  EXPECT_EQ(Written(Protocol::kResp3, [](Reply& r) { r.Attribute(1); }), "|1\r\n");
}

TEST(Reply, BigNumberAndVerbatim) {
  ExpectBytes("$22\r\n1234567999999999999999\r\n", "(1234567999999999999999\r\n",
              [](Reply& r) { r.BigNumber("1234567999999999999999"); });
  ExpectBytes("$25\r\nThis is a verbatim\nstring\r\n", "=29\r\ntxt:This is a verbatim\nstring\r\n",
              [](Reply& r) { r.Verbatim("txt", "This is a verbatim\nstring"); });
  ExpectBytes("$1\r\nx\r\n", "=5\r\nm  :x\r\n", [](Reply& r) { r.Verbatim("m", "x"); });
  ExpectBytes("$0\r\n\r\n", "=4\r\nmar:\r\n", [](Reply& r) { r.Verbatim("markdown", ""); });
}

// Replies of Redis 7.0.15 to a script that returns {double=...}.
TEST(Reply, DoublesAsRedisPrintsThem) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::pair<double, std::string_view> cases[] = {
      {3, "3"},
      {0, "0"},
      {-0.0, "-0"},
      {-17, "-17"},
      {3.141, "3.141"},
      {0.1, "0.10000000000000001"},
      {1e16, "10000000000000000"},
      {99999999999999984.0, "99999999999999984"},
      {1e17, "1e+17"},
      {-1e17, "-1e+17"},
      {123456789012345678.0, "1.2345678901234568e+17"},
      {1e20, "1e+20"},
      {1e-5, "1.0000000000000001e-05"},
      {-2.2250738585072014e-308, "-2.2250738585072014e-308"},
      {5e-324, "4.9406564584124654e-324"},
      {infinity, "inf"},
      {-infinity, "-inf"},
      {nan, "nan"},
      {-nan, "-nan"},
  };
  for (auto [value, text] : cases) {
    std::string digits(text);
    ExpectBytes("$" + std::to_string(digits.size()) + "\r\n" + digits + "\r\n", "," + digits + "\r\n",
                [value](Reply& r) { r.Double(value); });
  }
}

TEST(Reply, DoublesAgreeWithPrintf) {
  base::Random random(11);
  for (int i = 0; i < 200000; ++i) {
    double value;
    uint64_t bits = random.Next();
    switch (random.Below(3)) {
      case 0:
        std::memcpy(&value, &bits, sizeof value);
        break;
      case 1:
        value = static_cast<double>(static_cast<int64_t>(bits) >> random.Below(64));
        break;
      default:
        value = static_cast<double>(static_cast<int64_t>(bits) >> random.Below(64)) / 1000;
        break;
    }
    char expected[64];
    std::snprintf(expected, sizeof expected, "%.17g", value);
    char text[kDoubleCharsMax];
    ASSERT_EQ(std::string(text, FormatDouble(value, text)), expected);
  }
}

TEST(Reply, IntegersOfEveryLength) {
  base::Random random(12);
  auto check = [](int64_t value) {
    std::string digits = std::to_string(value);
    ExpectBytes(":" + digits + "\r\n", [value](Reply& r) { r.Integer(value); });
    ExpectBytes("$" + std::to_string(digits.size()) + "\r\n" + digits + "\r\n",
                [value](Reply& r) { r.BulkInteger(value); });
  };
  for (int64_t value = -1100; value <= 1100; ++value) check(value);
  for (int i = 0; i < 5000; ++i) check(static_cast<int64_t>(random.Next()) >> random.Below(64));
  check(std::numeric_limits<int64_t>::min());
  check(std::numeric_limits<int64_t>::max());
}

TEST(Reply, BulksOfEveryLength) {
  std::string bytes;
  for (size_t n = 0; n <= 1100; ++n) {
    std::string expected = "$" + std::to_string(n) + "\r\n" + bytes + "\r\n";
    ASSERT_EQ(Written(Protocol::kResp2, [&](Reply& r) { r.Bulk(bytes); }), expected);
    ASSERT_EQ(Written(Protocol::kResp3,
                      [&](Reply& r) {
                        char* to = r.BulkReserve(n);
                        std::memcpy(to, bytes.data(), n);
                        r.Ok();
                      }),
              expected + "+OK\r\n");
    bytes += static_cast<char>('a' + n % 26);
  }
  ExpectBytes("$0\r\n\r\n", [](Reply& r) { r.Bulk({}); });
}

TEST(Reply, AppendsToWhatIsThere) {
  base::Buffer out;
  out.Append("+earlier\r\n");
  Reply reply(out, Protocol::kResp3);
  EXPECT_EQ(reply.protocol(), Protocol::kResp3);
  EXPECT_EQ(&reply.buffer(), &out);
  reply.Map(1);
  reply.Bulk("key");
  reply.Integer(-5);
  EXPECT_EQ(out.view(), "+earlier\r\n%1\r\n$3\r\nkey\r\n:-5\r\n");
}

}  // namespace
}  // namespace moonshard::resp
