#include "wal/reader.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "wal/testing.h"

namespace moonshard::wal {
namespace {

constexpr uint64_t kBytes = 32 << 10;
constexpr FileId kFile{42, 1};
constexpr const char* kPath = "data/shard-0000/00000001.log";

// One open file of one shard, written byte by byte as a test wants it.
class ReaderTest : public testing::Test {
 protected:
  ReaderTest() {
    EXPECT_TRUE(disk_.MakeDirectory("data").ok());
    EXPECT_TRUE(disk_.MakeDirectory("data/shard-0000").ok());
    manifest_.incarnation = kFile.incarnation;
    manifest_.shards.resize(1);
    manifest_.shards[0].files.push_back({kFile, kBytes, std::nullopt});
    EncodeFileHeader({kFile, ShardId(0), 1}, content_.data());
  }

  void Block(uint64_t offset, uint64_t lsn, uint64_t durable, const FileId& file = kFile) {
    EncodeBlock(content_.data() + offset, RecordSeed(kFile), {file, offset, Lsn(durable)}, Lsn(lsn),
                Stamp(9));
    at_ = offset + kBlockRecordBytes;
  }
  void Add(uint64_t lsn, std::string_view body, RecordType type = RecordType::kEffects) {
    at_ += EncodeRecord(content_.data() + at_, RecordSeed(kFile), type, Lsn(lsn), Stamp(lsn), {}, body);
  }
  ReadBack Read() {
    shard::OpenOptions options;
    options.mode = shard::OpenOptions::Mode::kReadWrite;
    options.create = options.truncate = true;
    EXPECT_TRUE((*disk_.Open(kPath, options))->Write(0, content_).ok());
    base::Result<ReadBack> back = ReadAll(disk_, "data", manifest_, ShardId(0));
    EXPECT_TRUE(back.ok()) << back.status().text();
    return back.ok() ? std::move(back).value() : ReadBack();
  }

