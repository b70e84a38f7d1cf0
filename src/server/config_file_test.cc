#include "server/config_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace moonshard::server {
namespace {

class Folder {
 public:
  Folder() {
    path_ = ::testing::TempDir() + "config_file_XXXXXX";
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  void Write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ + "/" + name) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string Shown(const std::vector<Directive>& directives) {
  std::string text;
  for (const Directive& directive : directives) {
    text += directive.name;
    for (const std::string& word : directive.words) text += "|" + word;
    text += "\n";
  }
  return text;
}

std::string Parsed(std::string_view text) {
  auto directives = ParseConfigText(text, "f");
  return directives.ok() ? Shown(*directives) : std::string(directives.status().text());
}

std::string Resolved(std::string_view text, const Folder& folder) {
  auto directives = ParseConfigText(text, "f");
  EXPECT_TRUE(directives.ok());
  auto resolved = ResolveIncludes(std::move(directives).value(), folder.path());
  return resolved.ok() ? Shown(*resolved) : std::string(resolved.status().text());
}

TEST(ConfigFile, LinesWordsAndComments) {
  EXPECT_EQ(Parsed(""), "");
  EXPECT_EQ(Parsed("port 7000"), "port|7000\n");
  EXPECT_EQ(Parsed("  PORT\t7000  \r\n\n# port 1\n   # x\nBind a  b\n"), "port|7000\nbind|a|b\n");
  EXPECT_EQ(Parsed("save"), "save\n");
  EXPECT_EQ(Parsed("port 7000 # no comment"), "port|7000|#|no|comment\n");
}

TEST(ConfigFile, QuotesAsInRedis) {
  EXPECT_EQ(Parsed(R"(save "")"), "save|\n");
  EXPECT_EQ(Parsed(R"(requirepass "a b\x41\"")"), "requirepass|a bA\"\n");
  EXPECT_EQ(Parsed(R"(requirepass 'a "b\n\' c')"), "requirepass|a \"b\\n' c\n");
  EXPECT_EQ(Parsed("requirepass \"a"), "f:1: unbalanced quotes");
  EXPECT_EQ(Parsed("port 1\n\nrequirepass 'a'b"), "f:3: unbalanced quotes");
}

TEST(ConfigFile, TooManyLinesAreRefused) {
  std::string text;
  for (size_t i = 0; i <= kConfigLinesMax; ++i) text += "a\n";
  EXPECT_EQ(Parsed(text), "the configuration has too many lines");
}

TEST(ConfigFile, IncludesStandInTheirPlace) {
  Folder folder;
  folder.Write("one.conf", "port 1\n");
  folder.Write("two.conf", "port 2\ninclude one.conf\n");
  EXPECT_EQ(Resolved("a\ninclude two.conf\nb", folder), "a\nport|2\nport|1\nb\n");
  EXPECT_EQ(Resolved("include " + folder.path() + "/one.conf", folder), "port|1\n");
}

TEST(ConfigFile, IncludePatternsMatchInOrderAndMayMatchNothing) {
  Folder folder;
  folder.Write("b.conf", "b\n");
  folder.Write("a.conf", "a\n");
  folder.Write("c.txt", "c\n");
  EXPECT_EQ(Resolved("include *.conf", folder), "a\nb\n");
  EXPECT_EQ(Resolved("x\ninclude none*.conf", folder), "x\n");
}

TEST(ConfigFile, IncludeErrorsNameTheLine) {
  Folder folder;
  folder.Write("loop.conf", "\ninclude loop.conf\n");
  folder.Write("bad.conf", "a\nb 'c\n");
  EXPECT_NE(Resolved("\ninclude gone.conf", folder).find("f:2: cannot read"), std::string::npos);
  EXPECT_NE(Resolved("include", folder).find("f:1: include takes one"), std::string::npos);
  EXPECT_NE(Resolved("include a b", folder).find("f:1: include takes one"), std::string::npos);
  EXPECT_NE(Resolved("include loop.conf", folder).find("loop.conf:2: files include each other"),
            std::string::npos);
  EXPECT_NE(Resolved("include bad.conf", folder).find("bad.conf:2: unbalanced quotes"), std::string::npos);
}

TEST(ConfigFile, AFileBeyondTheBoundIsRefused) {
  Folder folder;
  folder.Write("big", std::string(101, 'x'));
  EXPECT_FALSE(ReadText(folder.path() + "/big", 100).ok());
  EXPECT_TRUE(ReadText(folder.path() + "/big", 101).ok());
  EXPECT_FALSE(ReadText(folder.path(), 100).ok());
}

}  // namespace
}  // namespace moonshard::server
