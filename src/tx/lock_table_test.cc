#include "tx/lock_table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

#include "base/random.h"

namespace moonshard::tx {
namespace {

constexpr ClassSet kBlocking = Classes(LockClass::kShort, LockClass::kHeld);

struct TestPart {
  Part part;
  std::vector<KeyLock> locks;
  LockClass now = LockClass::kShort;
  bool inserted = false;

  TestPart(std::initializer_list<std::pair<uint64_t, LockMode>> keys, uint64_t number) {
    for (auto [key, mode] : keys) locks.push_back({.fingerprint = key * 0x9E3779B97F4A7C15ull, .mode = mode});
    part.locks = locks;
    part.order.number = number;
  }
};

uint64_t Fingerprint(uint64_t key) {
  return key * 0x9E3779B97F4A7C15ull;
}

TEST(LockTable, ConflictsByMode) {
  LockTable table;
  TestPart reader({{1, LockMode::kShared}}, 1);
  table.Insert(reader.part, LockClass::kShort);
  EXPECT_FALSE(table.Conflicts(Fingerprint(1), LockMode::kShared));
  EXPECT_TRUE(table.Conflicts(Fingerprint(1), LockMode::kExclusive));
  EXPECT_FALSE(table.Conflicts(Fingerprint(2), LockMode::kExclusive));
  TestPart writer({{1, LockMode::kExclusive}}, 2);
  table.Insert(writer.part, LockClass::kShort);
  EXPECT_TRUE(table.Conflicts(Fingerprint(1), LockMode::kShared));
  table.Remove(writer.part, LockClass::kShort);
  EXPECT_FALSE(table.Conflicts(Fingerprint(1), LockMode::kShared));
  table.Remove(reader.part, LockClass::kShort);
  EXPECT_TRUE(table.empty());
}

TEST(LockTable, WholeShardConflictsWithEveryKeyByMode) {
  LockTable table;
  TestPart whole({}, 1);
  whole.part.whole_shard = true;
  whole.part.whole_shard_mode = LockMode::kShared;
  table.Insert(whole.part, LockClass::kShort);
  EXPECT_FALSE(table.Conflicts(Fingerprint(7), LockMode::kShared));
  EXPECT_TRUE(table.Conflicts(Fingerprint(7), LockMode::kExclusive));
  EXPECT_FALSE(table.ConflictsWholeShard(LockMode::kShared));
  EXPECT_TRUE(table.ConflictsWholeShard(LockMode::kExclusive));
  table.Remove(whole.part, LockClass::kShort);
  TestPart reader({{1, LockMode::kShared}}, 1);
  table.Insert(reader.part, LockClass::kShort);
  EXPECT_FALSE(table.ConflictsWholeShard(LockMode::kShared));
  EXPECT_TRUE(table.ConflictsWholeShard(LockMode::kExclusive));
  table.Remove(reader.part, LockClass::kShort);
  EXPECT_TRUE(table.empty());
}

TEST(LockTable, DelayedOnesAreNoLocks) {
  LockTable table;
  TestPart writer({{1, LockMode::kExclusive}}, 1);
  table.Insert(writer.part, LockClass::kDelayed);
  EXPECT_FALSE(table.Conflicts(Fingerprint(1), LockMode::kExclusive));
  EXPECT_TRUE(table.Conflicts(writer.part, Classes(LockClass::kDelayed)));
  table.Remove(writer.part, LockClass::kDelayed);
}

TEST(LockTable, WaitingOnesAreGrantedByTimestamp) {
  LockTable table;
  TestPart late({{1, LockMode::kExclusive}, {2, LockMode::kShared}}, 20);
  TestPart early({{2, LockMode::kExclusive}}, 10);
  TestPart shared({{2, LockMode::kShared}}, 5);
  for (TestPart* p : {&late, &early, &shared}) table.Insert(p->part, LockClass::kWaiting);
  EXPECT_TRUE(table.Grantable(shared.part, kBlocking));
  EXPECT_FALSE(table.Grantable(early.part, kBlocking));
  EXPECT_FALSE(table.Grantable(late.part, kBlocking));
  shared.part.order.number = 30;
  table.Reorder(shared.part);
  EXPECT_TRUE(table.Grantable(early.part, kBlocking));
  EXPECT_FALSE(table.Grantable(shared.part, kBlocking));
  table.Remove(early.part, LockClass::kWaiting);
  EXPECT_TRUE(table.Grantable(late.part, kBlocking));
  EXPECT_TRUE(table.Grantable(shared.part, kBlocking));
  table.Remove(late.part, LockClass::kWaiting);
  table.Remove(shared.part, LockClass::kWaiting);
  EXPECT_TRUE(table.empty());
}

TEST(LockTable, OneKeyTwiceInOnePartDoesNotBlockItself) {
  LockTable table;
  TestPart part({{1, LockMode::kExclusive}, {1, LockMode::kShared}, {1, LockMode::kExclusive}}, 1);
  table.Insert(part.part, LockClass::kWaiting);
  EXPECT_TRUE(table.Grantable(part.part, kBlocking));
  table.Move(part.part, LockClass::kWaiting, LockClass::kHeld);
  table.Remove(part.part, LockClass::kHeld);
  EXPECT_TRUE(table.empty());
}

// ---- model test: the table against every pair of parts compared lock by lock

struct Model {
  std::vector<std::unique_ptr<TestPart>> parts;

