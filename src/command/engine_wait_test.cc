// Blocking calls in simulation: shards, clients and clock in one thread from one seed. The commands of this
// test keep a queue of numbers in a string, and what their handlers did is written down where it happened, so
// that the checks do not depend on replies alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/number.h"
#include "base/random.h"
#include "command/wait_testing.h"
#include "shard/runtime.h"
#include "shard/sim_driver.h"
#include "shard/sim_env.h"

namespace moonshard::command {
namespace {

using shard::ExternalWork;

// ---- the commands

class World;
World* current_world = nullptr;

// What a key may hold that no call of this test wants: whoever is told of it has to wait on.
constexpr std::string_view kAlien = "alien";

std::string QueueAt(Context& context, size_t i) {
  const dash::Entry* entry = context.db->Find(context.key(i));
  char scratch[base::kMaxInt64Chars];
  std::string queue = entry == nullptr ? std::string() : std::string(types::StringBytes(*entry, scratch));
  return queue == kAlien ? std::string() : queue;
}
void Append(Context& context, size_t i, std::string_view element) {
  std::string queue = QueueAt(context, i);
  if (!queue.empty()) queue += ',';
  queue += element;
  ASSERT_TRUE(context.db->SetString(context.key(i), queue, kNoDeadline).ok());
}
// The front element, or nothing.
std::string TakeFront(Context& context, size_t i) {
  std::string queue = QueueAt(context, i);
  std::string front = queue.substr(0, queue.find(','));
  if (front.size() < queue.size()) {
    EXPECT_TRUE(context.db->SetString(context.key(i), queue.substr(front.size() + 1), kNoDeadline).ok());
  } else {
    context.db->Erase(context.key(i), "del");
  }
  return front;
}

Outcome Push(Context& context);     // tpush key element
Outcome PushAll(Context& context);  // tpushall base key [key ...]: pushes base + argument index
Outcome Steal(Context& context);    // tsteal key
Outcome Touch(Context& context);    // ttouch key: an event that brings no element
Outcome Pop(Context& context);      // tpop call key [key ...] timeout-ms

constexpr KeySpec kOneKey[] = {{.begin_index = 1}};
constexpr KeySpec kAllKeys[] = {{.begin_index = 2, .last = -1}};
constexpr KeySpec kPopKeys[] = {{.begin_index = 2, .last = -2}};
constexpr CommandRow kRows[] = {
    {.name = "tpush",
     .arity = 3,
     .flags = kWrite | kWakes,
     .keys = kOneKey,
     .since = "0",
     .summary = "t",
     .handler = Push},
    {.name = "tpushall",
     .arity = -3,
     .flags = kWrite | kWakes,
     .keys = kAllKeys,
     .since = "0",
     .summary = "t",
     .handler = PushAll,
     .merge = Merge::kSum},
    {.name = "tsteal",
     .arity = 2,
     .flags = kWrite,
     .keys = kOneKey,
     .since = "0",
     .summary = "t",
     .handler = Steal},
    {.name = "ttouch",
     .arity = 2,
     .flags = kWrite,
     .keys = kOneKey,
     .since = "0",
     .summary = "t",
     .handler = Touch},
    {.name = "tpop",
     .arity = -4,
     .flags = kWrite | kBlocking,
     .keys = kPopKeys,
     .since = "0",
     .summary = "t",
     .handler = Pop},
};
static_assert(RowsAreSane(kRows));
constexpr std::span<const CommandRow> kTables[] = {kRows};

// ---- the shards

// Holds some answers back for a while.
class SlowGate final : public ReplyGate {
 public:
  explicit SlowGate(uint64_t seed) : random_(seed) {}
  bool OpenOrWait(ShardId, Lsn, Waiter& waiter) override {
    if (!random_.OneIn(3)) return true;
    waiter.next = std::exchange(held_, &waiter);
    return false;
  }
  void OpenAll() {
    Waiter* waiter = std::exchange(held_, nullptr);
    while (waiter != nullptr) {
      Waiter* next = waiter->next;
      waiter->open(*waiter);
      waiter = next;
    }
  }
  bool holds() const { return held_ != nullptr; }

