#include "command/engine.h"

#include <gtest/gtest.h>

#include <string>

#include "command/testing.h"

namespace moonshard::command {
namespace {

using testing::HoldingGate;
using testing::TestClient;
using testing::TestWorld;

// ---- framing

class FramingTest : public ::testing::Test {
 protected:
  // Frames `bytes` and hands the batch to `look`.
  template <typename Fn>
  void Frame(std::string bytes, Fn&& look) {
    world_.On(0, [&](ShardState& state) {
      TestClient client(state);
      if (limit_ != 0) client.batch_limit = limit_;
      client.session.authenticated = authenticated_;
      state.server->live().password_required = password_required_;
      resp::CommandParser parser;
      Batch* batch = state.engine->Take();
      state.engine->Frame(*batch, client, parser, bytes);
      look(*batch);
      state.engine->Release(batch);
    });
  }

  TestWorld world_{2, 1};
  uint32_t limit_ = 0;
  bool authenticated_ = true;
  bool password_required_ = false;
};

TEST_F(FramingTest, ABarrierEndsItsBatch) {
  Frame("GET a\r\nSESSION\r\nGET b\r\n", [](Batch& batch) {
    EXPECT_EQ(batch.calls.size(), 2u);
    EXPECT_EQ(batch.end, BatchEnd::kBarrier);
    EXPECT_TRUE(batch.barrier);
    EXPECT_EQ(batch.consumed, 16u);
  });
  Frame("NAP\r\nGET b\r\n", [](Batch& batch) {
    EXPECT_EQ(batch.calls.size(), 1u);
    EXPECT_EQ(batch.end, BatchEnd::kBarrier);
  });
}

TEST_F(FramingTest, ARenameIsABarrierOnlyAcrossShards) {
  std::string here = world_.KeyOn(1, "x");
  Frame("RENAME " + here + " " + world_.KeyOn(1, "y") + "\r\nGET a\r\n", [](Batch& batch) {
    EXPECT_EQ(batch.calls.size(), 2u);
    EXPECT_FALSE(batch.barrier);
  });
  Frame("RENAME " + here + " " + world_.KeyOn(0, "y") + "\r\nGET a\r\n", [](Batch& batch) {
    EXPECT_EQ(batch.calls.size(), 1u);
    EXPECT_TRUE(batch.barrier);
    EXPECT_TRUE(batch.calls[0].spread);
  });
}

TEST_F(FramingTest, ABatchHoldsAtMostItsLimit) {
  std::string many;
  for (int i = 0; i < 40; ++i) many += "GET a\r\n";
  Frame(many, [](Batch& batch) {
    EXPECT_EQ(batch.calls.size(), kBatchCommandsMax);
    EXPECT_EQ(batch.end, BatchEnd::kFull);
  });
  limit_ = 3;
  Frame(many, [](Batch& batch) { EXPECT_EQ(batch.calls.size(), 3u); });
}

TEST_F(FramingTest, ErrorsAreFoundPerCallAndEndNothing) {
  authenticated_ = false;
  password_required_ = true;
  Frame("GET\r\nnope\r\nBOX three\r\nBOX one two\r\nGET a\r\n", [](Batch& batch) {
    ASSERT_EQ(batch.calls.size(), 5u);
    for (size_t i = 0; i < 4; ++i) EXPECT_EQ(batch.calls[i].error, CallError::kText) << i;
    EXPECT_EQ(batch.calls[4].error, CallError::kStatic);
    EXPECT_EQ(batch.error_texts.size(), 4u);
    EXPECT_FALSE(batch.barrier);
  });
}

TEST_F(FramingTest, NobodyMustAuthenticateWhereThereIsNoPassword) {
  authenticated_ = false;
  Frame("GET a\r\n", [](Batch& batch) { EXPECT_EQ(batch.calls[0].error, CallError::kNone); });
}

TEST_F(FramingTest, ABrowserIsHungUpOnAndNothingBehindItsLineRuns) {
  for (std::string_view line : {"POST / HTTP/1.1", "hOsT: a"}) {
    Frame("GET a\r\n" + std::string(line) + "\r\nGET b\r\n", [](Batch& batch) {
      ASSERT_EQ(batch.calls.size(), 2u);
      EXPECT_EQ(batch.calls[1].error, CallError::kHangUp);
      EXPECT_EQ(batch.end, BatchEnd::kBarrier);
    });
  }
  Frame("POSTS\r\nhost\r\n", [](Batch& batch) {
    ASSERT_EQ(batch.calls.size(), 2u);
    for (const Call& call : batch.calls) EXPECT_EQ(call.error, CallError::kText);
  });
}

TEST_F(FramingTest, WhatComesBeforeAProtocolErrorIsKept) {
  Frame("GET a\r\n*1\r\n$-5\r\n", [](Batch& batch) {
    EXPECT_EQ(batch.calls.size(), 1u);
    EXPECT_EQ(batch.end, BatchEnd::kProtocolError);
  });
}

// ---- replies

class EngineTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  EngineTest() {
    for (uint16_t i = 0; i < 3; ++i) {
      a_.push_back(world_.KeyOn(i, "a"));
      b_.push_back(world_.KeyOn(i, "b"));
    }
  }
  void Settle() {
    ASSERT_TRUE(world_.RunUntil([&] { return world_.AtRest(); }));
  }

