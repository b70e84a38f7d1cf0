#include "db/keyspace.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "db/errors.h"
#include "db/testing.h"

namespace moonshard::db {
namespace {

class KeyspaceTest : public testing::Test, public EventListener {
 protected:
  KeyspaceTest() {
    keyspace_.SetNow(1'000);
    keyspace_.events().Attach(*this);
    keyspace_.sink().Attach(shadow_);
  }
  ~KeyspaceTest() override {
    keyspace_.events().Detach(*this);
    keyspace_.sink().Detach(shadow_);
  }
  void OnEvent(const Event& event) override {
    events_.push_back(std::string(event.name) + " " + std::to_string(event.db.value()) + ":" +
                      std::string(event.key));
  }
  std::vector<std::string> TakeEvents() { return std::exchange(events_, {}); }
  Key KeyOf(std::string_view text) { return {text, base::HashBytes(text, keyspace_.seed())}; }
  void Set(std::string_view key, std::string_view bytes, TimeMs deadline = kNoDeadline) {
    ASSERT_TRUE(database_.SetString(KeyOf(key), bytes, deadline).ok());
  }
  dash::Slab& slab() { return const_cast<dash::Slab&>(keyspace_.slab()); }

  using Events = std::vector<std::string>;
  Keyspace keyspace_{{.seed = 77, .random_seed = 1}};
  Database& database_ = keyspace_.database(DbIndex(3));
  Shadow shadow_;
  std::vector<std::string> events_;
};

// ---- events

TEST_F(KeyspaceTest, ANewKeyIsAnnouncedBeforeItsValue) {
  Set("k", "v");
  EXPECT_EQ(TakeEvents(), (Events{"new 3:k", "set 3:k"}));
  Set("k", "w");
  EXPECT_EQ(TakeEvents(), (Events{"set 3:k"}));
  ASSERT_TRUE(database_.IncrementBy(KeyOf("n"), 1).ok());
  ASSERT_TRUE(database_.IncrementBy(KeyOf("n"), 1).ok());
  EXPECT_EQ(TakeEvents(), (Events{"new 3:n", "incrby 3:n", "incrby 3:n"}));
  ASSERT_TRUE(database_.SetString(KeyOf("to"), "v", kNoDeadline, kEventRenameTo).ok());
  EXPECT_EQ(TakeEvents(), (Events{"new 3:to", "rename_to 3:to"}));
}

TEST_F(KeyspaceTest, SettingAnExpiredKeyAnnouncesItsEndFirst) {
  Set("k", "v", 1'500);
  TakeEvents();
  keyspace_.SetNow(1'500);
  Set("k", "w");
  EXPECT_EQ(TakeEvents(), (Events{"expired 3:k", "new 3:k", "set 3:k"}));
  EXPECT_EQ(keyspace_.stats().expired, 1u);
}

TEST_F(KeyspaceTest, EraseAnnouncesItsNameOnceAndOnlyForLiveKeys) {
  Set("k", "v");
  Set("e", "v", 1'001);
  TakeEvents();
  keyspace_.SetNow(1'001);
  EXPECT_TRUE(database_.Erase(KeyOf("k"), "rename_from"));
  EXPECT_FALSE(database_.Erase(KeyOf("k"), "del"));
  EXPECT_FALSE(database_.Erase(KeyOf("e"), "del"));
  EXPECT_EQ(TakeEvents(), (Events{"rename_from 3:k", "expired 3:e"}));
}

TEST_F(KeyspaceTest, ARefusedIncrementLeavesNoTrace) {
  Set("text", "abc");
  Set("huge", "9223372036854775807");
  TakeEvents();
  Lsn position = keyspace_.sink().position();
  EXPECT_EQ(database_.IncrementBy(KeyOf("text"), 1).status().text(), kNotAnInteger.text);
  EXPECT_EQ(database_.IncrementBy(KeyOf("huge"), 1).status().text(), kIncrementOverflow.text);
  EXPECT_EQ(TakeEvents(), Events{});
  EXPECT_EQ(keyspace_.sink().position(), position);
}

TEST_F(KeyspaceTest, AnIncrementKeepsTheDeadline) {
  Set("n", "41", 5'000);
  EXPECT_EQ(*database_.IncrementBy(KeyOf("n"), 1), 42);
  EXPECT_EQ(database_.Find(KeyOf("n"))->deadline(), 5'000);
}

// ---- expiry

TEST_F(KeyspaceTest, AKeyEndsAtItsDeadlineNotBefore) {
  Set("k", "v", 1'500);
  keyspace_.SetNow(1'499);
  EXPECT_NE(database_.Find(KeyOf("k")), nullptr);
  EXPECT_EQ(keyspace_.ExpireDue(10, nullptr), 0u);
  keyspace_.SetNow(1'500);
  EXPECT_EQ(database_.Find(KeyOf("k")), nullptr);
  EXPECT_EQ(keyspace_.stats().misses, 1u);
  EXPECT_EQ(keyspace_.stats().hits, 1u);
}

TEST_F(KeyspaceTest, TheClockNeverStepsBack) {
  keyspace_.SetNow(500);
  EXPECT_EQ(keyspace_.now(), 1'000);
}

TEST_F(KeyspaceTest, ExpireDueStopsAtItsLimitAndGoesOnLater) {
  for (int i = 0; i < 100; ++i) Set("k" + std::to_string(i), "v", 1'100 + i % 3);
  keyspace_.SetNow(2'000);
  EXPECT_LE(keyspace_.NextDeadlineHint(), 2'000);
  EXPECT_EQ(keyspace_.ExpireDue(30, nullptr), 30u);
  EXPECT_EQ(database_.size(), 70u);
  EXPECT_EQ(keyspace_.ExpireDue(30, nullptr), 30u);
  EXPECT_EQ(keyspace_.ExpireDue(100, nullptr), 40u);
  EXPECT_EQ(keyspace_.NextDeadlineHint(), kNoDeadline);
  EXPECT_EQ(keyspace_.stats().expired, 100u);
  EXPECT_EQ(keyspace_.stats().expire_lag_ms.count(), 100u);
}

struct LockedKeys final : LockView {
  std::set<uint64_t> fingerprints;
  bool IsLocked(uint64_t fingerprint) const override { return fingerprints.contains(fingerprint); }
};

TEST_F(KeyspaceTest, LockedKeysDoNotExpireByTheClock) {
  LockedKeys locks;
  for (int i = 0; i < 50; ++i) {
    std::string key = "k" + std::to_string(i);
    Set(key, "v", 1'100);
    if (i % 2 == 0) locks.fingerprints.insert(LockFingerprint(DbIndex(3), KeyOf(key).hash));
  }
  // The same key of another database is another key.
  ASSERT_TRUE(keyspace_.database(DbIndex(4)).SetString(KeyOf("k0"), "v", 1'100).ok());
  keyspace_.SetNow(1'100);
  EXPECT_EQ(keyspace_.ExpireDue(1'000, &locks), 26u);
  EXPECT_EQ(database_.size(), 25u);
  EXPECT_EQ(keyspace_.database(DbIndex(4)).size(), 0u);
  // Not asked again within the same millisecond, so that a shard with nothing else to do may sleep.
  EXPECT_GT(keyspace_.NextDeadlineHint(), keyspace_.now());
  EXPECT_LE(keyspace_.NextDeadlineHint(), keyspace_.now() + 1);
  keyspace_.SetNow(1'101);
  EXPECT_EQ(keyspace_.ExpireDue(1'000, &locks), 0u);
  locks.fingerprints.clear();
  keyspace_.SetNow(1'102);
  EXPECT_EQ(keyspace_.ExpireDue(1'000, &locks), 25u);
  EXPECT_EQ(database_.size(), 0u);
}

TEST_F(KeyspaceTest, WithoutActiveExpiryKeysGoOnAccessOnly) {
  Set("k", "v", 1'100);
  keyspace_.SetActiveExpire(false);
  keyspace_.SetNow(2'000);
  EXPECT_EQ(keyspace_.NextDeadlineHint(), kNoDeadline);
  EXPECT_EQ(keyspace_.ExpireDue(10, nullptr), 0u);
  EXPECT_EQ(database_.size(), 1u);
  EXPECT_EQ(database_.Find(KeyOf("k")), nullptr);
  EXPECT_EQ(database_.size(), 0u);
}

TEST_F(KeyspaceTest, DeadlinesBeyond48BitsAreKept) {
  for (TimeMs deadline :
       {kNoDeadline - 1, dash::kShortDeadlineMax, dash::kShortDeadlineMax + 1, kNoDeadline}) {
    Set("k", "v", deadline);
    EXPECT_EQ(database_.Find(KeyOf("k"))->deadline(), deadline);
    EXPECT_EQ(ContentsOf(database_), shadow_.contents()[3]);
  }
}

TEST_F(KeyspaceTest, DeadlinesBeyond48BitsDoNotKeepOthersFromExpiring) {
  Set("late", "v", kNoDeadline - 1);
  Set("soon", "v", 1'100);
  keyspace_.SetNow(1'200);
  EXPECT_EQ(keyspace_.ExpireDue(10, nullptr), 1u);
  EXPECT_EQ(database_.size(), 1u);
  EXPECT_GT(keyspace_.NextDeadlineHint(), keyspace_.now());
}

// ---- memory that runs out: every allocation of every form, at the edge of the budget

TEST_F(KeyspaceTest, ExhaustedMemoryRefusesAndChangesNothing) {
  // Forms that need a block of another class, a deadline's bytes more, or a block of their own.
  const std::vector<TimeMs> deadlines = {kNoDeadline, kNoDeadline, 9'000, 8'000, dash::kShortDeadlineMax + 7};
  const std::vector<std::string> values = {"1", std::string(40, 'a'), std::string(300, 'b'),
                                           std::string(1'000, 'c'), std::string(9'000, 'd')};
  size_t refused = 0;
  base::Random random(9);
  for (size_t round = 0; round < 300; ++round) {
    database_.Flush();
    slab().Trim();
    slab().set_budget_bytes(SIZE_MAX);
    for (int i = 0; i < 4; ++i) {
      Set("k" + std::to_string(i), values[random.Below(values.size())],
          deadlines[random.Below(deadlines.size())]);
    }
    // A few chunks for what comes, or none.
    slab().set_budget_bytes(slab().committed_bytes() + random.Below(4) * dash::Slab::kChunkBytes);
    for (int step = 0; step < 40; ++step) {
      std::string key = "k" + std::to_string(random.Below(8));
      TimeMs deadline = deadlines[random.Below(deadlines.size())];
      PlainDatabase before = ContentsOf(database_);
      Lsn position = keyspace_.sink().position();
      base::Status status;
      if (random.OneIn(4)) {
        dash::Table::Ref ref = database_.FindForWrite(KeyOf(key));
        if (ref) status = database_.SetDeadline(ref, deadline);
      } else {
        status = database_.SetString(KeyOf(key), values[random.Below(values.size())], deadline);
      }
      ASSERT_EQ(ContentsOf(database_), shadow_.contents()[3]);
      if (status.ok()) continue;
      ++refused;
      ASSERT_EQ(status.code(), base::Code::kOutOfMemory);
      ASSERT_EQ(ContentsOf(database_), before);
      ASSERT_EQ(keyspace_.sink().position(), position);
    }
  }
  EXPECT_GT(refused, 100u);
  slab().set_budget_bytes(SIZE_MAX);
}

// ---- snapshots over the operations of a database

struct SnapshotCopy {
  Database* database;
  PlainDatabase copied;
  static void Hook(void* owner, dash::Segment& segment) {
    auto& self = *static_cast<SnapshotCopy*>(owner);
    self.database->table().ForEachInSegment(segment, [&](const dash::Entry* entry) {
      EXPECT_TRUE(self.copied.emplace(entry->key(), PlainOf(*entry)).second)
          << "copied twice: " << entry->key();
    });
  }
};

TEST(KeyspaceSnapshot, HooksAndWalkDeliverTheStateAtTheCut) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Keyspace keyspace({.seed = seed, .random_seed = 1});
    keyspace.SetNow(1'000);
    RandomOperations operations(keyspace, seed, 600);
    base::Random& random = operations.random();
    Database& database = keyspace.database(DbIndex(0));
    for (uint64_t epoch = 1; epoch <= 6; ++epoch) {
      for (int i = 0; i < 800; ++i) operations.Step(1);
      PlainDatabase at_cut = ContentsOf(database);
      SnapshotCopy snapshot{&database, {}};
      database.table().SetEpoch(epoch, &SnapshotCopy::Hook, &snapshot);
      // The walk goes on among all kinds of changes, in-place ones and the clock's included.
      uint64_t cursor = 0;
      do {
        for (size_t i = random.Below(60); i > 0; --i) operations.Step(1);
        if (random.OneIn(2)) keyspace.SetNow(keyspace.now() + static_cast<TimeMs>(random.Below(30)));
        if (random.OneIn(2)) keyspace.ExpireDue(random.Below(20), nullptr);
        if (random.OneIn(200)) database.Flush();
        cursor = database.table().TouchNext(cursor);
      } while (cursor != 0);
      ASSERT_EQ(snapshot.copied, at_cut) << "epoch " << epoch;
      database.table().SetEpoch(epoch, nullptr, nullptr);
    }
  }
}

TEST(KeyspaceSnapshot, WhatAFlushTakesIsDeliveredBeforeItIsFreed) {
  Keyspace keyspace({.seed = 4, .random_seed = 1});
  Database& database = keyspace.database(DbIndex(0));
  for (int i = 0; i < 300; ++i) {
    std::string key = "k" + std::to_string(i);
    ASSERT_TRUE(
        database.SetString({key, base::HashBytes(key, keyspace.seed())}, std::string(9'000, 'x'), kNoDeadline)
            .ok());
  }
  PlainDatabase at_cut = ContentsOf(database);
  SnapshotCopy snapshot{&database, {}};
  database.table().SetEpoch(1, &SnapshotCopy::Hook, &snapshot);
  database.Flush();
  ASSERT_TRUE(keyspace.has_retired());
  while (keyspace.has_retired()) keyspace.FreeRetired(10);
  EXPECT_EQ(snapshot.copied, at_cut);
}

}  // namespace
}  // namespace moonshard::db
