#pragma once
// Helpers for tests of this folder and the ones above: contents of a keyspace as plain maps, and a shadow
// copy that is kept from the mutations alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "db/keyspace.h"
#include "types/mutation.h"

namespace moonshard::db {

struct PlainValue {
  std::string bytes;
  TimeMs deadline = kNoDeadline;
  friend bool operator==(const PlainValue&, const PlainValue&) = default;
};
using PlainDatabase = std::map<std::string, PlainValue>;
using PlainKeyspace = std::array<PlainDatabase, kDatabaseCount>;

inline PlainValue PlainOf(const dash::Entry& entry) {
  char scratch[base::kMaxInt64Chars];
  return {std::string(types::StringBytes(entry, scratch)), entry.deadline()};
}

// What lies in the table, keys past their deadline included.
inline PlainDatabase ContentsOf(Database& database) {
  PlainDatabase contents;
  uint64_t cursor = 0;
  do {
    cursor = database.table().Scan(cursor, [&](const dash::Entry* entry) {
      EXPECT_TRUE(contents.emplace(entry->key(), PlainOf(*entry)).second)
          << "scanned twice: " << entry->key();
    });
  } while (cursor != 0);
  return contents;
}

inline PlainKeyspace ContentsOf(Keyspace& keyspace) {
  PlainKeyspace contents;
  for (uint16_t i = 0; i < kDatabaseCount; ++i) contents[i] = ContentsOf(keyspace.database(DbIndex(i)));
  return contents;
}

// Applies every mutation to a copy, and checks that `before` shows the state before it.
class Shadow final : public types::MutationConsumer {
 public:
  void OnMutation(const types::Mutation& mutation) override {
    PlainDatabase& database = contents_[mutation.db.value()];
    auto found = database.find(std::string(mutation.key));
    if (mutation.kind != types::MutationKind::kFlush && mutation.kind != types::MutationKind::kSwap) {
      ASSERT_EQ(mutation.before != nullptr, found != database.end()) << mutation.key;
      if (mutation.before != nullptr) {
        ASSERT_EQ(PlainOf(*mutation.before), found->second) << mutation.key;
      }
    }
    switch (mutation.kind) {
      case types::MutationKind::kStringSet:
        database[std::string(mutation.key)] = {std::string(mutation.bytes),
                                               dash::ClampDeadline(mutation.deadline)};
        return;
      case types::MutationKind::kStringPatch: {
        std::string& bytes = database[std::string(mutation.key)].bytes;
        if (bytes.size() < mutation.offset + mutation.bytes.size()) {
          bytes.resize(mutation.offset + mutation.bytes.size());
        }
        bytes.replace(mutation.offset, mutation.bytes.size(), mutation.bytes);
        return;
      }
      case types::MutationKind::kDeadline:
        found->second.deadline = dash::ClampDeadline(mutation.deadline);
        return;
      case types::MutationKind::kErase:
        database.erase(found);
        return;
      case types::MutationKind::kFlush:
        database.clear();
        return;
      case types::MutationKind::kSwap:
        database.swap(contents_[mutation.other_db.value()]);
        return;
    }
  }

  const PlainKeyspace& contents() const { return contents_; }

 private:
  PlainKeyspace contents_;
};

// One random operation after the other on a keyspace with a few keys, every kind of change among them.
class RandomOperations {
 public:
  RandomOperations(Keyspace& keyspace, uint64_t seed, size_t key_count)
      : keyspace_(keyspace), random_(seed), key_count_(key_count) {}

