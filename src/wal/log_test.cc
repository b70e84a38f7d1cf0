#include "wal/log.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "wal/testing.h"

namespace moonshard::wal {
namespace {

constexpr SyncPolicy kPolicies[] = {SyncPolicy::kAlways, SyncPolicy::kEverySecond, SyncPolicy::kNo};

LogOptions Small(SyncPolicy policy) {
  LogOptions options;
  options.policy = policy;
  options.file_bytes_first = 16 << 10;
  options.file_bytes_max = 64 << 10;
  return options;
}

std::string BodyOf(uint64_t lsn, size_t bytes) {
  std::string body = "effect " + std::to_string(lsn) + " ";
  while (body.size() < bytes) body += static_cast<char>('a' + (lsn + body.size()) % 26);
  return body;
}

void ExpectRecords(const ReadBack& back, uint64_t count, size_t bytes) {
  ASSERT_EQ(back.records.size(), count);
  for (uint64_t i = 0; i < count; ++i) {
    const ReadBack::Entry& entry = back.records[i];
    ASSERT_EQ(entry.lsn, Lsn(i + 1));
    ASSERT_EQ(entry.stamp, Stamp(i + 1001));
    ASSERT_EQ(entry.type, RecordType::kEffects);
    ASSERT_EQ(entry.body, BodyOf(i + 1, bytes));
  }
}

class LogPolicies : public testing::TestWithParam<SyncPolicy> {};
INSTANTIATE_TEST_SUITE_P(All, LogPolicies, testing::ValuesIn(kPolicies));

TEST_P(LogPolicies, WhatIsAppendedIsReadBackOverManyFiles) {
  for (const size_t bytes : {size_t{1}, size_t{100}, size_t{4000}, size_t{9000}}) {
    shard::SimDisk disk(1);
    TestProcess process(disk, Small(GetParam()), 11);
    ASSERT_TRUE(process.Start().ok());
    constexpr uint64_t kCount = 400;
    for (uint64_t i = 1; i <= kCount; ++i) {
      process.Append(i, BodyOf(i, bytes));
      if (i % 3 == 0) process.Settle();
      if (i % 50 == 0) process.log->Tick();
    }
    process.Settle();
    EXPECT_EQ(process.log->written(), Lsn(kCount));
    base::Result<ReadBack> back = ReadAll(disk, "data", process.directory->manifest(), ShardId(0));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(back->outcome.kind, ReadOutcome::Kind::kEnd) << back->outcome.why;
    ExpectRecords(*back, kCount, bytes);
    if (bytes > 100) {
      EXPECT_GT(process.directory->manifest().shards[0].files.size(), 2u);
    }
  }
}

TEST(Log, AlwaysIsDurableWhenItSaysSo) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    shard::SimDisk disk(seed);
    auto process = std::make_unique<TestProcess>(disk, Small(SyncPolicy::kAlways), 1);
    ASSERT_TRUE(process->Start().ok());
    for (uint64_t i = 1; i <= 40; ++i) {
      process->Append(i, BodyOf(i, 300));
      process->log->EndTurn();
      if (i % 2 == 0) process->RunOneJob();
    }
    const uint64_t durable = process->log->durable().value();
    EXPECT_EQ(process->host.durable(), process->log->durable());
    EXPECT_GT(durable, 10u);
    disk.Crash();
    process.reset();
    disk.PowerOn();
    TestProcess next(disk, Small(SyncPolicy::kAlways), 2);
    ASSERT_TRUE(next.Start().ok());
    EXPECT_NE(next.found.outcome.kind, ReadOutcome::Kind::kDamage) << next.found.outcome.why;
    ASSERT_GE(next.found.records.size(), durable);
    ExpectRecords(next.found, next.found.records.size(), 300);
  }
}

