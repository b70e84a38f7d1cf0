#pragma once
// Helpers for tests of this folder and net: a few commands of every kind, shards that run them in simulation,
// clients without sockets, and a reply gate that holds what the test says.

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command/engine.h"
#include "command/server_control.h"
#include "shard/runtime.h"
#include "shard/sim_driver.h"
#include "shard/sim_env.h"
#include "shard/testing.h"

namespace moonshard::command::testing {

// ---- commands: get set mget mset size session big rename nap

inline Outcome Get(Context& context) {
  const dash::Entry* entry = context.db->Find(context.key());
  char scratch[base::kMaxInt64Chars];
  if (entry == nullptr) {
    context.reply.Null();
  } else {
    context.reply.Bulk(types::StringBytes(*entry, scratch));
  }
  return Outcome::kDone;
}
inline Outcome Set(Context& context) {
  EXPECT_TRUE(context.db->SetString(context.key(), context.arg(2), kNoDeadline).ok());
  context.reply.Ok();
  return Outcome::kDone;
}
inline Outcome Mget(Context& context) {
  for (size_t i = 0; i < context.keys.size(); ++i) {
    const dash::Entry* entry = context.db->Find(context.key(i));
    char scratch[base::kMaxInt64Chars];
    if (entry == nullptr) {
      context.reply.Null();
    } else {
      context.reply.Bulk(types::StringBytes(*entry, scratch));
    }
    context.fan.EndKey(context.reply.buffer().size());
  }
  return Outcome::kDone;
}
inline Outcome Mset(Context& context) {
  for (size_t i = 0; i < context.keys.size(); ++i) {
    base::Status status =
        context.db->SetString(context.key(i), context.arg(context.keys[i].arg + 1u), kNoDeadline);
    if (!status.ok()) context.fan.Fail(std::move(status));
  }
  return Outcome::kDone;
}
inline Outcome Size(Context& context) {
  context.fan.Add(static_cast<int64_t>(context.db->size()));
  return Outcome::kDone;
}
inline Outcome Names(Context& context) {
  std::vector<std::string_view> names;
  for (uint64_t at = 0;;) {
    at = context.db->table().Scan(at, [&](const dash::Entry* entry) { names.push_back(entry->key()); });
    if (at == 0) break;
  }
  context.BeginElements(names.size());
  for (std::string_view name : names) context.reply.Bulk(name);
  return Outcome::kDone;
}
inline Outcome DrawName(Context& context) {
  dash::Table::Ref ref = context.db->table().Random(context.shard.keyspace->random());
  if (ref) {
    context.fan.Add(static_cast<int64_t>(context.db->size()));
    context.reply.Bulk(context.db->table().entry(ref)->key());
  } else if (context.fan.direct()) {
    context.reply.Null();
  }
  return Outcome::kDone;
}
// Counts keys shard by shard, with a pause between two; whole or not, as its argument says.
inline shard::Task<void> Census(Context& context) {
  StateShards shards;
  size_t count = 0;
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) {
    co_await shards.On(ShardId(i),
                       [&](ShardState& state) { count += state.keyspace->database(DbIndex(0)).size(); });
    co_await shard::NextTurn();
  }
  context.reply.Integer(static_cast<int64_t>(count));
}
inline bool CensusIsWhole(std::span<const std::string_view> args) {
  return args[1] == "whole";
}
// A key of this database and the next one.
inline Outcome KeyRefs(Context& context) {
  context.reply.Array(context.keys.size());
  for (const KeyRef& key : context.keys) context.reply.Integer(key.db.value());
  return Outcome::kDone;
}
inline std::optional<uint16_t> NextDb(std::span<const std::string_view> args) {
  auto number = base::ParseInt64(args[2]);
  return number ? std::optional(static_cast<uint16_t>(*number)) : std::nullopt;
}
// The last word is the key.
inline bool LastWord(std::span<const std::string_view> args, std::vector<uint32_t>& positions) {
  positions.push_back(static_cast<uint32_t>(args.size() - 1));
  return true;
}
inline Outcome KeyCount(Context& context) {
  context.reply.Bulk(context.key().text);
  return Outcome::kDone;
}

