// PatchString: every form into every other, growth, accounts, refusal of memory.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "db/errors.h"
#include "db/testing.h"

namespace moonshard::db {
namespace {

class StringsTest : public testing::Test {
 protected:
  StringsTest() {
    keyspace_.SetNow(1'000);
    keyspace_.sink().Attach(shadow_);
  }
  ~StringsTest() override { keyspace_.sink().Detach(shadow_); }

  size_t Patch(size_t offset, std::string_view bytes) {
    auto length = database_.PatchString(key_, database_.FindForWrite(key_), offset, bytes, kEventSetRange);
    EXPECT_TRUE(length.ok());
    return length.ok() ? *length : 0;
  }
  const dash::Entry& entry() { return *database_.table().entry(database_.FindForWrite(key_)); }
  void CheckAccounts() {
    uint64_t outside = 0;
    database_.table().Scan(0, [&](const dash::Entry* at) { outside += types::OutsideBytes(*at); });
    ASSERT_EQ(keyspace_.outside_bytes(), outside);
    ASSERT_EQ(ContentsOf(database_), shadow_.contents()[0]);
  }

  Keyspace keyspace_{{.seed = 3, .random_seed = 1}};
  Database& database_ = keyspace_.database(DbIndex(0));
  Key key_{"key", base::HashBytes("key", keyspace_.seed())};
  Shadow shadow_;
};

TEST_F(StringsTest, EverySizeIsPatchedIntoEveryOther) {
  const size_t sizes[] = {0, 1, 8, 20, 44, 45, 1024, 8191, 8192, 8193, 20'000};
  for (TimeMs deadline : {kNoDeadline, TimeMs{9'000}}) {
    for (size_t old_size : sizes) {
      for (size_t offset : sizes) {
        for (size_t count : sizes) {
          std::string expected(old_size, old_size <= 20 ? '7' : 'x');
          ASSERT_TRUE(database_.SetString(key_, expected, deadline).ok());
          std::string piece(count, 'p');
          ASSERT_EQ(Patch(offset, piece), std::max(old_size, offset + count));
          if (expected.size() < offset + count) expected.resize(offset + count);
          expected.replace(offset, count, piece);
          ASSERT_EQ(PlainOf(entry()), (PlainValue{expected, deadline}));
          ASSERT_EQ(types::FormOf(entry()), types::StringForm::kRaw);
          CheckAccounts();
        }
      }
    }
  }
  database_.Erase(key_, "del");
  EXPECT_EQ(keyspace_.outside_bytes(), 0u);
}

TEST_F(StringsTest, AnAbsentKeyBeginsEmpty) {
  for (size_t offset : {0u, 5u, 8190u, 9000u}) {
    ASSERT_EQ(Patch(offset, "abc"), offset + 3);
    ASSERT_EQ(PlainOf(entry()), (PlainValue{std::string(offset, '\0') + "abc", kNoDeadline}));
    CheckAccounts();
    database_.Erase(key_, "del");
  }
}

TEST_F(StringsTest, AppendingSmallPiecesMovesTheValueRarely) {
  keyspace_.sink().Detach(shadow_);  // it compares the whole value each time
  size_t moves = 0;
  const char* block = nullptr;
  std::string expected;
  for (size_t i = 0; i < 200'000; ++i) {
    std::string piece(16, static_cast<char>('a' + i % 26));
    expected += piece;
    ASSERT_EQ(Patch(i * 16, piece), expected.size());
    if (entry().encoding() != types::kStringHeap) continue;
    moves += block != types::LoadHeap(entry()).data;
    block = types::LoadHeap(entry()).data;
    ASSERT_LE(types::OutsideBytes(entry()), 2 * expected.size() + 4096);
    ASSERT_EQ(types::OutsideBytes(entry()), keyspace_.outside_bytes());
  }
  EXPECT_EQ(PlainOf(entry()).bytes, expected);
  EXPECT_LT(moves, 20u);
}

TEST_F(StringsTest, WhatCannotGrowStaysAsItWas) {
  // Refusal is the slab's own test seam.
  dash::Slab& slab = const_cast<dash::Slab&>(keyspace_.slab());
  for (size_t old_size : {size_t{0}, size_t{100}, size_t{4000}}) {
    ASSERT_TRUE(database_.SetString(key_, std::string(old_size, 'x'), 9'000).ok());
    const Lsn position = keyspace_.sink().position();
    slab.FailAllocationsAfter(0);
    auto refused = database_.PatchString(key_, database_.FindForWrite(key_), old_size, std::string(150, 'y'),
                                         kEventAppend);
    slab.FailAllocationsAfter(dash::Slab::kNeverFail);
    ASSERT_EQ(refused.status().text(), kOutOfMemory.text);
    ASSERT_EQ(keyspace_.sink().position(), position);
    ASSERT_EQ(PlainOf(entry()).bytes, std::string(old_size, 'x'));
    CheckAccounts();
  }
}

TEST_F(StringsTest, DigitsThatWereAppendedCountAsAnInteger) {
  ASSERT_TRUE(database_.SetString(key_, "4", 9'000).ok());
  ASSERT_EQ(Patch(1, "1"), 2u);
  EXPECT_EQ(entry().encoding(), types::kStringRaw);
  auto value = database_.IncrementBy(key_, 1);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, 42);
  EXPECT_EQ(PlainOf(entry()), (PlainValue{"42", 9'000}));
  EXPECT_EQ(entry().encoding(), types::kStringInt);
  ASSERT_EQ(Patch(2, " "), 3u);
  EXPECT_EQ(database_.IncrementBy(key_, 1).status().text(), kNotAnInteger.text);
  CheckAccounts();
}

TEST_F(StringsTest, EventsNameTheNewKeyFirst) {
  struct Listener final : EventListener {
    std::string heard;
    void OnEvent(const Event& event) override { heard += std::string(event.name) + ' '; }
  } listener;
  keyspace_.events().Attach(listener);
  Patch(3, "x");
  Patch(0, "y");
  keyspace_.events().Detach(listener);
  EXPECT_EQ(listener.heard, "new setrange setrange ");
}

}  // namespace
}  // namespace moonshard::db
