// Random operations on all databases of a keyspace against std::unordered_map, with a shadow copy kept from
// the mutations alone: if the two ever differ from the tables, something changed a value past the sink.

#include <gtest/gtest.h>

#include <string>
#include <unordered_map>

#include "db/errors.h"
#include "db/testing.h"

namespace moonshard::db {
namespace {

struct ModelValue {
  std::string bytes;
  TimeMs deadline = kNoDeadline;
};
using Model = std::unordered_map<std::string, ModelValue>;

class KeyspaceModel : public testing::TestWithParam<uint64_t> {
 protected:
  KeyspaceModel()
      : keyspace_({.seed = GetParam(), .random_seed = 1}), operations_(keyspace_, GetParam(), 24) {
    keyspace_.sink().Attach(shadow_);
    keyspace_.SetNow(1'000'000);
  }
  ~KeyspaceModel() override { keyspace_.sink().Detach(shadow_); }

  // The live value in the model, or null.
  ModelValue* Live(DbIndex db, const std::string& key) {
    Model& model = models_[db.value()];
    auto found = model.find(key);
    if (found == model.end()) return nullptr;
    if (found->second.deadline > keyspace_.now()) return &found->second;
    model.erase(found);
    return nullptr;
  }

  void Set(DbIndex db, const std::string& key, const std::string& bytes, TimeMs deadline) {
    ASSERT_TRUE(keyspace_.database(db).SetString(operations_.KeyOf(key), bytes, deadline).ok());
    models_[db.value()][key] = {bytes, deadline};
  }

  void Increment(DbIndex db, const std::string& key, int64_t delta) {
    auto result = keyspace_.database(db).IncrementBy(operations_.KeyOf(key), delta);
    ModelValue* live = Live(db, key);
    auto old = live == nullptr ? std::optional<int64_t>(0) : base::ParseInt64(live->bytes);
    int64_t sum = 0;
    if (!old) {
      ASSERT_EQ(result.status().text(), kNotAnInteger.text);
    } else if (__builtin_add_overflow(*old, delta, &sum)) {
      ASSERT_EQ(result.status().text(), kIncrementOverflow.text);
    } else {
      ASSERT_TRUE(result.ok());
      ASSERT_EQ(*result, sum);
      models_[db.value()][key] = {std::to_string(sum), live == nullptr ? kNoDeadline : live->deadline};
    }
  }

