// The rules one by one, with every turn chosen by the test.

#include "tx/manager.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shard/runtime.h"
#include "shard/sim_env.h"
#include "shard/task.h"

namespace moonshard::tx {
namespace {

uint64_t Fingerprint(uint64_t key) {
  return (key + 1) * 0x9E3779B97F4A7C15ull;
}

class Hooks final : public shard::TurnHooks {
 public:
  Hooks(shard::Shard& shard, const ManagerOptions& options) : manager(shard, options) {
    shard.set_local(&scope);
  }
  void BeforeStamp() override { manager.BeforeStamp(); }
  void EndTurn() override {
    if (at_end) at_end();
    manager.EndTurn();
  }
  bool HasWork() const override { return manager.HasWork(); }
  TimeNs NextDeadline() const override { return shard::kNever; }

  Manager manager;
  shard::TaskScope scope;
  std::function<void()> at_end;
};

struct Keys {
  uint16_t shard;
  std::vector<std::pair<uint64_t, LockMode>> keys;
  bool whole = false;
  LockMode whole_mode = LockMode::kExclusive;
};

// A transaction whose parts write what happens to them into a journal.
struct TestTx {
  std::string name;
  std::vector<std::string>* journal;
  std::vector<std::vector<KeyLock>> locks;
  std::vector<Part> parts;
  Transaction tx;
  bool ready = false;
  bool done = false;
  std::vector<uint64_t> numbers;  // per part: the number it ran under
  uint64_t* next_lsn = nullptr;   // with a log: the shard's

  TestTx(std::string name_in, std::vector<std::string>& journal_in, std::vector<Keys> all,
         Access access = Access::kWrite, Kind kind = Kind::kShort)
      : name(std::move(name_in)),
        journal(&journal_in),
        locks(all.size()),
        parts(all.size()),
        numbers(all.size()) {
    for (size_t i = 0; i < all.size(); ++i) {
      for (auto [key, mode] : all[i].keys)
        locks[i].push_back({.fingerprint = Fingerprint(key), .mode = mode});
      parts[i].shard = ShardId(all[i].shard);
      parts[i].locks = locks[i];
      parts[i].whole_shard = all[i].whole;
      parts[i].whole_shard_mode = all[i].whole_mode;
      parts[i].user = this;
      parts[i].run = [](Part& part, shard::Shard& shard) {
        auto& self = *static_cast<TestTx*>(part.user);
        self.journal->push_back(self.name + "@" + std::to_string(shard.id().value()) +
                                (part.attempt != 0 ? "again" : ""));
        self.numbers[static_cast<size_t>(&part - self.parts.data())] = part.order.number;
      };
    }
    tx.kind = kind;
    tx.access = access;
    tx.parts = parts;
    tx.user = this;
    tx.ready = [](Transaction& t) { static_cast<TestTx*>(t.user)->ready = true; };
    tx.done = [](Transaction& t) { static_cast<TestTx*>(t.user)->done = true; };
  }
};

constexpr LockMode X = LockMode::kExclusive;
constexpr LockMode S = LockMode::kShared;

class ManagerTest : public testing::Test {
 protected:
  void Make(uint16_t shards, ManagerOptions options = {}) {
    shard::RuntimeOptions runtime_options;
    runtime_options.shard_count = shards;
    runtime_ = std::make_unique<shard::Runtime>(env_, runtime_options, [this, options](shard::Shard& shard) {
      auto hooks = std::make_unique<Hooks>(shard, options);
      hooks_.push_back(hooks.get());
      return hooks;
    });
    ASSERT_TRUE(runtime_->Start().ok());
    for (uint16_t s = 0; s < shards; ++s) Turn(s);
  }
  void TearDown() override {
    if (runtime_ == nullptr) return;
    runtime_->RequestStop();
    runtime_->Join();
  }
  shard::Shard& shard(uint16_t id) { return runtime_->shard(ShardId(id)); }
  Manager& manager(uint16_t id) { return hooks_[id]->manager; }
  uint64_t counter() { return runtime_->set().counter.load(); }
  uint64_t floor(uint16_t id) { return runtime_->floor(ShardId(id)).value.load(); }
  bool Turn(uint16_t id) {
    bool work = false;
    runtime_->RunOn(ShardId(id), [&](shard::Shard& here) { work = here.Turn(); });
    return work;
  }
  // In a turn of the shard that has nothing else to do.
  void In(uint16_t id, std::function<void(Manager&)> fn) {
    struct Work : shard::ExternalWork {
      std::function<void(Manager&)> fn;
    };
    Work work;
    work.fn = std::move(fn);
    work.run = [](shard::Shard& here, shard::ExternalWork& w) {
      static_cast<Work&>(w).fn(here.local<Manager>());
    };
    shard(id).Post(work);
    Turn(id);
  }
  void Start(uint16_t id, TestTx& tx) {
    In(id, [&](Manager& m) { m.Start(tx.tx); });
  }
  // Round robin until nobody has work.
  void Settle() {
    for (bool work = true; work;) {
      work = false;
      for (uint16_t s = 0; s < hooks_.size(); ++s) work |= Turn(s);
    }
  }
  std::string Journal() {
    std::string all;
    for (const std::string& entry : journal_) all += (all.empty() ? "" : " ") + entry;
    return all;
  }