 private:
  base::Random random_;
  Waiter* held_ = nullptr;
};

class TestShard final : public testing::WaitShard {
 public:
  TestShard(shard::Shard& shard, World& world, ServerControl& control, uint64_t seed, bool gate)
      : WaitShard(shard, control), world_(world), gate_(seed) {
    if (gate) engine().set_gate(&gate_);
  }
  void EndTurn() override;
  bool HasWork() const override { return WaitShard::HasWork() || gate_.holds(); }

 private:
  World& world_;
  SlowGate gate_;
};

// ---- the clients

struct PopCall {
  int id = 0;
  std::vector<std::string> keys;
  TimeMs timeout = 0;  // 0: none
  TimeMs deadline = kNoDeadline;
  Batch* batch = nullptr;  // while its client waits for it
  bool timed_out = false;
  bool abandoned = false;
  bool answered = false;
  std::set<std::string> withheld;  // found full in this run, when it was an earlier client's turn there
  std::string key;
  std::string element;
};

class TestClient final : public Client, public ExternalWork {
 public:
  TestClient(World& world, TestShard& home) : world_(world), home_(home) {
    run = [](shard::Shard&, ExternalWork& work) { static_cast<TestClient&>(work).OnPosted(); };
  }
  // From outside: `input` is sent, or the connection is lost, in a turn of the client's shard.
  void Send(std::vector<std::vector<std::string>> commands, PopCall* call = nullptr);
  void Disconnect();
  void OnBatchAnswered() override;
  void OnBatchParked() override;
  bool idle() const { return !posted_ && away_ == nullptr && input_.empty(); }
  bool posted() const { return posted_; }
  bool waits() const { return away_ != nullptr && call_ != nullptr; }
  PopCall* call() { return call_; }
  TestShard& home() { return home_; }

 private:
  void OnPosted();
  void Proceed();
  void CheckReplies();

  World& world_;
  TestShard& home_;
  resp::CommandParser parser_;
  std::string input_;
  std::string next_input_;
  bool posted_ = false;
  bool disconnect_ = false;
  bool running_ = false;
  size_t commands_ = 0;
  Batch* away_ = nullptr;
  PopCall* call_ = nullptr;
};

struct Config {
  uint16_t shards = 1;
  size_t producers = 3;
  size_t consumers = 6;
  size_t keys = 4;
  int elements = 150;
  int calls = 200;
  bool steal = true;
  bool many_keys = false;  // per call, mostly
  bool gate = false;
};

class World {
 public:
  World(const Config& config, uint64_t seed);
  ~World() { current_world = nullptr; }
  void Run();

  // What handlers and clients report.
  void Pushed(std::string element) { ASSERT_TRUE(pushed_.insert(std::move(element)).second); }
  void Taken(const std::string& element) {
    EXPECT_TRUE(pushed_.contains(element));
    EXPECT_TRUE(taken_.insert(element).second) << element << " was taken twice";
  }
  void CheckTake(Context& context, const PopCall& call, size_t i);
  void CheckDeadlines(TestShard& shard);
  PopCall& call(std::string_view id) { return calls_[static_cast<size_t>(*base::ParseInt64(id))]; }

 private:
  TestShard& ShardOfKey(const std::string& key, uint64_t* hash);
  bool HasElement(const std::string& key);
  std::string RandomKey() { return "key" + std::to_string(random_.Below(config_.keys)); }
  void ActProducer(TestClient& client);
  void ActConsumer(TestClient& client);
  void StartCall(TestClient& client);
  bool Quiet();
  void Settle();
  void CheckNobodyWaitsForSomething();
  void CheckEnd();

