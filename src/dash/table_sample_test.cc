// Sampling for eviction.

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "dash/table.h"

namespace moonshard::dash {
namespace {

class SampleTest : public testing::Test {
 protected:
  void Insert(const std::string& key, TimeMs deadline = kNoDeadline) {
    ASSERT_TRUE(table_.Insert(table_.Hash(key), key, Type::kString, 0, 8, deadline));
  }
  Table::Ref Find(const std::string& key) { return table_.Find(table_.Hash(key), key); }
  std::string KeyAt(Table::Ref ref) { return std::string(table_.entry(ref)->key()); }

  Slab slab_;
  Table table_{slab_, {.seed = 5}};
  base::Random random_{17};
};

TEST_F(SampleTest, AnEmptyTableHasNoSamples) {
  auto never = [](Table::Ref, Entry*) { FAIL(); };
  table_.Sample(random_, 5, Table::SampleOf::kAll, never);
  table_.Sample(random_, 5, Table::SampleOf::kWithDeadline, never);
  table_.SampleEarliest(random_, 5, never);
  EXPECT_FALSE(table_.FindHandle(table_.Hash("k"), 8));
}

TEST_F(SampleTest, EveryKeyIsVisitedAboutEquallyOften) {
  constexpr int kKeys = 3'000;
  constexpr int kVisits = 200;  // of each key, on average
  for (int i = 0; i < kKeys; ++i) Insert("k" + std::to_string(i));
  std::map<std::string, int> visits;
  for (int i = 0; i < kKeys * kVisits / 5; ++i) {
    int count = 0;
    table_.Sample(random_, 5, Table::SampleOf::kAll, [&](Table::Ref ref, Entry* entry) {
      EXPECT_EQ(table_.entry(ref), entry);
      ++visits[std::string(entry->key())];
      ++count;
    });
    ASSERT_EQ(count, 5);
  }
  ASSERT_EQ(visits.size(), static_cast<size_t>(kKeys));
  // A key's chance depends on how full its segment is, half full to full.
  for (const auto& [key, count] : visits) {
    EXPECT_GT(count, kVisits / 4) << key;
    EXPECT_LT(count, kVisits * 4) << key;
  }
}

TEST_F(SampleTest, AFewKeysAreAllVisited) {
  for (int i = 0; i < 3; ++i) Insert("k" + std::to_string(i));
  std::set<std::string> seen;
  table_.Sample(random_, 5, Table::SampleOf::kAll,
                [&](Table::Ref, Entry* entry) { seen.insert(std::string(entry->key())); });
  EXPECT_EQ(seen.size(), 3u);
}

TEST_F(SampleTest, OnlyKeysWithADeadlineWhereTheyAreAskedFor) {
  for (int i = 0; i < 5'000; ++i) Insert("p" + std::to_string(i));
  for (int i = 0; i < 40; ++i) Insert("v" + std::to_string(i), 1'000'000 + i * 100'000);
  std::set<std::string> seen;
  for (int i = 0; i < 3'000; ++i) {
    table_.Sample(random_, 5, Table::SampleOf::kWithDeadline, [&](Table::Ref, Entry* entry) {
      ASSERT_TRUE(entry->has_deadline());
      seen.insert(std::string(entry->key()));
    });
    table_.SampleEarliest(random_, 2, [&](Table::Ref, Entry* entry) { ASSERT_TRUE(entry->has_deadline()); });
  }
  EXPECT_EQ(seen.size(), 40u);
  table_.CheckInvariants();
}

TEST_F(SampleTest, SegmentsThatLostTheirDeadlinesAreForgotten) {
  for (int i = 0; i < 2'000; ++i) Insert("k" + std::to_string(i), 1'000'000 + i);
  for (int i = 0; i < 1'999; ++i) table_.SetDeadline(Find("k" + std::to_string(i)), kNoDeadline);
  bool found = false;
  for (int i = 0; i < 200 && !found; ++i) {
    table_.Sample(random_, 5, Table::SampleOf::kWithDeadline, [&](Table::Ref ref, Entry*) {
      EXPECT_EQ(KeyAt(ref), "k1999");
      found = true;
    });
  }
  EXPECT_TRUE(found);
  table_.CheckInvariants();
  table_.Erase(Find("k1999"));
  table_.Sample(random_, 5, Table::SampleOf::kWithDeadline, [&](Table::Ref, Entry*) { FAIL(); });
}

TEST_F(SampleTest, TheEarliestOfManySegmentsIsLookedThrough) {
  for (int i = 0; i < 4'000; ++i) Insert("k" + std::to_string(i), 10'000'000 + i);
  Insert("first", 5'000);
  bool found = false;
  table_.SampleEarliest(random_, 2'000, [&](Table::Ref ref, Entry*) { found |= KeyAt(ref) == "first"; });
  EXPECT_TRUE(found);
  // It does not keep its segment in front once it is gone.
  table_.Erase(Find("first"));
  table_.SampleEarliest(random_, 2'000, [](Table::Ref, Entry*) {});
  std::set<std::string> seen;
  table_.SampleEarliest(random_, 2'000, [&](Table::Ref ref, Entry*) { seen.insert(KeyAt(ref)); });
  EXPECT_TRUE(seen.contains("k0"));
  table_.CheckInvariants();
}

TEST_F(SampleTest, AHandleFindsItsEntryUntilItIsGoneOrAnothers) {
  for (int i = 0; i < 1'000; ++i) Insert("k" + std::to_string(i));
  Table::Ref ref = Find("k7");
  const Handle handle = table_.HandleAt(ref);
  const uint64_t hash = table_.Hash("k7");
  EXPECT_EQ(table_.FindHandle(hash, handle), ref);
  EXPECT_FALSE(table_.FindHandle(hash, table_.HandleAt(Find("k8"))));
  EXPECT_FALSE(table_.FindHandle(table_.Hash("k8"), handle));
  table_.Erase(ref);
  EXPECT_FALSE(table_.FindHandle(hash, handle));
  Insert("x7");  // takes the block over
  EXPECT_EQ(table_.HandleAt(Find("x7")), handle);
  EXPECT_FALSE(table_.FindHandle(hash, handle));
}

TEST_F(SampleTest, OverflowSegmentsAreSampledToo) {
  // All keys have one hash prefix: the segment cannot be split.
  Slab slab;
  Table table(slab, {.seed = 1, .hash = [](std::string_view key, base::HashSeed) {
                       return base::HashBytes(key, 3) & 0xFFFF;
                     }});
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    std::string key = "k" + std::to_string(i);
    ASSERT_TRUE(table.Insert(table.Hash(key), key, Type::kString, 0, 8));
  }
  for (int i = 0; i < 3'000; ++i) {
    table.Sample(random_, 5, Table::SampleOf::kAll, [&](Table::Ref ref, Entry* entry) {
      seen.insert(std::string(entry->key()));
      EXPECT_EQ(table.FindHandle(table.Hash(entry->key()), table.HandleAt(ref)), ref);
    });
  }
  EXPECT_EQ(seen.size(), 200u);
}

}  // namespace
}  // namespace moonshard::dash