  shard::SimEnv env_{1};
  std::vector<Hooks*> hooks_;
  std::unique_ptr<shard::Runtime> runtime_;
  std::vector<std::string> journal_;
};

TEST_F(ManagerTest, ShortOneRunsOnAllShardsUnderTheHighestProposal) {
  Make(3);
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}, {2, {{3, S}}}});
  Start(0, a);
  EXPECT_FALSE(manager(0).idle());
  Turn(1);
  Turn(2);
  uint64_t highest = counter();  // shard 2's stamp, drawn last
  Turn(0);
  EXPECT_EQ(Journal(), "a@0");
  Settle();
  EXPECT_EQ(Journal(), "a@0 a@1 a@2");
  EXPECT_TRUE(a.done);
  EXPECT_EQ(a.tx.timestamp.number, highest);
  EXPECT_EQ(a.numbers, (std::vector<uint64_t>(3, highest)));
  for (uint16_t s = 0; s < 3; ++s) {
    EXPECT_TRUE(manager(s).drained());
    EXPECT_EQ(floor(s), kNoFloor);
  }
}

TEST_F(ManagerTest, Rule1_FloorIsLoweredBeforeTheStampOnlyForOrders) {
  Make(2);
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}});
  Start(0, a);
  uint64_t proposal = a.parts[0].order.number;
  EXPECT_EQ(floor(0), proposal) << "stored before the messages are published";
  uint64_t seen = 0;
  hooks_[1]->at_end = [&] { seen = floor(1); };
  uint64_t before = counter();
  Turn(1);
  EXPECT_EQ(seen, before + 1) << "lowered before the stamp";
  EXPECT_EQ(floor(1), counter()) << "exact at the end of the turn";
  hooks_[0]->at_end = [&] { seen = floor(0); };
  Turn(0);  // brings a proposal, no order
  EXPECT_EQ(seen, proposal) << "not raised before the turn has ended";
  EXPECT_EQ(floor(0), kNoFloor);
  hooks_[0]->at_end = hooks_[1]->at_end = nullptr;
  Settle();
}

TEST_F(ManagerTest, Rule2_FinalWaitsForSmallerProposals) {
  Make(3);
  TestTx a("a", journal_, {{0, {{1, X}}}, {2, {{2, X}}}});
  TestTx b("b", journal_, {{1, {{3, X}}}, {2, {{4, X}}}});
  Start(0, a);
  Turn(2);  // a's proposal on shard 2
  Start(1, b);
  Turn(2);  // b's, larger
  Turn(1);
  Turn(2);  // b is final here, a is not
  EXPECT_EQ(Journal(), "b@1");
  Turn(0);
  Turn(2);
  EXPECT_EQ(Journal(), "b@1 a@0 a@2 b@2");
  Settle();
}