  shard::SimDisk disk_{1};
  Manifest manifest_;
  std::string content_ = std::string(kBytes, '\0');
  uint64_t at_ = 0;
};

using Kind = ReadOutcome::Kind;

TEST_F(ReaderTest, AnEmptyFileIsTheEnd) {
  const ReadBack back = Read();
  EXPECT_EQ(back.outcome.kind, Kind::kEnd);
  EXPECT_EQ(back.outcome.end, (LogPlace{1, kFirstRecord}));
  EXPECT_EQ(back.outcome.record_count, 0u);
}

TEST_F(ReaderTest, RecordsHavePlaces) {
  Block(4096, 0, 0);
  Add(1, "one");
  Add(5, "five");
  const ReadBack back = Read();
  ASSERT_EQ(back.records.size(), 2u);
  EXPECT_EQ(back.records[0].begin, (LogPlace{1, 4096 + 57}));
  EXPECT_EQ(back.records[0].end, (LogPlace{1, 4096 + 57 + 28}));
  EXPECT_EQ(back.records[1].end, back.outcome.end);
  EXPECT_EQ(back.outcome.last, Lsn(5));
  EXPECT_EQ(back.outcome.stamp_max, Stamp(9));
}

TEST_F(ReaderTest, ATornRecordIsTheTornTail) {
  Block(4096, 0, 0);
  Add(1, "one");
  const uint64_t torn = at_;
  Add(2, "two, of which the end is missing");
  content_[at_ - 1] = 0;
  const ReadBack back = Read();
  EXPECT_EQ(back.outcome.kind, Kind::kTorn);
  EXPECT_EQ(back.outcome.place, (LogPlace{1, torn}));
  EXPECT_EQ(back.outcome.lost_bytes, at_ - torn);
  EXPECT_EQ(back.records.size(), 1u);
}

// Of two unacknowledged writes the second may survive the first.
TEST_F(ReaderTest, ALaterBlockWithoutAPromiseIsTornToo) {
  Block(4096, 0, 0);
  Add(1, "one");
  Block(8192, 2, 1);
  Add(3, "three");
  const ReadBack back = Read();
  EXPECT_EQ(back.outcome.kind, Kind::kTorn);
  EXPECT_EQ(back.records.size(), 1u);
}

TEST_F(ReaderTest, ALaterBlockWithAPromiseIsDamage) {
  Block(4096, 0, 0);
  Add(1, "one");
  const uint64_t stopped = at_;
  Block(8192, 2, 1);
  Block(12288, 2, 2);
  const ReadBack back = Read();
  EXPECT_EQ(back.outcome.kind, Kind::kDamage);
  EXPECT_EQ(back.outcome.place, (LogPlace{1, stopped}));
  EXPECT_NE(back.outcome.why.find("position 2 was durable"), std::string::npos) << back.outcome.why;
}

TEST_F(ReaderTest, ABlockThatFollowsGoesOnWhateverLiesBetween) {
  Block(4096, 0, 0);
  Add(1, "one");
  Block(8192, 1, 1);  // a seal that got lost
  content_.replace(8192, 100, std::string(100, 'j'));
  Block(12288, 1, 1);
  Add(2, "two");
  const ReadBack back = Read();
  EXPECT_EQ(back.outcome.kind, Kind::kEnd);
  EXPECT_EQ(back.records.size(), 2u);
}

TEST_F(ReaderTest, ABlockThatFallsBackIsDamage) {
  Block(4096, 0, 0);
  Add(3, "three");
  Block(8192, 2, 2);
  EXPECT_EQ(Read().outcome.kind, Kind::kDamage);
}

TEST_F(ReaderTest, ABlockOfAnotherPlaceIsNone) {
  Block(4096, 0, 0);
  Add(1, "one");
  Block(8192, 1, 1, FileId{42, 2});
  Add(2, "not ours");
  EXPECT_EQ(Read().records.size(), 1u);
  Block(8192, 1, 1);
  content_.replace(12288, 4096, std::string(content_, 8192, 4096));
  content_.replace(8192, 4096, std::string(4096, '\0'));
  EXPECT_EQ(Read().records.size(), 1u);
}

TEST_F(ReaderTest, PositionsMustRise) {
  Block(4096, 0, 0);
  Add(1, "one");
  Add(1, "one again");
  const ReadBack back = Read();
  EXPECT_EQ(back.records.size(), 1u);
  EXPECT_EQ(back.outcome.kind, Kind::kTorn);
}

TEST_F(ReaderTest, AnUnknownTypeIsRefusedAndNotSkipped) {
  Block(4096, 0, 0);
  Add(1, "one", static_cast<RecordType>(9));
  const ReadBack back = Read();
  EXPECT_EQ(back.outcome.kind, Kind::kDamage);
  EXPECT_NE(back.outcome.why.find("unknown type 9"), std::string::npos);
}

TEST_F(ReaderTest, LengthsThatLeaveTheFileAreNoRecords) {
  for (const uint32_t length : {1u, 24u, 30'000u, 0x7fffffffu, 0xffffffffu}) {
    Block(4096, 0, 0);
    Add(1, "one");
    base::StoreLe<uint32_t>(content_.data() + at_, length);
    EXPECT_EQ(Read().records.size(), 1u) << length;
  }
}

TEST_F(ReaderTest, ARecordMayFillTheFileToItsLastByte) {
  Block(4096, 0, 0);
  Add(1, std::string(kBytes - at_ - kRecordHeaderBytes, 'x'));
  EXPECT_EQ(at_, kBytes);
  const ReadBack back = Read();
  EXPECT_EQ(back.outcome.kind, Kind::kEnd);
  EXPECT_EQ(back.records.size(), 1u);
}

TEST_F(ReaderTest, ListedFilesMustBeWhatTheManifestSays) {
  Block(4096, 0, 0);
  Add(1, "one");
  content_.resize(kBytes - 4096);
  EXPECT_NE(Read().outcome.why.find("has 28672 bytes and not 32768"), std::string::npos);
  content_.resize(kBytes);
  content_[3] = 'X';
  EXPECT_NE(Read().outcome.why.find("header is not valid"), std::string::npos);
  EncodeFileHeader({{43, 1}, ShardId(0), 1}, content_.data());
  EXPECT_NE(Read().outcome.why.find("header is that of another file"), std::string::npos);
  EncodeFileHeader({kFile, ShardId(1), 1}, content_.data());
  EXPECT_EQ(Read().outcome.kind, Kind::kDamage);
  EncodeFileHeader({kFile, ShardId(0), 2}, content_.data());
  EXPECT_EQ(Read().outcome.kind, Kind::kDamage);
  ASSERT_TRUE(disk_.Remove(kPath).ok());
  const ReadBack back = *ReadAll(disk_, "data", manifest_, ShardId(0));
  EXPECT_EQ(back.outcome.kind, Kind::kDamage);
  EXPECT_NE(back.outcome.why.find("the file is missing"), std::string::npos);
}

TEST_F(ReaderTest, AClosedFileEndsWhereTheManifestSays) {
  Block(4096, 0, 0);
  Add(1, "one");
  const uint64_t first_end = at_;
  Add(2, "two");
  auto& end = manifest_.shards[0].files[0].end;
  end = ManifestFile::End{first_end, Lsn(1)};
  EXPECT_EQ(Read().records.size(), 1u);  // cut by a start
  EXPECT_EQ(Read().outcome.kind, Kind::kEnd);
  end = ManifestFile::End{at_, Lsn(2)};
  EXPECT_EQ(Read().records.size(), 2u);
  end = ManifestFile::End{at_, Lsn(3)};
  EXPECT_EQ(Read().outcome.kind, Kind::kDamage);
  end = ManifestFile::End{at_ + 1, Lsn(2)};
  EXPECT_EQ(Read().outcome.kind, Kind::kDamage);
  end = ManifestFile::End{at_ - 1, Lsn(2)};
  EXPECT_EQ(Read().outcome.kind, Kind::kDamage);
}

TEST_F(ReaderTest, WhatCannotBeReadIsNoEnd) {
  Block(4096, 0, 0);
  Add(1, "one");
  Read();
  disk_.FailNext(shard::SimDisk::Operation::kRead, "", EIO, 1);
  EXPECT_FALSE(ReadAll(disk_, "data", manifest_, ShardId(0)).ok());
}

TEST_F(ReaderTest, TheVisitorMayStop) {
  Block(4096, 0, 0);
  Add(1, "one");
  Add(2, "two");
  Read();
  int visits = 0;
  auto visit = [&](const LoggedRecord&) -> base::Status {
    ++visits;
    return base::Status::WithText(base::Code::kErr, "enough");
  };
  EXPECT_EQ(ReadLog(disk_, "data", manifest_, ShardId(0), visit).status().text(), "enough");
  EXPECT_EQ(visits, 1);
}

}  // namespace
}  // namespace moonshard::wal