TEST(Log, ATurnsRecordsAreOneWriteAndOneWriteIsInFlight) {
  shard::SimDisk disk(1);
  TestProcess process(disk, Small(SyncPolicy::kAlways), 1);
  ASSERT_TRUE(process.Start().ok());
  for (uint64_t i = 1; i <= 10; ++i) process.Append(i, "x");
  process.log->EndTurn();
  EXPECT_EQ(process.writer.size(), 1u);
  for (uint64_t i = 11; i <= 30; ++i) {
    process.Append(i, "x");
    process.log->EndTurn();
  }
  EXPECT_EQ(process.writer.size(), 1u);
  EXPECT_EQ(process.log->durable(), Lsn(0));
  ASSERT_TRUE(process.writer.RunOne());
  while (process.host.RunOne()) {
  }
  EXPECT_EQ(process.log->durable(), Lsn(10));
  process.Settle();
  EXPECT_EQ(process.log->durable(), Lsn(30));
  EXPECT_EQ(process.log->counters().writes, 2u);
}

TEST(Log, TheCallerMayWrite) {
  shard::SimDisk disk(1);
  TestProcess process(disk, Small(SyncPolicy::kAlways), 1);
  ASSERT_TRUE(process.Start().ok());
  process.Append(1, "x");
  process.log->EndTurn(Log::WriteBy::kCaller);
  EXPECT_EQ(process.log->durable(), Lsn(1));
  EXPECT_EQ(process.writer.size(), 0u);
}

TEST(Log, EverySecondFollowsTheTickAndNoNeverSyncs) {
  for (const SyncPolicy policy : {SyncPolicy::kEverySecond, SyncPolicy::kNo}) {
    shard::SimDisk disk(1);
    TestProcess process(disk, Small(policy), 1);
    ASSERT_TRUE(process.Start().ok());
    process.Append(1, "x");
    process.Settle();
    EXPECT_EQ(process.log->written(), Lsn(1));
    EXPECT_EQ(process.log->durable(), Lsn(0));
    process.log->Tick();
    process.Settle();
    EXPECT_EQ(process.log->durable(), policy == SyncPolicy::kNo ? Lsn(0) : Lsn(1));
    process.Append(2, "x");
    process.log->RequestSync();
    process.Settle();
    EXPECT_EQ(process.log->durable(), Lsn(2));
  }
}

TEST(Log, AChangeOfPolicyLeavesNothingWaiting) {
  for (const SyncPolicy from : kPolicies) {
    for (const bool append_before_turn : {false, true}) {
      shard::SimDisk disk(1);
      TestProcess process(disk, Small(from), 1);
      ASSERT_TRUE(process.Start().ok());
      process.Append(1, "one");
      process.Settle();
      if (append_before_turn) process.Append(2, "two");
      process.log->SetPolicy(SyncPolicy::kAlways);
      if (!append_before_turn) process.Append(2, "two");
      process.Settle();
      EXPECT_EQ(process.log->durable(), Lsn(2));
      process.Append(3, "three");
      process.Settle();
      EXPECT_EQ(process.log->durable(), Lsn(3));
      process.log->SetPolicy(from);
      process.Append(4, "four");
      process.Settle();
      EXPECT_EQ(process.log->written(), Lsn(4));
      const ReadBack back = *ReadAll(disk, "data", process.directory->manifest(), ShardId(0));
      EXPECT_EQ(back.outcome.kind, ReadOutcome::Kind::kEnd);
      EXPECT_EQ(back.records.size(), 4u);
    }
  }
}

