#pragma once
// The bytes of the log: file headers, records, blocks. docs/formats/log.md is the specification; the offsets
// below are its tables in code. Nothing here reads or writes a file. Safe from any thread.

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/types.h"

namespace moonshard::wal {

inline constexpr uint8_t kFormatVersion = 1;
inline constexpr uint64_t kBlockBytes = 4096;     // blocks begin at multiples of it
inline constexpr uint64_t kFirstRecord = 4096;    // where the first record of a file lies
inline constexpr size_t kFileHeaderBytes = 32;    // with its checksum; zeros follow up to the first record
inline constexpr size_t kRecordHeaderBytes = 25;  // what precedes a record's body
inline constexpr size_t kBlockBodyBytes = 32;
inline constexpr size_t kBlockRecordBytes = kRecordHeaderBytes + kBlockBodyBytes;
// A length is 4 bytes; the rest of the last block must stay countable in them.
inline constexpr uint64_t kRecordBytesMax = UINT32_MAX - 2 * kBlockBytes;

constexpr uint64_t AlignUp(uint64_t bytes) {
  return (bytes + kBlockBytes - 1) & ~(kBlockBytes - 1);
}
constexpr bool IsAligned(uint64_t bytes) {
  return bytes % kBlockBytes == 0;
}

enum class RecordType : uint8_t { kBlock = 1, kEffects = 2, kTransaction = 3, kClock = 4 };

// Which life of which file: no record of one is valid in another.
struct FileId {
  uint64_t incarnation = 0;
  uint64_t sequence = 0;
  friend bool operator==(const FileId&, const FileId&) = default;
};
uint32_t RecordSeed(const FileId& file);

struct FileHeader {
  FileId file;
  ShardId shard;
  uint16_t shard_count = 0;
};
void EncodeFileHeader(const FileHeader& header, char* to);
// From kFileHeaderBytes bytes; nothing if they are no header of this version.
std::optional<FileHeader> DecodeFileHeader(const char* from);

struct Record {
  RecordType type = RecordType::kEffects;
  Lsn lsn;
  Stamp stamp;
  std::string_view body;  // of the memory it was decoded from
};

// The body of a block record says where it stands, so that no other block can be taken for it.
struct BlockBody {
  FileId file;
  uint64_t offset = 0;
  Lsn durable;
};

// Writes a record whose body is `head` and then `body`, and returns its size.
MS_ALWAYS_INLINE size_t EncodeRecord(char* to, uint32_t seed, RecordType type, Lsn lsn, Stamp stamp,
                                     std::string_view head, std::string_view body) {
  const size_t size = kRecordHeaderBytes + head.size() + body.size();
  MS_DCHECK(size <= kRecordBytesMax);
  base::StoreLe<uint32_t>(to, static_cast<uint32_t>(size));
  base::StoreLe<uint64_t>(to + 8, lsn.value());
  base::StoreLe<uint64_t>(to + 16, stamp.value());
  to[24] = static_cast<char>(type);
  if (!head.empty()) std::memcpy(to + kRecordHeaderBytes, head.data(), head.size());
  if (!body.empty()) std::memcpy(to + kRecordHeaderBytes + head.size(), body.data(), body.size());
  const uint32_t crc = base::Crc32c(base::Crc32c(seed, {to, 4}), {to + 8, size - 8});
  base::StoreLe<uint32_t>(to + 4, crc);
  return size;
}
size_t EncodeBlock(char* to, uint32_t seed, const BlockBody& block, Lsn lsn, Stamp stamp);

// The size that the record at the start of `bytes` claims; 0 if it claims none that could be.
uint32_t ClaimedSize(std::string_view bytes);
// The record at the start of `bytes`, whole and with a checksum that fits; its type may be an unknown one.
std::optional<Record> DecodeRecord(std::string_view bytes, uint32_t seed);
// Nothing if the record is no block record.
std::optional<BlockBody> DecodeBlock(const Record& record);

}  // namespace moonshard::wal
