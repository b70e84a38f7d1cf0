#include "resp/reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/random.h"
#include "resp/reply.h"

namespace moonshard::resp {
namespace {

using namespace std::string_view_literals;  // NOLINT: texts with zero bytes
using Outcome = ReplyReader::Outcome;
using Kind = Value::Kind;

struct Read {
  std::vector<Value> values;
  std::string error;
  bool operator==(const Read&) const = default;
};

// Feeds `input` in pieces of `piece_bytes`, or whole.
Read ReadAll(std::string_view input, size_t piece_bytes = std::string_view::npos,
             const ReaderLimits& limits = {}) {
  ReplyReader reader(limits);
  Read read;
  do {
    std::string_view piece = input.substr(0, piece_bytes);
    input.remove_prefix(piece.size());
    reader.Feed(piece);
    Value value;
    Outcome outcome;
    while ((outcome = reader.Next(&value)) == Outcome::kReply) read.values.push_back(std::move(value));
    if (outcome == Outcome::kError) {
      read.error = reader.error();
      EXPECT_EQ(reader.Next(&value), Outcome::kError);
      return read;
    }
  } while (!input.empty());
  return read;
}

std::string Texts(const Read& read) {
  std::string out;
  for (const Value& value : read.values) out += value.ToString() + "\n";
  return out + read.error;
}

struct Case {
  std::string_view input;
  std::string_view printed;  // a line a reply, then the error
};

// The examples of the RESP3 specification, and their malformed neighbours.
const Case kCases[] = {
    {"+OK\r\n", "(simple) \"OK\"\n"},
    {"-ERR no\r\n", "(error) \"ERR no\"\n"},
    {"!21\r\nSYNTAX invalid syntax\r\n", "(error) \"SYNTAX invalid syntax\"\n"},
    {":1000\r\n:-7\r\n:+7\r\n", "1000\n-7\n7\n"},
    {"$6\r\nfoobar\r\n$0\r\n\r\n", "\"foobar\"\n\"\"\n"},
    {"$4\r\n\r\n\r\n\r\n", "\"\\x0d\\x0a\\x0d\\x0a\"\n"},
    {"$3\r\n\0\"\\\r\n"sv, "\"\\x00\\\"\\\\\"\n"},
    {"$-1\r\n*-1\r\n_\r\n", "null\nnull\nnull\n"},
    {"*0\r\n%0\r\n~0\r\n>0\r\n", "[]\n{}\n(set) []\n(push) []\n"},
    {"*3\r\n:1\r\n:2\r\n*1\r\n+x\r\n", "[1, 2, [(simple) \"x\"]]\n"},
    {"*2\r\n*0\r\n*1\r\n*0\r\n:1\r\n", "[[], [[]]]\n1\n"},
    {"%2\r\n+first\r\n:1\r\n+second\r\n:2\r\n", "{(simple) \"first\": 1, (simple) \"second\": 2}\n"},
    {"~2\r\n#t\r\n#f\r\n", "(set) [true, false]\n"},
    {">2\r\n+pubsub\r\n:1\r\n$1\r\na\r\n", "(push) [(simple) \"pubsub\", 1]\n\"a\"\n"},
    {",1.23\r\n,10\r\n,inf\r\n,-inf\r\n,nan\r\n,-nan\r\n,+1e+20\r\n",
     "(double) 1.23\n(double) 10\n(double) inf\n(double) -inf\n(double) nan\n(double) -nan\n(double) "
     "+1e+20\n"},
    {"(3492890328409238509324850943850943825024385\r\n(-1\r\n",
     "(big) 3492890328409238509324850943850943825024385\n(big) -1\n"},
    {"=15\r\ntxt:Some string\r\n=4\r\nmkd:\r\n", "(txt) \"Some string\"\n(mkd) \"\"\n"},
    {"|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n:2\r\n", "|{(simple) \"ttl\": 3600}| [1, 2]\n"},
    {"*3\r\n:1\r\n:2\r\n|1\r\n+ttl\r\n:3600\r\n:3\r\n", "[1, 2, |{(simple) \"ttl\": 3600}| 3]\n"},
    {"|1\r\n+a\r\n:1\r\n|0\r\n|1\r\n+b\r\n:2\r\n$1\r\nx\r\n",
     "|{(simple) \"a\": 1, (simple) \"b\": 2}| \"x\"\n"},
    {"|1\r\n+a\r\n:1\r\n*0\r\n", "|{(simple) \"a\": 1}| []\n"},
    {"*2\r\n:1\r\n", ""},
    {"\r\n", "invalid reply: empty line where a reply should begin"},
    {"OK\r\n", "invalid reply: unknown type \"O\""},
    {"+a\n", "invalid reply: line feed without carriage return"},
    {"+a\rb\r\n", "invalid reply: carriage return inside a line"},
    {":\r\n", "invalid reply: invalid integer"},
    {":+-1\r\n", "invalid reply: invalid integer"},
    {":9223372036854775808\r\n", "invalid reply: invalid integer"},
    {",\r\n", "invalid reply: invalid double"},
    {",1.5x\r\n", "invalid reply: invalid double"},
    {",--1\r\n", "invalid reply: invalid double"},
    {"#x\r\n", "invalid reply: invalid boolean"},
    {"(1x\r\n", "invalid reply: invalid big number"},
    {"(-\r\n", "invalid reply: invalid big number"},
    {"_x\r\n", "invalid reply: invalid null"},
    {"$-2\r\n", "invalid reply: invalid bulk length"},
    {"$?\r\n", "invalid reply: invalid bulk length"},
    {"=3\r\ntxt\r\n", "invalid reply: invalid bulk length"},
    {"=4\r\ntxtx\r\n", "invalid reply: verbatim text without a format"},
    {"$536870913\r\n", "invalid reply: bulk too long"},
    {"$1\r\nabc\r\n", "invalid reply: bulk without CRLF at its end"},
    {"*-2\r\n", "invalid reply: invalid aggregate length"},
    {"%-1\r\n", "invalid reply: invalid aggregate length"},
    {"*?\r\n", "invalid reply: invalid aggregate length"},
    {"*16777217\r\n", "invalid reply: too many elements"},
    {"%8388609\r\n", "invalid reply: too many elements"},
    {"*2\r\n*16777214\r\n", ""},
    {"*2\r\n*16777215\r\n", "invalid reply: too many elements"},
    {"%9223372036854775807\r\n", "invalid reply: too many elements"},
    {"*1\r\n>1\r\n+x\r\n", "invalid reply: push inside a reply"},
    {":1\r\n?\r\n", "1\ninvalid reply: unknown type \"?\""},
};

TEST(ReplyReader, ReadsTheSpecifiedTypes) {
  for (const Case& c : kCases) EXPECT_EQ(Texts(ReadAll(c.input)), c.printed) << c.input;
}

TEST(ReplyReader, PiecesOfAnySizeGiveTheSame) {
  for (const Case& c : kCases) {
    Read whole = ReadAll(c.input);
    for (size_t piece_bytes = 1; piece_bytes < c.input.size(); ++piece_bytes) {
      ASSERT_EQ(ReadAll(c.input, piece_bytes), whole) << c.input << " in pieces of " << piece_bytes;
    }
  }
}

TEST(ReplyReader, TellsNullsApartByTheirWireType) {
  Read read = ReadAll("$-1\r\n*-1\r\n_\r\n");
  ASSERT_EQ(read.values.size(), 3u);
  EXPECT_EQ(read.values[0].wire, '$');
  EXPECT_EQ(read.values[1].wire, '*');
  EXPECT_EQ(read.values[2].wire, '_');
  EXPECT_NE(read.values[0], read.values[1]);
}

TEST(ReplyReader, DepthIsBounded) {
  auto nested = [](size_t depth) {
    std::string input;
    for (size_t i = 0; i < depth; ++i) input += "*1\r\n";
    return input + ":1\r\n";
  };
  EXPECT_EQ(ReadAll(nested(128)).values.size(), 1u);
  EXPECT_EQ(ReadAll(nested(129)).error, "invalid reply: nested too deeply");
  EXPECT_EQ(ReadAll(nested(3), 1, {.depth_max = 2}).error, "invalid reply: nested too deeply");
}

TEST(ReplyReader, LinesAndBulksAreBounded) {
  ReaderLimits limits{.bulk_bytes_max = 5, .line_bytes_max = 10};
  for (size_t piece_bytes : {size_t{1}, size_t{1000}}) {
    EXPECT_EQ(Texts(ReadAll("+123456789\r\n", piece_bytes, limits)), "(simple) \"123456789\"\n");
    EXPECT_EQ(ReadAll("+1234567890\r\n", piece_bytes, limits).error, "invalid reply: line too long");
    EXPECT_EQ(Texts(ReadAll("$5\r\n12345\r\n", piece_bytes, limits)), "\"12345\"\n");
    EXPECT_EQ(ReadAll("$6\r\n123456\r\n", piece_bytes, limits).error, "invalid reply: bulk too long");
  }
}

TEST(ReplyReader, ElementsAreCountedPerReply) {
  ReaderLimits limits{.elements_max = 3};
  EXPECT_EQ(ReadAll("*3\r\n:1\r\n:2\r\n:3\r\n*3\r\n:1\r\n:2\r\n:3\r\n", 1, limits).values.size(), 2u);
  EXPECT_EQ(ReadAll("*2\r\n*2\r\n", 1, limits).error, "invalid reply: too many elements");
  // Attributes count too, or a sender could pile them up without end.
  EXPECT_EQ(ReadAll("|1\r\n:1\r\n:1\r\n|1\r\n", 1, limits).error, "invalid reply: too many elements");
}

TEST(ReplyReader, IdleAndReset) {
  ReplyReader reader;
  Value value;
  EXPECT_TRUE(reader.idle());
  reader.Feed("*1\r\n");
  EXPECT_EQ(reader.Next(&value), Outcome::kNeedMore);
  EXPECT_EQ(reader.unread_bytes(), 0u);
  EXPECT_FALSE(reader.idle());
  reader.Feed("?\r\n");
  EXPECT_EQ(reader.Next(&value), Outcome::kError);
  reader.Reset();
  EXPECT_TRUE(reader.idle());
  reader.Feed(":5\r\n");
  ASSERT_EQ(reader.Next(&value), Outcome::kReply);
  EXPECT_EQ(value.integer, 5);
  EXPECT_EQ(value.attributes.size() + value.elements.size(), 0u);
}

// Linear, and the buffer is compacted while one large reply is in progress: 2^16 elements, byte by byte.
TEST(ReplyReader, LargeReplyByteByByte) {
  constexpr int64_t kElements = 1 << 16;
  std::string input = "*" + std::to_string(kElements) + "\r\n";
  for (int64_t i = 0; i < kElements; ++i) input += ":" + std::to_string(i) + "\r\n";
  Read read = ReadAll(input, 1);
  ASSERT_EQ(read.values.size(), 1u);
  ASSERT_EQ(read.values[0].elements.size(), static_cast<size_t>(kElements));
  EXPECT_EQ(read.values[0].elements.back().integer, kElements - 1);
}

// A random tree, written by Reply and expected back from the reader.
class Trees {
 public:
  Trees(Protocol protocol, uint64_t seed) : protocol_(protocol), random_(seed), reply_(out_, protocol) {}

