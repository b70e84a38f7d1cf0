#include "bench/load_reply.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace moonshard::bench {
namespace {

struct Collected {
  std::vector<Reply> replies;
  std::vector<std::string> payloads;
  std::vector<std::string> errors;
  void OnReply(const Reply& reply) {
    replies.push_back(reply);
    payloads.emplace_back(reply.payload == nullptr
                              ? std::string()
                              : std::string(reply.payload, static_cast<size_t>(reply.number)));
  }
  void OnError(std::string_view text) { errors.emplace_back(text); }
};

// Feeds the text in pieces that end at the given offsets, as a connection does: an unfinished header line is
// carried over. Each piece lies in a block of exactly its size, so that a sanitizer sees a read past its end.
const char* Feed(ReplyScanner& scanner, Collected& sink, const std::string& text,
                 const std::vector<size_t>& cuts) {
  std::string carry;
  size_t from = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    size_t to = i < cuts.size() ? cuts[i] : text.size();
    std::string piece = carry + text.substr(from, to - from);
    from = to;
    std::unique_ptr<char[]> block(new char[piece.size()]);
    std::memcpy(block.get(), piece.data(), piece.size());
    const char* rest = scanner.Scan(block.get(), block.get() + piece.size(), sink);
    if (rest == nullptr) return scanner.problem();
    carry.assign(rest, static_cast<size_t>(block.get() + piece.size() - rest));
  }
  return carry.empty() ? nullptr : "carry";
}

const std::string kStream =
    "+OK\r\n$5\r\nhello\r\n:42\r\n$-1\r\n*2\r\n$1\r\na\r\n$-1\r\n-ERR no\r\n$0\r\n\r\n*0\r\n*-1\r\n_\r\n"
    "*2\r\n*2\r\n:1\r\n-ERR deep\r\n%1\r\n+k\r\n,1.5\r\n:-7\r\n=6\r\ntxt:ab\r\n~1\r\n#t\r\n";

void ExpectStream(const Collected& sink) {
  ASSERT_EQ(sink.replies.size(), 13u);
  std::string types;
  for (const Reply& reply : sink.replies) types += reply.type;
  EXPECT_EQ(types, "+$:$*-$**_*:=");
  EXPECT_EQ(sink.replies[1].number, 5);
  EXPECT_EQ(sink.replies[2].number, 42);
  EXPECT_TRUE(sink.replies[3].nil);
  EXPECT_EQ(sink.replies[4].number, 2);
  EXPECT_EQ(sink.replies[4].inner_nils, 1u);
  EXPECT_FALSE(sink.replies[4].nil);
  EXPECT_FALSE(sink.replies[7].nil);
  EXPECT_TRUE(sink.replies[8].nil);
  EXPECT_TRUE(sink.replies[9].nil);
  EXPECT_EQ(sink.replies[11].number, -7);
  EXPECT_EQ(sink.errors, (std::vector<std::string>{"ERR no", "ERR deep"}));
}

TEST(ReplyScanner, WholeStream) {
  ReplyScanner scanner;
  Collected sink;
  std::string without_set = kStream.substr(0, kStream.find("~1"));
  ASSERT_EQ(Feed(scanner, sink, without_set, {}), nullptr);
  ExpectStream(sink);
  EXPECT_EQ(sink.payloads[1], "hello");
  EXPECT_TRUE(scanner.AtBoundary());
}

TEST(ReplyScanner, SplitAtEveryPairOfBytes) {
  std::string text = kStream.substr(0, kStream.find("~1"));
  for (size_t first = 0; first <= text.size(); ++first) {
    for (size_t second = first; second <= text.size(); ++second) {
      ReplyScanner scanner;
      Collected sink;
      ASSERT_EQ(Feed(scanner, sink, text, {first, second}), nullptr) << first << " " << second;
      ExpectStream(sink);
      ASSERT_TRUE(scanner.AtBoundary());
    }
  }
}

TEST(ReplyScanner, EachByteAlone) {
  ReplyScanner scanner;
  Collected sink;
  std::vector<size_t> cuts;
  for (size_t i = 1; i < kStream.size(); ++i) cuts.push_back(i);
  ASSERT_EQ(Feed(scanner, sink, kStream, cuts), nullptr);
  EXPECT_EQ(sink.replies.size(), 14u);
  EXPECT_EQ(sink.replies[13].type, '~');
}

TEST(ReplyScanner, IncompleteReplyIsNotCounted) {
  ReplyScanner scanner;
  Collected sink;
  ASSERT_EQ(Feed(scanner, sink, "*3\r\n:1\r\n$4\r\nab", {}), nullptr);
  EXPECT_TRUE(sink.replies.empty());
  EXPECT_FALSE(scanner.AtBoundary());
}

TEST(ReplyScanner, RefusesWhatIsNotResp) {
  for (const char* text : {"hello\r\n", "$5\r\nhelloXY", "$x\r\n", "$\r\n\r\n", ":\r\n", "*-2\r\n", "$-2\r\n",
                           ":1\rx", "+OK\nx", "+OK\rx", ">2\r\n", ":99999999999999999999\r\n",
                           "$9999999999999999\r\n", "*4294967296\r\n", "$1\r\nab\r\n"}) {
    ReplyScanner scanner;
    Collected sink;
    const char* problem = Feed(scanner, sink, text, {});
    ASSERT_NE(problem, nullptr) << text;
    EXPECT_STRNE(problem, "carry") << text;
    EXPECT_TRUE(sink.replies.empty()) << text;
  }
}

TEST(ReplyScanner, RefusesAWrongPayloadEndInPieces) {
  for (size_t cut = 5; cut <= 10; ++cut) {
    ReplyScanner scanner;
    Collected sink;
    const char* problem = Feed(scanner, sink, "$5\r\nhello\rX+OK\r\n", {cut});
    ASSERT_NE(problem, nullptr) << cut;
    EXPECT_TRUE(sink.replies.empty());
  }
}

}  // namespace
}  // namespace moonshard::bench
