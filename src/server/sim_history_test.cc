#include "server/sim_history.h"

#include <gtest/gtest.h>

namespace moonshard::server {
namespace {

TEST(RegisterCheck, AcceptsWhatSomeOrderExplains) {
  RegisterCheck check;
  check.Write(1, {10, 20});
  check.Write(2, {15, 40});  // overlaps both reads
  check.Read(1, {21, 25});
  check.Read(2, {22, 26});
  check.Read(2, {50, 60});
  check.Write(3, {70, kNever});
  EXPECT_EQ(check.Violation(), std::nullopt);
}

TEST(RegisterCheck, FindsAStaleRead) {
  RegisterCheck check;
  check.Write(1, {10, 20});
  check.Write(2, {30, 40});
  check.Read(1, {50, 60});
  EXPECT_TRUE(check.Violation().has_value());
}

TEST(RegisterCheck, FindsReadsThatGoBack) {
  RegisterCheck check;
  check.Write(1, {10, 90});
  check.Write(2, {10, 90});
  check.Read(1, {20, 21});
  check.Read(2, {30, 31});
  EXPECT_EQ(check.Violation(), std::nullopt);
  check.Read(1, {40, 41});
  EXPECT_TRUE(check.Violation().has_value());
}

TEST(RegisterCheck, FindsALostWriteAndAnInventedValue) {
  RegisterCheck lost;
  lost.Write(1, {10, 20});
  lost.Read(0, {30, 40});
  EXPECT_TRUE(lost.Violation().has_value());
  RegisterCheck invented;
  invented.Read(7, {30, 40});
  EXPECT_TRUE(invented.Violation().has_value());
  RegisterCheck early;
  early.Write(7, {50, 60});
  early.Read(7, {30, 40});
  EXPECT_TRUE(early.Violation().has_value());
}

TEST(CounterCheck, BoundsEveryReading) {
  CounterCheck good;
  good.Increment(1, {10, 20});
  good.Increment(std::nullopt, {30, kNever});
  good.Read(1, {40, 50});
  good.Read(2, {40, 50});
  EXPECT_EQ(good.Violation(), std::nullopt);
  good.Read(3, {60, 70});
  EXPECT_TRUE(good.Violation().has_value());
  CounterCheck twice;
  twice.Increment(1, {10, 20});
  twice.Increment(1, {10, 20});
  EXPECT_TRUE(twice.Violation().has_value());
  CounterCheck lost;
  lost.Increment(1, {10, 20});
  lost.Read(0, {30, 40});
  EXPECT_TRUE(lost.Violation().has_value());
}

TEST(ExpiryCheck, AKeyLivesAsLongAsItsDeadlineSays) {
  auto at = [](uint64_t invoked, uint64_t answered) {
    ExpiryCheck::Timed timed;
    timed.invoked = invoked;
    timed.answered = answered;
    timed.wall_invoked = static_cast<TimeMs>(invoked);
    timed.wall_answered = static_cast<TimeMs>(answered);
    return timed;
  };
  ExpiryCheck check;
  check.Read(0, at(1, 2));
  check.Set(1, 100, at(10, 20));
  check.Read(1, at(30, 31));
  check.Read(1, at(115, 116));
  check.Read(0, at(115, 116));
  check.Read(0, at(130, 131));
  EXPECT_EQ(check.Violation(), std::nullopt);
  ExpiryCheck late = check;
  late.Read(1, at(121, 122));
  EXPECT_TRUE(late.Violation().has_value());
  ExpiryCheck early = check;
  early.Read(0, at(50, 60));
  EXPECT_TRUE(early.Violation().has_value());
}

}  // namespace
}  // namespace moonshard::server