  static bool PairConflicts(const TestPart& a, const TestPart& b) {
    auto any_exclusive = [](const TestPart& p) {
      return std::any_of(p.locks.begin(), p.locks.end(),
                         [](auto& l) { return l.mode == LockMode::kExclusive; });
    };
    auto whole = [&](const TestPart& w, const TestPart& o) {
      if (!w.part.whole_shard) return false;
      bool exclusive = w.part.whole_shard_mode == LockMode::kExclusive;
      bool other_whole_exclusive = o.part.whole_shard && o.part.whole_shard_mode == LockMode::kExclusive;
      if (o.part.whole_shard && (exclusive || other_whole_exclusive)) return true;
      return exclusive ? !o.locks.empty() : any_exclusive(o);
    };
    if (whole(a, b) || whole(b, a)) return true;
    for (const KeyLock& x : a.locks) {
      for (const KeyLock& y : b.locks) {
        bool both_shared = x.mode == LockMode::kShared && y.mode == LockMode::kShared;
        if (x.fingerprint == y.fingerprint && !both_shared) return true;
      }
    }
    return false;
  }
  bool Conflicts(const TestPart& part, ClassSet classes) const {
    for (auto& other : parts) {
      if (other.get() != &part && classes.Has(other->now) && PairConflicts(part, *other)) return true;
    }
    return false;
  }
  bool Grantable(const TestPart& part) const {
    if (Conflicts(part, kBlocking)) return false;
    for (auto& other : parts) {
      if (other.get() != &part && other->now == LockClass::kWaiting && other->part.order < part.part.order &&
          PairConflicts(part, *other)) {
        return false;
      }
    }
    return true;
  }
};

std::unique_ptr<TestPart> RandomPart(base::Random& random, uint64_t number) {
  auto part = std::make_unique<TestPart>(std::initializer_list<std::pair<uint64_t, LockMode>>{}, number);
  auto mode = [&] { return random.OneIn(2) ? LockMode::kShared : LockMode::kExclusive; };
  for (uint64_t n = random.Below(4); n > 0; --n) {
    part->locks.push_back({.fingerprint = Fingerprint(random.Below(8)), .mode = mode()});
  }
  part->part.locks = part->locks;
  part->part.whole_shard = random.OneIn(8);
  part->part.whole_shard_mode = mode();
  return part;
}

// What is grantable before a change must be known to have been offered: after a change at a part, every
// waiting part that became grantable by it is among the candidates.
void CheckCandidates(LockTable& table, const Model& model, const TestPart& changed,
                     const std::set<Part*>& before) {
  std::set<Part*> offered;
  table.ForCandidates(changed.part, [&](Part& part) { offered.insert(&part); });
  for (auto& part : model.parts) {
    if (part.get() == &changed || part->now != LockClass::kWaiting) continue;
    if (model.Grantable(*part) && !before.contains(&part->part)) {
      ASSERT_TRUE(offered.contains(&part->part));
    }
  }
}

TEST(LockTable, AgreesWithPairwiseModel) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    base::Random random(seed);
    LockTable table;
    Model model;
    for (uint64_t step = 1; step < 300; ++step) {
      std::set<Part*> grantable;
      for (auto& p : model.parts) {
        if (p->now == LockClass::kWaiting && model.Grantable(*p)) grantable.insert(&p->part);
      }
      uint64_t choice = random.Below(4);
      if (choice == 0 || model.parts.empty()) {
        auto part = RandomPart(random, step);
        part->now = static_cast<LockClass>(random.Below(kLockClasses));
        for (uint8_t bits = 1; bits < 32; ++bits) {
          ASSERT_EQ(table.Conflicts(part->part, {bits}), model.Conflicts(*part, {bits}));
        }
        table.Insert(part->part, part->now);
        model.parts.push_back(std::move(part));
      } else {
        size_t idx = random.Below(model.parts.size());
        TestPart& part = *model.parts[idx];
        if (choice == 1) {
          table.Remove(part.part, part.now);
          auto gone = std::move(model.parts[idx]);
          model.parts.erase(model.parts.begin() + static_cast<ptrdiff_t>(idx));
          CheckCandidates(table, model, *gone, grantable);
        } else if (choice == 2 && part.now == LockClass::kWaiting) {
          part.part.order.number += random.Below(100);
          table.Reorder(part.part);
          CheckCandidates(table, model, part, grantable);
        } else {
          LockClass to = static_cast<LockClass>(random.Below(kLockClasses));
          if (to == part.now) continue;
          table.Move(part.part, part.now, to);
          part.now = to;
          CheckCandidates(table, model, part, grantable);
        }
      }
      for (auto& p : model.parts) {
        if (p->now == LockClass::kWaiting) {
          ASSERT_EQ(table.Grantable(p->part, kBlocking), model.Grantable(*p));
        }
      }
    }
    for (auto& p : model.parts) table.Remove(p->part, p->now);
    ASSERT_TRUE(table.empty());
  }
}

TEST(LockTable, GrowsAndFindsEverything) {
  LockTable table;
  std::vector<std::unique_ptr<TestPart>> parts;
  for (uint64_t key = 0; key < 3000; ++key) {
    parts.push_back(std::make_unique<TestPart>(
        std::initializer_list<std::pair<uint64_t, LockMode>>{{key, LockMode::kExclusive}}, key));
    table.Insert(parts.back()->part, LockClass::kShort);
  }
  EXPECT_EQ(table.head_count(), 3000u);
  for (uint64_t key = 0; key < 3000; ++key) {
    EXPECT_TRUE(table.Conflicts(Fingerprint(key), LockMode::kShared));
    table.Remove(parts[key]->part, LockClass::kShort);
    EXPECT_FALSE(table.Conflicts(Fingerprint(key), LockMode::kShared));
  }
  EXPECT_TRUE(table.empty());
}

}  // namespace
}  // namespace moonshard::tx
