#include "shard/sim_disk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>

#include "base/random.h"

namespace moonshard::shard {
namespace {

OpenOptions ReadWrite() {
  OpenOptions options;
  options.mode = OpenOptions::Mode::kReadWrite;
  options.create = true;
  return options;
}

std::unique_ptr<File> MustOpen(SimDisk& disk, const std::string& path,
                               const OpenOptions& options = ReadWrite()) {
  base::Result<std::unique_ptr<File>> file = disk.Open(path, options);
  EXPECT_TRUE(file.ok()) << file.status().ToString();
  return file.ok() ? std::move(file).value() : nullptr;
}

std::string Content(SimDisk& disk, const std::string& path) {
  std::unique_ptr<File> file = MustOpen(disk, path, OpenOptions());
  std::string bytes(*file->Size(), '\0');
  EXPECT_EQ(*file->Read(0, bytes), bytes.size());
  return bytes;
}

// A file whose name and first content are durable.
std::unique_ptr<File> DurableFile(SimDisk& disk, const std::string& path, std::string_view content) {
  std::unique_ptr<File> file = MustOpen(disk, path);
  EXPECT_TRUE(file->Write(0, content).ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_TRUE(disk.SyncDirectory("d").ok());
  return file;
}

class SimDiskTest : public testing::TestWithParam<uint64_t> {
 protected:
  SimDiskTest() { EXPECT_TRUE(disk_.MakeDirectory("d").ok()); }
  void CrashAndRestart() {
    disk_.Crash();
    disk_.PowerOn();
  }
  SimDisk disk_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Seeds, SimDiskTest, testing::Range<uint64_t>(1, 41));

TEST_P(SimDiskTest, SyncedDataSurvivesUnsyncedIsKeptLostOrTornAtSectors) {
  std::unique_ptr<File> file = DurableFile(disk_, "d/f", std::string(4096, 'a'));
  ASSERT_TRUE(file->Write(512, std::string(2048, 'b')).ok());
  EXPECT_EQ(Content(disk_, "d/f").substr(512, 2048), std::string(2048, 'b'));
  CrashAndRestart();
  const std::string after = Content(disk_, "d/f");
  ASSERT_EQ(after.size(), 4096u);
  for (size_t at = 0; at < after.size(); at += 512) {
    const std::string sector = after.substr(at, 512);
    const bool touched = at >= 512 && at < 2560;
    EXPECT_TRUE(sector == std::string(512, 'a') || (touched && sector == std::string(512, 'b'))) << at;
  }
  EXPECT_FALSE(file->Write(0, std::string("x")).ok());  // opened before the crash
}

TEST_P(SimDiskTest, DsyncWritesSurviveEachOnItsOwn) {
  DurableFile(disk_, "d/f", std::string(1024, 'a'));
  OpenOptions options = ReadWrite();
  options.dsync = true;
  std::unique_ptr<File> durable = MustOpen(disk_, "d/f", options);
  std::unique_ptr<File> lazy = MustOpen(disk_, "d/f");
  ASSERT_TRUE(lazy->Write(512, std::string(512, 'l')).ok());
  ASSERT_TRUE(durable->Write(0, std::string(512, 'd')).ok());
  CrashAndRestart();
  EXPECT_EQ(Content(disk_, "d/f").substr(0, 512), std::string(512, 'd'));
}

TEST_P(SimDiskTest, ARenameIsAtomic) {
  DurableFile(disk_, "d/manifest", "old");
  std::unique_ptr<File> file = MustOpen(disk_, "d/new");
  ASSERT_TRUE(file->Write(0, std::string("new")).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(disk_.Rename("d/new", "d/manifest").ok());
  const bool synced = GetParam() % 2 == 0;
  if (synced) {
    ASSERT_TRUE(disk_.SyncDirectory("d").ok());
  }
  CrashAndRestart();
  const std::string content = Content(disk_, "d/manifest");
  EXPECT_TRUE(content == "new" || (!synced && content == "old")) << content;
  const std::vector<std::string> names = *disk_.List("d");
  if (content == "new") {
    EXPECT_EQ(names, std::vector<std::string>{"manifest"});
  }
}

TEST_P(SimDiskTest, AFailedSyncMayLoseWhatALaterOneDoesNotSave) {
  std::unique_ptr<File> file = DurableFile(disk_, "d/f", std::string(512, 'a'));
  ASSERT_TRUE(file->Write(0, std::string(512, 'b')).ok());
  disk_.FailNext(SimDisk::Operation::kSync, "d/f", EIO);
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_TRUE(file->Sync().ok());
  EXPECT_EQ(Content(disk_, "d/f"), std::string(512, 'b'));  // still to be seen
  CrashAndRestart();
  const std::string after = Content(disk_, "d/f");
  EXPECT_TRUE(after == std::string(512, 'a') || after == std::string(512, 'b'));
}

// A log of numbered sectors, synced now and then, crashed at each operation in turn: what was synced is all
// there.
TEST_P(SimDiskTest, CrashAtEveryOperationKeepsWhatWasSynced) {
  for (uint64_t crash_at = 0; crash_at < 60; ++crash_at) {
    SimDisk disk(GetParam() * 1000 + crash_at);
    ASSERT_TRUE(disk.MakeDirectory("d").ok());
    disk.CrashAt(crash_at);
    uint64_t written = 0, synced = 0;
    bool named = false;
    base::Result<std::unique_ptr<File>> file = disk.Open("d/log", ReadWrite());
    if (file.ok()) named = disk.SyncDirectory("d").ok();
    while (file.ok() && named && disk.powered()) {
      if (!(*file)->Write(written * 512, std::string(512, static_cast<char>('A' + written % 26))).ok()) break;
      ++written;
      if (written % 3 == 0 && (*file)->Sync().ok()) synced = written;
    }
    ASSERT_FALSE(disk.powered());
    EXPECT_FALSE(disk.Open("d/other", ReadWrite()).ok());
    disk.PowerOn();
    if (!named) continue;
    const std::string log = Content(disk, "d/log");
    ASSERT_GE(log.size(), synced * 512);
    for (uint64_t i = 0; i < synced; ++i) {
      ASSERT_EQ(log.substr(i * 512, 512), std::string(512, static_cast<char>('A' + i % 26)));
    }
  }
}

TEST(SimDisk, CrashesReallyLose) {
  // Over many seeds each outcome of an unsynced write must appear, or the tests above prove nothing.
  std::set<std::string> outcomes;
  std::set<std::string> sync_outcomes;
  std::set<bool> name_kept;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(disk.MakeDirectory("d").ok());
    std::unique_ptr<File> file = DurableFile(disk, "d/f", std::string(1024, 'a'));
    std::unique_ptr<File> failed = DurableFile(disk, "d/g", "a");
    ASSERT_TRUE(failed->Write(0, std::string("b")).ok());
    disk.FailNext(SimDisk::Operation::kSync, "d/g", EIO);
    EXPECT_FALSE(failed->Sync().ok());
    EXPECT_TRUE(failed->Sync().ok());
    ASSERT_TRUE(file->Write(0, std::string(1024, 'b')).ok());
    MustOpen(disk, "d/unnamed");
    disk.Crash();
    disk.PowerOn();
    const std::string content = Content(disk, "d/f");
    outcomes.insert({content[0], content[1023]});
    sync_outcomes.insert(Content(disk, "d/g"));
    name_kept.insert(disk.Size("d/unnamed").ok());
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"aa", "ab", "ba", "bb"}));
  EXPECT_EQ(sync_outcomes, (std::set<std::string>{"a", "b"}));
  EXPECT_EQ(name_kept, (std::set<bool>{false, true}));
}

TEST(SimDisk, NoSpaceAndOtherErrorsHaveTheirNames) {
  SimDisk disk(1);
  disk.SetCapacity(1024);
  std::unique_ptr<File> file = MustOpen(disk, "f");
  EXPECT_TRUE(file->Write(0, std::string(1024, 'x')).ok());
  EXPECT_TRUE(IsNoSpace(file->Write(1024, std::string(1, 'x'))));
  EXPECT_TRUE(file->Write(0, std::string(1024, 'y')).ok());  // no growth
  EXPECT_TRUE(IsNoSpace(file->Truncate(2048)));
  disk.SetCapacity(4096);
  EXPECT_TRUE(file->Write(1024, std::string(1, 'x')).ok());

  EXPECT_TRUE(IsNotFound(disk.Open("absent", OpenOptions()).status()));
  EXPECT_TRUE(IsNotFound(disk.Remove("absent")));
  EXPECT_TRUE(IsNotFound(disk.Open("nodir/f", ReadWrite()).status()));
  OpenOptions exclusive = ReadWrite();
  exclusive.exclusive = true;
  EXPECT_FALSE(disk.Open("f", exclusive).ok());

  disk.FailNext(SimDisk::Operation::kWrite, "f", EIO, 1);
  EXPECT_TRUE(file->Write(0, std::string("ok")).ok());
  const base::Status failed = file->Write(0, std::string("no"));
  EXPECT_FALSE(failed.ok() || IsNoSpace(failed) || IsNotFound(failed));
  EXPECT_TRUE(file->Write(0, std::string("ok")).ok());
}

TEST(SimDisk, AWriteDuringWhichThePowerFailsIsTorn) {
  std::set<std::string> outcomes;
  bool garbled = false;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(disk.MakeDirectory("d").ok());
    if (seed >= 50) disk.SetGarbling();
    std::unique_ptr<File> file = DurableFile(disk, "d/f", std::string(1024, 'a'));
    OpenOptions options = ReadWrite();
    options.dsync = true;
    std::unique_ptr<File> durable = MustOpen(disk, "d/f", options);
    disk.CrashAt(0);
    EXPECT_FALSE(durable->Write(0, std::string(1024, 'b')).ok());
    disk.PowerOn();
    const std::string content = Content(disk, "d/f");
    ASSERT_EQ(content.size(), 1024u);
    if (content.find_first_not_of("ab") != std::string::npos) {
      garbled = true;
      EXPECT_GE(seed, 50u);
    } else {
      outcomes.insert({content[0], content[1023]});
    }
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"aa", "ab", "ba", "bb"}));
  EXPECT_TRUE(garbled);
}

