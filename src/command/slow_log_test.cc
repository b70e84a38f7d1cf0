#include "command/slow_log.h"

#include <gtest/gtest.h>

namespace moonshard::command {
namespace {

std::vector<std::string> Cut(const std::vector<std::string>& args) {
  std::vector<std::string_view> views(args.begin(), args.end());
  return SlowLog::CutArgs(views);
}

SlowLogEntry Entry(uint64_t id) {
  SlowLogEntry entry;
  entry.id = id;
  return entry;
}

std::vector<uint64_t> Ids(const SlowLog& log) {
  std::vector<uint64_t> ids;
  for (const SlowLogEntry& entry : log.entries()) ids.push_back(entry.id);
  return ids;
}

TEST(SlowLog, KeepsTheNewest) {
  SlowLog log;
  for (uint64_t id = 0; id < 10; ++id) log.Add(Entry(id), 4);
  EXPECT_EQ(Ids(log), (std::vector<uint64_t>{6, 7, 8, 9}));
  log.Trim(2);
  EXPECT_EQ(Ids(log), (std::vector<uint64_t>{8, 9}));
  log.Trim(100);
  EXPECT_EQ(log.size(), 2u);
  log.Add(Entry(10), 0);
  EXPECT_EQ(log.size(), 0u);
}

TEST(SlowLog, DropsWhatIsOlder) {
  SlowLog log;
  for (uint64_t id : {3u, 5u, 9u}) log.Add(Entry(id), 128);
  log.DropBefore(3);
  EXPECT_EQ(log.size(), 3u);
  log.DropBefore(6);
  EXPECT_EQ(Ids(log), (std::vector<uint64_t>{9}));
  log.DropBefore(UINT64_MAX);
  EXPECT_EQ(log.size(), 0u);
}

TEST(SlowLog, CutsManyArguments) {
  for (size_t count : {1u, 31u, 32u}) {
    std::vector<std::string> args(count, "x");
    EXPECT_EQ(Cut(args), args) << count;
  }
  std::vector<std::string> cut = Cut(std::vector<std::string>(33, "x"));
  ASSERT_EQ(cut.size(), 32u);
  EXPECT_EQ(cut[30], "x");
  EXPECT_EQ(cut[31], "... (2 more arguments)");
  EXPECT_EQ(Cut(std::vector<std::string>(1000, "x"))[31], "... (969 more arguments)");
}

TEST(SlowLog, CutsLongArguments) {
  std::string edge(128, 'a');
  EXPECT_EQ(Cut({"set", edge})[1], edge);
  EXPECT_EQ(Cut({"set", edge + "b"})[1], edge + "... (1 more bytes)");
  EXPECT_EQ(Cut({"set", edge + std::string(1000, 'b')})[1], edge + "... (1000 more bytes)");
}

TEST(SlowLog, HidesPasswords) {
  EXPECT_EQ(Cut({"AUTH", "p"}), (std::vector<std::string>{"AUTH", "(redacted)"}));
  EXPECT_EQ(Cut({"auth", "u", "p"}), (std::vector<std::string>{"auth", "(redacted)", "(redacted)"}));
  EXPECT_EQ(Cut({"HELLO", "3", "AUTH", "u", "p", "SETNAME", "n"}),
            (std::vector<std::string>{"HELLO", "3", "AUTH", "(redacted)", "(redacted)", "SETNAME", "n"}));
  // The name of the client is no option.
  EXPECT_EQ(Cut({"HELLO", "3", "SETNAME", "auth", "AUTH", "u", "p"}),
            (std::vector<std::string>{"HELLO", "3", "SETNAME", "auth", "AUTH", "(redacted)", "(redacted)"}));
  EXPECT_EQ(Cut({"HELLO"}), (std::vector<std::string>{"HELLO"}));
  EXPECT_EQ(Cut({"config", "set", "maxmemory", "1", "RequirePass", "p"}),
            (std::vector<std::string>{"config", "set", "maxmemory", "1", "RequirePass", "(redacted)"}));
  // A setting's value is not a setting's name.
  EXPECT_EQ(Cut({"config", "set", "dir", "requirepass", "port", "1"}),
            (std::vector<std::string>{"config", "set", "dir", "requirepass", "port", "1"}));
  EXPECT_EQ(Cut({"get", "auth", "requirepass"}), (std::vector<std::string>{"get", "auth", "requirepass"}));
}

}  // namespace
}  // namespace moonshard::command