  Value Write(int depth) {
    Value value;
    bool resp3 = protocol_ == Protocol::kResp3;
    switch (random_.Below(depth > 0 ? 13 : 9)) {
      case 0:
        return WriteText('+', Kind::kSimple, [&](auto text) { reply_.Simple(text); }, Word());
      case 1:
        return WriteText('-', Kind::kError, [&](auto text) { reply_.ErrorLine(text); }, Word());
      case 2:
        return WriteText('$', Kind::kBulk, [&](auto text) { reply_.Bulk(text); }, Bytes());
      case 3:
        value.integer = static_cast<int64_t>(random_.Next()) >> random_.Below(64);
        reply_.Integer(value.integer);
        return Typed(':', Kind::kInteger, value);
      case 4:
        reply_.Null();
        return Typed(resp3 ? '_' : '$', Kind::kNull, value);
      case 5:
        reply_.NullArray();
        return Typed(resp3 ? '_' : '*', Kind::kNull, value);
      case 6:
        return WriteDouble();
      case 7:
        value.integer = static_cast<int64_t>(random_.Below(2));
        reply_.Bool(value.integer != 0);
        return Typed(resp3 ? '#' : ':', resp3 ? Kind::kBool : Kind::kInteger, value);
      case 8:
        value.text = Bytes();
        reply_.Verbatim("txt", value.text);
        if (resp3) value.format = "txt";
        return Typed(resp3 ? '=' : '$', resp3 ? Kind::kVerbatim : Kind::kBulk, value);
      case 9:
        return WriteAggregate(depth, '*', Kind::kArray, 1);
      case 10:
        return WriteAggregate(depth, '~', Kind::kSet, 1);
      case 11:
        return WriteAggregate(depth, '%', Kind::kMap, 2);
      default:
        return resp3 ? WriteAttribute(depth) : WriteAggregate(depth, '*', Kind::kArray, 1);
    }
  }
  std::string_view bytes() const { return out_.view(); }

