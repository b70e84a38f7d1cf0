#include "bench/load_request.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/number.h"
#include "bench/load_options.h"

namespace moonshard::bench {
namespace {

// Reads one request strictly; what is left of `text` stays.
std::vector<std::string> TakeRequest(std::string_view* text) {
  auto line = [&]() -> std::string_view {
    size_t end = text->find("\r\n");
    if (end == std::string_view::npos) return {};
    std::string_view found = text->substr(0, end);
    text->remove_prefix(end + 2);
    return found;
  };
  std::vector<std::string> words;
  std::string_view header = line();
  EXPECT_EQ(header.substr(0, 1), "*");
  auto count = base::ParseInt64(header.substr(1));
  EXPECT_TRUE(count.has_value());
  for (int64_t i = 0; i < count.value_or(0); ++i) {
    std::string_view length_line = line();
    EXPECT_EQ(length_line.substr(0, 1), "$");
    auto length = static_cast<size_t>(base::ParseInt64(length_line.substr(1)).value_or(-1));
    EXPECT_EQ(text->substr(length, 2), "\r\n");
    words.emplace_back(text->substr(0, length));
    text->remove_prefix(length + 2);
  }
  return words;
}

RequestPlan MakePlan(const PlanOptions& options) {
  auto plan = RequestPlan::Make(options);
  EXPECT_TRUE(plan.ok());
  return std::move(plan).value();
}

RequestStream StreamOf(const RequestPlan& plan) {
  return RequestStream(plan, KeyChooser(Distribution::kSequential, 1, 1000, 5, 1000), 9);
}

std::vector<std::string> One(const PlanOptions& options) {
  RequestPlan plan = MakePlan(options);
  RequestStream stream = StreamOf(plan);
  std::string buffer(plan.max_bytes(), '#');
  uint8_t shape = 0;
  size_t length = stream.Append(buffer.data(), &shape);
  EXPECT_LE(length, buffer.size());
  std::string_view text(buffer.data(), length);
  auto words = TakeRequest(&text);
  EXPECT_TRUE(text.empty());
  return words;
}

PlanOptions Command(std::string_view text) {
  auto spec = ParseCommand(text);
  EXPECT_TRUE(spec.ok());
  PlanOptions options;
  options.command = *spec;
  options.value_bytes = 20;
  return options;
}

TEST(RequestPlan, EveryCommand) {
  EXPECT_EQ(One(Command("ping")), (std::vector<std::string>{"PING"}));
  EXPECT_EQ(One(Command("get")), (std::vector<std::string>{"GET", "key:000000000005"}));
  EXPECT_EQ(One(Command("incr")), (std::vector<std::string>{"INCR", "counter:000000000005"}));
  EXPECT_EQ(One(Command("mget:2")),
            (std::vector<std::string>{"MGET", "key:000000000005", "key:000000000006"}));
  EXPECT_EQ(One(Command("del:2")), (std::vector<std::string>{"DEL", "key:000000000005", "key:000000000006"}));
  auto set = One(Command("set"));
  ASSERT_EQ(set.size(), 3u);
  EXPECT_EQ(set[2].size(), 20u);
  EXPECT_EQ(set[2].substr(0, 12), "000000000005");  // a value names its key
  auto mset = One(Command("mset:2"));
  ASSERT_EQ(mset.size(), 5u);
  EXPECT_EQ(mset[4].substr(0, 12), "000000000006");
}

TEST(RequestPlan, ShortValuesStayShort) {
  for (uint64_t bytes : {0u, 1u, 8u, 12u}) {
    PlanOptions options = Command("set");
    options.value_bytes = bytes;
    auto words = One(options);
    EXPECT_EQ(words[2].size(), bytes);
    EXPECT_EQ(words[2].find_first_of("0123456789"), std::string::npos);
  }
}

TEST(RequestPlan, TimesToLive) {
  PlanOptions options = Command("set");
  options.ttl = {.min_ms = 9, .max_ms = 12};
  RequestPlan plan = MakePlan(options);
  EXPECT_FALSE(plan.fixed_length());
  RequestStream stream = StreamOf(plan);
  std::map<std::string, int> seen;
  for (int i = 0; i < 200; ++i) {
    std::string buffer(plan.max_bytes(), '#');
    uint8_t shape = 0;
    std::string_view text(buffer.data(), stream.Append(buffer.data(), &shape));
    auto words = TakeRequest(&text);
    ASSERT_EQ(words.size(), 5u);
    EXPECT_EQ(words[3], "PX");
    ++seen[words[4]];
  }
  EXPECT_EQ(seen.size(), 4u);
  EXPECT_TRUE(seen.contains("9") && seen.contains("12"));

  options.ttl = {.at_ms = 1'900'000'000'000};
  auto words = One(options);
  ASSERT_EQ(words.size(), 5u);
  EXPECT_EQ(words[3] + words[4], "PXAT1900000000000");
}

TEST(RequestPlan, CustomTemplate) {
  PlanOptions options;
  options.command.kind = CommandKind::kCustom;
  options.custom = {"HSET", "h:{__rand__}", "f__key__", "<__data__>", "__data", ""};
  options.value_bytes = 3;
  auto words = One(options);
  ASSERT_EQ(words.size(), 6u);
  EXPECT_EQ(words[1], "h:{000000000005}");
  EXPECT_EQ(words[2], "fkey:000000000006");
  EXPECT_EQ(words[3].size(), 5u);
  EXPECT_EQ(words[4], "__data");
  EXPECT_EQ(words[5], "");
  options.custom.clear();
  EXPECT_FALSE(RequestPlan::Make(options).ok());
}

TEST(RequestStream, PatchEqualsAppend) {
  for (std::string_view command : {"get", "set", "mset:3", "del:7", "ping"}) {
    RequestPlan plan = MakePlan(Command(command));
    ASSERT_TRUE(plan.fixed_length());
    RequestStream patched = StreamOf(plan), appended = StreamOf(plan);
    std::string left(plan.max_bytes(), '#'), right(plan.max_bytes(), '#');
    uint8_t shape = 0;
    ASSERT_EQ(patched.LayOut(left.data()), plan.max_bytes());
    ASSERT_EQ(appended.Append(right.data(), &shape), plan.max_bytes());
    EXPECT_EQ(left, right);
    for (int i = 0; i < 50; ++i) {
      patched.Patch(left.data());
      appended.Append(right.data(), &shape);
      ASSERT_EQ(left, right) << command;
    }
  }
}

TEST(RequestStream, MixKeepsItsShare) {
  RequestPlan plan = MakePlan(Command("mix:9:1"));
  RequestStream stream = StreamOf(plan);
  std::string buffer(plan.max_bytes(), '#');
  int sets = 0;
  for (int i = 0; i < 20'000; ++i) {
    uint8_t shape = 0;
    std::string_view text(buffer.data(), stream.Append(buffer.data(), &shape));
    EXPECT_EQ(TakeRequest(&text)[0], shape == 0 ? "GET" : "SET");
    sets += shape;
  }
  EXPECT_NEAR(sets, 2000, 250);
}

TEST(Options, PartsAndTheirErrors) {
  for (const char* text :
       {"", "nope", "mget", "mget:0", "mget:x", "get:3", "mix", "mix:2", "mix:-1", "mix:0:0", "mix:1:x"}) {
    EXPECT_FALSE(ParseCommand(text).ok()) << text;
  }
  Options options;
  EXPECT_TRUE(ParseDistribution("zipf:1.2", &options).ok());
  EXPECT_DOUBLE_EQ(options.zipf_theta, 1.2);
  for (const char* text : {"", "zipf:", "zipf:0", "zipf:x", "zipfy", "normal"}) {
    EXPECT_FALSE(ParseDistribution(text, &options).ok()) << text;
  }
  TimeToLive ttl;
  EXPECT_TRUE(ParseTtl("10:20", &ttl).ok());
  EXPECT_EQ(ttl.min_ms, 10);
  EXPECT_EQ(ttl.max_ms, 20);
  for (const char* text : {"", "0", "5:4", "a:b", "1:"}) EXPECT_FALSE(ParseTtl(text, &ttl).ok()) << text;
  std::vector<int> cpus;
  EXPECT_TRUE(ParseCpus("1,3-5", &cpus).ok());
  EXPECT_EQ(cpus, (std::vector<int>{1, 3, 4, 5}));
  for (const char* text : {"", "-1", "3-1", "1,", "x", "5000"})
    EXPECT_FALSE(ParseCpus(text, &cpus).ok()) << text;
}

}  // namespace
}  // namespace moonshard::bench
