#include "dash/table.h"

#include <gtest/gtest.h>

#include <string>

namespace moonshard::dash {
namespace {

TEST(Table, InsertFindEraseInGrowth) {
  Slab slab;
  {
    Table table(slab, {.seed = 42});
    EXPECT_EQ(slab.used_bytes(), 0u);
    auto key = [](int i) { return "key:" + std::to_string(i); };
    for (int i = 0; i < 50000; ++i) {
      const std::string k = key(i);
      const uint64_t hash = table.Hash(k);
      ASSERT_FALSE(table.Find(hash, k));
      Table::Ref ref = table.Insert(hash, k, Type::kString, 3, 8);
      ASSERT_TRUE(ref);
      std::memcpy(table.entry(ref)->value().data(), &i, sizeof i);
    }
    table.CheckInvariants();
    slab.CheckInvariants();
    EXPECT_EQ(table.size(), 50000u);
    EXPECT_EQ(slab.used_bytes(), table.index_bytes() + table.entry_bytes());
    for (int i = 0; i < 50000; ++i) {
      Table::Ref ref = table.Find(table.Hash(key(i)), key(i));
      ASSERT_TRUE(ref);
      int value;
      std::memcpy(&value, table.entry(ref)->value().data(), sizeof value);
      ASSERT_EQ(value, i);
      ASSERT_NE(table.Resize(ref, 100), nullptr);
      if (i % 2 == 0) table.Erase(table.Find(table.Hash(key(i)), key(i)));
    }
    table.CheckInvariants();
    EXPECT_EQ(table.size(), 25000u);
    for (int i = 1; i < 50000; i += 2) table.Erase(table.Find(table.Hash(key(i)), key(i)));
    EXPECT_EQ(table.size(), 0u);
    EXPECT_EQ(table.index_bytes(), 0u);
    EXPECT_EQ(slab.used_bytes(), 0u);
  }
  slab.CheckInvariants();
}

}  // namespace
}  // namespace moonshard::dash
