#include "wal/directory.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "shard/sim_disk.h"
#include "shard/testing.h"
#include "wal/testing.h"

namespace moonshard::wal {
namespace {

using base::Result;
using base::Status;
using Operation = shard::SimDisk::Operation;

constexpr uint64_t kBytes = 16 << 10;

class DirectoryTest : public testing::Test {
 protected:
  DirectoryTest() { EXPECT_TRUE(disk_.MakeDirectory("data").ok()); }

  Result<std::unique_ptr<Directory>> Open() { return Directory::Open(disk_, "data", {}); }
  std::unique_ptr<Directory> MustOpen() {
    Result<std::unique_ptr<Directory>> directory = Open();
    EXPECT_TRUE(directory.ok()) << directory.status().text();
    return directory.ok() ? std::move(directory).value() : nullptr;
  }
  std::unique_ptr<Directory> Begun(uint16_t shard_count = 1) {
    std::unique_ptr<Directory> directory = MustOpen();
    Directory::Start start;
    start.incarnation = 77;
    start.hash_seed = 88;
    start.clock_floor = 99;
    start.cuts.resize(shard_count);
    EXPECT_TRUE(directory->Begin(start).ok());
    return directory;
  }
  static Status Make(Directory& directory, uint64_t sequence, uint64_t bytes = kBytes,
                     ShardId shard = ShardId(0)) {
    const auto preparation = directory.Prepare(shard, sequence, bytes);
    while (!preparation->done()) MS_RETURN_IF_ERROR(preparation->Step());
    return {};
  }
  std::string OpenError() {
    Result<std::unique_ptr<Directory>> directory = Open();
    return directory.ok() ? "opened" : std::string(directory.status().text());
  }
  std::vector<std::string> Names() { return *disk_.List("data/shard-0000"); }
  void Put(const std::string& path, std::string_view content) {
    shard::OpenOptions options;
    options.mode = shard::OpenOptions::Mode::kReadWrite;
    options.create = options.truncate = true;
    EXPECT_TRUE((*disk_.Open(path, options))->Write(0, content).ok());
  }