TEST_F(ManagerTest, Rule2_SameTurnIsOrderedBySequence) {
  Make(2);
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}});
  TestTx b("b", journal_, {{1, {{2, X}}}, {0, {{1, X}}}});
  In(0, [&](Manager& m) {
    m.Start(a.tx);
    m.Start(b.tx);
  });
  Settle();
  EXPECT_EQ(Journal(), "a@0 b@0 a@1 b@1");
  EXPECT_EQ(a.tx.timestamp.number, b.tx.timestamp.number);
}

TEST_F(ManagerTest, Rule3_LoggedButNotDurableHoldsTheFloor) {
  Make(2);
  for (uint16_t s = 0; s < 2; ++s) manager(s).AttachLog();
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}});
  a.parts[0].run = [](Part& part, shard::Shard&) { part.lsn = Lsn(1); };
  a.parts[1].run = [](Part& part, shard::Shard&) { part.lsn = Lsn(1); };
  Start(0, a);
  Settle();
  EXPECT_TRUE(a.done);
  EXPECT_EQ(floor(0), a.tx.timestamp.number);
  EXPECT_EQ(floor(1), a.tx.timestamp.number);
  EXPECT_FALSE(manager(0).IsOpen(Lsn(1)));
  In(0, [](Manager& m) {
    m.SetLogDurable(Lsn(1));
    EXPECT_FALSE(m.IsOpen(Lsn(1))) << "durable here, not on the other shard";
  });
  EXPECT_EQ(floor(0), kNoFloor);
  In(0, [](Manager& m) { EXPECT_FALSE(m.IsOpen(Lsn(1))); });
  In(1, [](Manager& m) { m.SetLogDurable(Lsn(1)); });
  In(0, [](Manager& m) { EXPECT_TRUE(m.IsOpen(Lsn(1))); });
}

TEST_F(ManagerTest, Rule3_HoldingLongLocksDoesNotHoldTheFloor) {
  Make(2);
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}}, Access::kWrite, Kind::kLong);
  a.tx.done = nullptr;
  struct Holder {
    static shard::Task<void> Run(Manager& m, Transaction& tx, shard::Event& go, bool& held) {
      co_await m.Acquire(tx);
      held = true;
      co_await go.Wait();
      co_await m.Commit(tx);
    }
  };
  shard::Event go;
  bool held = false;
  In(0, [&](Manager& m) { hooks_[0]->scope.Spawn(Holder::Run(m, a.tx, go, held)); });
  Settle();
  EXPECT_TRUE(held);
  EXPECT_EQ(floor(0), kNoFloor);
  EXPECT_EQ(floor(1), kNoFloor);
  EXPECT_FALSE(manager(1).MayRunNow(Fingerprint(2), S));
  uint64_t lock_number = a.tx.timestamp.number;
  In(0, [&](Manager&) { go.Set(); });
  Settle();
  EXPECT_EQ(Journal(), "a@0 a@1");
  EXPECT_GT(a.tx.timestamp.number, lock_number) << "the commit takes a timestamp of its own";
  EXPECT_TRUE(manager(0).drained());
  EXPECT_TRUE(manager(1).idle());
}

TEST_F(ManagerTest, Rule7_ConflictWithALongOneMakesLong) {
  Make(2);
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}}, Access::kWrite, Kind::kLong);
  TestTx b("b", journal_, {{1, {{2, S}}}, {0, {{9, X}}}});
  TestTx c("c", journal_, {{1, {{7, X}}}, {0, {{8, X}}}});
  Start(0, a);
  Turn(1);
  Start(1, b);  // flagged on shard 1
  Start(1, c);  // touches other keys: not delayed by the two
  Settle();
  EXPECT_TRUE(a.done && b.done && c.done);
  EXPECT_EQ(manager(1).stats().flagged, 1u);
  EXPECT_EQ(manager(1).stats().became_long, 1u);
  EXPECT_LT(a.tx.timestamp, b.tx.timestamp);
  EXPECT_LT(c.tx.timestamp, b.tx.timestamp) << "the long one's commit got a later number";
}

