// Damage at every byte of small logs: whatever is flipped, zeroed or cut off, reading never crashes, never
// gives a record that was not written, and never leaves out what an intact block, or the manifest, says was
// durable without calling it damage.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "base/bytes.h"
#include "wal/testing.h"

namespace moonshard::wal {
namespace {

// A log of one file, and where its parts lie, found by a walk that trusts the file.
struct SmallLog {
  Manifest manifest;
  std::string content;
  struct Part {
    uint64_t offset, bytes;
    bool block;
    Lsn lsn, durable;
  };
  std::vector<Part> parts;
  uint64_t end = 0;
  Lsn last;
};

std::string ContentOf(shard::SimDisk& disk, const std::string& path) {
  std::unique_ptr<shard::File> file = std::move(disk.Open(path, {})).value();
  std::string content(*file->Size(), '\0');
  EXPECT_EQ(*file->Read(0, content), content.size());
  return content;
}

void Walk(SmallLog& log) {
  uint64_t at = kFirstRecord;
  while (at + kRecordHeaderBytes <= log.content.size()) {
    const char* record = log.content.data() + at;
    const auto bytes = base::LoadLe<uint32_t>(record);
    if (bytes == 0) {
      if (IsAligned(at)) return;
      at = AlignUp(at);
      continue;
    }
    SmallLog::Part part{at, bytes, record[24] == 1, Lsn(base::LoadLe<uint64_t>(record + 8)), Lsn()};
    if (part.block) part.durable = Lsn(base::LoadLe<uint64_t>(record + kRecordHeaderBytes + 24));
    log.parts.push_back(part);
    at += bytes;
    log.end = at;
    log.last = part.lsn;
  }
}

// Some 8 KiB of records.
SmallLog MakeLog(SyncPolicy policy, bool close) {
  shard::SimDisk disk(1);
  LogOptions options;
  options.policy = policy;
  options.file_bytes_first = 36 << 10;
  TestProcess process(disk, options, 0xfeedface12345678);
  EXPECT_TRUE(process.Start().ok());
  const size_t bodies[] = {100, 700, 30, 1500, 4014, 60, 1, 0, 900};
  uint64_t lsn = 0;
  for (size_t bytes : bodies) {
    lsn += 1 + lsn % 3;
    process.Append(lsn, std::string(bytes, static_cast<char>('A' + lsn)));
    if (bytes != 30 && bytes != 1) process.Settle();
    if (bytes == 1500 || bytes == 0) {
      process.log->Tick();
      process.Settle();
    }
  }
  if (close) {
    process.log->Close();
    process.Settle();
    EXPECT_EQ(process.log->state(), Log::State::kClosed);
  }
  SmallLog log;
  log.manifest = process.directory->manifest();
  log.manifest.shards[0].files.resize(1);  // without those made ahead
  log.content = ContentOf(disk, "data/shard-0000/00000001.log");
  Walk(log);
  return log;
}

class Sweep {
 public:
  explicit Sweep(SmallLog log) : log_(std::move(log)), disk_(1) {
    EXPECT_TRUE(disk_.MakeDirectory("data").ok());
    EXPECT_TRUE(disk_.MakeDirectory("data/shard-0000").ok());
    whole_ = Read(log_.content);
    EXPECT_EQ(whole_.outcome.kind, ReadOutcome::Kind::kEnd);
    EXPECT_EQ(whole_.outcome.last, log_.last);
  }
  const SmallLog& log() const { return log_; }

  ReadBack Read(const std::string& content) {
    shard::OpenOptions options;
    options.mode = shard::OpenOptions::Mode::kReadWrite;
    options.create = options.truncate = true;
    std::unique_ptr<shard::File> file =
        std::move(disk_.Open("data/shard-0000/00000001.log", options)).value();
    EXPECT_TRUE(file->Write(0, content).ok());
    EXPECT_TRUE(file->Sync().ok());
    return *ReadAll(disk_, "data", log_.manifest, ShardId(0), planted);
  }

  // Damages a copy, reads it, and judges the reading. False with a message if it is wrong.
  testing::AssertionResult Judge(const std::function<void(std::string&)>& damage) {
    std::string content = log_.content;
    damage(content);
    const ReadBack back = Read(content);
    for (size_t i = 0; i < back.records.size(); ++i) {
      if (i >= whole_.records.size() || back.records[i].lsn != whole_.records[i].lsn ||
          back.records[i].body != whole_.records[i].body || back.records[i].type != whole_.records[i].type) {
        return testing::AssertionFailure() << "a record that was never written, number " << i;
      }
    }
    if (back.outcome.kind == ReadOutcome::Kind::kDamage) {
      ++damages;
      return content == log_.content ? testing::AssertionFailure() << "damage where there is none"
                                     : testing::AssertionSuccess();
    }
    ++forgiven;
    const Lsn last = back.records.empty() ? Lsn() : back.records.back().lsn;
    const Lsn proven = Proven(content);
    if (last < proven) {
      return testing::AssertionFailure()
             << "ends at " << last.value() << " and " << proven.value() << " is proven durable";
    }
    return testing::AssertionSuccess();
  }

