// Values on the move, flushes that are freed in slices, databases that are exchanged.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "db/testing.h"
#include "db/undo_target.h"
#include "db/wait_queue.h"

namespace moonshard::db {
namespace {

using types::DetachedValue;

class ValuesTest : public testing::Test {
 protected:
  ValuesTest() {
    keyspace_.SetNow(1'000);
    keyspace_.sink().Attach(shadow_);
    keyspace_.events().Attach(events_);
  }
  ~ValuesTest() override {
    keyspace_.sink().Detach(shadow_);
    keyspace_.events().Detach(events_);
  }
  Key KeyOf(std::string_view text) { return {text, base::HashBytes(text, keyspace_.seed())}; }
  Database& Db(uint16_t index) { return keyspace_.database(DbIndex(index)); }
  void Set(Database& database, std::string_view key, std::string_view bytes, TimeMs deadline = kNoDeadline) {
    ASSERT_TRUE(database.SetString(KeyOf(key), bytes, deadline).ok());
  }
  void Fill(Database& database, size_t count, std::string_view bytes = "v") {
    for (size_t i = 0; i < count; ++i) Set(database, "key:" + std::to_string(i), bytes);
  }

  struct Events final : EventListener {
    void OnEvent(const Event& event) override {
      seen.push_back(std::string(event.name) + " " + std::string(event.key) + " " +
                     std::to_string(event.db.value()));
    }
    void OnSwap(DbIndex a, DbIndex b) override {
      seen.push_back("swap " + std::to_string(a.value()) + " " + std::to_string(b.value()));
    }
    std::vector<std::string> seen;
  };

  Keyspace keyspace_{{.seed = 1, .random_seed = 1}};
  Shadow shadow_;
  Events events_;
};

TEST_F(ValuesTest, ALentValueMovesWithoutACopyOfItsBlock) {
  Set(Db(0), "from", std::string(100'000, 'x'), 9'000);
  const char* block = types::LoadHeap(*Db(0).Find(KeyOf("from"))).data;
  uint64_t outside = keyspace_.outside_bytes();
  auto value = DetachedValue::Lend(*Db(0).Find(KeyOf("from")));
  ASSERT_TRUE(Db(3).Place(KeyOf("to"), value).ok());
  Db(0).EraseLent(KeyOf("from"), "move_from");
  const dash::Entry* entry = Db(3).Find(KeyOf("to"));
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(types::LoadHeap(*entry).data, block);
  EXPECT_EQ(entry->deadline(), 9'000);
  EXPECT_EQ(Db(0).size(), 0u);
  EXPECT_EQ(keyspace_.outside_bytes(), outside);
  EXPECT_EQ(ContentsOf(keyspace_), shadow_.contents());
}

TEST_F(ValuesTest, ALentValueThatIsNotPlacedStaysWhereItIs) {
  Set(Db(0), "from", std::string(100'000, 'x'));
  {
    auto value = DetachedValue::Lend(*Db(0).Find(KeyOf("from")));
  }
  EXPECT_EQ(PlainOf(*Db(0).Find(KeyOf("from"))).bytes, std::string(100'000, 'x'));
}

TEST_F(ValuesTest, ACloneThatIsNotPlacedFreesItsBlock) {
  Set(Db(0), "from", std::string(100'000, 'x'));
  auto value = DetachedValue::Clone(*Db(0).Find(KeyOf("from")));
  ASSERT_TRUE(value);
  DetachedValue other = std::move(value);
  EXPECT_FALSE(value);  // NOLINT(bugprone-use-after-move): the state is defined
  char scratch[base::kMaxInt64Chars];
  EXPECT_EQ(other.StringBytes(scratch), std::string(100'000, 'x'));
  other = DetachedValue::OfString("12");
  EXPECT_EQ(other.StringBytes(scratch), "12");
  EXPECT_EQ(other.encoding(), types::kStringInt);
}

TEST_F(ValuesTest, ThePlacedValueOwnsItsAccessClockOnlyIfItWasLent) {
  Set(Db(0), "from", "v");
  Db(0).Peek(KeyOf("from"))->set_access_clock(77);
  auto lent = DetachedValue::Lend(*Db(0).Peek(KeyOf("from")));
  auto clone = DetachedValue::Clone(*Db(0).Peek(KeyOf("from")));
  ASSERT_TRUE(Db(0).Place(KeyOf("copy"), clone).ok());
  ASSERT_TRUE(Db(0).Place(KeyOf("to"), lent).ok());
  EXPECT_NE(Db(0).Peek(KeyOf("copy"))->access_clock(), 77u);
  EXPECT_EQ(Db(0).Peek(KeyOf("to"))->access_clock(), 77u);
}

TEST_F(ValuesTest, EveryFormReplacesEveryOther) {
  const std::string forms[] = {
      "", "7", "short", std::string(44, 'a'), std::string(5'000, 'b'), std::string(100'000, 'c')};
  for (const std::string& from : forms) {
    for (const std::string& to : forms) {
      for (TimeMs deadline : {kNoDeadline, TimeMs{5'000}}) {
        for (TimeMs former : {kNoDeadline, TimeMs{6'000}}) {
          Set(Db(0), "from", from, deadline);
          Set(Db(0), "to", to, former);
          auto value = DetachedValue::Clone(*Db(0).Find(KeyOf("from")));
          ASSERT_TRUE(Db(0).Place(KeyOf("to"), value).ok());
          ASSERT_EQ(PlainOf(*Db(0).Find(KeyOf("to"))), (PlainValue{from, deadline}));
          ASSERT_EQ(ContentsOf(keyspace_), shadow_.contents());
        }
      }
    }
  }
  Db(0).Flush();
  EXPECT_EQ(keyspace_.outside_bytes(), 0u);
}

TEST_F(ValuesTest, AFlushedDatabaseIsGoneAtOnceAndFreedInSlices) {
  const uint64_t empty_bytes = keyspace_.used_bytes();
  Fill(Db(2), 20'000);
  const uint64_t full_bytes = keyspace_.used_bytes();
  EXPECT_EQ(Db(2).Flush(), 20'000u);
  EXPECT_EQ(Db(2).size(), 0u);
  EXPECT_EQ(Db(2).Find(KeyOf("key:1")), nullptr);
  EXPECT_EQ(ContentsOf(Db(2)), PlainDatabase());
  ASSERT_TRUE(keyspace_.has_retired());
  EXPECT_EQ(keyspace_.retired_key_count() + keyspace_.stats().lazily_freed, 20'000u);
  EXPECT_GT(keyspace_.retired_key_count(), 10'000u);
  Set(Db(2), "key:1", "new");
  size_t slices = 0;
  for (uint64_t before = keyspace_.used_bytes(); keyspace_.has_retired(); before = keyspace_.used_bytes()) {
    ++slices;
    keyspace_.FreeRetired(1'000);
    EXPECT_LT(keyspace_.used_bytes(), before);
    EXPECT_LT(before - keyspace_.used_bytes(), (full_bytes - empty_bytes) / 10);
    keyspace_.slab().CheckInvariants();
  }
  EXPECT_GE(slices, 15u);
  EXPECT_EQ(PlainOf(*Db(2).Find(KeyOf("key:1"))).bytes, "new");
  Db(2).Erase(KeyOf("key:1"), "del");
  EXPECT_EQ(keyspace_.used_bytes(), empty_bytes);
}

TEST_F(ValuesTest, LargeValuesOfAFlushedDatabaseCountForMore) {
  Fill(Db(0), 200, std::string(1'000'000, 'x'));
  Db(0).Flush();
  keyspace_.FreeRetired(1);
  EXPECT_GT(keyspace_.outside_bytes(), 50'000'000u);
  while (keyspace_.has_retired()) keyspace_.FreeRetired(1);
  EXPECT_EQ(keyspace_.outside_bytes(), 0u);
}

TEST_F(ValuesTest, AFlushDuringAFlushWaitsInLine) {
  const uint64_t empty_bytes = keyspace_.used_bytes();
  for (uint16_t i = 0; i < 3; ++i) {
    Fill(Db(i), 5'000);
    Db(i).Flush();
  }
  Fill(Db(0), 5'000);
  Db(0).Flush();
  while (keyspace_.has_retired()) keyspace_.FreeRetired(500);
  EXPECT_EQ(keyspace_.used_bytes(), empty_bytes);
}

TEST_F(ValuesTest, AKeyspaceMayGoWhileAFlushIsNotFinished) {
  Keyspace other({.seed = 1, .random_seed = 1});
  std::string large(100'000, 'x');
  for (size_t i = 0; i < 3'000; ++i) {
    std::string key = std::to_string(i);
    ASSERT_TRUE(
        other.database(DbIndex(0))
            .SetString({key, base::HashBytes(key, other.seed())}, i % 100 == 0 ? large : "v", kNoDeadline)
            .ok());
  }
  other.database(DbIndex(0)).Flush();
  EXPECT_TRUE(other.has_retired());  // LeakSanitizer sees to the rest
}

// A flushed table keeps the snapshot's hook: each of its segments is shown once before it goes.
TEST_F(ValuesTest, ASnapshotSeesTheSegmentsOfAFlushedDatabase) {
  struct Snapshot {
    dash::Table* table = nullptr;
    size_t entries = 0;
  } snapshot;
  Fill(Db(0), 5'000);
  snapshot.table = &Db(0).table();
  Db(0).table().SetEpoch(
      1,
      [](void* owner, dash::Segment& segment) {
        auto& self = *static_cast<Snapshot*>(owner);
        self.table->ForEachInSegment(segment, [&](const dash::Entry*) { ++self.entries; });
      },
      &snapshot);
  Db(0).Flush();
  Fill(Db(0), 10, "new");
  while (keyspace_.has_retired()) keyspace_.FreeRetired(100);
  EXPECT_EQ(snapshot.entries, 5'000u);
}

TEST_F(ValuesTest, ExchangedDatabasesKeepTheirDeadlines) {
  for (size_t i = 0; i < 500; ++i) Set(Db(0), "a" + std::to_string(i), "v", 2'000 + static_cast<TimeMs>(i));
  Set(Db(5), "b", "w", 1'500);
  keyspace_.Swap(DbIndex(0), DbIndex(5));
  EXPECT_EQ(Db(5).size(), 500u);
  EXPECT_EQ(Db(0).size(), 1u);
  EXPECT_EQ(ContentsOf(keyspace_), shadow_.contents());
  keyspace_.SetNow(1'600);
  EXPECT_EQ(keyspace_.ExpireDue(1'000, nullptr), 1u);
  EXPECT_EQ(events_.seen.back(), "expired b 0");
  keyspace_.SetNow(3'000);
  while (keyspace_.NextDeadlineHint() <= keyspace_.now()) keyspace_.ExpireDue(1'000, nullptr);
  EXPECT_EQ(Db(5).size(), 0u);
  Db(0).table().CheckInvariants();
  Db(5).table().CheckInvariants();
}

TEST_F(ValuesTest, ExchangedDatabasesGrowAndShrinkOn) {
  Fill(Db(0), 10'000);
  Fill(Db(1), 3);
  keyspace_.Swap(DbIndex(0), DbIndex(1));
  keyspace_.Swap(DbIndex(1), DbIndex(2));
  Fill(Db(0), 10'000, "w");
  Fill(Db(1), 500, "x");
  for (uint16_t i = 0; i < 3; ++i) Db(i).table().CheckInvariants();
  EXPECT_EQ(ContentsOf(keyspace_), shadow_.contents());
  EXPECT_EQ(PlainOf(*Db(2).Find(KeyOf("key:9999"))).bytes, "v");
}

TEST_F(ValuesTest, UndoTakesAnExchangeBack) {
  Set(Db(0), "a", "1");
  Set(Db(1), "b", "2");
  PlainKeyspace before = ContentsOf(keyspace_);
  UndoTarget target(keyspace_);
  types::UndoLog undo(keyspace_.sink(), target);
  {
    types::UndoLog::Recording recording(undo);
    Set(Db(0), "a", "3");
    keyspace_.Swap(DbIndex(0), DbIndex(1));
    Set(Db(0), "b", "4");
    keyspace_.Swap(DbIndex(1), DbIndex(4));
    Set(Db(4), "c", "5");
  }
  undo.Rollback();
  EXPECT_EQ(ContentsOf(keyspace_), before);
  EXPECT_EQ(shadow_.contents(), before);
}

TEST_F(ValuesTest, WaitersAreToldOfKeysThatAnExchangeBrings) {
  WaitQueue waits(keyspace_);
  std::vector<std::string> told;
  struct Client {
    std::vector<std::string>* told;
    std::string name;
  };
  Client clients[] = {{&told, "x in 0"}, {&told, "y in 0"}, {&told, "x in 1"}};
  WaitQueue::Waiter waiters[3];
  for (size_t i = 0; i < 3; ++i) {
    waiters[i].arrival.sequence = i;
    waiters[i].user = &clients[i];
    waiters[i].turn = [](WaitQueue::Waiter& waiter) {
      auto& client = *static_cast<Client*>(waiter.user);
      client.told->push_back(client.name);
    };
  }
  waits.Add(DbIndex(0), KeyOf("x"), waiters[0]);
  waits.Add(DbIndex(0), KeyOf("y"), waiters[1]);
  Set(Db(1), "x", "v");
  waits.Add(DbIndex(1), KeyOf("x"), waiters[2]);
  waits.EndTurn();
  EXPECT_TRUE(told.empty());
  keyspace_.Swap(DbIndex(0), DbIndex(1));
  waits.EndTurn();
  EXPECT_EQ(told, (std::vector<std::string>{"x in 0"}));
  for (WaitQueue::Waiter& waiter : waiters) waits.Remove(waiter);
}

}  // namespace
}  // namespace moonshard::db
