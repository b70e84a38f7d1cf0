#include "base/status.h"

#include <gtest/gtest.h>

namespace moonshard::base {
namespace {

inline constexpr StaticError kWrong{Code::kWrongType,
                                    "Operation against a key holding the wrong kind of value"};

Status Fails() {
  return kWrong;
}
Result<int> Twice(Result<int> in) {
  MS_ASSIGN_OR_RETURN(int value, std::move(in));
  return value * 2;
}

TEST(Status, IsOneWordAndStaticErrorsShareTheirText) {
  static_assert(sizeof(Status) == sizeof(void*));
  Status status = Fails();
  Status copy = status;
  EXPECT_FALSE(copy.ok());
  EXPECT_EQ(copy.text().data(), kWrong.text.data());
  EXPECT_EQ(copy.ToString(), "WRONGTYPE Operation against a key holding the wrong kind of value");
}

TEST(Status, OwnedTextSurvivesCopyAndMove) {
  Status status = Status::WithText(Code::kIo, std::string(100, 'x'));
  Status copy = status;
  Status moved = std::move(status);
  copy = moved;
  EXPECT_EQ(copy.text(), std::string(100, 'x'));
  EXPECT_EQ(copy.code(), Code::kIo);
}

TEST(Result, PropagatesValueAndError) {
  EXPECT_EQ(Twice(21).value(), 42);
  EXPECT_EQ(Twice(Fails()).status().code(), Code::kWrongType);
}

}  // namespace
}  // namespace moonshard::base
