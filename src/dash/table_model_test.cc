// Random operations on a Table against std::unordered_map, in several worlds: real hashes, hashes that share
// their top bits, few tags, tiny and growing key sets, with allocation failures.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "dash/table.h"

namespace moonshard::dash {
namespace {

uint64_t SameTopBits(std::string_view key, base::HashSeed seed) {
  return base::HashBytes(key, seed) >> 36;
}
uint64_t FewTags(std::string_view key, base::HashSeed seed) {
  return base::HashBytes(key, seed) & 0xFFFFFFFFFFFF0003ull;
}
// A quarter of the keys shares 40 leading bits with each other, the others are spread.
uint64_t OneHotPrefix(std::string_view key, base::HashSeed seed) {
  const uint64_t hash = base::HashBytes(key, seed);
  return hash % 4 == 0 ? 0xABCDEF0123000000ull | (hash >> 40) : hash;
}

struct World {
  const char* name;
  uint64_t (*hash)(std::string_view, base::HashSeed);
  size_t key_space;
  int operations;
  bool faults;
};

void PrintTo(const World& world, std::ostream* out) {
  *out << world.name;
}

struct Expected {
  std::string value;
  TimeMs deadline = kNoDeadline;
  Type type = Type::kString;
  uint8_t encoding = 0;
  uint32_t clock = 0;
  TimeMs deferred_until = 0;
};

class TableModel : public testing::TestWithParam<World> {
 protected:
  std::string RandomKey() {
    std::string key = "k" + std::to_string(random_.Below(GetParam().key_space));
    // The length belongs to the key, so that the same number always is the same key.
    const uint64_t kind = base::HashBytes(key, 1) % 500;
    if (kind == 0) key.append(254 - key.size(), 'a');
    if (kind == 1) key.append(255 - key.size(), 'b');
    if (kind == 2) key.append(256 - key.size(), 'c');
    if (kind == 3) key.append(70000 - key.size(), 'd');
    return key;
  }
  std::string RandomValue() {
    const uint64_t kind = random_.Below(100);
    std::string value(kind == 0   ? random_.Below(16385)
                      : kind < 10 ? random_.Below(1500)
                                  : random_.Below(64),
                      0);
    for (char& c : value) c = static_cast<char>(random_.Next());
    return value;
  }
  TimeMs RandomDeadline() {
    switch (random_.Below(9)) {
      case 8:
        return kNoDeadline - 1 - static_cast<TimeMs>(random_.Next() >> 1 >> random_.Below(16));
      case 0:
        return now_ - static_cast<TimeMs>(random_.Below(100));
      case 1:
        return now_ + static_cast<TimeMs>(random_.Next() >> random_.Below(60) >> 10);
      case 2:
      case 3:
        return now_ + static_cast<TimeMs>(random_.Below(5000));
      default:
        return kNoDeadline;
    }
  }
  Table::Ref Find(const std::string& key) { return table_.Find(table_.Hash(key), key); }
  bool MayFail() {
    if (!GetParam().faults || !random_.OneIn(4)) return false;
    slab_.FailAllocationsAfter(random_.Below(5));
    return true;
  }
  void EndFault() { slab_.FailAllocationsAfter(Slab::kNeverFail); }

  void Check(const std::string& key, const Entry* entry) {
    const auto it = model_.find(key);
    ASSERT_NE(it, model_.end());
    ASSERT_EQ(entry->key(), key);
    ASSERT_EQ(entry->value_view(), it->second.value);
    ASSERT_EQ(entry->deadline(), it->second.deadline);
    ASSERT_EQ(entry->type(), it->second.type);
    ASSERT_EQ(entry->encoding(), it->second.encoding);
    ASSERT_EQ(entry->access_clock(), it->second.clock);
  }

