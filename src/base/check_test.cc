#include "base/check.h"

#include <gtest/gtest.h>

namespace moonshard::base {
namespace {

TEST(CheckDeathTest, NamesTheConditionAndThePlace) {
  int two = 2;
  EXPECT_DEATH(MS_CHECK(two == 3), "check_test.cc:[0-9]+: check failed: two == 3");
  MS_CHECK(two == 2);
}

TEST(CheckDeathTest, DebugChecksVanishInReleaseBuilds) {
#ifdef NDEBUG
  int calls = 0;
  MS_DCHECK(++calls == 2);
  EXPECT_EQ(calls, 0);
#else
  EXPECT_DEATH(MS_DCHECK(false), "check failed: false");
#endif
}

}  // namespace
}  // namespace moonshard::base
