#include "types/string_value.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "dash/slab.h"
#include "dash/table.h"

namespace moonshard::types {
namespace {

TEST(StringShape, CanonicalIntegersAreStoredAsNumbers) {
  for (int64_t value : {int64_t{0}, int64_t{-1}, int64_t{7}, int64_t{1234567890123},
                        std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    StringShape shape = ShapeOf(std::to_string(value));
    EXPECT_EQ(shape.encoding, kStringInt) << value;
    EXPECT_EQ(shape.value_bytes, 8u);
    EXPECT_EQ(shape.integer, value);
  }
}

TEST(StringShape, WhatOnlyLooksLikeAnIntegerStaysText) {
  for (std::string_view text :
       {"", "-", "+1", "01", "-0", "00", " 1", "1 ", "1.0", "1e3", "9223372036854775808",
        "-9223372036854775809", "99999999999999999999", "0x10"}) {
    EXPECT_EQ(ShapeOf(text).encoding, kStringInline) << '"' << text << '"';
  }
  EXPECT_EQ(ShapeOf(std::string_view("1\0", 2)).encoding, kStringInline);
}

TEST(StringShape, TheBoundToItsOwnBlockIsExact) {
  EXPECT_EQ(ShapeOf(std::string(kInlineStringMax, 'x')).encoding, kStringInline);
  EXPECT_EQ(ShapeOf(std::string(kInlineStringMax, 'x')).value_bytes, kInlineStringMax);
  EXPECT_EQ(ShapeOf(std::string(kInlineStringMax + 1, 'x')).encoding, kStringHeap);
  EXPECT_EQ(ShapeOf(std::string(kInlineStringMax + 1, 'x')).value_bytes, sizeof(HeapString));
}

TEST(StringValue, EverySizeComesBackAsItWasStored) {
  dash::Slab slab;
  dash::Table table(slab, {.seed = 5});
  for (size_t size = 0; size <= kInlineStringMax + 500; size += size < 5000 ? 1 : 7) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + size);
    StringShape shape = ShapeOf(bytes);
    HeapString heap = shape.encoding == kStringHeap ? MakeHeap(bytes) : HeapString{nullptr, 0};
    dash::Table::Ref ref =
        table.Insert(table.Hash("key"), "key", dash::Type::kString, shape.encoding, shape.value_bytes);
    dash::Entry& entry = *table.entry(ref);
    StoreString(entry, shape, bytes, heap);
    char scratch[base::kMaxInt64Chars];
    ASSERT_EQ(StringBytes(entry, scratch), bytes) << size;
    if (shape.encoding == kStringHeap) {
      ASSERT_GE(OutsideBytes(entry), size);
    } else {
      ASSERT_EQ(OutsideBytes(entry), 0u);
    }
    ReleaseOutside(entry);
    table.Erase(ref);
  }
}

TEST(StringValue, IntegersComeBackAsTheirText) {
  dash::Slab slab;
  dash::Table table(slab, {.seed = 5});
  dash::Table::Ref ref = table.Insert(table.Hash("n"), "n", dash::Type::kString, kStringInt, sizeof(int64_t));
  for (int64_t value : {int64_t{0}, int64_t{-42}, std::numeric_limits<int64_t>::min()}) {
    StoreInt(*table.entry(ref), value);
    char scratch[base::kMaxInt64Chars];
    EXPECT_EQ(StringBytes(*table.entry(ref), scratch), std::to_string(value));
    EXPECT_EQ(LoadInt(*table.entry(ref)), value);
  }
}

}  // namespace
}  // namespace moonshard::types