  Config config_;
  base::Random random_;
  shard::SimEnv env_;
  testing::WaitControl control_{kTables};
  std::vector<TestShard*> shards_;
  std::deque<PopCall> calls_;
  std::unique_ptr<shard::Runtime> runtime_;
  std::unique_ptr<shard::SimDriver> driver_;
  std::vector<std::unique_ptr<TestClient>> producers_;
  std::vector<std::unique_ptr<TestClient>> consumers_;
  int next_element_ = 0;
  std::set<std::string> pushed_;
  std::set<std::string> taken_;

 public:
  int served_woken = 0;
  int timed_out = 0;
  int abandoned = 0;
};

// ---- handlers

Outcome Push(Context& context) {
  Append(context, 0, context.arg(2));
  current_world->Pushed(std::string(context.arg(2)));
  context.reply.Integer(1);
  return Outcome::kDone;
}

Outcome PushAll(Context& context) {
  int64_t first = *base::ParseInt64(context.arg(1));
  for (size_t i = 0; i < context.keys.size(); ++i) {
    std::string element = std::to_string(first + context.keys[i].arg);
    Append(context, i, element);
    current_world->Pushed(element);
    context.fan.Add(1);
  }
  return Outcome::kDone;
}

Outcome Steal(Context& context) {
  std::string element = TakeFront(context, 0);
  if (!element.empty()) current_world->Taken(element);
  context.reply.Integer(1);
  return Outcome::kDone;
}

Outcome Touch(Context& context) {
  std::string queue = QueueAt(context, 0);
  EXPECT_TRUE(context.db->SetString(context.key(0), queue.empty() ? kAlien : queue, kNoDeadline).ok());
  context.reply.Integer(1);
  return Outcome::kDone;
}

Outcome Pop(Context& context) {
  PopCall& call = current_world->call(context.arg(1));
  if (context.timed_out) {
    EXPECT_FALSE(std::exchange(call.timed_out, true));
    context.reply.NullArray();
    return Outcome::kDone;
  }
  if (context.keys.front().arg == 2) call.withheld.clear();  // a run begins
  for (size_t i = 0; i < context.keys.size(); ++i) {
    if (QueueAt(context, i).empty()) continue;
    if (!context.MayTake(i)) {
      call.withheld.emplace(context.arg(context.keys[i].arg));
      continue;
    }
    current_world->CheckTake(context, call, i);
    call.key = context.arg(context.keys[i].arg);
    call.element = TakeFront(context, i);
    current_world->Taken(call.element);
    current_world->served_woken += context.woken();
    context.reply.Array(2);
    context.reply.Bulk(call.key);
    context.reply.Bulk(call.element);
    return Outcome::kDone;
  }
  TimeMs deadline = call.timeout == 0 ? kNoDeadline : context.shard.keyspace->now() + call.timeout;
  if (!context.woken()) call.deadline = std::min(call.deadline, deadline);
  return context.Park(deadline);
}

// ---- shards and clients

void TestShard::EndTurn() {
  gate_.OpenAll();
  WaitShard::EndTurn();
  world_.CheckDeadlines(*this);
}

void TestClient::Send(std::vector<std::vector<std::string>> commands, PopCall* call) {
  ASSERT_TRUE(idle());
  call_ = call;
  commands_ = commands.size();
  for (const auto& command : commands) {
    next_input_ += "*" + std::to_string(command.size()) + "\r\n";
    for (const std::string& arg : command) {
      next_input_ += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
    }
  }
  posted_ = true;
  home_.shard().Post(*this);
}

void TestClient::Disconnect() {
  posted_ = disconnect_ = true;
  home_.shard().Post(*this);
}

void TestClient::OnPosted() {
  posted_ = false;
  if (std::exchange(disconnect_, false)) {
    if (away_ == nullptr) return;
    ++world_.abandoned;
    call_->abandoned = true;
    call_->batch = nullptr;
    call_ = nullptr;
    input_.clear();
    out.Clear();
    Engine::Abandon(std::exchange(away_, nullptr));
    return;
  }
  input_ = std::exchange(next_input_, {});
  Proceed();
}

void TestClient::Proceed() {
  running_ = true;
  while (!input_.empty() && away_ == nullptr) {
    Batch* batch = home_.engine().Take();
    home_.engine().Frame(*batch, *this, parser_, input_);
    size_t consumed = batch->consumed;
    away_ = batch;
    if (call_ != nullptr) call_->batch = batch;
    std::string rest = input_.substr(consumed);
    if (home_.engine().Run(batch, *this, input_) == RunResult::kAnswered) {
      home_.engine().Release(batch);
      away_ = nullptr;
    }
    input_ = rest;
  }
  running_ = false;
  if (away_ == nullptr) CheckReplies();
}

void TestClient::OnBatchAnswered() {
  away_ = nullptr;
  if (!running_) Proceed();
}

void TestClient::OnBatchParked() {
  // The answers of the commands before it are there.
  std::string_view replies = out.view();
  EXPECT_EQ(static_cast<size_t>(std::ranges::count(replies, ':')), commands_ - 1);
}

void TestClient::CheckReplies() {
  std::string expected;
  if (call_ != nullptr) {
    for (size_t i = 0; i + 1 < commands_; ++i) expected += ":1\r\n";
    base::Buffer pop;
    resp::Reply reply(pop, resp::Protocol::kResp2);
    if (call_->timed_out) {
      EXPECT_TRUE(call_->element.empty());
      EXPECT_GE(home_.shard().now_ms(), call_->deadline);
      ++world_.timed_out;
      reply.NullArray();
    } else {
      reply.Array(2);
      reply.Bulk(call_->key);
      reply.Bulk(call_->element);
    }
    expected += pop.view();
    call_->answered = true;
    call_->batch = nullptr;
    EXPECT_EQ(out.view(), expected);
  }
  call_ = nullptr;
  out.Clear();
}

// ---- the world

World::World(const Config& config, uint64_t seed) : config_(config), random_(seed), env_(seed) {
  current_world = this;
  shard::RuntimeOptions options;
  options.shard_count = config.shards;
  options.ring_slots = 1u << (2 + random_.Below(5));
  runtime_ = std::make_unique<shard::Runtime>(env_, options, [&](shard::Shard& shard) {
    auto made = std::make_unique<TestShard>(shard, *this, control_, seed + shard.id().value(), config_.gate);
    shards_.push_back(made.get());
    return made;
  });
  EXPECT_TRUE(runtime_->Start().ok());
  driver_ = std::make_unique<shard::SimDriver>(*runtime_, env_, seed);
  auto make = [&](auto& clients, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<TestClient>(*this, *shards_[random_.Below(shards_.size())]));
    }
  };
  make(producers_, config.producers);
  make(consumers_, config.consumers);
}

