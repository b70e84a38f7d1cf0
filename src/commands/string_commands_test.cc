// What replies cannot show, or no client can bring about yet: which keyspace events the string commands send,
// and in which order (the names are Redis'); what they say to a key of another type.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "command/context.h"
#include "command/registry.h"
#include "command/shard_state.h"
#include "command/testing.h"
#include "commands/tables.h"

namespace moonshard::commands {
namespace {

using command::Context;

class StringEvents : public testing::Test, public db::EventListener {
 protected:
  StringEvents() : registry_(AllCommands()) {
    state_.keyspace = &keyspace_;
    state_.server = &control_;
    keyspace_.SetNow(1'000'000);
    keyspace_.events().Attach(*this);
  }
  ~StringEvents() override { keyspace_.events().Detach(*this); }

  void OnEvent(const db::Event& event) override {
    if (!heard_.empty()) heard_ += ' ';
    heard_ += event.name;
    if (event.key != "k") heard_ += ":" + std::string(event.key);
    EXPECT_EQ(event.db, DbIndex(0));
    classes_.push_back(event.event_class);
  }

  // Runs a command as its one shard does, and returns the events.
  std::string Run(std::vector<std::string_view> args) {
    heard_.clear();
    classes_.clear();
    reply_.Clear();
    Context context(state_, reply_, resp::Protocol::kResp2);
    context.command = registry_.Find(args[0]);
    context.args = args;
    context.db = &keyspace_.database(DbIndex(0));
    std::vector<uint32_t> positions;
    EXPECT_TRUE(command::FindKeys(*context.command->row, args, positions));
    std::vector<command::KeyRef> keys;
    for (uint32_t at : positions)
      keys.push_back({.hash = base::HashBytes(args[at], keyspace_.seed()),
                      .arg = at,
                      .shard = ShardId(0),
                      .db = DbIndex(0)});
    context.keys = keys;
    context.command->row->handler(context);
    return heard_;
  }
  std::string reply() const { return std::string(reply_.view()); }