TEST_F(ManagerTest, Rule8_LongOneWaitsForTheShortOnesPresent) {
  Make(2);
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}});
  TestTx b("b", journal_, {{1, {{2, X}}}}, Access::kWrite, Kind::kLong);
  Start(0, a);
  Turn(1);      // a is pending on shard 1
  Start(1, b);  // its lock is decided at once, and not granted
  Turn(1);
  EXPECT_EQ(Journal(), "");
  Settle();
  EXPECT_EQ(Journal(), "a@0 a@1 b@1");
}

TEST_F(ManagerTest, AbortReleasesAndLeavesNoRecord) {
  Make(2);
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}});
  struct Aborter {
    static shard::Task<void> Run(Manager& m, Transaction& tx, bool& ended) {
      co_await m.Acquire(tx);
      co_await m.Abort(tx);
      ended = true;
    }
  };
  bool ended = false;
  In(0, [&](Manager& m) { hooks_[0]->scope.Spawn(Aborter::Run(m, a.tx, ended)); });
  Settle();
  EXPECT_TRUE(ended);
  EXPECT_FALSE(a.done);
  EXPECT_EQ(Journal(), "");
  EXPECT_EQ(manager(0).stats().aborted, 1u);
  EXPECT_TRUE(manager(0).drained());
  EXPECT_TRUE(manager(1).idle());
}

TEST_F(ManagerTest, BodyOnOneShardNeverSuspends) {
  Make(1);
  TestTx a("a", journal_, {{0, {{1, X}}}});
  struct Body {
    static shard::Task<void> Run(Manager& m, Transaction& tx, int& stage) {
      co_await m.Acquire(tx);
      stage = 1;
      co_await m.Abort(tx);
      stage = 2;
    }
  };
  int stage = 0;
  In(0, [&](Manager& m) { hooks_[0]->scope.Spawn(Body::Run(m, a.tx, stage)); });
  Settle();
  EXPECT_EQ(stage, 2);
}

// ---- commands of one shard

TEST_F(ManagerTest, LocalCommandWaitsForThePendingOneAndKeepsItsPlace) {
  Make(2);
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}});
  TestTx local("local", journal_, {{1, {{2, S}}}});
  TestTx later("later", journal_, {{1, {{2, X}}}, {0, {{1, X}}}});
  Start(0, a);
  Turn(1);
  In(1, [&](Manager& m) {
    EXPECT_TRUE(m.MayRunNow(Fingerprint(3), X));
    EXPECT_FALSE(m.MayRunNow(Fingerprint(2), S));
    EXPECT_FALSE(m.MayRunNowWholeShard(S));
    m.RunLocal(local.parts[0], [](Part& part) { static_cast<TestTx*>(part.user)->done = true; });
    m.Start(later.tx);
  });
  EXPECT_FALSE(local.done);
  Settle();
  EXPECT_TRUE(local.done);
  EXPECT_EQ(Journal(), "a@0 a@1 local@1 later@1 later@0");
}

TEST_F(ManagerTest, LocalCommandWaitsForALongLock) {
  Make(2);
  TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}}, Access::kWrite, Kind::kLong);
  TestTx local("local", journal_, {{1, {{2, S}, {5, X}}}});
  TestTx behind("behind", journal_, {{1, {{5, S}}}});
  auto done = [](Part& part) { static_cast<TestTx*>(part.user)->done = true; };
  Start(0, a);
  Turn(1);
  In(1, [&](Manager& m) {
    m.RunLocal(local.parts[0], done);
    EXPECT_FALSE(m.MayRunNow(Fingerprint(5), S)) << "nobody overtakes the one that waits";
    m.RunLocal(behind.parts[0], done);
  });
  EXPECT_EQ(Journal(), "");
  Settle();
  EXPECT_EQ(Journal(), "a@0 a@1 local@1 behind@1");
  EXPECT_TRUE(local.done && behind.done);
}