  void InsertOrErase(const std::string& key) {
    Table::Ref ref = Find(key);
    const auto it = model_.find(key);
    ASSERT_EQ(static_cast<bool>(ref), it != model_.end());
    if (ref) {
      Check(key, table_.entry(ref));
      table_.Erase(ref);
      model_.erase(it);
      return;
    }
    Expected expected{RandomValue(), ClampDeadline(RandomDeadline()), static_cast<Type>(random_.Below(8)),
                      static_cast<uint8_t>(random_.Below(16)), static_cast<uint32_t>(random_.Below(1 << 24))};
    const bool may_fail = MayFail();
    ref = table_.Insert(table_.Hash(key), key, expected.type, expected.encoding, expected.value.size(),
                        expected.deadline);
    EndFault();
    ASSERT_TRUE(ref || may_fail);
    if (!ref) return;
    Entry* entry = table_.entry(ref);
    ASSERT_EQ(entry->value().size(), expected.value.size());
    std::copy(expected.value.begin(), expected.value.end(), entry->value().begin());
    entry->set_access_clock(expected.clock);
    model_.emplace(key, expected);
  }

  void Resize(const std::string& key) {
    const Table::Ref ref = Find(key);
    if (!ref) return;
    Expected& expected = model_.at(key);
    std::string value = RandomValue();
    const size_t old_size = expected.value.size();
    const bool may_fail = MayFail();
    Entry* entry = table_.Resize(ref, value.size());
    EndFault();
    ASSERT_TRUE(entry != nullptr || (may_fail && value.size() > old_size));
    if (entry != nullptr) {
      ASSERT_EQ(entry, table_.entry(ref));
      ASSERT_EQ(entry->value().size(), value.size());
      std::copy_n(expected.value.begin(), std::min(old_size, value.size()), value.begin());
      std::copy(value.begin() + static_cast<ptrdiff_t>(std::min(old_size, value.size())), value.end(),
                entry->value().begin() + static_cast<ptrdiff_t>(std::min(old_size, value.size())));
      expected.value = value;
    }
    Check(key, table_.entry(ref));
  }

  void SetDeadline(const std::string& key) {
    const Table::Ref ref = Find(key);
    if (!ref) return;
    const TimeMs deadline = RandomDeadline();
    const TimeMs old_deadline = model_.at(key).deadline;
    const bool may_fail = MayFail();
    Entry* entry = table_.SetDeadline(ref, deadline);
    EndFault();
    ASSERT_TRUE(entry != nullptr || (may_fail && DeadlineBytes(old_deadline) < DeadlineBytes(deadline)));
    if (entry != nullptr) {
      model_.at(key).deadline = ClampDeadline(deadline);
      model_.at(key).deferred_until = 0;
    }
    Check(key, table_.entry(ref));
  }

  // Everything due is delivered, nothing else, and the hint never lies.
  void Expire() {
    now_ += static_cast<TimeMs>(random_.OneIn(20) ? random_.Below(1u << 22) : random_.Below(300));
    TimeMs earliest = kNoDeadline;
    std::unordered_set<std::string> due;
    for (const auto& [key, expected] : model_) {
      const TimeMs deliverable = std::max(expected.deadline, expected.deferred_until);
      earliest = std::min(earliest, deliverable);
      if (deliverable <= now_) due.insert(key);
    }
    ASSERT_LE(table_.earliest_deadline_hint(), earliest);
    for (int calls = 0; !due.empty() || random_.OneIn(2); ++calls) {
      ASSERT_LT(calls, 1000000);
      const Table::Ref ref = table_.NextDue(now_);
      if (!ref) {
        ASSERT_TRUE(due.empty() || table_.earliest_deadline_hint() <= now_);
        continue;
      }
      const std::string key(table_.entry(ref)->key());
      Expected& expected = model_.at(key);
      ASSERT_LE(expected.deadline, now_);
      // Deferred entries may come early, all others exactly once.
      ASSERT_TRUE(due.erase(key) == 1 || expected.deferred_until > now_);
      if (random_.OneIn(10)) {
        expected.deferred_until = now_ + 1 + static_cast<TimeMs>(random_.Below(50));
        table_.DeferDue(ref, expected.deferred_until);
        continue;
      }
      if (random_.OneIn(10)) {
        ASSERT_NE(table_.SetDeadline(ref, now_ + 1000), nullptr);
        expected.deadline = now_ + 1000;
        expected.deferred_until = 0;
        continue;
      }
      // Changes between NextDue and Erase are allowed; they may split or merge the segment.
      if (const std::string other = RandomKey(); other != key && random_.OneIn(4)) {
        const bool was_there = model_.contains(other);
        InsertOrErase(other);
        if (HasFatalFailure()) return;
        due.erase(other);
        if (!was_there && model_.contains(other) && model_.at(other).deadline <= now_) due.insert(other);
      }
      table_.Erase(Find(key));
      model_.erase(key);
    }
  }