TEST(Log, AFailedWriteOrSyncIsTheEnd) {
  for (const SyncPolicy policy : {SyncPolicy::kAlways, SyncPolicy::kEverySecond}) {
    shard::SimDisk disk(1);
    TestProcess process(disk, Small(policy), 1);
    ASSERT_TRUE(process.Start().ok());
    process.Settle();
    process.Append(1, "x");
    process.log->RequestSync();
    process.Settle();
    EXPECT_EQ(process.log->durable(), Lsn(1));
    disk.FailNext(
        policy == SyncPolicy::kAlways ? shard::SimDisk::Operation::kWrite : shard::SimDisk::Operation::kSync,
        "0001.log", EIO);
    process.Append(2, "x");
    process.log->RequestSync();
    process.Settle();
    EXPECT_EQ(process.log->state(), Log::State::kFailed);
    EXPECT_EQ(process.host.states, std::vector<Log::State>{Log::State::kFailed});
    EXPECT_FALSE(process.log->accepts());
    EXPECT_FALSE(process.log->failure().ok());
    // The disk works again, and it changes nothing.
    process.Append(3, "x");
    process.log->RequestSync();
    process.log->Tick();
    process.Settle();
    EXPECT_EQ(process.log->durable(), Lsn(1));
    EXPECT_EQ(process.log->state(), Log::State::kFailed);
    EXPECT_TRUE(process.log->idle());
  }
}

TEST(Log, NoRoomRefusesUntilThereIsSome) {
  shard::SimDisk disk(1);
  TestProcess process(disk, Small(SyncPolicy::kAlways), 1);
  ASSERT_TRUE(process.Start().ok());
  process.Settle();
  disk.SetCapacity(0);
  uint64_t lsn = 0;
  while (process.log->accepts() && lsn < 1000) {
    ++lsn;
    process.Append(lsn, BodyOf(lsn, 1000));
    process.Settle();
  }
  ASSERT_LT(lsn, 1000u);
  EXPECT_EQ(process.log->state(), Log::State::kFull);
  EXPECT_TRUE(shard::IsNoSpace(process.log->failure()));
  EXPECT_LT(process.log->durable(), Lsn(lsn));
  process.log->Tick();
  process.Settle();
  EXPECT_EQ(process.log->state(), Log::State::kFull);
  disk.SetCapacity(UINT64_MAX);
  process.log->Tick();
  process.Settle();
  EXPECT_EQ(process.log->state(), Log::State::kOpen);
  EXPECT_TRUE(process.log->accepts());
  EXPECT_EQ(process.log->durable(), Lsn(lsn));
  EXPECT_EQ(process.host.states, (std::vector<Log::State>{Log::State::kFull, Log::State::kOpen}));
}

TEST(Log, GatheringIsBounded) {
  shard::SimDisk disk(1);
  LogOptions options = Small(SyncPolicy::kAlways);
  options.gathered_bytes_max = 100'000;
  TestProcess process(disk, options, 1);
  ASSERT_TRUE(process.Start().ok());
  uint64_t lsn = 0;
  while (process.log->accepts() && lsn < 1000) {
    process.Append(++lsn, std::string(1000, 'x'));
    process.log->EndTurn();
  }
  // Nobody ran the writer. One batch was handed over, the rest waits.
  EXPECT_GT(lsn, 95u);
  EXPECT_LT(lsn, 110u);
  process.Settle();
  EXPECT_TRUE(process.log->accepts());
  EXPECT_EQ(process.log->durable(), Lsn(lsn));
}

TEST(Log, ARecordLargerThanAnyFileGetsOneOfItsOwn) {
  shard::SimDisk disk(1);
  TestProcess process(disk, Small(SyncPolicy::kEverySecond), 1);
  ASSERT_TRUE(process.Start().ok());
  process.Append(1, "small");
  process.Append(2, std::string(3'000'000, 'L'));
  process.Append(3, "small");
  process.Settle();
  const ReadBack back = *ReadAll(disk, "data", process.directory->manifest(), ShardId(0));
  ASSERT_EQ(back.records.size(), 3u);
  EXPECT_EQ(back.records[1].body, std::string(3'000'000, 'L'));
  EXPECT_GT(back.records[1].begin.sequence, back.records[0].begin.sequence);
}