TEST_F(ManagerTest, SharedLocksOfPendingReadersStopWriters) {
  Make(2, {.optimistic_reads = false});
  TestTx r("r", journal_, {{0, {{1, S}}}, {1, {{2, S}}}}, Access::kReadOnly);
  Start(0, r);
  Turn(1);
  EXPECT_TRUE(manager(1).MayRunNow(Fingerprint(2), S));
  EXPECT_FALSE(manager(1).MayRunNow(Fingerprint(2), X));
  Settle();
  EXPECT_TRUE(r.done);
}

TEST_F(ManagerTest, WholeShardStopsEverythingByMode) {
  Make(2);
  TestTx flush("flush", journal_, {{0, {}, true, X}, {1, {}, true, X}});
  Start(0, flush);
  Turn(1);
  EXPECT_FALSE(manager(1).MayRunNow(Fingerprint(77), S));
  TestTx size("size", journal_, {{1, {}, true, S}});
  In(1, [&](Manager& m) { m.RunLocal(size.parts[0], [](Part&) {}); });
  Settle();
  EXPECT_EQ(Journal(), "flush@0 flush@1 size@1");
}

// ---- optimistic reads

TEST_F(ManagerTest, ReadWithoutConflictAnswersAfterOneHop) {
  Make(3);
  TestTx r("r", journal_, {{1, {{1, S}}}, {2, {{2, S}}}}, Access::kReadOnly);
  Start(0, r);
  Turn(1);
  Turn(2);
  EXPECT_EQ(Journal(), "r@1 r@2");
  EXPECT_EQ(floor(1), kNoFloor) << "nothing is proposed";
  Turn(0);
  EXPECT_TRUE(r.ready);
  EXPECT_FALSE(r.done) << "the locks are still there";
  EXPECT_FALSE(manager(1).MayRunNow(Fingerprint(1), X));
  Settle();
  EXPECT_TRUE(r.done);
  EXPECT_EQ(manager(0).stats().optimistic_ok, 1u);
}

TEST_F(ManagerTest, ReadHoldsBackTheProposalOfAWriterUntilItsRelease) {
  Make(3);
  TestTx r("r", journal_, {{1, {{1, S}}}, {2, {{2, S}}}}, Access::kReadOnly);
  TestTx w("w", journal_, {{1, {{1, X}}}, {2, {{2, X}}}});
  Start(0, r);
  Turn(1);  // r has read on shard 1
  Start(1, w);
  EXPECT_EQ(w.parts[0].state, PartState::kNone) << "not even its own shard proposes";
  EXPECT_EQ(manager(1).stats().delayed, 1u);
  EXPECT_EQ(floor(1), kNoFloor);
  Turn(2);  // r's try and w's schedule arrive in the order of their shards: r first
  Turn(0);  // r is complete and sends its releases
  EXPECT_TRUE(r.ready);
  uint64_t before = counter();
  uint64_t seen = 0;
  hooks_[1]->at_end = [&] { seen = floor(1); };
  Turn(1);
  EXPECT_EQ(seen, before + 1) << "the release lowers the floor for the proposal it sets free";
  hooks_[1]->at_end = nullptr;
  EXPECT_EQ(w.parts[0].state, PartState::kProposed);
  Settle();
  EXPECT_EQ(Journal(), "r@1 r@2 w@1 w@2");
  EXPECT_LT(r.tx.timestamp, w.tx.timestamp);
}

TEST_F(ManagerTest, ReadThatMeetsAConflictStartsAfresh) {
  Make(3);
  TestTx w("w", journal_, {{0, {{9, X}}}, {2, {{2, X}}}});
  TestTx r("r", journal_, {{1, {{1, S}}}, {2, {{2, S}}}}, Access::kReadOnly);
  Start(0, w);
  Turn(2);
  Start(1, r);
  EXPECT_EQ(Journal(), "r@1");
  Turn(2);  // where w is pending
  Settle();
  EXPECT_EQ(Journal(), "r@1 w@0 w@2 r@1again r@2again");
  EXPECT_TRUE(r.done);
  EXPECT_EQ(manager(1).stats().optimistic_lost, 1u);
}

