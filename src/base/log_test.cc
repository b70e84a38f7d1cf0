#include "base/log.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace moonshard::base {
namespace {

TEST(Log, WritesToTheFileWhatTheLevelLetsThrough) {
  std::string folder = ::testing::TempDir() + "log_test_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::string file = folder + "/server.log";
  ASSERT_TRUE(InitLog(LogLevel::kWarning, file).ok());
  LogInfo("not this");
  LogWarning("shard {} waits", 3);
  SetLogLevel(LogLevel::kInfo);
  LogInfo("now {}", "this");
  EXPECT_FALSE(LogEnabled(LogLevel::kDebug));
  EXPECT_TRUE(LogEnabled(LogLevel::kError));
  ASSERT_TRUE(InitLog(LogLevel::kInfo, "").ok());

  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_EQ(text.str().find("not this"), std::string::npos);
  EXPECT_NE(text.str().find(" W shard 3 waits\n"), std::string::npos) << text.str();
  EXPECT_NE(text.str().find(" I now this\n"), std::string::npos) << text.str();
  std::filesystem::remove_all(folder);
}

TEST(Log, FileThatCannotBeOpenedIsAnError) {
  Status status = InitLog(LogLevel::kInfo, "/dev/null/server.log");
  EXPECT_EQ(status.code(), Code::kIo);
  EXPECT_NE(status.text().find("/dev/null/server.log"), std::string_view::npos) << status.text();
  EXPECT_TRUE(LogEnabled(LogLevel::kError));
}

}  // namespace
}  // namespace moonshard::base
