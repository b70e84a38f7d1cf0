#include "wal/effects.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace moonshard::wal {
namespace {

using namespace std::string_literals;
using Args = std::vector<std::string_view>;

TEST(Effects, HaveTheBytesOfTheWireProtocolBehindTheDatabase) {
  base::Buffer out;
  AppendEffect(out, DbIndex(3), Args{"SET", "k", ""});
  EXPECT_EQ(out.view(), "\x03*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n"s);
}

TEST(Effects, ReadBackWhatWasWritten) {
  base::Random random(4);
  base::Buffer out;
  std::vector<std::pair<uint16_t, std::vector<std::string>>> wanted;
  for (int i = 0; i < 300; ++i) {
    std::vector<std::string> texts(1 + random.Below(5));
    for (std::string& text : texts) {
      text.resize(random.Below(300));
      for (char& c : text) c = static_cast<char>(random.Next());
    }
    wanted.emplace_back(static_cast<uint16_t>(random.Below(256)), texts);
    AppendEffect(out, DbIndex(wanted.back().first), Args(texts.begin(), texts.end()));
  }
  EffectReader reader(out.view());
  for (const auto& [db, texts] : wanted) {
    ASSERT_TRUE(reader.Next());
    EXPECT_EQ(reader.db(), DbIndex(db));
    EXPECT_TRUE(std::equal(texts.begin(), texts.end(), reader.args().begin(), reader.args().end()));
  }
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
}

TEST(Effects, RefuseWhatTheyWouldNotWrite) {
  for (const std::string& bytes :
       {"\x00"s, "\x00*0\r\n"s, "\x00*1\r\n"s, "\x00*1\r\n$1\r\n"s, "\x00*1\r\n$1\r\na"s,
        "\x00*1\r\n$1\r\na\r"s, "\x00*1\r\n$1\r\naXX"s, "\x00*1\r\n$-1\r\n"s, "\x00*01\r\n$1\r\na\r\n"s,
        "\x00*1\r\n$99999999999\r\na\r\n"s, "\x00*9999999999999999999999999\r\n"s,
        "\x00*1000000000\r\n$1\r\na\r\n"s, "\x00$1\r\na\r\n"s}) {
    EffectReader reader(bytes);
    EXPECT_FALSE(reader.Next()) << bytes;
    EXPECT_FALSE(reader.ok()) << bytes;
    EXPECT_FALSE(reader.Next()) << bytes;
  }
}

TEST(Effects, EveryCutIsNoticed) {
  base::Buffer out;
  AppendEffect(out, DbIndex(0), Args{"DEL", "key"});
  for (size_t size = 1; size < out.size(); ++size) {
    EffectReader reader(out.view().substr(0, size));
    EXPECT_FALSE(reader.Next()) << size;
    EXPECT_FALSE(reader.ok()) << size;
  }
}

TEST(Transactions, HeadsReadBackAndRefuseNonsense) {
  const TransactionHead head{77, ShardId(2), 5, {ShardId(0), ShardId(2), ShardId(255)}};
  base::Buffer out;
  AppendTransactionHead(out, head);
  EXPECT_EQ(out.size(), 26u);
  out.Append("effects");
  std::string_view body = out.view();
  EXPECT_EQ(TakeTransactionHead(body), head);
  EXPECT_EQ(body, "effects");
  for (size_t size = 0; size < 26; ++size) {
    std::string_view cut = out.view().substr(0, size);
    EXPECT_FALSE(TakeTransactionHead(cut)) << size;
  }
  std::string unordered(out.view());
  std::swap(unordered[20], unordered[22]);
  std::string_view view = unordered;
  EXPECT_FALSE(TakeTransactionHead(view));
  std::string none(out.view());
  none[18] = 0;
  view = none;
  EXPECT_FALSE(TakeTransactionHead(view));
}

TEST(Clock, ReadsBack) {
  char body[kClockBodyBytes];
  EncodeClock(1'700'000'000'123, body);
  EXPECT_EQ(DecodeClock({body, sizeof body}), 1'700'000'000'123);
  EXPECT_FALSE(DecodeClock({body, 7}));
}

}  // namespace
}  // namespace moonshard::wal
