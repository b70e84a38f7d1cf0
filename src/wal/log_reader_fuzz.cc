// The reader: any content of the files of a log is read without harm, and whatever is visited keeps the
// rules. The first byte says how many files there are and which are closed; the rest becomes their content.
// Where a record could be, its checksum is put right, or nothing would get past it.

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "shard/sim_disk.h"
#include "wal/reader.h"

namespace moonshard::wal {
namespace {

constexpr uint64_t kFileBytes = 16 << 10;
constexpr uint64_t kIncarnation = 1;

// Gives valid checksums to what looks like records, and blocks their place, as far as the lengths lead.
void Repair(std::string& content, const FileId& file) {
  const uint32_t seed = RecordSeed(file);
  for (uint64_t start = kFirstRecord; start < content.size(); start += kBlockBytes) {
    uint64_t at = start;
    while (at + kRecordHeaderBytes <= content.size()) {
      char* record = content.data() + at;
      // Short lengths are the interesting ones.
      auto bytes = base::LoadLe<uint32_t>(record);
      if (bytes == 0) break;
      bytes = kRecordHeaderBytes + bytes % 300;
      if (at == start) bytes = kBlockRecordBytes;
      if (at + bytes > content.size()) break;
      base::StoreLe<uint32_t>(record, bytes);
      if (at == start) {
        record[24] = 1;
        base::StoreLe<uint64_t>(record + 25, file.incarnation);
        base::StoreLe<uint64_t>(record + 33, file.sequence);
        base::StoreLe<uint64_t>(record + 41, at);
      }
      // Small positions, so that they rise now and then.
      base::StoreLe<uint64_t>(record + 8, base::LoadLe<uint8_t>(record + 8));
      const uint32_t crc = base::Crc32c(base::Crc32c(seed, {record, 4}), {record + 8, bytes - 8});
      base::StoreLe<uint32_t>(record + 4, crc);
      at += bytes;
    }
  }
}

void Put(shard::SimDisk& disk, const std::string& path, const std::string& content) {
  shard::OpenOptions options;
  options.mode = shard::OpenOptions::Mode::kReadWrite;
  options.create = true;
  MS_CHECK((*disk.Open(path, options))->Write(0, content).ok());
}

void ReadContent(const uint8_t* data, size_t size) {
  const size_t file_count = 1 + data[0] % 3;
  const size_t closed_count = data[0] / 4 % (file_count + 1);
  const bool repair = (data[0] & 128) != 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 3, size - 3);
  shard::SimDisk disk(1);
  MS_CHECK(disk.MakeDirectory("data").ok() && disk.MakeDirectory("data/shard-0000").ok());
  Manifest manifest;
  manifest.incarnation = kIncarnation;
  manifest.shards.resize(1);
  for (size_t i = 0; i < file_count; ++i) {
    const FileId file{kIncarnation, i + 1};
    std::string content(kFileBytes, '\0');
    EncodeFileHeader({file, ShardId(0), 1}, content.data());
    // Slices of the input go to the starts of blocks, so that few bytes reach far.
    for (uint64_t at = kFirstRecord; at < kFileBytes; at += kBlockBytes) {
      const size_t slice = (i * 3 + at / kBlockBytes - 1) * rest.size() / (file_count * 3);
      const size_t bytes = std::min<size_t>(rest.size() / (file_count * 3) + 1, rest.size() - slice);
      content.replace(at, std::min<size_t>(bytes, kFileBytes - at), rest.substr(slice, kFileBytes - at), 0,
                      std::min<size_t>(bytes, kFileBytes - at));
    }
    if (repair) Repair(content, file);
    Put(disk, "data/" + LogFileName(ShardId(0), file.sequence), content);
    std::optional<ManifestFile::End> end;
    if (i < closed_count) end = {kFirstRecord + data[1] * 32u, Lsn(data[2])};
    manifest.shards[0].files.push_back({file, kFileBytes, end});
  }

  Lsn last;
  LogPlace place;
  uint64_t count = 0;
  auto visit = [&](const LoggedRecord& logged) -> base::Status {
    MS_CHECK(logged.record.lsn > last && logged.begin >= place && logged.begin < logged.end);
    MS_CHECK(logged.end.offset <= kFileBytes && logged.record.type != RecordType::kBlock);
    MS_CHECK(logged.end.offset - logged.begin.offset == kRecordHeaderBytes + logged.record.body.size());
    last = logged.record.lsn;
    place = logged.end;
    ++count;
    return {};
  };
  const base::Result<ReadOutcome> outcome = ReadLog(disk, "data", manifest, ShardId(0), visit);
  MS_CHECK(outcome.ok() && outcome->record_count == count && outcome->last >= last);
  MS_CHECK((outcome->kind == ReadOutcome::Kind::kDamage) == !outcome->why.empty());
}

}  // namespace
}  // namespace moonshard::wal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size >= 4) moonshard::wal::ReadContent(data, size);
  return 0;
}