TEST(SimDisk, ADirectReadShowsTheMediumAfterAFailedSync) {
  std::set<char> seen;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SimDisk disk(seed);
    ASSERT_TRUE(disk.MakeDirectory("d").ok());
    std::unique_ptr<File> file = DurableFile(disk, "d/f", std::string(4096, 'a'));
    OpenOptions options = ReadWrite();
    options.direct = true;
    std::unique_ptr<File> direct = MustOpen(disk, "d/f", options);
    alignas(kDirectAlignment) static char block[kDirectAlignment];
    ASSERT_TRUE(file->Write(0, std::string(512, 'b')).ok());
    EXPECT_EQ(*direct->Read(0, block), sizeof block);
    EXPECT_EQ(block[0], 'b');
    disk.FailNext(SimDisk::Operation::kSync, "d/f", EIO);
    EXPECT_FALSE(file->Sync().ok());
    EXPECT_EQ(Content(disk, "d/f")[0], 'b');
    EXPECT_EQ(*direct->Read(0, block), sizeof block);
    seen.insert(block[0]);
    const char medium = block[0];
    disk.Crash();
    disk.PowerOn();
    EXPECT_EQ(Content(disk, "d/f")[0], medium);
  }
  EXPECT_EQ(seen, (std::set<char>{'a', 'b'}));
}