 private:
  static Value Typed(char wire, Kind kind, Value value) {
    value.wire = wire;
    value.kind = kind;
    return value;
  }
  template <typename WriteIt>
  Value WriteText(char wire, Kind kind, WriteIt write, std::string text) {
    write(text);
    Value value;
    value.text = std::move(text);
    return Typed(wire, kind, value);
  }
  Value WriteDouble() {
    Value value;
    double number = static_cast<double>(static_cast<int64_t>(random_.Next())) / 1024;
    reply_.Double(number);
    char text[kDoubleCharsMax];
    value.text.assign(text, FormatDouble(number, text));
    value.number = number;
    bool resp3 = protocol_ == Protocol::kResp3;
    return Typed(resp3 ? ',' : '$', resp3 ? Kind::kDouble : Kind::kBulk, value);
  }
  Value WriteAggregate(int depth, char wire, Kind kind, size_t width) {
    size_t n = random_.Below(5);
    if (wire == '*') reply_.Array(n);
    if (wire == '~') reply_.Set(n);
    if (wire == '%') reply_.Map(n);
    Value value;
    for (size_t i = 0; i < n * width; ++i) value.elements.push_back(Write(depth - 1));
    if (protocol_ == Protocol::kResp2) return Typed('*', Kind::kArray, value);
    return Typed(wire, kind, value);
  }
  Value WriteAttribute(int depth) {
    reply_.Attribute(1);
    std::vector<Value> attributes;
    attributes.push_back(Write(depth - 1));
    attributes.push_back(Write(depth - 1));
    Value value = Write(0);
    value.attributes = std::move(attributes);
    return value;
  }
  std::string Word() { return std::string(random_.Below(20), 'w'); }
  std::string Bytes() {
    std::string bytes(random_.Below(random_.OneIn(20) ? 2000 : 40), 0);
    for (char& c : bytes) c = static_cast<char>(random_.Next());
    return bytes;
  }

  Protocol protocol_;
  base::Random random_;
  base::Buffer out_;
  Reply reply_;
};

TEST(ReplyReader, ReadsBackWhatReplyWrites) {
  for (Protocol protocol : {Protocol::kResp2, Protocol::kResp3}) {
    for (uint64_t seed = 1; seed <= 2000; ++seed) {
      Trees trees(protocol, seed);
      Read expected;
      for (int i = 0; i < 5; ++i) expected.values.push_back(trees.Write(4));
      ASSERT_EQ(ReadAll(trees.bytes()), expected) << "seed " << seed;
      ASSERT_EQ(ReadAll(trees.bytes(), 1 + seed % 50), expected) << "seed " << seed;
      for (const Value& value : expected.values) {
        if (value.kind == Kind::kDouble) {
          EXPECT_EQ(std::strtod(value.text.c_str(), nullptr), value.number);
        }
      }
    }
  }
}

}  // namespace
}  // namespace moonshard::resp