TestShard& World::ShardOfKey(const std::string& key, uint64_t* hash) {
  Engine& engine = shards_[0]->engine();
  *hash = engine.HashKey(key);
  return *shards_[engine.ShardOf(key, *hash).value()];
}

bool World::HasElement(const std::string& key) {
  uint64_t hash;
  TestShard& shard = ShardOfKey(key, &hash);
  const dash::Entry* entry = shard.keyspace().database(DbIndex(0)).Find({key, hash});
  char scratch[base::kMaxInt64Chars];
  return entry != nullptr && types::StringBytes(*entry, scratch) != kAlien;
}

// Of its keys it takes the first that has something, and nobody who came earlier, and can still be served,
// waits for that key.
void World::CheckTake(Context& context, const PopCall& call, size_t i) {
  std::string taken(context.arg(context.keys[i].arg));
  const db::Arrival& mine = context.wait->arrival;
  for (const std::string& key : call.keys) {
    if (key == taken) break;
    EXPECT_TRUE(!HasElement(key) || call.withheld.contains(key)) << key << " comes before " << taken;
  }
  for (const auto& client : consumers_) {
    const PopCall* other = client->call();
    if (other == nullptr || other->batch == nullptr || other == &call) continue;
    const Batch& batch = *other->batch;
    if (batch.wait.state != BatchWait::State::kParked && batch.wait.state != BatchWait::State::kRunning)
      continue;
    if (batch.wait.arrival > mine) continue;
    for (size_t p = 0; p < batch.part_count; ++p) {
      const Part& part = *batch.parts[p];
      for (size_t k = 0; k < part.keys.size(); ++k) {
        bool same = batch.ArgsOf(batch.calls.back())[part.keys[k].arg] == taken;
        EXPECT_FALSE(same && part.wait.nodes[k].waiting())
            << "call " << call.id << " overtook call " << other->id << " at " << taken;
      }
    }
  }
}

