#include "server/config_load.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "server/setting.h"

namespace moonshard::server {
namespace {

using Strings = std::vector<std::string>;

struct Given {
  std::string file_text;  // read as standard input
  Strings environment;
  Strings flags;
};

base::Result<Loaded> Load(const Given& given) {
  Sources sources;
  Strings args;
  if (!given.file_text.empty()) args.push_back("-");
  args.insert(args.end(), given.flags.begin(), given.flags.end());
  auto line = ParseCommandLine(args);
  if (!line.ok()) return line.status();
  sources.command_line = std::move(line).value();
  sources.environment = given.environment;
  sources.standard_input = [&]() -> base::Result<std::string> { return given.file_text; };
  return LoadConfig(sources);
}

std::string Error(const Given& given) {
  auto loaded = Load(given);
  return loaded.ok() ? "" : std::string(loaded.status().text());
}

std::string Value(const Loaded& loaded, std::string_view name) {
  return FindSetting(name)->get(loaded.settings);
}

TEST(ConfigLoad, FlagsBeatTheEnvironmentBeatsTheFile) {
  auto loaded = Load({"port 1\ntcp-backlog 1\nmaxclients 1\n",
                      {"MOONSHARD_PORT=2", "MOONSHARD_TCP_BACKLOG=2", "PATH=/bin"},
                      {"--port", "3"}});
  ASSERT_TRUE(loaded.ok()) << loaded.status().text();
  EXPECT_EQ(loaded->settings.port, 3);
  EXPECT_EQ(loaded->settings.tcp_backlog, 2u);
  EXPECT_EQ(loaded->settings.maxclients, 1u);
  EXPECT_EQ(loaded->settings.OriginOf("port"), Origin::kFlag);
  EXPECT_EQ(loaded->settings.OriginOf("tcp-backlog"), Origin::kEnvironment);
  EXPECT_EQ(loaded->settings.OriginOf("maxclients"), Origin::kFile);
  EXPECT_EQ(loaded->settings.OriginOf("maxmemory"), Origin::kDefault);
  EXPECT_TRUE(loaded->warnings.empty());
}

TEST(ConfigLoad, LaterLinesBeatEarlierOnes) {
  auto loaded = Load({"port 1\nport 2\nPORT 3\n", {}, {"--maxclients", "5", "--maxclients", "6"}});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->settings.port, 3);
  EXPECT_EQ(loaded->settings.maxclients, 6u);
}

TEST(ConfigLoad, LinesOfSaveAddUpWithinOneSource) {
  auto file = Load({"save 900 1\nsave 300 10\n", {}, {}});
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(Value(*file, "save"), "900 1 300 10");
  auto begun_anew = Load({"save 900 1\nsave \"\"\nsave 60 5\n", {}, {}});
  EXPECT_EQ(Value(*begun_anew, "save"), "60 5");
  auto flags = Load({"save 900 1\n", {}, {"--save", "60", "1", "--save", "30", "2"}});
  EXPECT_EQ(Value(*flags, "save"), "60 1 30 2");
  auto none = Load({"save 900 1\n", {}, {"--save", ""}});
  EXPECT_EQ(Value(*none, "save"), "");
  auto environment = Load({"save 900 1\n", {"MOONSHARD_SAVE=60 1"}, {}});
  EXPECT_EQ(Value(*environment, "save"), "60 1");
}

TEST(ConfigLoad, ClassesOfOutputLimitsAddUp) {
  auto loaded =
      Load({"client-output-buffer-limit normal 1 2 3\nclient-output-buffer-limit replica 4 5 6\n", {}, {}});
  ASSERT_TRUE(loaded.ok()) << loaded.status().text();
  EXPECT_EQ(Value(*loaded, "client-output-buffer-limit"),
            "normal 1 2 3 slave 4 5 6 pubsub 33554432 8388608 60");
}

TEST(ConfigLoad, ErrorsNamePlaceAndNearestName) {
  EXPECT_EQ(Error({"port 1\n\nmaxmemroy 1\n", {}, {}}),
            "standard input:3: unknown option 'maxmemroy', did you mean 'maxmemory'?");
  EXPECT_EQ(Error({"port x\n", {}, {}}),
            "standard input:1: port: argument couldn't be parsed into an integer");
  EXPECT_EQ(Error({"port 1 2\n", {}, {}}), "standard input:1: port: wrong number of arguments");
  EXPECT_EQ(Error({"port\n", {}, {}}), "standard input:1: port: wrong number of arguments");
  EXPECT_EQ(Error({"", {}, {"--maxclient", "1"}}),
            "--maxclient: unknown option 'maxclient', did you mean 'maxclients'?");
  EXPECT_EQ(Error({"", {}, {"--port", "x"}}), "--port: argument couldn't be parsed into an integer");
  EXPECT_EQ(Error({"", {"MOONSHARD_PORT=x"}, {}}),
            "MOONSHARD_PORT: port: argument couldn't be parsed into an integer");
  EXPECT_EQ(Error({"", {}, {"--port", "1", "-x"}}), "--port: wrong number of arguments");
  EXPECT_EQ(Error({"", {}, {"-x"}}), "unexpected argument '-x': settings are given as --name value");
}

TEST(ConfigLoad, LinesThatWouldLeaveAHoleStopTheStart) {
  for (const char* line :
       {"rename-command FLUSHALL \"\"", "loadmodule /x.so", "user me on nopass ~* +@all",
        "sentinel monitor a b 1 2", "appendonly yes", "cluster-enabled yes", "tls-port 1",
        "replicaof 10.0.0.1 6379", "slaveof 10.0.0.1 6379", "aclfile /x", "syslog-enabled yes",
        "min-replicas-to-write 1", "activedefrag yes", "databases 32"}) {
    EXPECT_TRUE(Error({line, {}, {}}).starts_with("standard input:1: ")) << line;
  }
  for (const char* line : {"appendonly no", "cluster-enabled no", "tls-port 0", "replicaof no one",
                           "aclfile \"\"", "syslog-enabled no", "activedefrag no", "databases 16"}) {
    EXPECT_EQ(Error({line, {}, {}}), "") << line;
  }
}

TEST(ConfigLoad, WhatHasNoEffectIsNamedOnceWithItsReason) {
  auto loaded =
      Load({"hz 10\nhz 20\nio-threads 4\nport 1\nrdbcompression yes\nlua-replicate-commands yes\n", {}, {}});
  ASSERT_TRUE(loaded.ok()) << loaded.status().text();
  EXPECT_EQ(
      loaded->without_effect,
      "rdbcompression (no dumps yet); hz, io-threads (one thread per shard, no forks, no timer events); "
      "lua-replicate-commands (retired by Redis)");
  EXPECT_EQ(Load({"port 1\n", {}, {}})->without_effect, "");
}

TEST(ConfigLoad, EnvironmentKnowsUnderscoresFilesAndWords) {
  std::string secret = ::testing::TempDir() + "config_load_secret";
  std::ofstream(secret) << "p w\n";
  auto loaded = Load({"",
                      {"MOONSHARD_REQUIREPASS_FILE=" + secret, "MOONSHARD_BIND=127.0.0.1 ::1",
                       "MOONSHARD_PROTECTED_MODE=no", "MOONSHARD_AOF_REWRITE_CPULIST=1 2"},
                      {}});
  ASSERT_TRUE(loaded.ok()) << loaded.status().text();
  EXPECT_EQ(loaded->settings.requirepass, "p w");
  EXPECT_EQ(loaded->settings.bind, (Strings{"127.0.0.1", "::1"}));
  EXPECT_FALSE(loaded->settings.protected_mode);
  EXPECT_EQ(Value(*loaded, "aof_rewrite_cpulist"), "1 2");
  EXPECT_EQ(Load({"", {"MOONSHARD_PASSWORD_FILE=" + secret}, {}})->settings.requirepass, "p w");
  EXPECT_EQ(Load({"", {"MOONSHARD_PASSWORD=x=y"}, {}})->settings.requirepass, "x=y");
  EXPECT_EQ(Error({"", {"MOONSHARD_PASSWORD=x", "MOONSHARD_PASSWORD_FILE=" + secret}, {}}),
            "MOONSHARD_PASSWORD and MOONSHARD_PASSWORD_FILE are both set");
  EXPECT_EQ(Error({"", {"MOONSHARD_PORT_FILE=/no/such"}, {}}),
            "MOONSHARD_PORT_FILE: cannot read '/no/such': No such file or directory");
  std::filesystem::remove(secret);
}

TEST(ConfigLoad, VariablesOfOthersAreNamedAndPassedOver) {
  auto loaded = Load({"", {"MOONSHARD_PORT=tcp://10.0.0.1:6379", "MOONSHARD_SERVICE_HOST=10.0.0.1"}, {}});
  ASSERT_TRUE(loaded.ok()) << loaded.status().text();
  EXPECT_EQ(loaded->settings.port, 6379);
  ASSERT_EQ(loaded->warnings.size(), 2u);
  EXPECT_NE(loaded->warnings[0].find("Kubernetes"), std::string::npos);
  EXPECT_EQ(loaded->warnings[1], "environment variables that name no setting: MOONSHARD_SERVICE_HOST");
}

TEST(ConfigLoad, SecretsAreShownToNobody) {
  for (const char* name : {"requirepass", "masterauth", "tls-key-file-pass", "tls-client-key-file-pass"}) {
    auto loaded = Load({std::string(name) + " hush\n", {}, {}});
    ASSERT_TRUE(loaded.ok()) << name;
    EXPECT_EQ(Value(*loaded, name), "hush");
    EXPECT_EQ(DescribeSettings(*loaded).find("hush"), std::string::npos) << name;
    EXPECT_EQ(Error({std::string(name) + " hush hush\n", {}, {}}).find("hush"), std::string::npos) << name;
    EXPECT_EQ(Error({"", {}, {std::string("--") + name, "hush", "x"}}).find("hush"), std::string::npos)
        << name;
  }
  EXPECT_EQ(Error({"requirepass 'hush\n", {}, {}}), "standard input:1: unbalanced quotes");
}

TEST(ConfigLoad, QuestionsOfTheCommandLine) {
  const Strings args = {"x.conf", "--check-config", "--port", "1", "--healthcheck"};
  auto line = ParseCommandLine(args);
  ASSERT_TRUE(line.ok());
  EXPECT_EQ(line->file, "x.conf");
  EXPECT_TRUE(line->check_config);
  EXPECT_TRUE(line->healthcheck);
  ASSERT_EQ(line->flags.size(), 1u);
  EXPECT_EQ(line->flags[0].name, "port");
  EXPECT_FALSE(ParseCommandLine(Strings{"a.conf", "b.conf"}).ok());
  EXPECT_FALSE(ParseCommandLine(Strings{"--"}).ok());
}

TEST(ConfigLoad, HelpHasEverySetting) {
  const std::string help = HelpText();
  for (const Setting& setting : AllSettings()) {
    EXPECT_NE(help.find(setting.name), std::string::npos) << setting.name;
  }
}

TEST(Settings, EveryDefaultIsAValueOfItsSettingAndStaysAsItIs) {
  Settings settings;
  for (const Setting& setting : AllSettings()) {
    const std::string value = setting.get(settings);
    Strings words = {value};
    if (setting.shape != Shape::kOne && !value.empty()) {
      words.clear();
      for (size_t begin = 0; begin <= value.size();) {
        size_t end = std::min(value.find(' ', begin), value.size());
        words.push_back(value.substr(begin, end - begin));
        begin = end + 1;
      }
    }
    // These have a default that cannot be written as a value.
    if (value.empty() && (setting.own_name() == "replicaof" || setting.name == "cpus")) continue;
    base::Status status = setting.set(settings, words);
    EXPECT_TRUE(status.ok()) << setting.name << ": " << status.text();
    EXPECT_EQ(setting.get(settings), value) << setting.name;
  }
}

TEST(Settings, NamesAreUniqueAndSorted) {
  const auto& all = AllSettings();
  for (size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1].name, all[i].name);
  EXPECT_EQ(FindSetting("SLAVE-priority")->own_name(), "replica-priority");
  EXPECT_EQ(FindSetting("nosuch"), nullptr);
}

}  // namespace
}  // namespace moonshard::server
