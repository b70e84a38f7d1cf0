#include "base/types.h"

#include <gtest/gtest.h>

#include <concepts>

namespace moonshard {
namespace {

TEST(Types, NamedNumbersDoNotMixAndCostNothing) {
  static_assert(sizeof(ShardId) == sizeof(uint16_t) && sizeof(Lsn) == sizeof(uint64_t));
  static_assert(!std::convertible_to<uint16_t, ShardId>);
  static_assert(!std::convertible_to<ShardId, uint16_t>);
  static_assert(!std::equality_comparable_with<ShardId, DbIndex>);
  static_assert(!std::constructible_from<ShardId, DbIndex>);
  EXPECT_LT(Lsn(1), Lsn(2));
  EXPECT_EQ(Lsn(), Lsn(0));
  EXPECT_EQ(ShardId(3).value(), 3);
}

}  // namespace
}  // namespace moonshard
