#pragma once
// For tests of the bitmap family: its handlers on a keyspace of their own, with no server around, and what
// they reported and announced.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/hash.h"
#include "command/context.h"
#include "command/shard_state.h"
#include "command/testing.h"
#include "commands/tables.h"
#include "db/testing.h"

namespace moonshard::commands {

class BitmapWorld final : public db::EventListener {
 public:
  BitmapWorld() {
    state_.keyspace = &keyspace_;
    state_.server = &control_;
    keyspace_.SetNow(1'000'000);
    keyspace_.sink().Attach(shadow_);
    keyspace_.events().Attach(*this);
  }
  ~BitmapWorld() {
    keyspace_.sink().Detach(shadow_);
    keyspace_.events().Detach(*this);
  }
  BitmapWorld(const BitmapWorld&) = delete;
  BitmapWorld& operator=(const BitmapWorld&) = delete;

  // The reply in RESP2. All keys are on this shard.
  std::string Run(const std::vector<std::string>& words) {
    std::vector<std::string_view> args(words.begin(), words.end());
    const command::CommandRow* row = nullptr;
    for (const command::CommandRow& candidate : BitmapCommands()) {
      if (candidate.name == words[0]) row = &candidate;
    }
    EXPECT_NE(row, nullptr) << words[0];
    std::vector<command::KeyRef> keys;
    for (const command::KeySpec& spec : row->keys) {
      const auto begin = static_cast<size_t>(spec.begin_index);
      for (size_t i = begin; i < (spec.last == -1 ? args.size() : begin + 1); ++i) {
        keys.push_back({KeyOf(words[i]).hash, static_cast<uint32_t>(i), ShardId(0), DbIndex()});
      }
    }
    base::Buffer out;
    command::Context context(state_, out, resp::Protocol::kResp2);
    context.args = args;
    context.keys = keys;
    context.db = &database();
    EXPECT_EQ(row->handler(context), command::Outcome::kDone);
    return std::string(out.view());
  }

  db::Key KeyOf(std::string_view text) const { return {text, base::HashBytes(text, keyspace_.seed())}; }
  void Set(const std::string& key, std::string_view bytes, TimeMs deadline = kNoDeadline) {
    ASSERT_TRUE(database().SetString(KeyOf(key), bytes, deadline).ok());
    events_.clear();
  }
  // A key that holds no string.
  void SetOtherType(const std::string& key) {
    Set(key, "x");
    dash::Table& table = database().table();
    table.entry(table.Find(KeyOf(key).hash, key))->set_type(dash::Type::kList, 0);
  }
  // "(none)" for an absent key, past its deadline or not.
  std::string Get(const std::string& key) {
    const db::PlainDatabase contents = db::ContentsOf(database());
    auto found = contents.find(key);
    return found == contents.end() ? "(none)" : found->second.bytes;
  }
  const dash::Entry* EntryOf(const std::string& key) { return database().Find(KeyOf(key)); }

  // "event key" for each since the last call.
  std::vector<std::string> TakeEvents() { return std::exchange(events_, {}); }
  uint64_t change_count() { return keyspace_.sink().change_count(); }
  // What the reported changes add up to is what lies there.
  void CheckReports() { ASSERT_EQ(shadow_.contents(), db::ContentsOf(keyspace_)); }

  db::Keyspace& keyspace() { return keyspace_; }
  db::Database& database() { return keyspace_.database(DbIndex(0)); }

 private:
  void OnEvent(const db::Event& event) override {
    events_.push_back(std::string(event.name) + " " + std::string(event.key));
  }

  db::Keyspace keyspace_{{.seed = 7}};
  db::Shadow shadow_;
  command::testing::TestControl control_;
  command::ShardState state_;
  std::vector<std::string> events_;
};

}  // namespace moonshard::commands