TEST(SimDisk, ALockHasOneHolderAndGoesWithTheProcess) {
  SimDisk disk(1);
  base::Result<std::unique_ptr<FileLock>> first = disk.Lock("lock");
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(IsLocked(disk.Lock("lock").status()));
  std::move(first).value().reset();
  base::Result<std::unique_ptr<FileLock>> second = disk.Lock("lock");
  ASSERT_TRUE(second.ok());
  disk.Crash();
  disk.PowerOn();
  base::Result<std::unique_ptr<FileLock>> third = disk.Lock("lock");
  ASSERT_TRUE(third.ok());
  std::move(second).value().reset();  // of before the crash: holds nothing any more
  EXPECT_TRUE(IsLocked(disk.Lock("lock").status()));
}

TEST(SimDisk, DirectFilesWantAlignment) {
  SimDisk disk(1);
  OpenOptions options = ReadWrite();
  options.direct = true;
  std::unique_ptr<File> file = MustOpen(disk, "f", options);
  alignas(kDirectAlignment) static char block[kDirectAlignment] = {};
  EXPECT_TRUE(file->Write(0, block).ok());
  EXPECT_FALSE(file->Write(512, block).ok());
  EXPECT_FALSE(file->Write(0, std::span<const char>(block, 512)).ok());
}

TEST(SimDisk, FlipBitDamagesTheMedium) {
  SimDisk disk(1);
  std::unique_ptr<File> file = MustOpen(disk, "f");
  ASSERT_TRUE(file->Write(0, std::string("abc")).ok());
  ASSERT_TRUE(file->Sync().ok());
  ASSERT_TRUE(disk.SyncDirectory(".").ok());
  disk.FlipBit("f", 8);
  EXPECT_EQ(Content(disk, "f"), "acc");
  disk.Crash();
  disk.PowerOn();
  EXPECT_EQ(Content(disk, "f"), "acc");
}

}  // namespace
}  // namespace moonshard::shard