  Mistake planted = Mistake::kNone;
  uint64_t damages = 0, forgiven = 0;

 private:
  // What the intact parts of the damaged log prove to have been durable.
  Lsn Proven(const std::string& content) const {
    if (const auto& end = log_.manifest.shards[0].files[0].end) return end->last;
    Lsn proven;
    for (const SmallLog::Part& part : log_.parts) {
      if (!part.block || content.size() < part.offset + part.bytes) continue;
      if (content.compare(part.offset, part.bytes, log_.content, part.offset, part.bytes) == 0)
        proven = std::max(proven, part.durable);
    }
    return proven;
  }

  SmallLog log_;
  shard::SimDisk disk_;
  ReadBack whole_;
};

class Damage : public testing::TestWithParam<std::tuple<SyncPolicy, bool>> {
 protected:
  Sweep sweep_{MakeLog(std::get<0>(GetParam()), std::get<1>(GetParam()))};
};
INSTANTIATE_TEST_SUITE_P(All, Damage,
                         testing::Combine(testing::Values(SyncPolicy::kAlways, SyncPolicy::kEverySecond),
                                          testing::Bool()));

TEST_P(Damage, FlippedBits) {
  // Also in the page behind the end, where nothing should be.
  for (size_t at = 0; at < AlignUp(sweep_.log().end) + kBlockBytes; ++at) {
    for (const int mask : {1 << at % 8, 0xff}) {
      ASSERT_TRUE(sweep_.Judge([&](std::string& content) { content[at] ^= static_cast<char>(mask); })) << at;
    }
  }
  EXPECT_GT(sweep_.damages, 0u);
  EXPECT_GT(sweep_.forgiven, 0u);
}

TEST_P(Damage, ZeroedFromAByteOn) {
  for (size_t at = 0; at < sweep_.log().end; ++at) {
    for (const size_t bytes : {size_t{1}, AlignUp(at + 1) - at, size_t{100'000}}) {
      ASSERT_TRUE(sweep_.Judge([&](std::string& content) {
        const size_t count = std::min(bytes, content.size() - at);
        content.replace(at, count, count, '\0');
      })) << at
          << ' ' << bytes;
    }
  }
}

TEST_P(Damage, WholeRecordsZeroed) {
  const std::vector<SmallLog::Part> parts = sweep_.log().parts;
  for (size_t first = 0; first < parts.size(); ++first) {
    for (size_t last = first; last < parts.size(); ++last) {
      ASSERT_TRUE(sweep_.Judge([&](std::string& content) {
        const size_t count = parts[last].offset + parts[last].bytes - parts[first].offset;
        content.replace(parts[first].offset, count, count, '\0');
      })) << first
          << ' ' << last;
    }
  }
}

// A write that went to another place, or not at all.
TEST_P(Damage, PagesExchangedAndRepeated) {
  const size_t pages = AlignUp(sweep_.log().end) / kBlockBytes;
  for (size_t from = 1; from < pages; ++from) {
    for (size_t to = 1; to <= pages; ++to) {
      ASSERT_TRUE(sweep_.Judge([&](std::string& content) {
        content.replace(to * kBlockBytes, kBlockBytes, std::string(content, from * kBlockBytes, kBlockBytes));
      })) << from
          << ' ' << to;
    }
  }
}

TEST_P(Damage, CutOff) {
  for (size_t size = 0; size < sweep_.log().content.size(); size += size < sweep_.log().end ? 1 : 997) {
    ASSERT_TRUE(sweep_.Judge([&](std::string& content) { content.resize(size); })) << size;
  }
  EXPECT_EQ(sweep_.forgiven, 0u);  // the manifest knows the size
}

// The sweep would notice a reader that forgives.
TEST_P(Damage, TheSweepFindsAForgivingReader) {
  sweep_.planted = Mistake::kForgiveDamage;
  bool found = false;
  for (size_t at = kFirstRecord; at < sweep_.log().end && !found; ++at) {
    found = !sweep_.Judge([&](std::string& content) { content[at] ^= 1; });
  }
  EXPECT_TRUE(found);
}

TEST_P(Damage, TheSweepFindsAReaderThatTakesAnyBlock) {
  sweep_.planted = Mistake::kTakeAnyBlock;
  bool found = false;
  for (size_t at = kFirstRecord; at < sweep_.log().end && !found; ++at) {
    found = !sweep_.Judge([&](std::string& content) { content[at] ^= 1; });
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace moonshard::wal