void World::CheckDeadlines(TestShard& shard) {
  for (const auto& client : consumers_) {
    const PopCall* call = client->call();
    if (&client->home() != &shard || call == nullptr || call->batch == nullptr) continue;
    if (!Engine::IsParked(*call->batch)) continue;
    EXPECT_GE(call->deadline, shard.shard().now_ms()) << "call " << call->id << " was not timed out";
  }
}

void World::ActProducer(TestClient& client) {
  std::string key = RandomKey();
  if (config_.steal && random_.OneIn(4)) {
    client.Send({{random_.OneIn(2) ? "tsteal" : "ttouch", key}});
  } else if (random_.OneIn(config_.many_keys ? 1 : 4)) {
    std::set<std::string> keys = {key, RandomKey(), RandomKey()};
    std::vector<std::string> command = {"tpushall", std::to_string(next_element_)};
    command.insert(command.end(), keys.begin(), keys.end());
    next_element_ += static_cast<int>(command.size());
    client.Send({command});
  } else {
    std::vector<std::vector<std::string>> commands;
    do {
      commands.push_back({"tpush", key, std::to_string(next_element_++)});
    } while (random_.OneIn(3));
    client.Send(commands);
  }
}

void World::StartCall(TestClient& client) {
  PopCall& call = calls_.emplace_back();
  call.id = static_cast<int>(calls_.size()) - 1;
  size_t key_count = random_.OneIn(config_.many_keys ? 8 : 2) ? 1 : 1 + random_.Below(3);
  for (size_t i = 0; i < key_count; ++i) call.keys.push_back(RandomKey());
  call.timeout = random_.OneIn(3) ? 0 : static_cast<TimeMs>(1 + random_.Below(40));
  std::vector<std::vector<std::string>> commands;
  while (random_.OneIn(3)) commands.push_back({"ttouch", RandomKey()});
  std::vector<std::string> pop = {"tpop", std::to_string(call.id)};
  pop.insert(pop.end(), call.keys.begin(), call.keys.end());
  pop.push_back(std::to_string(call.timeout));
  commands.push_back(pop);
  client.Send(commands, &call);
}

void World::ActConsumer(TestClient& client) {
  if (client.idle()) {
    if (calls_.size() < static_cast<size_t>(config_.calls)) StartCall(client);
  } else if (client.waits() && !client.posted() && random_.OneIn(12)) {
    client.Disconnect();
  }
}

bool World::Quiet() {
  auto settled = [](const auto& client) {
    return client->idle() || (client->waits() && Engine::IsParked(*client->call()->batch));
  };
  return std::ranges::all_of(producers_, settled) && std::ranges::all_of(consumers_, settled);
}

void World::CheckNobodyWaitsForSomething() {
  for (const auto& client : consumers_) {
    if (!client->waits()) continue;
    for (const std::string& key : client->call()->keys) {
      EXPECT_FALSE(HasElement(key)) << "call " << client->call()->id << " sleeps although there is " << key;
    }
  }
}

