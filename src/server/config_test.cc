#include "server/config.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "server/setting.h"

namespace moonshard::server {
namespace {

using Changes = std::vector<std::pair<std::string, std::string>>;

std::string SetError(Config& config, const Changes& changes, bool local = true) {
  return std::string(
      config.Set(changes, local, [](const Settings&, Settings&) { return Config::Refusal{}; }).text());
}

TEST(Config, SetTakesAllOrNothing) {
  Config config({});
  EXPECT_EQ(SetError(config, {{"maxclients", "5"}, {"HZ", "20"}}), "");
  EXPECT_EQ(config.Get().maxclients, 5u);
  EXPECT_EQ(config.Get().OriginOf("maxclients"), Origin::kCommand);
  EXPECT_EQ(config.Match("hz")[0].second, "20");
  EXPECT_NE(SetError(config, {{"maxclients", "6"}, {"hz", "x"}}), "");
  EXPECT_EQ(config.Get().maxclients, 5u);
}

TEST(Config, WhatCannotBeAppliedIsNotSet) {
  Config config({});
  base::Status status =
      config.Set(Changes{{"port", "7"}, {"maxclients", "5"}}, true,
                 [](const Settings&, Settings&) { return Config::Refusal{"port", BadSetting("taken")}; });
  EXPECT_EQ(status.text(), "CONFIG SET failed (possibly related to argument 'port') - taken");
  EXPECT_EQ(config.Get().port, 6379);
  EXPECT_EQ(config.Get().maxclients, 10000u);
}

TEST(Config, ApplyMayFinishASetting) {
  Config config({});
  ASSERT_TRUE(config
                  .Set(Changes{{"maxclients", "5"}}, true,
                       [](const Settings& before, Settings& after) {
                         EXPECT_EQ(before.maxclients, 10000u);
                         EXPECT_EQ(after.maxclients, 5u);
                         after.maxclients = 6;
                         return Config::Refusal{};
                       })
                  .ok());
  EXPECT_EQ(config.Get().maxclients, 6u);
}

TEST(Config, ProtectedSettingsNeedTheWordOfTheStart) {
  const Changes change = {{"dir", "/"}};
  for (const char* who : {"no", "yes", "local"}) {
    for (bool local : {false, true}) {
      Settings settings;
      settings.enable_protected_configs = who;
      Config config(settings);
      bool allowed = who[0] == 'y' || (who[0] == 'l' && local);
      EXPECT_EQ(SetError(config, change, local).empty(), allowed) << who << local;
    }
  }
}

TEST(Config, ValuesOfSeveralWordsAreSplitAtSpaces) {
  Config config({});
  EXPECT_EQ(SetError(config, {{"bind", "127.0.0.1 -::1"}}), "");
  EXPECT_EQ(config.Get().bind, (std::vector<std::string>{"127.0.0.1", "-::1"}));
  EXPECT_EQ(config.Match("bind")[0].second, "127.0.0.1 -::1");
  EXPECT_EQ(SetError(config, {{"bind", ""}}), "");
  EXPECT_TRUE(config.Get().bind.empty());
  EXPECT_EQ(SetError(config, {{"requirepass", "a b"}}), "");
  EXPECT_EQ(config.Get().requirepass, "a b");
}

TEST(Config, TheBudgetIsTheMachinesShareUntilSomebodySetsIt) {
  Settings settings;
  settings.default_budget = 1000;
  EXPECT_EQ(settings.DataBudget(), 1000u);
  Config config(settings);
  EXPECT_EQ(config.Match("maxmemory")[0].second, "0");
  EXPECT_EQ(SetError(config, {{"maxmemory", "50"}}), "");
  EXPECT_EQ(config.Get().DataBudget(), 50u);
  EXPECT_EQ(SetError(config, {{"maxmemory", "0"}}), "");
  EXPECT_EQ(config.Get().DataBudget(), 0u);
}

TEST(Config, FromArgsTakesFlags) {
  auto settings = Config::FromArgs(
      std::vector<std::string>{"--port", "7000", "--bind", "127.0.0.1", "::1", "--save", ""});
  ASSERT_TRUE(settings.ok()) << settings.status().text();
  EXPECT_EQ(settings->port, 7000);
  EXPECT_EQ(settings->bind.size(), 2u);
}

}  // namespace
}  // namespace moonshard::server