  TestWorld world_{3, GetParam()};
  std::vector<std::string> a_;  // one key per shard
  std::vector<std::string> b_;
};

TEST_P(EngineTest, ErrorsKeepTheirPlaceAmongSpreadAndForeignCalls) {
  auto client = world_.Connect(0);
  std::string pairs = a_[0] + " 1 " + a_[1] + " 2 " + a_[2] + " 3";
  world_.Feed(*client, 0,
              "MSET " + pairs + "\r\nGET\r\nGET " + a_[1] + "\r\nNOPE x\r\nMGET " + a_[2] + " " + a_[0] +
                  " " + a_[2] + "\r\nSIZE\r\nBOX\r\nGET " + a_[2] + "\r\nSESSION\r\nSET\r\n");
  Settle();
  EXPECT_EQ(client->replies(),
            "+OK\r\n-ERR wrong number of arguments for 'get' command\r\n$1\r\n2\r\n"
            "-ERR unknown command 'NOPE', with args beginning with: 'x' "
            "\r\n*3\r\n$1\r\n3\r\n$1\r\n1\r\n$1\r\n3\r\n:3\r\n"
            "-ERR wrong number of arguments for 'box' command\r\n$1\r\n3\r\n:1\r\n"
            "-ERR wrong number of arguments for 'set' command\r\n");
}

TEST_P(EngineTest, LargeRepliesShortenTheNextBatches) {
  auto client = world_.Connect(0);
  std::string bytes;
  for (int i = 0; i < 40; ++i) bytes += "BIG 400000\r\n";
  world_.Feed(*client, 0, bytes);
  Settle();
  ASSERT_GE(client->batch_sizes.size(), 3u);
  EXPECT_EQ(client->batch_sizes[0], kBatchCommandsMax);
  // Stops after three; two of 400 KB are below the bound, so the limit of two doubles now and then.
  for (size_t i = 1; i < client->batch_sizes.size(); ++i) EXPECT_LE(client->batch_sizes[i], 4u);
  client->out.Clear();
  world_.Feed(*client, 0, "BIG 3000000\r\n");
  Settle();
  EXPECT_EQ(client->batch_limit, 1u);
  for (int i = 0; i < 6; ++i) {
    world_.Feed(*client, 0, "BIG 1\r\n");
    Settle();
  }
  EXPECT_EQ(client->batch_limit, kBatchCommandsMax);
}

TEST_P(EngineTest, ForeignBatchesShortenTheNextOnesToo) {
  auto client = world_.Connect(0);
  world_.Feed(*client, 0,
              "*3\r\n$3\r\nSET\r\n$" + std::to_string(a_[1].size()) + "\r\n" + a_[1] + "\r\n$300000\r\n" +
                  std::string(300'000, 'x') + "\r\n");
  Settle();
  std::string bytes;
  for (int i = 0; i < 40; ++i) bytes += "GET " + a_[1] + "\r\n";
  world_.Feed(*client, 0, bytes);
  Settle();
  ASSERT_GE(client->batch_sizes.size(), 3u);
  EXPECT_EQ(client->batch_sizes[1], kBatchCommandsMax);
  EXPECT_EQ(client->batch_sizes[2], 3u);
}

// ---- batches that stop

// A pipeline of large replies from every shard, quoted inline commands (which are unquoted in place) and a
// barrier, for a client that takes the replies only when it is told to.
class StoppedBatchTest : public EngineTest {
 protected:
  static constexpr size_t kValueBytes = 300'000;

  void SetUp() override {
    EngineTest::SetUp();
    auto writer = world_.Connect(0);
    for (size_t i = 0; i < 3; ++i) {
      world_.Feed(*writer, 0,
                  "*3\r\n$3\r\nSET\r\n$" + std::to_string(a_[i].size()) + "\r\n" + a_[i] + "\r\n$" +
                      std::to_string(kValueBytes) + "\r\n" + Value(i) + "\r\n");
      Settle();
    }
    client_ = world_.Connect(0);
    client_->session.id = 7;
    client_->takes_replies = false;
  }
  std::string Value(size_t shard) const { return std::string(kValueBytes, static_cast<char>('x' + shard)); }
  std::string Bulk(const std::string& bytes) const {
    return "$" + std::to_string(bytes.size()) + "\r\n" + bytes + "\r\n";
  }
  void Get(size_t shard) {
    requests_ += "GET \"" + a_[shard] + "\"\r\n";
    expected_ += Bulk(Value(shard));
  }
  void Other(const std::string& request, const std::string& reply) {
    requests_ += request + "\r\n";
    expected_ += reply;
  }
  // Feeds the requests and takes the replies piece by piece.
  void Check(size_t least_stops, size_t piece_max) {
    world_.Feed(*client_, 0, requests_);
    Rest();
    std::string got;
    while (client_->waiting()) {
      EXPECT_LE(client_->out.size(), piece_max);
      got += client_->replies();
      client_->out.Clear();
      client_->TakeReplies();
      Rest();
    }
    got += client_->replies();
    EXPECT_TRUE(got == expected_) << got.size() << " of " << expected_.size();
    EXPECT_GE(client_->stopped, least_stops);
  }
  // Until nothing is under way but a batch that waits for its client.
  void Rest() {
    EXPECT_TRUE(world_.RunUntil([&] { return world_.AtRest() || client_->stands_still; }));
  }

  std::unique_ptr<TestClient> client_;
  std::string requests_;
  std::string expected_;
};

constexpr size_t kPieceMax = kBatchReplyBytes + 400'000;

TEST_P(StoppedBatchTest, AtHome) {
  for (size_t i = 0; i < 20; ++i) Get(0);
  Other("SESSION", ":7\r\n");
  Get(0);
  Check(4, kPieceMax);
}

TEST_P(StoppedBatchTest, OnAnotherShard) {
  for (size_t i = 0; i < 20; ++i) Get(1);
  Other("NOPE", "-ERR unknown command 'NOPE', with args beginning with: \r\n");
  Other("SESSION", ":7\r\n");
  Get(2);
  Check(4, kPieceMax);
}

TEST_P(StoppedBatchTest, OnAllShards) {
  for (size_t i = 0; i < 10; ++i) {
    for (size_t shard : {1u, 1u, 2u, 0u, 2u}) Get(shard);
    Other("BIG 1", "$1\r\nb\r\n");
  }
  Check(5, 2 * kPieceMax);
}

TEST_P(StoppedBatchTest, ASpanningBatchRunsAsAWholeButBeginsShort) {
  for (size_t i = 0; i < 12; ++i) {
    Other("MGET " + a_[0] + " " + a_[1], "*2\r\n" + Bulk(Value(0)) + Bulk(Value(1)));
  }
  Check(0, 20 * kPieceMax);
  ASSERT_GE(client_->batch_sizes.size(), 2u);
  EXPECT_EQ(client_->batch_sizes[0], kSpreadCommandsFirst);
  EXPECT_LE(client_->batch_sizes[1], 2u);
}

TEST_P(StoppedBatchTest, ItsClientMayGo) {
  for (size_t first_shard : {0u, 1u}) {
    client_ = world_.Connect(0);
    client_->takes_replies = false;
    requests_.clear();
    for (size_t i = 0; i < 32; ++i) Get(i % 2 == 0 ? first_shard : 2);
    requests_ += "SET " + b_[0] + " late\r\n";
    world_.Feed(*client_, 0, requests_);
    Rest();
    ASSERT_TRUE(client_->waiting());
    // Once while it stands still, once when it was told to go on.
    if (first_shard == 1) client_->TakeReplies();
    client_.reset();
    EXPECT_TRUE(world_.RunUntil([&] { return world_.AtRest(); }));
  }
  auto other = world_.Connect(0);
  world_.Feed(*other, 0, "GET " + b_[0] + "\r\n");
  Settle();
  EXPECT_EQ(other->replies(), "$-1\r\n");
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoppedBatchTest, ::testing::Range<uint64_t>(1, 6));

// ---- clients that go

// Every kind of batch, its client gone after every possible number of steps.
TEST_P(EngineTest, AClientMayGoAtAnyTime) {
  const std::string batches[] = {
      "GET " + a_[1] + "\r\nGET " + a_[2] + "\r\nGET " + a_[0] + "\r\n",
      "MSET " + a_[0] + " x " + a_[1] + " x " + a_[2] + " x\r\nGET " + b_[1] + "\r\n",
      "MGET " + a_[0] + " " + a_[1] + " " + a_[2] + "\r\nSESSION\r\nSIZE\r\n",
      "GET " + a_[1] + "\r\nRENAME " + a_[0] + " " + b_[2] + "\r\nRENAME " + b_[2] + " " + a_[0] + "\r\n",
      "NAP\r\nMGET " + a_[1] + " " + a_[2] + "\r\nSESSION\r\n",
  };
  auto other = world_.Connect(1);
  size_t asked = 0;
  for (const std::string& batch : batches) {
    for (uint64_t steps = 0; steps < 40; ++steps) {
      auto client = world_.Connect(0);
      world_.Feed(*client, 0, batch);
      // Something in its way.
      world_.Feed(*other, 1, "MSET " + a_[1] + " y " + a_[2] + " y\r\nSIZE\r\n");
      ++asked;
      world_.driver().Run(steps);
      client.reset();
      ASSERT_TRUE(world_.RunUntil([&] { return world_.AtRest() && other->answered >= asked; }));
    }
  }
  EXPECT_EQ(other->replies().substr(0, 7), "+OK\r\n:2");
}

TEST_P(EngineTest, AReadAnswersBeforeItsStorageReturnsAndTheNextBatchRunsMeanwhile) {
  auto client = world_.Connect(0);
  size_t early = 0;
  for (size_t i = 1; i <= 60; ++i) {
    world_.Feed(*client, 0, "MGET " + a_[0] + " " + a_[1] + " " + a_[2] + "\r\n");
    ASSERT_TRUE(world_.RunUntil([&] { return client->answered == i; }));
    early += world_.state(0).engine->batches_away() != 0;
    if (i % 2 == 0) Settle();
  }
  EXPECT_GT(early, 0u) << "the case did not come up";
  Settle();
  std::string expected;
  for (int i = 0; i < 60; ++i) expected += "*3\r\n$-1\r\n$-1\r\n$-1\r\n";
  EXPECT_EQ(client->replies(), expected);
}

// ---- the gate

class GateTest : public EngineTest {
 protected:
  GateTest() { world_.state(0).engine->set_gate(&gate_); }
  void Open(uint16_t shard, Lsn position = Lsn(UINT64_MAX)) {
    world_.On(0, [&](ShardState&) { gate_.SetDurable(ShardId(shard), position); });
  }
  bool RunUntilHeld(size_t count) {
    return world_.RunUntil([&] { return gate_.held_count() == count; });
  }
  HoldingGate gate_{3};
};

TEST_P(GateTest, RepliesStayInOrderBehindAHeldOne) {
  auto client = world_.Connect(0);
  world_.Feed(*client, 0, "SET " + a_[1] + " v\r\nSESSION\r\nGET " + a_[0] + "\r\nGET " + a_[1] + "\r\n");
  ASSERT_TRUE(RunUntilHeld(1));
  world_.driver().Run(500);
  EXPECT_EQ(client->replies(), "");
  Open(1);
  Settle();
  EXPECT_EQ(client->replies(), "+OK\r\n:1\r\n$-1\r\n$1\r\nv\r\n");
}

TEST_P(GateTest, OtherClientsAreNotHeld) {
  auto held = world_.Connect(0);
  auto free = world_.Connect(0);
  auto elsewhere = world_.Connect(2);
  world_.Feed(*held, 0, "SET " + a_[1] + " v\r\n");
  ASSERT_TRUE(RunUntilHeld(1));
  world_.Feed(*free, 0, "SESSION\r\nGET " + a_[2] + "\r\n");
  world_.Feed(*elsewhere, 2, "GET " + a_[1] + "\r\n");  // its home has no gate
  ASSERT_TRUE(world_.RunUntil([&] { return free->replies() == ":2\r\n$-1\r\n"; }));
  ASSERT_TRUE(world_.RunUntil([&] { return elsewhere->replies() == "$1\r\nv\r\n"; }));
  EXPECT_EQ(held->replies(), "");
  // A read of what is not durable is held as well.
  world_.Feed(*free, 0, "GET " + a_[1] + "\r\n");
  ASSERT_TRUE(RunUntilHeld(2));
  Open(1);
  Settle();
  EXPECT_EQ(held->replies(), "+OK\r\n");
  EXPECT_EQ(free->replies(), ":2\r\n$-1\r\n$1\r\nv\r\n");
}

TEST_P(GateTest, AHeldTransactionEndsAndAnswersOnce) {
  auto client = world_.Connect(0);
  world_.Feed(*client, 0, "MSET " + a_[0] + " x " + a_[1] + " x " + a_[2] + " x\r\n");
  ASSERT_TRUE(RunUntilHeld(1));
  // Its locks do not wait for the disk.
  ASSERT_TRUE(world_.RunUntil([&] {
    return world_.state(0).tx->drained() && world_.state(1).tx->drained() && world_.state(2).tx->drained();
  }));
  EXPECT_EQ(client->replies(), "");
  EXPECT_EQ(world_.state(0).engine->batches_away(), 1u);
  // One shard after the other: the reply needs all three.
  for (uint16_t shard = 0; shard < 3; ++shard) {
    EXPECT_EQ(client->replies(), "");
    Open(shard);
  }
  Settle();
  EXPECT_EQ(client->replies(), "+OK\r\n");
  EXPECT_EQ(client->answered, 1u);
}

TEST_P(GateTest, ABodysReplyIsHeldLikeAnyOther) {
  auto client = world_.Connect(0);
  world_.Feed(*client, 0, "SET " + a_[1] + " v\r\n");
  ASSERT_TRUE(RunUntilHeld(1));
  Open(1, world_.state(1).keyspace->sink().position());
  Settle();
  world_.Feed(*client, 0, "RENAME " + a_[1] + " " + b_[2] + "\r\n");
  ASSERT_TRUE(RunUntilHeld(1));
  world_.driver().Run(500);
  EXPECT_EQ(client->replies(), "+OK\r\n");
  for (uint16_t shard = 0; shard < 3; ++shard) Open(shard, world_.state(shard).keyspace->sink().position());
  Settle();
  EXPECT_EQ(client->replies(), "+OK\r\n+OK\r\n");
  // "No such key" is an answer too: the key went by a change that may be lost.
  auto other = world_.Connect(2);
  world_.Feed(*other, 2, "SET " + a_[1] + " w\r\n");
  Settle();
  world_.Feed(*client, 0, "RENAME " + b_[1] + " " + a_[2] + "\r\n");
  ASSERT_TRUE(RunUntilHeld(1));
  for (uint16_t shard = 0; shard < 3; ++shard) Open(shard);
  Settle();
  EXPECT_EQ(client->replies(), "+OK\r\n+OK\r\n-ERR no such key\r\n");
}

TEST_P(GateTest, AClientThatGoesWhileHeldLeavesNothingBehind) {
  const std::string batches[] = {"SET " + a_[1] + " v\r\nSESSION\r\n",
                                 "MSET " + a_[0] + " x " + a_[1] + " x\r\nNAP\r\n",
                                 "RENAME " + a_[1] + " " + b_[2] + "\r\n"};
  auto seeding = world_.Connect(1);
  world_.Feed(*seeding, 1, "SET " + a_[1] + " v\r\n");
  Settle();
  for (const std::string& batch : batches) {
    auto client = world_.Connect(0);
    world_.Feed(*client, 0, batch);
    ASSERT_TRUE(RunUntilHeld(1)) << batch;
    client.reset();
    world_.driver().Run(300);
    EXPECT_EQ(world_.state(0).engine->batches_away(), 1u);
    for (uint16_t shard = 0; shard < 3; ++shard) Open(shard, world_.state(shard).keyspace->sink().position());
    Settle();
    EXPECT_EQ(gate_.held_count(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, EngineTest, ::testing::Range<uint64_t>(1, 6));
INSTANTIATE_TEST_SUITE_P(Seeds, GateTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace moonshard::command