inline Outcome SessionId(Context& context) {
  context.reply.Integer(static_cast<int64_t>(context.session->id));
  return Outcome::kDone;
}
inline Outcome Big(Context& context) {
  context.reply.Bulk(std::string(static_cast<size_t>(*base::ParseInt64(context.arg(1))), 'b'));
  return Outcome::kDone;
}
inline Outcome RenameHere(Context& context) {
  const dash::Entry* entry = context.db->Find(context.key(0));
  if (entry == nullptr) {
    context.reply.ErrorLine("ERR no such key");
    return Outcome::kDone;
  }
  char scratch[base::kMaxInt64Chars];
  std::string bytes(types::StringBytes(*entry, scratch));
  context.db->Erase(context.key(0), "rename_from");
  EXPECT_TRUE(context.db->SetString(context.key(1), bytes, kNoDeadline).ok());
  context.reply.Ok();
  return Outcome::kDone;
}
// Looks, thinks for a while under its locks, and writes.
inline shard::Task<void> RenameBody(Context& context) {
  StateShards shards;
  db::Key from = context.key(0);
  db::Key to = context.key(1);
  DbIndex db = context.db->index();
  std::string bytes;
  bool found = co_await shards.On(context.keys[0].shard, [&](ShardState& state) {
    const dash::Entry* entry = state.keyspace->database(db).Find(from);
    char scratch[base::kMaxInt64Chars];
    if (entry != nullptr) bytes = types::StringBytes(*entry, scratch);
    return entry != nullptr;
  });
  co_await shard::NextTurn();
  if (!found) {
    context.reply.ErrorLine("ERR no such key");
    co_return;
  }
  context.wrote = true;
  co_await shards.On(context.keys[1].shard, [&](ShardState& state) {
    EXPECT_TRUE(state.keyspace->database(db).SetString(to, bytes, kNoDeadline).ok());
  });
  co_await shards.On(context.keys[0].shard,
                     [&](ShardState& state) { state.keyspace->database(db).Erase(from, "rename_from"); });
  context.reply.Ok();
}
inline shard::Task<void> Nap(Context& context) {
  for (int i = 0; i < 5; ++i) co_await shard::NextTurn();
  context.reply.Simple("RESTED");
}

inline constexpr KeySpec kOneKey[] = {{}};
inline constexpr KeySpec kAllKeys[] = {{.last = -1}};
inline constexpr KeySpec kPairs[] = {{.last = -1, .step = 2}};
inline constexpr KeySpec kTwoKeys[] = {{}, {.begin_index = 2}};
inline constexpr CommandRow kSubRows[] = {
    {.name = "one", .arity = 2, .since = "1", .summary = "s", .handler = SessionId},
    {.name = "two", .arity = -3, .since = "1", .summary = "s", .handler = SessionId}};
inline constexpr CommandRow kTestRows[] = {
    {.name = "get",
     .arity = 2,
     .flags = kReadonly,
     .keys = kOneKey,
     .since = "1",
     .summary = "s",
     .handler = Get},
    {.name = "set",
     .arity = 3,
     .flags = kWrite | kDenyOom,
     .keys = kOneKey,
     .since = "1",
     .summary = "s",
     .handler = Set},
    {.name = "mget",
     .arity = -2,
     .flags = kReadonly,
     .keys = kAllKeys,
     .since = "1",
     .summary = "s",
     .handler = Mget,
     .merge = Merge::kPerKey},
    {.name = "mset",
     .arity = -3,
     .flags = kWrite,
     .keys = kPairs,
     .since = "1",
     .summary = "s",
     .handler = Mset,
     .merge = Merge::kOk},
    {.name = "size",
     .arity = 1,
     .flags = kReadonly,
     .since = "1",
     .summary = "s",
     .handler = Size,
     .merge = Merge::kSum,
     .route = Route::kAllShards},
    {.name = "names",
     .arity = 1,
     .flags = kReadonly,
     .since = "1",
     .summary = "s",
     .handler = Names,
     .merge = Merge::kConcat,
     .route = Route::kAllShards},
    {.name = "draw",
     .arity = 1,
     .flags = kReadonly,
     .since = "1",
     .summary = "s",
     .handler = DrawName,
     .merge = Merge::kDraw,
     .route = Route::kAllShards},
    {.name = "census",
     .arity = 2,
     .flags = kReadonly,
     .since = "1",
     .summary = "s",
     .body = Census,
     .routing = {.whole = CensusIsWhole}},
    {.name = "keyrefs",
     .arity = 3,
     .flags = kWrite,
     .keys = kOneKey,
     .since = "1",
     .summary = "s",
     .handler = KeyRefs,
     .routing = {.other_db = NextDb}},
    {.name = "lastkey",
     .arity = -2,
     .flags = kReadonly,
     .keys = kOneKey,
     .since = "1",
     .summary = "s",
     .handler = KeyCount,
     .routing = {.find_keys = LastWord}},
    {.name = "session", .arity = 1, .flags = kSession, .since = "1", .summary = "s", .handler = SessionId},
    {.name = "big", .arity = 2, .since = "1", .summary = "s", .handler = Big},
    {.name = "rename",
     .arity = 3,
     .flags = kWrite,
     .keys = kTwoKeys,
     .since = "1",
     .summary = "s",
     .handler = RenameHere,
     .body = RenameBody},
    {.name = "nap", .arity = 1, .since = "1", .summary = "s", .body = Nap},
    {.name = "box", .arity = -2, .since = "1", .summary = "s", .subcommands = kSubRows},
};
static_assert(RowsAreSane(kTestRows));
inline constexpr std::span<const CommandRow> kTestTables[] = {kTestRows};

