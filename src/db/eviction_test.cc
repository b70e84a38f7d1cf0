#include "db/eviction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "db/eviction_budget.h"

namespace moonshard::db {
namespace {

constexpr TimeMs kStart = 1'700'000'000'000;

class EvictionTest : public testing::Test,
                     public LockView,
                     public EventListener,
                     public types::MutationConsumer {
 protected:
  EvictionTest() { keyspace_.SetNow(kStart); }
  bool IsLocked(uint64_t fingerprint) const override { return locked_.contains(fingerprint); }
  void OnEvent(const Event& event) override {
    EXPECT_EQ(event.event_class, EventClass::kEvicted);
    EXPECT_EQ(event.name, "evicted");
    evicted_.emplace_back(event.key);
  }
  void OnMutation(const types::Mutation& mutation) override {
    if (mutation.reason == types::MutationReason::kEvicted) ++evicted_mutations_;
  }

  void Select(EvictionPolicy policy) {
    settings_.policy = policy;
    keyspace_.SetNow(keyspace_.now());
  }
  Key KeyOf(std::string_view text) { return {text, base::HashBytes(text, keyspace_.seed())}; }
  Database& database(uint16_t index = 0) { return keyspace_.database(DbIndex(index)); }
  void Set(const std::string& key, TimeMs deadline = kNoDeadline, uint16_t db = 0) {
    ASSERT_TRUE(database(db).SetString(KeyOf(key), "value", deadline).ok());
  }
  bool Has(const std::string& key, uint16_t db = 0) {
    Key hashed = KeyOf(key);
    return static_cast<bool>(database(db).table().Find(hashed.hash, key));
  }

  EvictionSettings settings_;
  Keyspace keyspace_{{.seed = 7, .random_seed = 3, .eviction = &settings_}};
  Evictor evictor_{keyspace_, settings_, this, 11};
  std::set<uint64_t> locked_;
  std::vector<std::string> evicted_;
  size_t evicted_mutations_ = 0;
};

TEST_F(EvictionTest, NothingGoesWithoutAPolicy) {
  Set("a");
  EXPECT_FALSE(evictor_.MayEvict());
  EXPECT_FALSE(evictor_.EvictOne());
  EXPECT_TRUE(Has("a"));
}

TEST_F(EvictionTest, AnEmptyShardHasNothingToGive) {
  for (const EvictionPolicyName& row : kEvictionPolicies) {
    Select(row.policy);
    EXPECT_FALSE(evictor_.MayEvict()) << row.name;
    EXPECT_FALSE(evictor_.EvictOne()) << row.name;
  }
}

TEST_F(EvictionTest, EachKeyThatGoesIsReportedAndAnnouncedOnce) {
  Select(EvictionPolicy::kAllKeysLru);
  for (int i = 0; i < 300; ++i) Set("k" + std::to_string(i), kNoDeadline, static_cast<uint16_t>(i % 16));
  keyspace_.events().Attach(*this);
  keyspace_.sink().Attach(*this);
  size_t count = 0;
  while (evictor_.EvictOne()) ++count;
  keyspace_.events().Detach(*this);
  keyspace_.sink().Detach(*this);
  EXPECT_EQ(count, 300u);
  EXPECT_EQ(keyspace_.stats().evicted, 300u);
  EXPECT_EQ(keyspace_.stats().expired, 0u);
  EXPECT_EQ(evicted_mutations_, 300u);
  std::sort(evicted_.begin(), evicted_.end());
  EXPECT_EQ(std::unique(evicted_.begin(), evicted_.end()) - evicted_.begin(), 300);
  EXPECT_FALSE(evictor_.MayEvict());
}

TEST_F(EvictionTest, VolatilePoliciesTakeEveryKeyWithADeadlineAndNoOther) {
  for (const EvictionPolicyName& row : kEvictionPolicies) {
    if (!IsVolatile(row.policy)) continue;
    SCOPED_TRACE(row.name);
    Select(row.policy);
    for (int i = 0; i < 3'000; ++i) Set("p" + std::to_string(i), kNoDeadline, static_cast<uint16_t>(i % 3));
    for (int i = 0; i < 500; ++i) {
      Set("v" + std::to_string(i), kStart + 1'000'000 + i * 977, static_cast<uint16_t>(i % 2));
    }
    size_t count = 0;
    while (evictor_.EvictOne()) ++count;
    EXPECT_EQ(count, 500u);
    EXPECT_FALSE(evictor_.MayEvict());
    EXPECT_EQ(database(0).size() + database(1).size() + database(2).size(), 3'000u);
  }
}

TEST_F(EvictionTest, TheOnlyVolatileKeyAmongManyIsFound) {
  for (int i = 0; i < 50'000; ++i) Set("p" + std::to_string(i));
  for (EvictionPolicy policy : {EvictionPolicy::kVolatileLru, EvictionPolicy::kVolatileTtl,
                                EvictionPolicy::kVolatileRandom, EvictionPolicy::kVolatileLfu}) {
    Select(policy);
    Set("rare", kStart + 5'000'000);
    EXPECT_TRUE(evictor_.EvictOne());
    EXPECT_FALSE(Has("rare"));
    EXPECT_FALSE(evictor_.EvictOne());
  }
}

TEST_F(EvictionTest, KeysThatLostTheirDeadlineStay) {
  Select(EvictionPolicy::kVolatileTtl);
  for (int i = 0; i < 2'000; ++i) Set("k" + std::to_string(i), kStart + 10'000 + i);
  EXPECT_TRUE(evictor_.EvictOne());  // the pool remembers others
  for (int i = 0; i < 2'000; ++i) {
    if (i % 10 != 0 && Has("k" + std::to_string(i))) Set("k" + std::to_string(i));
  }
  const size_t left = database().deadline_count();
  size_t count = 0;
  while (evictor_.EvictOne()) ++count;
  EXPECT_EQ(count, left);
  EXPECT_GE(database().size(), 1'799u);
}

TEST_F(EvictionTest, LockedKeysArePassedOver) {
  for (const EvictionPolicyName& row : kEvictionPolicies) {
    if (row.policy == EvictionPolicy::kNoEviction) continue;
    SCOPED_TRACE(row.name);
    Select(row.policy);
    for (int i = 0; i < 100; ++i) {
      Set("k" + std::to_string(i), kStart + 1'000'000);
      if (i % 2 == 0) locked_.insert(LockFingerprint(DbIndex(0), KeyOf("k" + std::to_string(i)).hash));
    }
    // A locked key costs an attempt, and attempts are bounded.
    for (int i = 0; i < 2'000 && database().size() > 50; ++i) (void)evictor_.EvictOne();
    EXPECT_EQ(database().size(), 50u);
    for (int i = 0; i < 100; i += 2) EXPECT_TRUE(Has("k" + std::to_string(i)));
    EXPECT_FALSE(evictor_.EvictOne());
    EXPECT_TRUE(evictor_.MayEvict());
    locked_.clear();
    while (evictor_.EvictOne()) {
    }
    EXPECT_EQ(database().size(), 0u);
  }
}

TEST_F(EvictionTest, TheKeysThatWouldExpireFirstGoFirst) {
  Select(EvictionPolicy::kVolatileTtl);
  constexpr int kKeys = 20'000;
  for (int i = 0; i < kKeys; ++i) Set("k" + std::to_string(i), kStart + 1'000'000 + i * 1'000);
  for (int i = 0; i < kKeys / 2; ++i) ASSERT_TRUE(evictor_.EvictOne());
  int early_left = 0;
  int very_early_left = 0;
  for (int i = 0; i < kKeys / 2; ++i) {
    if (!Has("k" + std::to_string(i))) continue;
    ++early_left;
    if (i < kKeys / 4) ++very_early_left;
  }
  EXPECT_LT(early_left, kKeys / 50) << "of those in the first half";
  EXPECT_LT(very_early_left, kKeys / 1'000);
}

TEST_F(EvictionTest, AKeyUsedSinceItWasWeighedStays) {
  Select(EvictionPolicy::kAllKeysLru);
  for (int i = 0; i < 64; ++i) Set("k" + std::to_string(i));
  keyspace_.SetNow(kStart + 100'000);
  ASSERT_TRUE(evictor_.EvictOne());  // the pool has filled
  for (int i = 0; i < 64; ++i) {
    if (i != 5) database().Find(KeyOf("k" + std::to_string(i)));
  }
  if (!Has("k5")) return;
  // Every other key has just been used, also those in the pool.
  for (int i = 0; i < 200 && Has("k5"); ++i) ASSERT_TRUE(evictor_.EvictOne());
  EXPECT_GE(database().size(), 50u) << "the idle one is found before many others have gone";
}

TEST_F(EvictionTest, LargeKeysArePassedOverWhereLittleIsNeeded) {
  for (EvictionPolicy policy : {EvictionPolicy::kAllKeysLru, EvictionPolicy::kAllKeysRandom}) {
    Select(policy);
    const std::string large(100'000, 'x');
    ASSERT_TRUE(database().SetString(KeyOf("large"), large, kNoDeadline).ok());
    keyspace_.SetNow(keyspace_.now() + 60'000);
    for (int i = 0; i < 50; ++i) Set("k" + std::to_string(i));
    for (int i = 0; i < 2'000 && database().size() > 1; ++i) (void)evictor_.EvictOne(1'000);
    EXPECT_EQ(database().size(), 1u);
    EXPECT_TRUE(Has("large"));
    EXPECT_FALSE(evictor_.EvictOne(50'000));
    EXPECT_TRUE(evictor_.EvictOne(200'000));
    EXPECT_FALSE(Has("large"));
  }
}

// ---- quality: a cache of a fixed number of keys under a Zipf load

class ZipfKeys {
 public:
  ZipfKeys(size_t count, double exponent, uint64_t seed) : random_(seed) {
    double sum = 0;
    for (size_t i = 1; i <= count; ++i)
      cumulated_.push_back(sum += 1 / std::pow(static_cast<double>(i), exponent));
  }
  size_t Next() {
    double at = random_.NextDouble() * cumulated_.back();
    return static_cast<size_t>(std::lower_bound(cumulated_.begin(), cumulated_.end(), at) -
                               cumulated_.begin());
  }

 private:
  base::Random random_;
  std::vector<double> cumulated_;
};

constexpr size_t kCacheKeys = 2'000;
constexpr size_t kUniverse = 20'000;
constexpr size_t kAccesses = 100'000;
constexpr size_t kAccessesPerSecond = 200;

double ExactLruHitRate(ZipfKeys keys) {
  std::list<size_t> order;
  std::unordered_map<size_t, std::list<size_t>::iterator> at;
  size_t hits = 0;
  for (size_t i = 0; i < kAccesses; ++i) {
    size_t key = keys.Next();
    if (auto found = at.find(key); found != at.end()) {
      ++hits;
      order.splice(order.begin(), order, found->second);
      continue;
    }
    order.push_front(key);
    at[key] = order.begin();
    if (order.size() > kCacheKeys) {
      at.erase(order.back());
      order.pop_back();
    }
  }
  return static_cast<double>(hits) / kAccesses;
}

// Counts every access of the keys it holds.
double ExactLfuHitRate(ZipfKeys keys) {
  std::unordered_map<size_t, uint64_t> counts;
  std::set<std::pair<uint64_t, size_t>> order;
  size_t hits = 0;
  for (size_t i = 0; i < kAccesses; ++i) {
    size_t key = keys.Next();
    if (auto found = counts.find(key); found != counts.end()) {
      ++hits;
      order.erase({found->second, key});
      order.insert({++found->second, key});
      continue;
    }
    if (counts.size() == kCacheKeys) {
      counts.erase(order.begin()->second);
      order.erase(order.begin());
    }
    counts[key] = 1;
    order.insert({1, key});
  }
  return static_cast<double>(hits) / kAccesses;
}

class EvictionQuality : public EvictionTest {
 protected:
  double HitRate(EvictionPolicy policy, ZipfKeys keys) {
    database().Flush();
    Select(policy);
    const TimeMs begin = keyspace_.now();
    size_t hits = 0;
    for (size_t i = 0; i < kAccesses; ++i) {
      keyspace_.SetNow(begin + static_cast<TimeMs>(i * 1'000 / kAccessesPerSecond));
      std::string key = std::to_string(keys.Next());
      if (database().Find(KeyOf(key)) != nullptr) {
        ++hits;
        continue;
      }
      if (database().size() == kCacheKeys) EXPECT_TRUE(evictor_.EvictOne());
      Set(key, keyspace_.now() + 1'000'000'000);
    }
    return static_cast<double>(hits) / kAccesses;
  }
};

TEST_F(EvictionQuality, LruComesCloseToExactLru) {
  for (double exponent : {0.8, 1.1}) {
    ZipfKeys keys(kUniverse, exponent, 5);
    const double exact = ExactLruHitRate(keys);
    const double chance = HitRate(EvictionPolicy::kAllKeysRandom, keys);
    for (EvictionPolicy policy : {EvictionPolicy::kAllKeysLru, EvictionPolicy::kVolatileLru}) {
      const double ours = HitRate(policy, keys);
      RecordProperty("exact", std::to_string(exact));
      EXPECT_GT(ours, exact - 0.012) << "exponent " << exponent << ", exact " << exact;
      EXPECT_GT(ours, chance + 0.008) << "exponent " << exponent;
    }
  }
}

TEST_F(EvictionQuality, LfuComesCloseToExactLfu) {
  for (double exponent : {0.8, 1.1}) {
    ZipfKeys keys(kUniverse, exponent, 6);
    const double exact = ExactLfuHitRate(keys);
    const double chance = HitRate(EvictionPolicy::kAllKeysRandom, keys);
    for (EvictionPolicy policy : {EvictionPolicy::kAllKeysLfu, EvictionPolicy::kVolatileLfu}) {
      const double ours = HitRate(policy, keys);
      EXPECT_GT(ours, exact - 0.04) << "exponent " << exponent << ", exact " << exact;
      EXPECT_GT(ours, chance + 0.008) << "exponent " << exponent;
    }
  }
}

// ---- the budget of one shard among several

class DataBudgetTest : public EvictionTest {
 protected:
  static constexpr uint64_t kLimit = 1'000'000;
  DataBudgetTest() { settings_.maxmemory = kLimit; }
  void FillTo(uint64_t bytes) {
    for (int i = 0; keyspace_.used_bytes() < bytes; ++i) Set("fill" + std::to_string(i));
  }

  std::atomic<uint64_t> total_{0};
  BudgetSignals signals_;
  DataBudget budget_{keyspace_, {settings_, total_, signals_, 4}, nullptr, 5};
};

TEST_F(DataBudgetTest, TheCounterIsNeverBelowWhatIsUsed) {
  ASSERT_TRUE(budget_.MakeRoom(300'000));
  EXPECT_GE(total_, 300'000u);
  FillTo(200'000);
  EXPECT_GE(total_, keyspace_.used_bytes());
  budget_.EndTurn();
  EXPECT_GE(total_, keyspace_.used_bytes());
  EXPECT_LE(total_, keyspace_.used_bytes() + 4'096);
  database().Flush();
  while (keyspace_.has_retired()) keyspace_.FreeRetired(1'000);
  budget_.EndTurn();
  EXPECT_LE(total_, 4'096u);
}

TEST_F(DataBudgetTest, ReservationsAreKeptApartUntilTheyAreTaken) {
  EXPECT_TRUE(budget_.Reserve(400'000));
  EXPECT_FALSE(budget_.Reserve(kLimit - 400'000)) << "a little stays free without eviction";
  EXPECT_TRUE(budget_.Reserve(500'000));
  EXPECT_FALSE(budget_.MakeRoom(100'000));
  budget_.GiveBack(500'000);
  budget_.Take(400'000);
  EXPECT_EQ(total_, 400'000u);
  EXPECT_TRUE(budget_.MakeRoom(400'000)) << "which it has";
  budget_.EndTurn();
  EXPECT_LE(total_, 4'096u) << "what was not used goes back";
}

TEST_F(DataBudgetTest, WhatAWriteWaitsForIsLeftToIt) {
  Select(EvictionPolicy::kAllKeysLru);
  budget_.Want(700'000);
  EXPECT_FALSE(budget_.Reserve(400'000));
  EXPECT_TRUE(budget_.Reserve(200'000));
  EXPECT_EQ(budget_.Missing(), 0u);
  EXPECT_TRUE(budget_.ClaimWanted());
  EXPECT_EQ(total_, 900'000u);
  EXPECT_EQ(signals_.wanted, 0u);
}

TEST_F(DataBudgetTest, RoomIsMadeByEvictionAsFarAsATurnAllows) {
  Select(EvictionPolicy::kAllKeysLru);
  FillTo(900'000);
  budget_.EndTurn();
  const uint64_t before = keyspace_.stats().evicted;
  EXPECT_TRUE(budget_.MakeRoom(100'000));
  EXPECT_GT(keyspace_.stats().evicted, before);
  EXPECT_LE(total_, kLimit);
  settings_.tenacity = 0;
  EXPECT_FALSE(budget_.MakeRoom(300'000)) << "one key a turn";
  settings_.tenacity = 100;
  EXPECT_TRUE(budget_.MakeRoom(300'000)) << "no bound";
  EXPECT_FALSE(budget_.MakeRoom(kLimit + 1));
}

TEST_F(DataBudgetTest, WhatWasFlushedIsFreedBeforeAnythingIsRefused) {
  FillTo(900'000);
  budget_.EndTurn();
  EXPECT_FALSE(budget_.MakeRoom(200'000));
  database().Flush();
  EXPECT_GT(keyspace_.used_bytes(), 700'000u) << "a large database is freed bit by bit";
  EXPECT_FALSE(budget_.may_free_some());
  budget_.EndTurn();
  EXPECT_TRUE(budget_.may_free_some());
  EXPECT_FALSE(budget_.MakeRoom(200'000)) << "not all of it in one turn";
  settings_.tenacity = 100;
  EXPECT_TRUE(budget_.MakeRoom(200'000));
  while (keyspace_.has_retired()) keyspace_.FreeRetired(1'000);
  budget_.EndTurn();
  EXPECT_FALSE(budget_.may_free_some());
}

TEST_F(DataBudgetTest, AShardWithLittleLeavesItToTheOthers) {
  Select(EvictionPolicy::kAllKeysLru);
  FillTo(50'000);
  budget_.EndTurn();
  total_ += kLimit - total_;
  EXPECT_FALSE(budget_.MakeRoom(1'000));
  EXPECT_EQ(keyspace_.stats().evicted, 0u);
}

TEST_F(DataBudgetTest, ALowerLimitIsReachedInBoundedTurns) {
  Select(EvictionPolicy::kAllKeysRandom);
  FillTo(900'000);
  budget_.EndTurn();
  settings_.maxmemory = 200'000;
  int turns = 0;
  do {
    const uint64_t before = keyspace_.stats().evicted;
    budget_.EndTurn();
    EXPECT_LE(keyspace_.stats().evicted - before, 512u);
    ++turns;
  } while (budget_.HasWork() && turns < 1'000);
  EXPECT_GT(turns, 10);
  EXPECT_LE(total_, 200'000u);
  EXPECT_GT(total_, 150'000u);
}

TEST_F(DataBudgetTest, WithoutALimitTheCounterFollowsInSteps) {
  settings_.maxmemory = 0;
  FillTo(100'000);
  EXPECT_TRUE(budget_.MakeRoom(uint64_t{1} << 40));
  budget_.EndTurn();
  EXPECT_NEAR(static_cast<double>(total_), static_cast<double>(keyspace_.used_bytes()), 8'192);
  const uint64_t before = total_;
  Set("one more");
  budget_.EndTurn();
  EXPECT_EQ(total_, before);
}

}  // namespace
}  // namespace moonshard::db