TEST(Log, AClosedLogIsReadToTheEndThatTheManifestNames) {
  for (const SyncPolicy policy : kPolicies) {
    shard::SimDisk disk(1);
    auto process = std::make_unique<TestProcess>(disk, Small(policy), 1);
    ASSERT_TRUE(process->Start().ok());
    for (uint64_t i = 1; i <= 5; ++i) process->Append(i, "x");
    process->log->Close();
    process->Settle();
    ASSERT_EQ(process->log->state(), Log::State::kClosed);
    EXPECT_TRUE(process->log->idle());
    EXPECT_EQ(process->log->durable(), Lsn(5));
    EXPECT_FALSE(process->log->accepts());
    disk.Crash();
    process.reset();
    disk.PowerOn();
    const std::string file = "data/shard-0000/00000001.log";
    TestProcess next(disk, Small(policy), 2);
    ASSERT_TRUE(next.Start().ok());
    EXPECT_EQ(next.found.records.size(), 5u);
    const LogPlace last = next.found.records[4].begin;
    next.Append(6, "y");
    next.Settle();
    // Damage of the last record, which nothing follows in its file, is no torn tail.
    disk.FlipBit(file, 8 * (last.offset + 20));
    const ReadBack back = *ReadAll(disk, "data", next.directory->manifest(), ShardId(0));
    EXPECT_EQ(back.outcome.kind, ReadOutcome::Kind::kDamage);
    EXPECT_NE(back.outcome.why.find(file + " at " + std::to_string(last.offset)), std::string::npos)
        << back.outcome.why;
  }
}

TEST(Log, ARestingLogIsSealed) {
  for (const SyncPolicy policy : {SyncPolicy::kAlways, SyncPolicy::kEverySecond}) {
    shard::SimDisk disk(1);
    TestProcess process(disk, Small(policy), 1);
    ASSERT_TRUE(process.Start().ok());
    process.Append(1, "first");
    process.Append(2, "last");
    process.Settle();
    const Manifest manifest = process.directory->manifest();
    const LogPlace last = ReadAll(disk, "data", manifest, ShardId(0))->records[1].begin;
    for (int i = 0; i < 3; ++i) {
      process.log->Tick();
      process.Settle();
    }
    const uint64_t writes = process.log->counters().writes;
    EXPECT_EQ(writes, 2u);
    process.log->Tick();
    process.Settle();
    EXPECT_EQ(process.log->counters().writes, writes);  // once
    EXPECT_EQ(ReadAll(disk, "data", manifest, ShardId(0))->outcome.kind, ReadOutcome::Kind::kEnd);
    disk.FlipBit("data/shard-0000/00000001.log", 8 * last.offset + 60);
    EXPECT_EQ(ReadAll(disk, "data", manifest, ShardId(0))->outcome.kind, ReadOutcome::Kind::kDamage);
  }
}

TEST(Log, RetiredFilesAreRecycled) {
  shard::SimDisk disk(1);
  LogOptions options = Small(SyncPolicy::kAlways);
  options.file_bytes_max = options.file_bytes_first;
  TestProcess process(disk, options, 1);
  ASSERT_TRUE(process.Start().ok());
  for (uint64_t i = 1; i <= 300; ++i) {
    process.Append(i, BodyOf(i, 500));
    process.Settle();
    if (i % 10 == 0) process.log->Retire(Lsn(i - 5));
  }
  process.Settle();
  EXPECT_LT(disk.List("data/shard-0000")->size(), 8u);
  const Manifest manifest = process.directory->manifest();
  EXPECT_GT(manifest.shards[0].from, Lsn(250));
  const ReadBack back = *ReadAll(disk, "data", manifest, ShardId(0));
  EXPECT_EQ(back.outcome.kind, ReadOutcome::Kind::kEnd) << back.outcome.why;
  EXPECT_EQ(back.records.front().lsn, Lsn(manifest.shards[0].from.value() + 1));
  EXPECT_EQ(back.records.back().lsn, Lsn(300));
}

}  // namespace
}  // namespace moonshard::wal