// ---- server and shards

class TestControl final : public ServerControl {
 public:
  const Registry& registry() const override { return registry_; }
  LiveSettings& live() override { return live_; }
  std::vector<std::pair<std::string, std::string>> GetConfig(std::string_view) override { return {}; }
  base::Status SetConfig(const std::vector<std::pair<std::string, std::string>>&, bool) override {
    return {};
  }
  bool PasswordMatches(std::string_view) override { return true; }
  void RequestShutdown() override {}
  uint64_t NextClientId() override { return ++last_id_; }
  const Facts& facts() const override { return facts_; }
  std::atomic<uint64_t>& used_memory() override { return used_memory_; }

 private:
  Registry registry_{kTestTables};
  LiveSettings live_;
  Facts facts_;
  std::atomic<uint64_t> used_memory_{0};
  uint64_t last_id_ = 0;
};

class TestShard : public shard::IdleHooks {
 public:
  TestShard(shard::Shard& shard, ServerControl& control)
      : keyspace_({.seed = 99, .random_seed = 1, .eviction = &control.live()}),
        budget_(keyspace_,
                {control.live(), control.used_memory(), control.live().budget, shard.shard_count()}, nullptr,
                1),
        tx_(shard),
        state_(StateOf(shard, control)),
        engine_(state_, control.registry()) {
    state_.engine = &engine_;
    shard.set_local(&state_);
  }
  void BeforeStamp() override { tx_.BeforeStamp(); }
  void EndTurn() override {
    keyspace_.SetNow(state_.shard->now_ms());
    budget_.EndTurn();
    tx_.EndTurn();
    engine_.EndTurn();
  }
  bool HasWork() const override { return tx_.HasWork() || budget_.HasWork() || engine_.HasWork(); }
  ShardState& state() { return state_; }

 private:
  ShardState StateOf(shard::Shard& shard, ServerControl& control) {
    ShardState state;
    state.shard = &shard;
    state.keyspace = &keyspace_;
    state.budget = &budget_;
    state.tx = &tx_;
    state.server = &control;
    return state;
  }
  db::Keyspace keyspace_;
  db::DataBudget budget_;
  tx::Manager tx_;
  ShardState state_;
  Engine engine_;
};

// Holds back every reply that depends on more of a shard than the test has declared durable.
class HoldingGate final : public ReplyGate {
 public:
  explicit HoldingGate(size_t shard_count) : durable_(shard_count) {}

  bool OpenOrWait(ShardId shard, Lsn position, Waiter& waiter) override {
    if (position <= durable_[shard.value()]) return true;
    held_.push_back({shard, position, &waiter});
    return false;
  }
  // On the home shard. Waiters go in any order of shards; those of one shard in the order of their positions.
  void SetDurable(ShardId shard, Lsn position) {
    durable_[shard.value()] = position;
    std::vector<Held> due;
    std::erase_if(held_, [&](const Held& held) {
      bool opens = held.shard == shard && held.position <= position;
      if (opens) due.push_back(held);
      return opens;
    });
    for (const Held& held : due) held.waiter->open(*held.waiter);
  }
  size_t held_count() const { return held_.size(); }

 private:
  struct Held {
    ShardId shard;
    Lsn position;
    Waiter* waiter;
  };
  std::vector<Lsn> durable_;
  std::vector<Held> held_;
};