void World::CheckEnd() {
  std::set<std::string> left;
  for (size_t i = 0; i < config_.keys; ++i) {
    std::string key = "key" + std::to_string(i);
    uint64_t hash;
    TestShard& shard = ShardOfKey(key, &hash);
    const dash::Entry* entry = shard.keyspace().database(DbIndex(0)).Find({key, hash});
    char scratch[base::kMaxInt64Chars];
    std::string queue = entry == nullptr ? std::string() : std::string(types::StringBytes(*entry, scratch));
    if (queue == kAlien) continue;
    for (size_t begin = 0; begin < queue.size();) {
      size_t end = std::min(queue.find(',', begin), queue.size());
      EXPECT_TRUE(left.insert(queue.substr(begin, end - begin)).second);
      begin = end + 1;
    }
  }
  std::set<std::string> seen = left;
  seen.insert(taken_.begin(), taken_.end());
  EXPECT_EQ(seen.size(), left.size() + taken_.size()) << "an element was taken and is still there";
  EXPECT_EQ(seen, pushed_);
  for (const PopCall& call : calls_) {
    EXPECT_TRUE(call.answered != call.abandoned) << call.id;
    EXPECT_FALSE(call.timed_out && !call.element.empty()) << call.id;
  }
  for (TestShard* shard : shards_) {
    EXPECT_EQ(shard->engine().waits().waiter_count(), 0u);
    EXPECT_EQ(shard->engine().waits().key_count(), 0u);
    EXPECT_EQ(shard->engine().clients_parked(), 0u);
    EXPECT_EQ(shard->engine().batches_away(), 0u);
    EXPECT_FALSE(shard->keyspace().events().listening());
  }
}

void World::Settle() {
  ASSERT_TRUE(driver_->RunUntil([&] { return Quiet(); }, 100'000));
  driver_->Run(100 * config_.shards);  // turns that are on their way
  ASSERT_TRUE(driver_->RunUntil([&] { return Quiet(); }, 100'000));
  CheckNobodyWaitsForSomething();
}

void World::Run() {
  while (next_element_ < config_.elements || calls_.size() < static_cast<size_t>(config_.calls)) {
    if (random_.OneIn(3)) {
      TestClient& client = *producers_[random_.Below(producers_.size())];
      if (client.idle() && next_element_ < config_.elements) ActProducer(client);
    } else {
      ActConsumer(*consumers_[random_.Below(consumers_.size())]);
    }
    // Sometimes much happens at once, sometimes everything settles in between.
    driver_->Run(random_.OneIn(4) ? random_.Below(200) : random_.Below(8));
    if (random_.OneIn(25)) Settle();
    if (::testing::Test::HasFailure()) return;
  }
  Settle();
  for (const auto& client : consumers_) {
    if (client->waits()) client->Disconnect();
  }
  auto drained = [&] {
    return std::ranges::all_of(shards_, [](TestShard* shard) {
      return shard->engine().batches_away() == 0 && !shard->engine().HasWork();
    });
  };
  ASSERT_TRUE(driver_->RunUntil(drained, 100'000));
  driver_->Run(100 * config_.shards);
  CheckEnd();
}

class EngineWaitTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(EngineWaitTest, EveryElementOnceInTheOrderOfArrival) {
  int served_woken = 0;
  int timed_out = 0;
  int abandoned = 0;
  for (uint16_t shards : {uint16_t{1}, uint16_t{2}, uint16_t{4}}) {
    for (int variant = 0; variant < 4; ++variant) {
      SCOPED_TRACE(::testing::Message() << shards << " shards, variant " << variant);
      Config config;
      config.shards = shards;
      config.gate = variant == 1;
      config.steal = variant != 2;
      config.many_keys = variant == 3;
      World world(config, GetParam() * 64 + shards * 4u + static_cast<uint64_t>(variant));
      world.Run();
      served_woken += world.served_woken;
      timed_out += world.timed_out;
      abandoned += world.abandoned;
      if (HasFailure()) return;
    }
  }
  // The run was about something.
  EXPECT_GT(served_woken, 50);
  EXPECT_GT(timed_out, 20);
  EXPECT_GT(abandoned, 20);
}
INSTANTIATE_TEST_SUITE_P(Seeds, EngineWaitTest, ::testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace moonshard::command
