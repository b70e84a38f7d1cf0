#include "wal/record.h"

namespace moonshard::wal {

namespace {

constexpr char kMagic[8] = {'M', 'S', 'L', 'O', 'G', '\0', '\0', static_cast<char>(kFormatVersion)};

// Offsets in a file's header.
constexpr size_t kIncarnationAt = 8;
constexpr size_t kSequenceAt = 16;
constexpr size_t kShardAt = 24;
constexpr size_t kShardCountAt = 26;
constexpr size_t kHeaderCrcAt = 28;
static_assert(kHeaderCrcAt + 4 == kFileHeaderBytes);

}  // namespace

uint32_t RecordSeed(const FileId& file) {
  char bytes[16];
  base::StoreLe<uint64_t>(bytes, file.incarnation);
  base::StoreLe<uint64_t>(bytes + 8, file.sequence);
  return base::Crc32c(0, {bytes, sizeof bytes});
}

void EncodeFileHeader(const FileHeader& header, char* to) {
  std::memcpy(to, kMagic, sizeof kMagic);
  base::StoreLe<uint64_t>(to + kIncarnationAt, header.file.incarnation);
  base::StoreLe<uint64_t>(to + kSequenceAt, header.file.sequence);
  base::StoreLe<uint16_t>(to + kShardAt, header.shard.value());
  base::StoreLe<uint16_t>(to + kShardCountAt, header.shard_count);
  base::StoreLe<uint32_t>(to + kHeaderCrcAt, base::Crc32c(0, {to, kHeaderCrcAt}));
}

std::optional<FileHeader> DecodeFileHeader(const char* from) {
  if (std::memcmp(from, kMagic, sizeof kMagic) != 0) return std::nullopt;
  if (base::LoadLe<uint32_t>(from + kHeaderCrcAt) != base::Crc32c(0, {from, kHeaderCrcAt}))
    return std::nullopt;
  FileHeader header;
  header.file.incarnation = base::LoadLe<uint64_t>(from + kIncarnationAt);
  header.file.sequence = base::LoadLe<uint64_t>(from + kSequenceAt);
  header.shard = ShardId(base::LoadLe<uint16_t>(from + kShardAt));
  header.shard_count = base::LoadLe<uint16_t>(from + kShardCountAt);
  return header;
}

size_t EncodeBlock(char* to, uint32_t seed, const BlockBody& block, Lsn lsn, Stamp stamp) {
  char body[kBlockBodyBytes];
  base::StoreLe<uint64_t>(body, block.file.incarnation);
  base::StoreLe<uint64_t>(body + 8, block.file.sequence);
  base::StoreLe<uint64_t>(body + 16, block.offset);
  base::StoreLe<uint64_t>(body + 24, block.durable.value());
  return EncodeRecord(to, seed, RecordType::kBlock, lsn, stamp, {}, {body, sizeof body});
}

uint32_t ClaimedSize(std::string_view bytes) {
  if (bytes.size() < 4) return 0;
  const auto size = base::LoadLe<uint32_t>(bytes.data());
  return size < kRecordHeaderBytes || size > kRecordBytesMax ? 0 : size;
}

std::optional<Record> DecodeRecord(std::string_view bytes, uint32_t seed) {
  const uint32_t size = ClaimedSize(bytes);
  if (size == 0 || size > bytes.size()) return std::nullopt;
  const uint32_t crc = base::Crc32c(base::Crc32c(seed, bytes.substr(0, 4)), bytes.substr(8, size - 8));
  if (base::LoadLe<uint32_t>(bytes.data() + 4) != crc) return std::nullopt;
  Record record;
  record.type = static_cast<RecordType>(bytes[24]);
  record.lsn = Lsn(base::LoadLe<uint64_t>(bytes.data() + 8));
  record.stamp = Stamp(base::LoadLe<uint64_t>(bytes.data() + 16));
  record.body = bytes.substr(kRecordHeaderBytes, size - kRecordHeaderBytes);
  return record;
}

std::optional<BlockBody> DecodeBlock(const Record& record) {
  if (record.type != RecordType::kBlock || record.body.size() != kBlockBodyBytes) return std::nullopt;
  BlockBody block;
  block.file.incarnation = base::LoadLe<uint64_t>(record.body.data());
  block.file.sequence = base::LoadLe<uint64_t>(record.body.data() + 8);
  block.offset = base::LoadLe<uint64_t>(record.body.data() + 16);
  block.durable = Lsn(base::LoadLe<uint64_t>(record.body.data() + 24));
  return block;
}

}  // namespace moonshard::wal