// Otherwise a chain of overlapping reads could hold it back for ever.
TEST_F(ManagerTest, LaterReadsDoNotProlongTheDelayOfAWriter) {
  Make(2);
  TestTx first("first", journal_, {{1, {{1, S}}}, {0, {{5, S}}}}, Access::kReadOnly);
  TestTx w("w", journal_, {{1, {{1, X}}}});
  TestTx second("second", journal_, {{1, {{1, S}}}}, Access::kReadOnly);
  Start(0, first);
  Turn(1);
  Start(1, w);
  Start(1, second);
  EXPECT_EQ(manager(1).stats().optimistic_lost, 1u);
  Settle();
  EXPECT_EQ(Journal(), "first@0 first@1 second@1again w@1");
}

// ---- the turn's own number

// Two long ones of one coordinator, whose commits it proposes in one turn. That of the second comes first and
// completes the second; the first one's comes behind it in the same turn and gets the same number and a
// smaller sequence.
class SameNumber : public ManagerTest {
 protected:
  static shard::Task<void> Hold(Manager& m, Transaction& tx, shard::Event& go) {
    co_await m.Acquire(tx);
    co_await go.Wait();
    co_await m.Commit(tx);
  }
  std::string Run(Mistake mistake) {
    Make(2, {.mistake = mistake});
    TestTx a("a", journal_, {{0, {{1, X}}}, {1, {{2, X}}}});
    TestTx b("b", journal_, {{0, {{3, X}}}, {1, {{4, X}}}});
    shard::Event go_a, go_b;
    In(1, [&](Manager& m) {
      hooks_[1]->scope.Spawn(Hold(m, a.tx, go_a));
      hooks_[1]->scope.Spawn(Hold(m, b.tx, go_b));
    });
    Settle();
    In(1, [&](Manager&) {
      go_b.Set();
      go_a.Set();
    });
    Turn(0);
    Settle();
    EXPECT_EQ(a.tx.timestamp.number, b.tx.timestamp.number);
    return Journal();
  }
};

TEST_F(SameNumber, IsNotDecidedBeforeTheTurnEnds) {
  EXPECT_EQ(Run(Mistake::kNone), "a@1 b@1 a@0 b@0");
}
TEST_F(SameNumber, WouldOtherwiseRunInTwoOrders) {
  EXPECT_EQ(Run(Mistake::kEagerRun), "b@1 a@1 a@0 b@0");
}

TEST_F(ManagerTest, OwnTransactionOfThisTurnRunsAtItsEnd) {
  Make(2);
  TestTx a("a", journal_, {{0, {{1, X}}}});
  In(0, [&](Manager& m) {
    m.Start(a.tx);
    EXPECT_EQ(Journal(), "");
  });
  EXPECT_EQ(Journal(), "a@0");
  EXPECT_TRUE(a.done);
}

// ---- cost

// Each `done` starts the next one, which ends at once.
TEST_F(ManagerTest, ChainsDoNotGrowTheStack) {
  Make(1);
  TestTx r("r", journal_, {{0, {{1, S}}}}, Access::kReadOnly);
  r.parts[0].run = nullptr;
  struct Chain {
    Manager* manager;
    int left = 200'000;
  };
  Chain chain{&manager(0)};
  r.tx.user = &chain;
  r.tx.ready = nullptr;
  r.tx.done = [](Transaction& tx) {
    Chain& links = *static_cast<Chain*>(tx.user);
    if (--links.left > 0) links.manager->Start(tx);
  };
  Start(0, r);
  Settle();
  EXPECT_EQ(chain.left, 0);
}

TEST_F(ManagerTest, AKeyNobodyTouchesIsForgotten) {
  Make(2);
  for (uint64_t key = 0; key < 100; ++key) {
    TestTx a("a", journal_, {{0, {{key, X}}}, {1, {{key, X}}}});
    Start(0, a);
    Settle();
    EXPECT_TRUE(a.done);
  }
  EXPECT_TRUE(manager(0).idle());
  EXPECT_EQ(manager(1).stats().present_max, 1u);
}

}  // namespace
}  // namespace moonshard::tx