  shard::SimDisk disk_{5};
};

TEST_F(DirectoryTest, OneServerAtATime) {
  std::unique_ptr<Directory> first = MustOpen();
  EXPECT_EQ(OpenError(), "the data directory data is in use by another server");
  first.reset();
  EXPECT_EQ(OpenError(), "opened");
}

TEST_F(DirectoryTest, StartsFreshOnlyWhereNothingIs) {
  EXPECT_TRUE(MustOpen()->fresh());
  for (const char* name : {"data/dump.rdb", "data/appendonly.aof"}) {
    Put(name, "x");
    EXPECT_NE(OpenError().find("not started beside data"), std::string::npos) << name;
    ASSERT_TRUE(disk_.Remove(name).ok());
  }
  ASSERT_TRUE(disk_.MakeDirectory("data/shard-0000").ok());
  EXPECT_NE(OpenError().find("shard-0000"), std::string::npos);
}

TEST_F(DirectoryTest, KeepsWhatItWasToldAndRefusesADamagedManifest) {
  Begun(3).reset();
  std::unique_ptr<Directory> again = MustOpen();
  EXPECT_FALSE(again->fresh());
  const Manifest manifest = again->manifest();
  EXPECT_EQ(manifest.incarnation, 77u);
  EXPECT_EQ(manifest.hash_seed, 88u);
  EXPECT_EQ(manifest.clock_floor, 99);
  EXPECT_EQ(manifest.shards.size(), 3u);
  again.reset();
  disk_.FlipBit("data/moonshard.manifest", 100);
  EXPECT_NE(OpenError().find("data/moonshard.manifest: the manifest is damaged"), std::string::npos);
  Put("data/moonshard.manifest", "moonshard-log 9\n");
  EXPECT_NE(OpenError().find("is of version 9"), std::string::npos);
}

TEST_F(DirectoryTest, FilesAreMadeWholeAndListed) {
  std::unique_ptr<Directory> directory = Begun();
  EXPECT_EQ(directory->NextSequence(ShardId(0)), 1u);
  ASSERT_TRUE(Make(*directory, 1).ok());
  EXPECT_EQ(directory->NextSequence(ShardId(0)), 2u);
  EXPECT_EQ(Names(), std::vector<std::string>{"00000001.log"});
  EXPECT_EQ(*disk_.Size("data/shard-0000/00000001.log"), kBytes);
  const Manifest manifest = directory->manifest();
  ASSERT_EQ(manifest.shards[0].files.size(), 1u);
  EXPECT_EQ(manifest.shards[0].files[0], (ManifestFile{{77, 1}, kBytes, std::nullopt}));
  const ReadBack back = *ReadAll(disk_, "data", manifest, ShardId(0));
  EXPECT_EQ(back.outcome.kind, ReadOutcome::Kind::kEnd);
  EXPECT_EQ(back.outcome.end, (LogPlace{1, kFirstRecord}));
}

TEST_F(DirectoryTest, RetiredFilesAreUsedAgain) {
  std::unique_ptr<Directory> directory = Begun();
  for (uint64_t sequence = 1; sequence <= 3; ++sequence) ASSERT_TRUE(Make(*directory, sequence).ok());
  ASSERT_TRUE(directory->Close(ShardId(0), 1, {5000, Lsn(10)}).ok());
  ASSERT_TRUE(directory->Close(ShardId(0), 2, {5000, Lsn(20)}).ok());
  ASSERT_TRUE(directory->Retire(ShardId(0), Lsn(9)).ok());
  EXPECT_EQ(directory->manifest().shards[0].files.size(), 3u);
  ASSERT_TRUE(directory->Retire(ShardId(0), Lsn(19)).ok());
  EXPECT_EQ(directory->manifest().shards[0].files.size(), 2u);
  EXPECT_EQ(directory->manifest().shards[0].from, Lsn(10));
  EXPECT_EQ(directory->SpareCount(ShardId(0)), 1u);
  // Too small for this one, so a new file; the next takes the spare.
  ASSERT_TRUE(Make(*directory, 4, 2 * kBytes).ok());
  EXPECT_EQ(directory->SpareCount(ShardId(0)), 1u);
  ASSERT_TRUE(Make(*directory, 5, kBytes / 2).ok());
  EXPECT_EQ(directory->SpareCount(ShardId(0)), 0u);
  EXPECT_EQ(directory->manifest().shards[0].files.back().bytes, kBytes);
  EXPECT_EQ(Names(),
            (std::vector<std::string>{"00000002.log", "00000003.log", "00000004.log", "00000005.log"}));
}

TEST_F(DirectoryTest, OnlyAFewSparesAreKept) {
  std::unique_ptr<Directory> directory = Begun();
  for (uint64_t sequence = 1; sequence <= 8; ++sequence) {
    ASSERT_TRUE(Make(*directory, sequence).ok());
    ASSERT_TRUE(directory->Close(ShardId(0), sequence, {5000, Lsn(sequence)}).ok());
  }
  ASSERT_TRUE(directory->Retire(ShardId(0), Lsn(8)).ok());
  EXPECT_EQ(directory->SpareCount(ShardId(0)), 4u);
  EXPECT_EQ(Names().size(), 4u);
}

TEST_F(DirectoryTest, LeftOversOfACrashAreRemovedOrUsed) {
  {
    std::unique_ptr<Directory> directory = Begun();
    ASSERT_TRUE(Make(*directory, 1).ok());
    ASSERT_TRUE(directory->Close(ShardId(0), 1, {4096, Lsn()}).ok());
  }
  Put("data/shard-0000/00000002.tmp", "half");
  Put("data/shard-0000/00000005.log", std::string(kBytes, 'x'));
  Put("data/shard-0000/00000006.log", "no file of ours");
  Put("data/shard-0000/notes", "not ours");
  std::unique_ptr<Directory> directory = MustOpen();
  EXPECT_EQ(directory->SpareCount(ShardId(0)), 1u);
  EXPECT_EQ(directory->NextSequence(ShardId(0)), 7u);
  EXPECT_EQ(Names(), (std::vector<std::string>{"00000001.log", "00000005.log", "00000006.log", "notes"}));
}

TEST_F(DirectoryTest, NoRoomLeavesNothingBehindAndMayBeTriedAgain) {
  std::unique_ptr<Directory> directory = Begun();
  disk_.SetCapacity(kBytes);  // the file itself would fit, but there is a manifest
  EXPECT_TRUE(shard::IsNoSpace(Make(*directory, 1)));
  EXPECT_EQ(Names(), std::vector<std::string>());
  disk_.SetCapacity(UINT64_MAX);
  EXPECT_TRUE(Make(*directory, 1).ok());
}

// Whatever fails, and wherever: the manifest on the disk lists what is there, and no more.
TEST_F(DirectoryTest, EveryOperationMayFail) {
  for (const Operation operation : {Operation::kWrite, Operation::kSync, Operation::kOpen, Operation::kRename,
                                    Operation::kSyncDirectory}) {
    for (const int error : {EIO, ENOSPC}) {
      for (uint64_t skip = 0; skip < 12; ++skip) {
        shard::SimDisk disk(skip);
        ASSERT_TRUE(disk.MakeDirectory("data").ok());
        {
          std::unique_ptr<Directory> directory = std::move(Directory::Open(disk, "data", {})).value();
          Directory::Start start;
          start.incarnation = 1;
          start.cuts.resize(1);
          ASSERT_TRUE(directory->Begin(start).ok());
          disk.FailNext(operation, "", error, skip);
          for (uint64_t sequence = 1; sequence <= 4; ++sequence) {
            if (!Make(*directory, sequence).ok() && !Make(*directory, sequence).ok()) break;
            if (!directory->Close(ShardId(0), sequence, {4096, Lsn()}).ok()) break;
            if (sequence == 2 && !directory->Retire(ShardId(0), Lsn(1)).ok()) break;
          }
        }
        disk.ForgetFailures();
        disk.Crash();
        disk.PowerOn();
        Result<std::unique_ptr<Directory>> again = Directory::Open(disk, "data", {});
        ASSERT_TRUE(again.ok()) << again.status().text();
        const ReadBack back = *ReadAll(disk, "data", (*again)->manifest(), ShardId(0));
        EXPECT_NE(back.outcome.kind, ReadOutcome::Kind::kDamage) << back.outcome.why;
      }
    }
  }
}

TEST_F(DirectoryTest, ABrokenOneChangesNothingMore) {
  std::unique_ptr<Directory> directory = Begun();
  ASSERT_TRUE(Make(*directory, 1).ok());
  disk_.FailNext(Operation::kSyncDirectory, "data", EIO);
  EXPECT_FALSE(directory->Close(ShardId(0), 1, {4096, Lsn()}).ok());
  EXPECT_FALSE(directory->Close(ShardId(0), 1, {4096, Lsn()}).ok());
  EXPECT_FALSE(Make(*directory, 2).ok());
}

TEST_F(DirectoryTest, AStartMustFitToWhatIsThere) {
  {
    std::unique_ptr<Directory> directory = Begun();
    ASSERT_TRUE(Make(*directory, 1).ok());
  }
  std::unique_ptr<Directory> directory = MustOpen();
  Directory::Start start;
  start.cuts.resize(1);
  start.cuts[0] = {{1, kBytes + 1}, Lsn(), {}};
  EXPECT_FALSE(directory->Begin(start).ok());
  start.cuts[0] = {{2, 4096}, Lsn(), {}};
  EXPECT_FALSE(directory->Begin(start).ok());
  start.cuts[0] = {{}, Lsn(3), {}};  // nothing is kept, so the position is that of the start
  EXPECT_FALSE(directory->Begin(start).ok());
  start.cuts[0] = {{1, 4096}, Lsn(), {}};
  EXPECT_TRUE(directory->Begin(start).ok());
}

TEST(RealDirectory, MakesFilesOnTheRealFileSystem) {
  shard::TemporaryDirectory temporary;
  shard::RealEnv env;
  std::unique_ptr<Directory> directory =
      std::move(Directory::Open(env.files(), temporary.path(), {})).value();
  EXPECT_FALSE(Directory::Open(env.files(), temporary.path(), {}).ok());
  Directory::Start start;
  start.cuts.resize(2);
  ASSERT_TRUE(directory->Begin(start).ok());
  const auto preparation = directory->Prepare(ShardId(1), 1, 3 << 20);
  while (!preparation->done()) ASSERT_TRUE(preparation->Step().ok());
  std::unique_ptr<LogFile> file = preparation->Take();
  EXPECT_EQ(file->bytes, 3u << 20);
  EXPECT_EQ(*file->lazy->Size(), 3u << 20);
}

}  // namespace
}  // namespace moonshard::wal
