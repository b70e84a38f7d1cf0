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

}  // namespace
}  // namespace moonshard::wal
