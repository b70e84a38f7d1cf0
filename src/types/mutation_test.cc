#include "types/mutation.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace moonshard::types {
namespace {

class Recorder final : public MutationConsumer {
 public:
  Recorder(std::vector<std::string>& log, std::string name) : log_(log), name_(std::move(name)) {}
  void OnMutation(const Mutation& mutation) override {
    log_.push_back(name_ + ":" + std::string(mutation.key));
  }

 private:
  std::vector<std::string>& log_;
  std::string name_;
};

TEST(MutationSink, EachReportTakesOnePosition) {
  MutationSink sink;
  EXPECT_EQ(sink.position(), Lsn());
  for (uint64_t i = 1; i <= 5; ++i) {
    sink.Report({.kind = MutationKind::kErase, .key = "k"});
    EXPECT_EQ(sink.position(), Lsn(i));
    EXPECT_EQ(sink.change_count(), i);
  }
}

TEST(MutationSink, ConsumersHearInTheOrderOfAttachment) {
  MutationSink sink;
  std::vector<std::string> log;
  Recorder first(log, "first");
  Recorder second(log, "second");
  sink.Attach(first);
  sink.Attach(second);
  sink.Report({.kind = MutationKind::kErase, .key = "a"});
  sink.Detach(first);
  sink.Report({.kind = MutationKind::kErase, .key = "b"});
  sink.Detach(second);
  sink.Report({.kind = MutationKind::kErase, .key = "c"});
  EXPECT_EQ(log, (std::vector<std::string>{"first:a", "second:a", "second:b"}));
}

}  // namespace
}  // namespace moonshard::types