  command::Registry registry_;
  db::Keyspace keyspace_{{.seed = 5, .random_seed = 1}};
  command::testing::TestControl control_;
  command::ShardState state_;
  base::Buffer reply_;
  std::string heard_;
  std::vector<db::EventClass> classes_;
};

TEST_F(StringEvents, SettingAKey) {
  EXPECT_EQ(Run({"SET", "k", "v"}), "new set");
  EXPECT_EQ(classes_, (std::vector{db::EventClass::kNew, db::EventClass::kString}));
  EXPECT_EQ(Run({"SET", "k", "w"}), "set");
  EXPECT_EQ(Run({"SET", "k", "w", "EX", "100"}), "set expire");
  EXPECT_EQ(classes_, (std::vector{db::EventClass::kString, db::EventClass::kGeneric}));
  EXPECT_EQ(Run({"SET", "k", "w", "KEEPTTL"}), "set");
  EXPECT_EQ(Run({"SET", "k", "w", "NX"}), "");
  EXPECT_EQ(Run({"SET", "k", "w", "EX", "0"}), "");
  EXPECT_EQ(Run({"SETEX", "k", "10", "w"}), "set expire");
  EXPECT_EQ(Run({"PSETEX", "k", "10", "w"}), "set expire");
  EXPECT_EQ(Run({"SETNX", "k", "w"}), "");
  EXPECT_EQ(Run({"SETNX", "other", "w"}), "new:other set:other");
  EXPECT_EQ(Run({"GETSET", "k", "w"}), "set");
  EXPECT_EQ(Run({"SET", "k", "w", "IFEQ", "x"}), "");
  EXPECT_EQ(Run({"SET", "k", "x", "IFEQ", "w"}), "set");
}

TEST_F(StringEvents, ReadingAKey) {
  Run({"SET", "k", "v"});
  EXPECT_EQ(Run({"GET", "k"}), "");
  EXPECT_EQ(Run({"GETRANGE", "k", "0", "-1"}), "");
  EXPECT_EQ(Run({"STRLEN", "k"}), "");
  EXPECT_EQ(Run({"GETEX", "k"}), "");
  EXPECT_EQ(Run({"GETEX", "k", "EX", "100"}), "expire");
  EXPECT_EQ(Run({"GETEX", "k", "PERSIST"}), "persist");
  EXPECT_EQ(Run({"GETEX", "k", "PERSIST"}), "");
  EXPECT_EQ(Run({"GETEX", "k", "PXAT", "1"}), "del");
  Run({"SET", "k", "v"});
  EXPECT_EQ(Run({"GETDEL", "k"}), "del");
  EXPECT_EQ(Run({"GETDEL", "k"}).find("del"), std::string::npos);  // it is gone
}

TEST_F(StringEvents, ChangingAKey) {
  EXPECT_EQ(Run({"APPEND", "k", "1"}), "new append");
  EXPECT_EQ(Run({"APPEND", "k", ""}), "append");
  EXPECT_EQ(Run({"INCR", "k"}), "incrby");
  EXPECT_EQ(Run({"DECRBY", "k", "5"}), "incrby");
  EXPECT_EQ(Run({"INCRBYFLOAT", "k", "0.5"}), "incrbyfloat");
  EXPECT_EQ(Run({"INCR", "k"}), "");
  EXPECT_EQ(Run({"SETRANGE", "k", "1", "x"}), "setrange");
  EXPECT_EQ(Run({"SETRANGE", "k", "1", ""}), "");
  EXPECT_EQ(Run({"SETRANGE", "r", "1", "x"}), "new:r setrange:r");
  EXPECT_EQ(Run({"DECR", "n"}), "new:n incrby:n");
  EXPECT_EQ(Run({"INCRBYFLOAT", "f", "1"}), "new:f incrbyfloat:f");
  EXPECT_EQ(Run({"SETRANGE", "r", "-1", "x"}), "");
}

TEST_F(StringEvents, SeveralKeys) {
  EXPECT_EQ(Run({"MSET", "k", "1", "a", "2"}), "new set new:a set:a");
  EXPECT_EQ(Run({"MSETNX", "k", "1", "b", "2"}), "");
  EXPECT_EQ(Run({"MSETNX", "b", "1", "c", "2"}), "new:b set:b new:c set:c");
  EXPECT_EQ(Run({"MSETEX", "2", "k", "1", "a", "2", "EX", "10"}), "set expire set:a expire:a");
  EXPECT_EQ(Run({"MSETEX", "1", "k", "1", "KEEPTTL"}), "set");
  EXPECT_EQ(Run({"MSETEX", "1", "k", "1", "NX"}), "");
}

TEST_F(StringEvents, DeletingByComparison) {
  Run({"SET", "k", "v"});
  EXPECT_EQ(Run({"DELEX", "k", "IFEQ", "x"}), "");
  EXPECT_EQ(Run({"DELEX", "k", "IFEQ", "v"}), "del");
  EXPECT_EQ(reply(), ":1\r\n");
  Run({"SET", "k", "v"});
  EXPECT_EQ(Run({"DELIFEQ", "k", "v"}), "del");
}

// The order that the command's own tests in Redis name.
TEST_F(StringEvents, Increx) {
  EXPECT_EQ(Run({"INCREX", "k", "BYINT", "5"}), "new incrby");
  EXPECT_EQ(Run({"INCREX", "k", "BYFLOAT", "0.5"}), "incrbyfloat");
  Run({"SET", "k", "10", "EX", "100"});
  EXPECT_EQ(Run({"INCREX", "k", "PERSIST"}), "incrby persist");
  EXPECT_EQ(Run({"INCREX", "k", "EX", "100"}), "incrby expire");
  EXPECT_EQ(Run({"INCREX", "k", "EX", "200", "ENX"}), "incrby");
  EXPECT_EQ(Run({"INCREX", "k", "UBOUND", "1"}), "");
  EXPECT_EQ(Run({"INCREX", "k", "EXAT", "1"}), "del");
}

// A value that is replaced under KEEPTTL, and one that has expired.
TEST_F(StringEvents, AnExpiredKeySaysSoFirst) {
  Run({"SET", "k", "v", "PX", "10"});
  keyspace_.SetNow(1'000'020);
  EXPECT_EQ(Run({"APPEND", "k", "w"}), "expired new append");
}

constexpr std::string_view kWrongTypeReply =
    "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

class OtherTypes : public StringEvents {
 protected:
  OtherTypes() {
    dash::Table& table = keyspace_.database(DbIndex(0)).table();
    EXPECT_TRUE(table.Insert(base::HashBytes("k", keyspace_.seed()), "k", dash::Type::kList, 0, 0));
  }
  std::string ReplyTo(std::vector<std::string_view> args) {
    EXPECT_EQ(Run(args), "") << args[0];
    return reply();
  }
};

TEST_F(OtherTypes, AreRefused) {
  const std::vector<std::vector<std::string_view>> refused = {
      {"GET", "k"},
      {"GETSET", "k", "v"},
      {"GETDEL", "k"},
      {"GETEX", "k"},
      {"GETEX", "k", "EX", "0"},  // before the time
      {"STRLEN", "k"},
      {"APPEND", "k", "v"},
      {"SETRANGE", "k", "0", "v"},
      {"SETRANGE", "k", "0", ""},
      {"SETRANGE", "k", "9223372036854775807", "v"},  // before the length
      {"GETRANGE", "k", "0", "-1"},
      {"SUBSTR", "k", "0", "-1"},
      {"INCR", "k"},
      {"DECR", "k"},
      {"INCRBY", "k", "1"},
      {"DECRBY", "k", "1"},
      {"INCRBYFLOAT", "k", "1"},
      {"INCRBYFLOAT", "k", "x"},  // before the increment
      {"SET", "k", "v", "GET"},
      {"SET", "k", "v", "NX", "GET"},
      {"SET", "k", "v", "IFEQ", "v"},
      {"SET", "k", "v", "IFNE", "v"},
      {"SET", "k", "v", "IFDEQ", "too short"},
      {"DELIFEQ", "k", "v"},
      {"DIGEST", "k"},
      {"INCREX", "k"},
      {"INCREX", "k", "BYFLOAT", "1.5"},
      {"INCREX", "k", "EXAT", "1"},
  };
  for (const auto& args : refused) EXPECT_EQ(ReplyTo(args), kWrongTypeReply) << args[0];
  EXPECT_EQ(ReplyTo({"DELEX", "k", "IFEQ", "v"}),
            "-ERR Key should be of string type if conditions are specified\r\n");
  EXPECT_EQ(ReplyTo({"LCS", "k", "a"}), "-ERR The specified keys must contain string values\r\n");
  EXPECT_EQ(ReplyTo({"LCS", "a", "k", "FOO"}), "-ERR The specified keys must contain string values\r\n");
}

TEST_F(OtherTypes, BadArgumentsAreSeenFirst) {
  constexpr std::string_view kNotAnInteger = "-ERR value is not an integer or out of range\r\n";
  EXPECT_EQ(ReplyTo({"GETRANGE", "k", "x", "1"}), kNotAnInteger);
  EXPECT_EQ(ReplyTo({"SETRANGE", "k", "x", "v"}), kNotAnInteger);
  EXPECT_EQ(ReplyTo({"SETRANGE", "k", "-1", "v"}), "-ERR offset is out of range\r\n");
  EXPECT_EQ(ReplyTo({"INCRBY", "k", "x"}), kNotAnInteger);
  EXPECT_EQ(ReplyTo({"DECRBY", "k", "-9223372036854775808"}), "-ERR decrement would overflow\r\n");
  EXPECT_EQ(ReplyTo({"GETEX", "k", "FOO"}), "-ERR syntax error\r\n");
  EXPECT_EQ(ReplyTo({"SET", "k", "v", "GET", "EX", "0"}), "-ERR invalid expire time in 'set' command\r\n");
  EXPECT_EQ(ReplyTo({"DELEX", "k", "FOO", "v"}),
            "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE\r\n");
}

TEST_F(OtherTypes, CountAsKeysOrAreReplaced) {
  EXPECT_EQ(ReplyTo({"SETNX", "k", "v"}), ":0\r\n");
  EXPECT_EQ(ReplyTo({"MSETNX", "a", "1", "k", "2"}), ":0\r\n");
  EXPECT_EQ(ReplyTo({"SET", "k", "v", "NX"}), "$-1\r\n");
  EXPECT_EQ(ReplyTo({"MGET", "k"}), "$-1\r\n");  // its element alone
  EXPECT_EQ(Run({"SET", "k", "v", "XX"}), "set");
  EXPECT_EQ(Run({"GET", "k"}) + reply(), "$1\r\nv\r\n");
}

TEST_F(OtherTypes, DelexWithoutAConditionDeletesThem) {
  EXPECT_EQ(Run({"DELEX", "k"}), "del");
  EXPECT_EQ(reply(), ":1\r\n");
}

}  // namespace
}  // namespace moonshard::commands
