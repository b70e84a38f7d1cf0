// UndoLog over a keyspace: whatever a scope did, Rollback restores the exact state before it.

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "db/testing.h"
#include "db/undo_target.h"

namespace moonshard::db {
namespace {

// How the values of a keyspace lie, which their bytes do not show.
std::map<std::string, uint8_t> EncodingsOf(Keyspace& keyspace) {
  std::map<std::string, uint8_t> encodings;
  for (uint16_t i = 0; i < kDatabaseCount; ++i) {
    uint64_t cursor = 0;
    do {
      cursor = keyspace.database(DbIndex(i)).table().Scan(cursor, [&](const dash::Entry* entry) {
        encodings[std::to_string(i) + ":" + std::string(entry->key())] = entry->encoding();
      });
    } while (cursor != 0);
  }
  return encodings;
}

class UndoModel : public testing::TestWithParam<uint64_t> {};

TEST_P(UndoModel, RollbackRestoresEveryDatabaseExactly) {
  SCOPED_TRACE(testing::Message() << "seed " << GetParam());
  Keyspace keyspace({.seed = GetParam(), .random_seed = 1});
  RandomOperations operations(keyspace, GetParam(), 12);
  base::Random& random = operations.random();
  Shadow shadow;
  keyspace.sink().Attach(shadow);
  keyspace.SetNow(5'000);
  UndoTarget target(keyspace);
  types::UndoLog undo(keyspace.sink(), target);
  size_t rolled_back = 0;
  for (size_t scope = 0; scope < 400; ++scope) {
    // What others do between the scopes is not recorded.
    for (size_t i = random.Below(8); i > 0; --i) operations.Step(4);
    keyspace.ExpireDue(10, nullptr);
    PlainKeyspace before = ContentsOf(keyspace);
    auto encodings = EncodingsOf(keyspace);
    {
      types::UndoLog::Recording recording(undo);
      for (size_t i = random.Below(30); i > 0; --i) {
        operations.Step(4);
        if (random.OneIn(16)) keyspace.database(DbIndex(static_cast<uint16_t>(random.Below(4)))).Flush();
        if (random.OneIn(8)) keyspace.SetNow(keyspace.now() + static_cast<TimeMs>(random.Below(40)));
      }
    }
    PlainKeyspace after = ContentsOf(keyspace);
    if (random.OneIn(3)) {
      undo.Forget();
      ASSERT_EQ(ContentsOf(keyspace), after);
    } else {
      rolled_back += undo.record_count() != 0;
      undo.Rollback();
      ASSERT_EQ(ContentsOf(keyspace), before) << "scope " << scope;
      ASSERT_EQ(EncodingsOf(keyspace), encodings) << "scope " << scope;
    }
    ASSERT_EQ(undo.record_count(), 0u);
    ASSERT_EQ(undo.bytes(), 0u);
    ASSERT_EQ(shadow.contents(), ContentsOf(keyspace)) << "the rollback went past the sink";
  }
  EXPECT_GT(rolled_back, 100u);
  keyspace.sink().Detach(shadow);
}

INSTANTIATE_TEST_SUITE_P(Seeds, UndoModel, testing::Range<uint64_t>(1, 9));

class UndoTest : public testing::Test {
 protected:
  UndoTest() { keyspace_.SetNow(1'000); }
  Key KeyOf(std::string_view text) { return {text, base::HashBytes(text, keyspace_.seed())}; }

  Keyspace keyspace_{{.seed = 1, .random_seed = 1}};
  Database& database_ = keyspace_.database(DbIndex(0));
  UndoTarget target_{keyspace_};
  types::UndoLog undo_{keyspace_.sink(), target_};
};

TEST_F(UndoTest, OthersChangesBetweenTwoRecordingsStand) {
  {
    types::UndoLog::Recording recording(undo_);
    ASSERT_TRUE(database_.SetString(KeyOf("mine"), "1", kNoDeadline).ok());
  }
  ASSERT_TRUE(database_.SetString(KeyOf("theirs"), "2", kNoDeadline).ok());
  {
    types::UndoLog::Recording recording(undo_);
    ASSERT_TRUE(database_.SetString(KeyOf("mine"), "3", kNoDeadline).ok());
  }
  undo_.Rollback();
  EXPECT_EQ(ContentsOf(database_), (PlainDatabase{{"theirs", {"2", kNoDeadline}}}));
}

TEST_F(UndoTest, ADeadlineOfTheScopeThatPassedIsTakenBackToo) {
  ASSERT_TRUE(database_.SetString(KeyOf("k"), "v", 9'000).ok());
  {
    types::UndoLog::Recording recording(undo_);
    ASSERT_TRUE(database_.SetDeadline(database_.FindForWrite(KeyOf("k")), 1'500).ok());
    keyspace_.SetNow(2'000);
    ASSERT_EQ(database_.Find(KeyOf("k")), nullptr);
  }
  undo_.Rollback();
  ASSERT_NE(database_.Find(KeyOf("k")), nullptr);
  EXPECT_EQ(database_.Find(KeyOf("k"))->deadline(), 9'000);
}

TEST_F(UndoTest, RollbackSendsNoEventAndCountsAsChanges) {
  struct Listener final : EventListener {
    size_t count = 0;
    void OnEvent(const Event&) override { ++count; }
  } listener;
  {
    types::UndoLog::Recording recording(undo_);
    ASSERT_TRUE(database_.SetString(KeyOf("k"), "v", kNoDeadline).ok());
  }
  keyspace_.events().Attach(listener);
  Lsn position = keyspace_.sink().position();
  undo_.Rollback();
  EXPECT_EQ(listener.count, 0u);
  EXPECT_GT(keyspace_.sink().position(), position);
  EXPECT_EQ(database_.size(), 0u);
  keyspace_.events().Detach(listener);
}

TEST_F(UndoTest, BytesGrowWithWhatIsRecorded) {
  ASSERT_TRUE(database_.SetString(KeyOf("k"), std::string(3000, 'x'), kNoDeadline).ok());
  types::UndoLog::Recording recording(undo_);
  ASSERT_TRUE(database_.SetString(KeyOf("k"), "small", kNoDeadline).ok());
  EXPECT_GE(undo_.bytes(), 3000u);
  EXPECT_EQ(undo_.record_count(), 1u);
}

TEST_F(UndoTest, APatchCostsWhatItOverwrites) {
  ASSERT_TRUE(database_.SetString(KeyOf("k"), std::string(100'000, 'x'), 9'000).ok());
  PlainDatabase before = ContentsOf(database_);
  {
    types::UndoLog::Recording recording(undo_);
    for (size_t i = 0; i < 100; ++i) {
      dash::Table::Ref ref = database_.FindForWrite(KeyOf("k"));
      ASSERT_TRUE(database_.PatchString(KeyOf("k"), ref, i * 1000, "abc", kEventSetRange).ok());
      ref = database_.FindForWrite(KeyOf("k"));
      ASSERT_TRUE(database_.PatchString(KeyOf("k"), ref, 100'000 + i * 7, "1234567", kEventAppend).ok());
    }
  }
  EXPECT_LT(undo_.bytes(), 10'000u);
  undo_.Rollback();
  EXPECT_EQ(ContentsOf(database_), before);
}

}  // namespace
}  // namespace moonshard::db
