// Blocking calls with a thread per shard: what the simulation cannot show is a shard touching another one's
// memory. Every client pushes to one key, then waits for several, all on random shards; run under
// ThreadSanitizer too.

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/number.h"
#include "base/random.h"
#include "command/wait_testing.h"
#include "shard/env.h"
#include "shard/runtime.h"

namespace moonshard::command {
namespace {

// cput key: one more. ctake key [key ...] timeout-ms: one less, waiting for it.
Outcome Put(Context& context) {
  EXPECT_TRUE(context.db->IncrementBy(context.key(), 1).ok());
  context.reply.Integer(1);
  return Outcome::kDone;
}
Outcome Take(Context& context) {
  if (context.timed_out) {
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  for (size_t i = 0; i < context.keys.size(); ++i) {
    const dash::Entry* entry = context.db->Find(context.key(i));
    if (entry == nullptr || !context.MayTake(i)) continue;
    if (types::LoadInt(*entry) == 1) {
      context.db->Erase(context.key(i), "del");
    } else {
      EXPECT_TRUE(context.db->IncrementBy(context.key(i), -1).ok());
    }
    context.reply.Integer(1);
    return Outcome::kDone;
  }
  int64_t timeout = *base::ParseInt64(context.args.back());
  return context.Park(context.shard.keyspace->now() + timeout);
}

constexpr KeySpec kOneKey[] = {{.begin_index = 1}};
constexpr KeySpec kTakeKeys[] = {{.begin_index = 1, .last = -2}};
constexpr CommandRow kRows[] = {
    {.name = "cput",
     .arity = 2,
     .flags = kWrite | kWakes,
     .keys = kOneKey,
     .since = "0",
     .summary = "t",
     .handler = Put},
    {.name = "ctake",
     .arity = -3,
     .flags = kWrite | kBlocking,
     .keys = kTakeKeys,
     .since = "0",
     .summary = "t",
     .handler = Take},
};
static_assert(RowsAreSane(kRows));
constexpr std::span<const CommandRow> kTables[] = {kRows};

constexpr uint16_t kShards = 3;
constexpr size_t kClientsPerShard = 8;
constexpr int kRounds = 300;

class Worker final : public Client, public shard::ExternalWork {
 public:
  Worker(testing::WaitShard& home, uint64_t seed, std::atomic<size_t>& finished)
      : home_(home), random_(seed), finished_(finished) {
    run = [](shard::Shard&, ExternalWork& work) { static_cast<Worker&>(work).Proceed(); };
  }
  void OnBatchAnswered() override {
    away_ = false;
    if (!running_) Proceed();
  }
  int64_t put = 0;
  int64_t taken = 0;

 private:
  std::string Key() { return "key" + std::to_string(random_.Below(6)); }
  void MakeInput() {
    if (next_is_put_) {
      input_ = "cput " + Key() + "\r\n";
      ++put;
    } else {
      input_ = "ctake " + Key() + (random_.OneIn(2) ? " " + Key() : "") + " 5\r\n";
    }
  }
  void Proceed() {
    running_ = true;
    while (!away_) {
      if (!input_.empty()) {
        if (!next_is_put_) taken += out.view() == ":1\r\n";
        out.Clear();
        next_is_put_ = !next_is_put_;
      }
      if (round_++ == kRounds) {
        input_.clear();
        finished_.fetch_add(1);
        break;
      }
      MakeInput();
      Batch* batch = home_.engine().Take();
      home_.engine().Frame(*batch, *this, parser_, input_);
      away_ = true;
      if (home_.engine().Run(batch, *this, input_) == RunResult::kAnswered) {
        home_.engine().Release(batch);
        away_ = false;
      }
    }
    running_ = false;
  }

  testing::WaitShard& home_;
  base::Random random_;
  std::atomic<size_t>& finished_;
  resp::CommandParser parser_;
  std::string input_;
  int round_ = 0;
  bool next_is_put_ = true;
  bool away_ = false;
  bool running_ = false;
};

TEST(EngineWaitThreads, WhatWasPutIsTakenOrThere) {
  testing::WaitControl control(kTables);
  std::vector<testing::WaitShard*> shards;
  shard::RealEnv env;
  shard::RuntimeOptions options;
  options.shard_count = kShards;
  options.ring_slots = 8;
  shard::Runtime runtime(env, options, [&](shard::Shard& shard) {
    auto made = std::make_unique<testing::WaitShard>(shard, control);
    shards.push_back(made.get());
    return made;
  });
  ASSERT_TRUE(runtime.Start().ok());
  std::atomic<size_t> finished{0};
  std::deque<Worker> workers;
  for (size_t i = 0; i < kShards * kClientsPerShard; ++i) {
    testing::WaitShard& home = *shards[i % kShards];
    workers.emplace_back(home, i + 1, finished);
    home.shard().Post(workers.back());
  }
  while (finished.load() < workers.size()) std::this_thread::yield();
  int64_t put = 0;
  int64_t taken = 0;
  int64_t left = 0;
  for (const Worker& worker : workers) {
    put += worker.put;
    taken += worker.taken;
  }
  // A batch may still be leaving its lines after its client was answered.
  auto away = [&] {
    size_t count = 0;
    for (uint16_t id = 0; id < kShards; ++id) {
      runtime.RunOn(ShardId(id), [&](shard::Shard&) {
        count += shards[id]->engine().batches_away() + shards[id]->engine().waits().waiter_count();
      });
    }
    return count;
  };
  while (away() != 0) std::this_thread::yield();
  for (uint16_t id = 0; id < kShards; ++id) {
    runtime.RunOn(ShardId(id), [&](shard::Shard&) {
      for (int i = 0; i < 6; ++i) {
        std::string key = "key" + std::to_string(i);
        dash::Entry* entry =
            shards[id]->keyspace().database(DbIndex(0)).Find({key, shards[id]->engine().HashKey(key)});
        if (entry != nullptr) left += types::LoadInt(*entry);
      }
    });
  }
  EXPECT_EQ(put, static_cast<int64_t>(workers.size()) * kRounds / 2);
  EXPECT_EQ(taken + left, put);
  EXPECT_GT(taken, put / 2);
}

}  // namespace
}  // namespace moonshard::command