  void ScanAll() {
    std::unordered_set<std::string> seen;
    uint64_t cursor = 0;
    do {
      const uint64_t next =
          table_.Scan(cursor, [&](Entry* entry) { seen.insert(std::string(entry->key())); });
      ASSERT_TRUE(next == 0 || next > cursor);
      ASSERT_LT(next, uint64_t{1} << 45);
      cursor = next;
    } while (cursor != 0);
    ASSERT_EQ(seen.size(), model_.size());
    for (const auto& [key, expected] : model_) ASSERT_TRUE(seen.contains(key));
  }

  uint64_t seed_ = std::random_device{}();
  base::Random random_{seed_};
  Slab slab_;
  Table table_{slab_, {.seed = seed_ ^ 99, .hash = GetParam().hash}};
  std::unordered_map<std::string, Expected> model_;
  TimeMs now_ = 1'700'000'000'000;
};

TEST_P(TableModel, AgreesWithUnorderedMap) {
  SCOPED_TRACE(testing::Message() << "seed " << seed_);
  for (int i = 0; i < GetParam().operations; ++i) {
    const std::string key = RandomKey();
    const uint64_t kind = random_.Below(1000);
    if (kind < 600) {
      InsertOrErase(key);
    } else if (kind < 800) {
      Resize(key);
    } else if (kind < 990) {
      SetDeadline(key);
    } else if (kind < 994) {
      ScanAll();
    } else if (kind < 999) {
      Expire();
    } else if (random_.OneIn(20)) {
      table_.Clear();
      model_.clear();
      ASSERT_EQ(slab_.used_bytes(), 0u);
    }
    if (HasFatalFailure()) return;
    ASSERT_EQ(table_.size(), model_.size());
    if (i % 64 == 0) {
      table_.CheckInvariants();
      ASSERT_EQ(slab_.used_bytes(), table_.entry_bytes() + table_.index_bytes());
    }
  }
  slab_.CheckInvariants();
  for (const auto& [key, expected] : model_) {
    const Table::Ref ref = Find(key);
    ASSERT_TRUE(ref);
    Check(key, table_.entry(ref));
  }
  while (!model_.empty()) {
    table_.Erase(Find(model_.begin()->first));
    model_.erase(model_.begin());
    if (model_.size() % 64 == 0) table_.CheckInvariants();
  }
  EXPECT_EQ(table_.index_bytes(), 0u);
  EXPECT_EQ(slab_.used_bytes(), 0u);
  slab_.CheckInvariants();
}

INSTANTIATE_TEST_SUITE_P(Worlds, TableModel,
                         testing::Values(World{"Tiny", nullptr, 20, 30000, false},
                                         World{"Medium", nullptr, 3000, 40000, false},
                                         World{"Faults", nullptr, 3000, 40000, true},
                                         World{"SameTopBits", SameTopBits, 1500, 30000, false},
                                         World{"SameTopBitsFaults", SameTopBits, 1500, 30000, true},
                                         World{"FewTags", FewTags, 1500, 30000, false},
                                         World{"OneHotPrefix", OneHotPrefix, 6000, 40000, true}),
                         [](const testing::TestParamInfo<World>& world) { return world.param.name; });

}  // namespace
}  // namespace moonshard::dash
