#include "shard/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "shard/runtime.h"
#include "shard/sim_driver.h"
#include "shard/sim_env.h"
#include "shard/testing.h"

namespace moonshard::shard {
namespace {

// One simulated shard to run tasks on.
class TaskTest : public testing::Test {
 protected:
  TaskTest()
      : env_(1),
        runtime_(env_, RuntimeOptions{}, [](Shard&) { return std::make_unique<IdleHooks>(); }),
        started_(runtime_.Start().ok()),
        driver_(runtime_, env_, 1) {}
  ~TaskTest() override {
    runtime_.RunOn(ShardId(0), [&](Shard&) { tasks_.reset(); });
  }

  void Spawn(Task<void> task) {
    runtime_.RunOn(ShardId(0), [&](Shard&) { tasks_->Spawn(std::move(task)); });
  }
  Shard& shard() { return runtime_.shard(ShardId(0)); }

  SimEnv env_;
  Runtime runtime_;
  bool started_;
  SimDriver driver_;
  std::unique_ptr<TaskScope> tasks_ = std::make_unique<TaskScope>();
};

Task<std::unique_ptr<int>> MakeInt(int value) {
  co_return std::make_unique<int>(value);
}
Task<int> Add(int a, int b) {
  std::unique_ptr<int> left = co_await MakeInt(a);
  std::unique_ptr<int> right = co_await MakeInt(b);
  co_return *left + *right;
}
Task<void> Store(int* to) {
  *to = co_await Add(2, 3);
}

TEST_F(TaskTest, ResultsMoveUp) {
  int result = 0;
  Spawn(Store(&result));
  EXPECT_EQ(result, 5);
  EXPECT_EQ(tasks_->count(), 0u);
}

Task<int> One() {
  co_return 1;
}
Task<void> Loop(int rounds, int* sum) {
  for (int i = 0; i < rounds; ++i) *sum += co_await One();
}

TEST_F(TaskTest, ALongLoopOverReadyTasksNeedsNoStackAndNoMemory) {
  int sum = 0;
  Spawn(Loop(1'000'000, &sum));
  EXPECT_EQ(sum, 1'000'000);
  if (FramePool::pooling()) {
    EXPECT_LT(shard().frames().mallocs(), 20u);
  }
}

Task<void> LoopOverTurns(int rounds, int* done) {
  for (int i = 0; i < rounds; ++i) co_await NextTurn();
  ++*done;
}

TEST_F(TaskTest, NextTurnLetsTurnsPass) {
  int done = 0;
  driver_.Run(10);
  const uint64_t before = shard().counters().work_turns;
  Spawn(LoopOverTurns(100, &done));
  EXPECT_TRUE(driver_.RunUntil([&] { return done == 1; }, 1'000));
  EXPECT_GE(shard().counters().work_turns - before, 100u);
}

Task<void> WaitThenAppend(Event& event, std::string* log, char letter) {
  co_await event.Wait();
  *log += letter;
}

TEST_F(TaskTest, AnEventWakesItsWaitersInOrderAndStaysSet) {
  Event event;
  std::string log;
  Spawn(WaitThenAppend(event, &log, 'a'));
  Spawn(WaitThenAppend(event, &log, 'b'));
  driver_.Run(50);
  EXPECT_EQ(log, "");
  runtime_.RunOn(ShardId(0), [&](Shard&) { event.Set(); });
  EXPECT_EQ(log, "");  // not inside Set
  driver_.Run(50);
  EXPECT_EQ(log, "ab");
  Spawn(WaitThenAppend(event, &log, 'c'));
  EXPECT_EQ(log, "abc");
  event.Reset();
  Spawn(WaitThenAppend(event, &log, 'd'));
  EXPECT_EQ(log, "abc");
  EXPECT_EQ(tasks_->count(), 1u);
  runtime_.RunOn(ShardId(0), [&](Shard&) { tasks_ = std::make_unique<TaskScope>(); });  // destroys the waiter
}

Task<void> WaitForLatch(Latch& latch, bool* open) {
  co_await latch.Wait();
  *open = true;
}

TEST_F(TaskTest, ALatchOpensAtZero) {
  Latch latch(3);
  bool open = false;
  Spawn(WaitForLatch(latch, &open));
  for (int i = 0; i < 3; ++i) {
    driver_.Run(30);
    EXPECT_FALSE(open);
    runtime_.RunOn(ShardId(0), [&](Shard&) { latch.CountDown(); });
  }
  driver_.Run(30);
  EXPECT_TRUE(open);
}

Task<void> SleepAndAppend(TimeNs duration, std::string* log, char letter) {
  co_await SleepFor(duration);
  *log += letter;
}
Task<void> Family(std::string* log) {
  TaskScope children;
  children.Spawn(SleepAndAppend(3'000'000'000, log, '3'));
  children.Spawn(SleepAndAppend(1'000'000'000, log, '1'));
  children.Spawn(SleepAndAppend(2'000'000'000, log, '2'));
  co_await children.WaitAll();
  *log += '.';
  co_await children.WaitAll();  // nothing left: does not wait
}

TEST_F(TaskTest, AScopeWaitsForAllItsTasks) {
  std::string log;
  Spawn(Family(&log));
  EXPECT_TRUE(driver_.RunUntil([&] { return tasks_->count() == 0; }, 10'000));
  EXPECT_EQ(log, "123.");
}

struct Flag {
  explicit Flag(bool* flag) : set(flag) {}
  ~Flag() { *set = true; }
  bool* set;
};
Task<void> Inner(bool* destroyed) {
  Flag flag(destroyed);
  co_await SleepFor(1'000'000'000);
}
Task<void> Outer(bool* inner_destroyed, bool* outer_destroyed) {
  Flag flag(outer_destroyed);
  co_await Inner(inner_destroyed);
}

TEST_F(TaskTest, DestroyingAScopeDestroysWholeChainsAndTheirTimers) {
  bool inner = false, outer = false;
  Spawn(Outer(&inner, &outer));
  driver_.Run(3);
  EXPECT_FALSE(inner || outer);
  runtime_.RunOn(ShardId(0), [&](Shard&) { tasks_ = std::make_unique<TaskScope>(); });
  EXPECT_TRUE(inner && outer);
  driver_.Run(2'000);  // past the deadline: the timer is gone
}

TEST_F(TaskTest, AnUnstartedTaskIsDestroyedWithoutRunning) {
  int result = 0;
  {
    Task<void> never = Store(&result);
  }
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace moonshard::shard
