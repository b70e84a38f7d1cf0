#include "wal/record.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "wal/effects.h"

namespace moonshard::wal {
namespace {

// The bytes of version 1. They were made by a program of its own from docs/formats/log.md; if one of these
// tests fails, existing logs can no longer be read.
constexpr FileId kFile{0x0123456789abcdef, 7};
constexpr std::string_view kHeader = "4d534c4f47000001efcdab8967452301070000000000000001000400e73f47c9";
constexpr std::string_view kBlock =
    "39000000daad517729000000000000005a0000000000000001efcdab8967452301070000000000000000100000000000"
    "002800000000000000";
constexpr std::string_view kEffects =
    "2e0000005bdf76032a000000000000005b0000000000000002002a320d0a24330d0a44454c0d0a24310d0a6b0d0a";
constexpr std::string_view kTransaction =
    "3100000044f132902c000000000000005c00000000000000035c00000000000000010005000000000000000200000001"
    "00";
constexpr std::string_view kClock = "210000003e726e412d000000000000005d00000000000000040068e5cf8b010000";

std::string Bytes(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

std::string Encoded(RecordType type, uint64_t lsn, uint64_t stamp, std::string_view body) {
  std::string bytes(kRecordHeaderBytes + body.size(), '\0');
  EXPECT_EQ(EncodeRecord(bytes.data(), RecordSeed(kFile), type, Lsn(lsn), Stamp(stamp), {}, body),
            bytes.size());
  return bytes;
}

Record Decoded(std::string_view bytes) {
  const std::optional<Record> record = DecodeRecord(bytes, RecordSeed(kFile));
  EXPECT_TRUE(record.has_value());
  return record.value_or(Record());
}

TEST(Golden, FileHeader) {
  char bytes[kFileHeaderBytes];
  EncodeFileHeader({kFile, ShardId(1), 4}, bytes);
  EXPECT_EQ(std::string(bytes, sizeof bytes), Bytes(kHeader));
  const std::optional<FileHeader> header = DecodeFileHeader(Bytes(kHeader).data());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->file, kFile);
  EXPECT_EQ(header->shard, ShardId(1));
  EXPECT_EQ(header->shard_count, 4);
}

TEST(Golden, Block) {
  char bytes[kBlockRecordBytes];
  const BlockBody block{kFile, 4096, Lsn(40)};
  EXPECT_EQ(EncodeBlock(bytes, RecordSeed(kFile), block, Lsn(41), Stamp(90)), sizeof bytes);
  EXPECT_EQ(std::string(bytes, sizeof bytes), Bytes(kBlock));
  const std::string golden = Bytes(kBlock);
  const Record record = Decoded(golden);
  EXPECT_EQ(record.lsn, Lsn(41));
  EXPECT_EQ(record.stamp, Stamp(90));
  const std::optional<BlockBody> body = DecodeBlock(record);
  ASSERT_TRUE(body);
  EXPECT_EQ(body->file, kFile);
  EXPECT_EQ(body->offset, 4096u);
  EXPECT_EQ(body->durable, Lsn(40));
}

TEST(Golden, Effects) {
  base::Buffer body;
  AppendEffect(body, DbIndex(0), std::vector<std::string_view>{"DEL", "k"});
  EXPECT_EQ(Encoded(RecordType::kEffects, 42, 91, body.view()), Bytes(kEffects));
  const std::string golden = Bytes(kEffects);
  const Record record = Decoded(golden);
  EXPECT_EQ(record.type, RecordType::kEffects);
  EXPECT_EQ(record.body, body.view());
}

TEST(Golden, Transaction) {
  base::Buffer body;
  AppendTransactionHead(body, {92, ShardId(1), 5, {ShardId(0), ShardId(1)}});
  EXPECT_EQ(Encoded(RecordType::kTransaction, 44, 92, body.view()), Bytes(kTransaction));
  const std::string golden = Bytes(kTransaction);
  EXPECT_EQ(Decoded(golden).body, body.view());
}

TEST(Golden, Clock) {
  char body[kClockBodyBytes];
  EncodeClock(1'700'000'000'000, body);
  EXPECT_EQ(Encoded(RecordType::kClock, 45, 93, {body, sizeof body}), Bytes(kClock));
  const std::string golden = Bytes(kClock);
  EXPECT_EQ(DecodeClock(Decoded(golden).body), 1'700'000'000'000);
}

TEST(Record, HeadAndBodyAreOneBody) {
  std::string parts(kRecordHeaderBytes + 9, '\0');
  EncodeRecord(parts.data(), RecordSeed(kFile), RecordType::kEffects, Lsn(1), Stamp(2), "head", "-body");
  EXPECT_EQ(parts, Encoded(RecordType::kEffects, 1, 2, "head-body"));
}

TEST(Record, EveryChangedBitAndEveryCutIsRefused) {
  for (size_t body_bytes : {size_t{0}, size_t{1}, size_t{70}, size_t{2000}}) {
    const std::string good = Encoded(RecordType::kEffects, 5, 6, std::string(body_bytes, 'x'));
    std::string bytes = good + std::string(100, '\0');  // what a longer length would reach into
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
      EXPECT_FALSE(DecodeRecord(bytes, RecordSeed(kFile))) << bit;
      bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    }
    for (size_t size = 0; size < good.size(); ++size) {
      EXPECT_FALSE(DecodeRecord(std::string_view(good).substr(0, size), RecordSeed(kFile))) << size;
    }
    EXPECT_TRUE(DecodeRecord(bytes, RecordSeed(kFile)));
  }
}

TEST(Record, BelongsToOneLifeOfOneFile) {
  const std::string bytes = Encoded(RecordType::kEffects, 5, 6, "body");
  EXPECT_FALSE(DecodeRecord(bytes, RecordSeed({kFile.incarnation, 8})));
  EXPECT_FALSE(DecodeRecord(bytes, RecordSeed({kFile.incarnation + 1, 7})));
  EXPECT_FALSE(DecodeRecord(bytes, 0));
}

TEST(FileHeader, EveryChangedBitIsRefused) {
  std::string bytes = Bytes(kHeader);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
    EXPECT_FALSE(DecodeFileHeader(bytes.data())) << bit;
    bytes[bit / 8] ^= static_cast<char>(1 << bit % 8);
  }
}

}  // namespace
}  // namespace moonshard::wal