// A client without a socket: what it is fed runs in a turn of its home shard.
class TestClient final : public Client, public shard::ExternalWork {
 public:
  explicit TestClient(ShardState& state) : state_(state) {
    session.id = state.server->NextClientId();
    run = [](shard::Shard&, shard::ExternalWork& work) {
      auto& self = static_cast<TestClient&>(work);
      self.posted = false;
      self.Proceed();
    };
  }
  ~TestClient() { Go(); }
  // Without further ado; its batch finishes for nobody.
  void Go() {
    if (away_ != nullptr) Engine::Abandon(std::exchange(away_, nullptr));
  }
  void Add(std::string_view bytes) { input_ += bytes; }
  void Proceed() {
    running_ = true;
    while (away_ == nullptr && !input_.empty()) {
      Batch* batch = state_.engine->Take();
      state_.engine->Frame(*batch, *this, parser_, input_);
      size_t used = batch->consumed;
      BatchEnd end = batch->end;
      batch_sizes.push_back(batch->calls.size());
      if (batch->calls.empty()) {
        state_.engine->Release(batch);
      } else {
        away_ = batch;
        if (state_.engine->Run(batch, *this, input_) == RunResult::kAnswered) {
          state_.engine->Release(batch);
          away_ = nullptr;
        }
      }
      input_.erase(0, used);
      if (end == BatchEnd::kNeedMore || end == BatchEnd::kProtocolError) break;
    }
    running_ = false;
  }
  void OnBatchAnswered() override {
    away_ = nullptr;
    ++answered;
    if (!running_) Proceed();
  }
  void OnBatchParked() override { ++parked; }
  void OnPushed() override { ++pushes; }
  void Kill() override { killed = true; }
  void OnBatchStopped(Batch*) override {
    ++stopped;
    stands_still = !takes_replies;
    if (takes_replies) state_.engine->Continue(away_);
  }
  // For clients that do not take replies by themselves.
  void TakeReplies() {
    stands_still = false;
    state_.engine->Continue(away_);
  }
  bool waiting() const { return away_ != nullptr; }
  std::string replies() const { return std::string(out.view()); }

  std::vector<size_t> batch_sizes;
  size_t answered = 0;
  size_t stopped = 0;
  size_t parked = 0;
  size_t pushes = 0;
  bool killed = false;
  bool takes_replies = true;
  bool stands_still = false;
  bool posted = false;  // its turn is still to come: it must not go before

 private:
  ShardState& state_;
  resp::CommandParser parser_;
  std::string input_;
  Batch* away_ = nullptr;
  bool running_ = false;
};

class TestWorld {
 public:
  TestWorld(uint16_t shards, uint64_t seed)
      : env_(seed), runtime_(env_, OptionsOf(shards), [this](shard::Shard& shard) {
          auto made = std::make_unique<TestShard>(shard, control_);
          shards_.push_back(made.get());
          return made;
        }) {
    EXPECT_TRUE(runtime_.Start().ok());
    driver_.emplace(runtime_, env_, seed);
  }
  ~TestWorld() {
    driver_.reset();
    runtime_.RequestStop();
    runtime_.Join();
  }

  ShardState& state(uint16_t shard) { return shards_[shard]->state(); }
  TestControl& control() { return control_; }
  shard::Runtime& runtime() { return runtime_; }
  shard::SimDriver& driver() { return *driver_; }
  std::unique_ptr<TestClient> Connect(uint16_t home) { return std::make_unique<TestClient>(state(home)); }
  void Feed(TestClient& client, uint16_t home, std::string_view bytes) {
    client.Add(bytes);
    if (!std::exchange(client.posted, true)) runtime_.shard(ShardId(home)).Post(client);
    EXPECT_TRUE(RunUntil([&] { return !client.posted; }));
  }
  // On a shard, between turns.
  template <typename Fn>
  void On(uint16_t shard, Fn&& fn) {
    runtime_.RunOn(ShardId(shard), [&](shard::Shard&) { fn(state(shard)); });
  }
  bool RunUntil(const std::function<bool()>& predicate) { return driver_->RunUntil(predicate, 50'000); }
  bool AtRest() {
    for (TestShard* shard : shards_) {
      if (shard->state().engine->batches_away() != 0 || !shard->state().tx->drained() ||
          shard->state().engine->tasks().count() != 0) {
        return false;
      }
    }
    return true;
  }
  // The first key "<prefix><n>" that the shard owns.
  std::string KeyOn(uint16_t shard, const std::string& prefix = "k") {
    for (int i = 0;; ++i) {
      std::string key = prefix + std::to_string(i);
      Engine& engine = *state(0).engine;
      if (engine.ShardOf(key, engine.HashKey(key)) == ShardId(shard)) return key;
    }
  }

 private:
  static shard::RuntimeOptions OptionsOf(uint16_t shards) {
    shard::RuntimeOptions options;
    options.shard_count = shards;
    return options;
  }
  shard::SimEnv env_;
  TestControl control_;
  std::vector<TestShard*> shards_;
  shard::Runtime runtime_;
  std::optional<shard::SimDriver> driver_;
};

}  // namespace moonshard::command::testing