  void Patch(DbIndex db, const std::string& key) {
    Database& database = keyspace_.database(db);
    dash::Table::Ref ref = database.FindForWrite(operations_.KeyOf(key));
    ModelValue* live = Live(db, key);
    ASSERT_EQ(static_cast<bool>(ref), live != nullptr);
    std::string bytes = live == nullptr ? "" : live->bytes;
    if (bytes.size() > 100'000) return;
    auto [offset, piece] = operations_.RandomPatch(bytes.size());
    auto length = database.PatchString(operations_.KeyOf(key), ref, offset, piece, kEventAppend);
    ASSERT_TRUE(length.ok());
    if (bytes.size() < offset + piece.size()) bytes.resize(offset + piece.size());
    bytes.replace(offset, piece.size(), piece);
    ASSERT_EQ(*length, bytes.size());
    models_[db.value()][key] = {std::move(bytes), live == nullptr ? kNoDeadline : live->deadline};
  }

  void SetDeadline(DbIndex db, const std::string& key, TimeMs deadline) {
    Database& database = keyspace_.database(db);
    dash::Table::Ref ref = database.FindForWrite(operations_.KeyOf(key));
    ModelValue* live = Live(db, key);
    ASSERT_EQ(static_cast<bool>(ref), live != nullptr);
    if (!ref) return;
    ASSERT_TRUE(database.SetDeadline(ref, deadline).ok());
    live->deadline = deadline;
  }

  void Find(DbIndex db, const std::string& key) {
    uint64_t hits = keyspace_.stats().hits;
    const dash::Entry* entry = keyspace_.database(db).Find(operations_.KeyOf(key));
    const ModelValue* live = Live(db, key);
    ASSERT_EQ(entry != nullptr, live != nullptr) << key;
    ASSERT_EQ(keyspace_.stats().hits - hits, entry != nullptr ? 1u : 0u);
    if (entry != nullptr) ASSERT_EQ(PlainOf(*entry), (PlainValue{live->bytes, live->deadline}));
  }

  void Copy(DbIndex db, const std::string& key, const std::string& to) {
    operations_.CopyTo(keyspace_.database(db), operations_.KeyOf(key), to);
    ModelValue* live = Live(db, key);
    if (live == nullptr) return;
    ModelValue copy = *live;
    models_[db.value()][to] = copy;
  }

  void Move(DbIndex db, const std::string& key, const std::string& to, DbIndex to_db) {
    operations_.MoveTo(keyspace_.database(db), operations_.KeyOf(key), to, to_db);
    ModelValue* live = Live(db, key);
    if (live == nullptr || (to_db == db && to == key)) return;
    ModelValue moved = *live;
    models_[db.value()].erase(key);
    models_[to_db.value()][to] = moved;
    CheckOne(to_db);
  }

  void Swap(DbIndex db, DbIndex other) {
    keyspace_.Swap(db, other);
    models_[db.value()].swap(models_[other.value()]);
    CheckOne(other);
  }

  void Step() {
    base::Random& random = operations_.random();
    DbIndex other(static_cast<uint16_t>(random.Below(kDatabaseCount)));
    DbIndex db(static_cast<uint16_t>(random.Below(kDatabaseCount)));
    std::string key = operations_.RandomKey();
    switch (random.Below(15)) {
      case 13:
      case 14:
        Patch(db, key);
        break;
      case 0:
      case 1:
      case 2:
        Set(db, key, operations_.RandomValue(), operations_.RandomDeadline());
        break;
      case 3:
        Increment(db, key, static_cast<int64_t>(random.Next() >> random.Below(64)));
        break;
      case 4:
        ASSERT_EQ(Live(db, key) != nullptr, keyspace_.database(db).Erase(operations_.KeyOf(key), "del"));
        models_[db.value()].erase(key);
        break;
      case 5:
        SetDeadline(db, key, operations_.RandomDeadline());
        break;
      case 6:
      case 7:
        Find(db, key);
        break;
      case 8:
        keyspace_.SetNow(keyspace_.now() + static_cast<TimeMs>(random.Below(20)));
        if (random.OneIn(2)) keyspace_.ExpireDue(random.Below(40), nullptr);
        break;
      case 9:
        Copy(db, key, operations_.RandomKey());
        break;
      case 10:
        Move(db, key, operations_.RandomKey(), other);
        break;
      case 11:
        if (random.OneIn(20)) Swap(db, other);
        break;
      default:
        if (!random.OneIn(100)) break;
        keyspace_.database(db).Flush();
        models_[db.value()].clear();
        break;
    }
    CheckOne(db);
  }

  // Tables against the shadow exactly, against the model as far as deadlines allow, accounting against the
  // entries.
  void CheckOne(DbIndex db) {
    Database& database = keyspace_.database(db);
    PlainDatabase contents = ContentsOf(database);
    ASSERT_EQ(contents, shadow_.contents()[db.value()]);
    ASSERT_EQ(contents.size(), database.size());
    size_t with_deadline = 0;
    size_t live = 0;
    for (const auto& [key, value] : contents) {
      with_deadline += value.deadline != kNoDeadline;
      if (value.deadline <= keyspace_.now()) continue;
      ++live;
      auto found = models_[db.value()].find(key);
      ASSERT_NE(found, models_[db.value()].end()) << key;
      ASSERT_EQ(value, (PlainValue{found->second.bytes, found->second.deadline})) << key;
    }
    ASSERT_EQ(with_deadline, database.deadline_count());
    size_t live_in_model = 0;
    for (const auto& [key, value] : models_[db.value()]) live_in_model += value.deadline > keyspace_.now();
    ASSERT_EQ(live, live_in_model);
  }

  void CheckAccounting() {
    uint64_t outside = 0;
    uint64_t entries = 0;
    uint64_t index = 0;
    for (uint16_t i = 0; i < kDatabaseCount; ++i) {
      dash::Table& table = keyspace_.database(DbIndex(i)).table();
      table.CheckInvariants();
      entries += table.entry_bytes();
      index += table.index_bytes();
      uint64_t cursor = 0;
      do {
        cursor =
            table.Scan(cursor, [&](const dash::Entry* entry) { outside += types::OutsideBytes(*entry); });
      } while (cursor != 0);
    }
    ASSERT_EQ(keyspace_.outside_bytes(), outside);
    ASSERT_EQ(keyspace_.used_bytes(), outside + entries + index);
    keyspace_.slab().CheckInvariants();
  }

  Keyspace keyspace_;
  RandomOperations operations_;
  Shadow shadow_;
  std::array<Model, kDatabaseCount> models_;
};

TEST_P(KeyspaceModel, EveryStepAgreesWithTheModelAndTheShadow) {
  SCOPED_TRACE(testing::Message() << "seed " << GetParam());
  const uint64_t empty_bytes = keyspace_.used_bytes();
  for (size_t step = 0; step < 8000; ++step) {
    Step();
    if (HasFatalFailure()) FAIL() << "step " << step;
    if (step % 256 == 0) CheckAccounting();
  }
  ASSERT_GT(keyspace_.stats().expired, 0u);
  // The last key of every database: by hand, by the clock, by a flush.
  for (uint16_t i = 0; i < kDatabaseCount; ++i) {
    Database& database = keyspace_.database(DbIndex(i));
    if (i % 3 == 0) database.Flush();
    for (const auto& [key, value] : ContentsOf(database)) {
      if (i % 3 == 1) {
        database.Erase(operations_.KeyOf(key), "del");
      } else if (dash::Table::Ref ref = database.FindForWrite(operations_.KeyOf(key))) {
        ASSERT_TRUE(database.SetDeadline(ref, keyspace_.now() + 1).ok());
      }
    }
  }
  keyspace_.SetNow(keyspace_.now() + 1);
  while (keyspace_.NextDeadlineHint() <= keyspace_.now()) keyspace_.ExpireDue(10, nullptr);
  EXPECT_EQ(ContentsOf(keyspace_), PlainKeyspace());
  EXPECT_EQ(shadow_.contents(), PlainKeyspace());
  EXPECT_EQ(keyspace_.outside_bytes(), 0u);
  EXPECT_EQ(keyspace_.used_bytes(), empty_bytes);
}

INSTANTIATE_TEST_SUITE_P(Seeds, KeyspaceModel, testing::Range<uint64_t>(1, 6));

TEST(Keyspace, EverySizeReplacesEveryOtherForm) {
  Keyspace keyspace({.seed = 3, .random_seed = 1});
  Shadow shadow;
  keyspace.sink().Attach(shadow);
  Database& database = keyspace.database(DbIndex(0));
  Key key{"key", base::HashBytes("key", keyspace.seed())};
  const uint64_t empty_bytes = keyspace.used_bytes();
  // Every size up to 5,000, and those around the bound beyond which a value has a block of its own.
  for (size_t i = 0; i <= 5100; ++i) {
    size_t size = i <= 5000 ? i : types::kInlineStringMax - 50 + (i - 5000);
    std::string bytes(size, static_cast<char>('a' + size % 26));
    ASSERT_TRUE(database.SetString(key, bytes, size % 3 == 0 ? TimeMs{1000} : kNoDeadline).ok());
    ASSERT_EQ(PlainOf(*database.Find(key)).bytes, bytes);
    if (size % 7 == 0) ASSERT_TRUE(database.SetString(key, std::to_string(size), kNoDeadline).ok());
    if (size % 5 == 0) ASSERT_TRUE(database.Erase(key, "del"));
    ASSERT_EQ(ContentsOf(database), shadow.contents()[0]);
  }
  database.Erase(key, "del");
  EXPECT_EQ(keyspace.used_bytes(), empty_bytes);
  EXPECT_EQ(keyspace.outside_bytes(), 0u);
}

}  // namespace
}  // namespace moonshard::db