  base::Random& random() { return random_; }
  std::string RandomKey() { return "key:" + std::to_string(random_.Below(key_count_)); }
  Key KeyOf(const std::string& text) const { return {text, base::HashBytes(text, keyspace_.seed())}; }
  std::string RandomValue() {
    if (random_.OneIn(3)) return std::to_string(static_cast<int64_t>(random_.Next() >> random_.Below(64)));
    static constexpr size_t kSizes[] = {8, 64, 1100, 12'000};
    std::string bytes(random_.Below(kSizes[random_.Below(4)]), static_cast<char>('a' + random_.Below(26)));
    if (!bytes.empty()) bytes[random_.Below(bytes.size())] = '!';
    return bytes;
  }
  TimeMs RandomDeadline() {
    if (random_.OneIn(2)) return kNoDeadline;
    // Some take more bytes than others.
    if (random_.OneIn(8)) return dash::kShortDeadlineMax + static_cast<TimeMs>(random_.Below(200));
    return keyspace_.now() + 1 + static_cast<TimeMs>(random_.Below(200));
  }
  // Returns the database it worked on.
  DbIndex Step(uint16_t database_count) {
    DbIndex index(static_cast<uint16_t>(random_.Below(database_count)));
    Database& database = keyspace_.database(index);
    std::string text = RandomKey();
    Key key = KeyOf(text);
    switch (random_.Below(13)) {
      case 11:
      case 12:
        Patch(database, key);
        break;
      case 0:
      case 1:
      case 2:
        EXPECT_TRUE(database.SetString(key, RandomValue(), RandomDeadline()).ok());
        break;
      case 3:
        (void)database.IncrementBy(key, static_cast<int64_t>(random_.Below(100)) - 50);
        break;
      case 4:
        database.Erase(key, "del");
        break;
      case 5: {
        dash::Table::Ref ref = database.FindForWrite(key);
        if (ref) EXPECT_TRUE(database.SetDeadline(ref, RandomDeadline()).ok());
        break;
      }
      case 6:
        database.Find(key);
        break;
      case 7:
        if (random_.OneIn(200)) database.Flush();
        break;
      case 8:
        CopyTo(database, key, RandomKey());
        break;
      case 9:
        MoveTo(database, key, RandomKey(), DbIndex(static_cast<uint16_t>(random_.Below(database_count))));
        break;
      default:
        if (random_.OneIn(50))
          keyspace_.Swap(index, DbIndex(static_cast<uint16_t>(random_.Below(database_count))));
        break;
    }
    return index;
  }

  // A patch of what may be patched: anywhere inside, at the end, or beyond it.
  struct StringPatch {
    size_t offset;
    std::string bytes;
  };
  StringPatch RandomPatch(size_t size) {
    StringPatch patch{size, RandomValue()};
    if (random_.OneIn(2)) patch.offset = random_.Below(size + (random_.OneIn(4) ? 2000 : 1));
    if (random_.OneIn(3)) patch.bytes.resize(std::min<size_t>(patch.bytes.size(), 3));
    return patch;
  }
  void Patch(Database& database, const Key& key) {
    dash::Table::Ref ref = database.FindForWrite(key);
    size_t size = ref ? types::StringSize(*database.table().entry(ref)) : 0;
    // Not for ever.
    if (size > 100'000) return;
    StringPatch patch = RandomPatch(size);
    auto length = database.PatchString(key, ref, patch.offset, patch.bytes, kEventAppend);
    ASSERT_TRUE(length.ok());
    ASSERT_EQ(*length, std::max(size, patch.offset + patch.bytes.size()));
  }
  void CopyTo(Database& database, const Key& from, const std::string& to) {
    const dash::Entry* entry = database.Find(from);
    if (entry == nullptr) return;
    auto value = types::DetachedValue::Clone(*entry);
    ASSERT_TRUE(value);
    EXPECT_TRUE(database.Place(KeyOf(to), value).ok());
  }
  void MoveTo(Database& database, const Key& from, const std::string& to, DbIndex to_db) {
    dash::Table::Ref ref = database.FindForWrite(from);
    if (!ref || (to_db == database.index() && to == from.text)) return;
    auto value = types::DetachedValue::Lend(*database.table().entry(ref));
    EXPECT_TRUE(keyspace_.database(to_db).Place(KeyOf(to), value).ok());
    database.EraseLent(from, "move_from");
  }

 private:
  Keyspace& keyspace_;
  base::Random random_;
  size_t key_count_;
};

}  // namespace moonshard::db
