#include "wal/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "wal/batch.h"

namespace moonshard::wal {

namespace {

using base::Result;
using base::Status;

// How much is read at once. A record that is longer is read whole.
constexpr uint64_t kWindowBytes = 256 << 10;

// One file of the log, seen through a window that moves forward.
class FileWindow {
 public:
  FileWindow(const ManifestFile& listed, uint32_t seed) : listed_(listed), seed_(seed) {}

  const ManifestFile& listed() const { return listed_; }
  uint32_t seed() const { return seed_; }
  // Nothing belongs to the log from here on.
  uint64_t limit() const { return listed_.end ? listed_.end->offset : listed_.bytes; }

  // The end of an open file is read past the page cache, where the file system can: after a sync that failed
  // the cache shows what the disk does not have.
  Status Open(shard::FileSystem& files, const std::string& path, Mistake planted) {
    shard::OpenOptions options;
    options.direct = !listed_.end && planted != Mistake::kReadCache;
    Result<std::unique_ptr<shard::File>> opened = files.Open(path, options);
    if (!opened.ok() && options.direct && !shard::IsNotFound(opened.status())) {
      options.direct = false;
      opened = files.Open(path, options);
    }
    if (!opened.ok()) return std::move(opened).status();
    file_ = std::move(opened).value();
    return {};
  }
  void Close() {
    file_.reset();
    window_ = {};
    size_ = 0;
  }
  Result<uint64_t> Size() { return file_->Size(); }

  // `bytes` from `offset` on, fewer only where the file ends. Valid until the next call.
  Result<std::string_view> At(uint64_t offset, uint64_t bytes) {
    if (offset >= start_ && offset + bytes <= start_ + size_) return View(offset, bytes);
    start_ = offset / kBlockBytes * kBlockBytes;
    size_ = 0;
    const uint64_t wanted =
        std::min(std::max(AlignUp(offset + bytes) - start_, kWindowBytes), listed_.bytes - start_);
    if (window_.bytes() < wanted) window_.Grow(wanted, 0);
    MS_ASSIGN_OR_RETURN(size_, file_->Read(start_, std::span(window_.data(), wanted)));
    const uint64_t skipped = offset - start_;
    return View(offset, size_ <= skipped ? 0 : std::min(bytes, size_ - skipped));
  }

 private:
  std::string_view View(uint64_t offset, uint64_t bytes) const {
    return {window_.data() + (offset - start_), bytes};
  }

  const ManifestFile& listed_;
  const uint32_t seed_;
  std::unique_ptr<shard::File> file_;
  BatchMemory window_;
  uint64_t start_ = 0;
  uint64_t size_ = 0;
};

class LogReader {
 public:
  LogReader(shard::FileSystem& files, const std::string& path, const Manifest& manifest, ShardId shard,
            const RecordVisitor& visitor, Mistake planted)
      : files_(files), path_(path), shard_(shard), visitor_(visitor), planted_(planted) {
    const ManifestShard& listed = manifest.shards[shard.value()];
    shard_count_ = manifest.shards.size();
    outcome_.last = listed.from;
    for (const ManifestFile& file : listed.files) {
      windows_.emplace_back(file, Planted(Mistake::kStaleLooksNew) ? 0 : RecordSeed(file.file));
    }
  }

  Result<ReadOutcome> Run() {
    for (FileWindow& window : windows_) {
      MS_RETURN_IF_ERROR(CheckFile(window));
      if (done_) return Finish();
    }
    if (windows_.empty()) return Finish();
    MS_RETURN_IF_ERROR(Enter(0, kFirstRecord));
    outcome_.end = Here();
    outcome_.ends.push_back({SequenceOf(0), {kFirstRecord, outcome_.last}});
    while (!done_) MS_RETURN_IF_ERROR(Step());
    return Finish();
  }

 private:
  // A block record that is valid where it stands.
  struct Block {
    size_t file_idx;
    uint64_t offset;
    Lsn lsn;
    Lsn durable;
  };

  bool Planted(Mistake mistake) const { return planted_ == mistake; }
  FileWindow& file() { return windows_[file_idx_]; }
  uint64_t SequenceOf(size_t file_idx) const { return windows_[file_idx].listed().file.sequence; }
  LogPlace Here() { return {SequenceOf(file_idx_), offset_}; }
  std::string NameOf(uint64_t sequence) const { return path_ + "/" + LogFileName(shard_, sequence); }

  Result<ReadOutcome> Finish() {
    std::erase_if(outcome_.ends, [&](const FileEnd& end) { return end.sequence >= outcome_.end.sequence; });
    return std::move(outcome_);
  }
  void Stop(ReadOutcome::Kind kind, LogPlace place, std::string why = {}) {
    done_ = true;
    outcome_.kind = kind;
    outcome_.place = place;
    outcome_.why = std::move(why);
  }
  void Damage(LogPlace place, std::string why) {
    Stop(Planted(Mistake::kForgiveDamage) ? ReadOutcome::Kind::kTorn : ReadOutcome::Kind::kDamage, place,
         fmt::format("{} at {}: {}", NameOf(place.sequence), place.offset, why));
  }

  // A listed file is there, of its size, with its header.
  Status CheckFile(FileWindow& window) {
    const ManifestFile& listed = window.listed();
    const LogPlace start{listed.file.sequence, 0};
    if (Status opened = window.Open(files_, NameOf(listed.file.sequence), planted_); !opened.ok()) {
      if (!shard::IsNotFound(opened)) return opened;
      Damage(start, "the file is missing");
      return {};
    }
    MS_ASSIGN_OR_RETURN(const uint64_t bytes, window.Size());
    MS_ASSIGN_OR_RETURN(const std::string_view header, window.At(0, kFileHeaderBytes));
    const std::optional<FileHeader> decoded =
        header.size() == kFileHeaderBytes ? DecodeFileHeader(header.data()) : std::nullopt;
    if (bytes != listed.bytes) {
      Damage(start, fmt::format("the file has {} bytes and not {}", bytes, listed.bytes));
    } else if (!decoded) {
      Damage(start, "the header is not valid");
    } else if (decoded->file != listed.file || decoded->shard != shard_ ||
               decoded->shard_count != shard_count_) {
      Damage(start, "the header is that of another file");
    }
    window.Close();
    return {};
  }

  Status Enter(size_t file_idx, uint64_t offset) {
    if (file_idx != file_idx_ || !entered_) {
      if (entered_) file().Close();
      MS_RETURN_IF_ERROR(windows_[file_idx].Open(files_, NameOf(SequenceOf(file_idx)), planted_));
    }
    entered_ = true;
    file_idx_ = file_idx;
    offset_ = offset;
    return {};
  }

  // One record, or one change of place.
  Status Step() {
    const ManifestFile& listed = file().listed();
    if (listed.end && offset_ == listed.end->offset) return EndOfClosedFile();
    MS_ASSIGN_OR_RETURN(const bool read, ReadRecord());
    return read || done_ ? Status() : FindBlock();
  }

  Status EndOfClosedFile() {
    const ManifestFile::End& end = *file().listed().end;
    if (end.last != outcome_.last) {
      Damage(Here(), fmt::format("the file ends at position {} and not at {}", outcome_.last.value(),
                                 end.last.value()));
      return {};
    }
    if (file_idx_ + 1 == windows_.size()) {
      Stop(ReadOutcome::Kind::kEnd, Here());
      return {};
    }
    return Enter(file_idx_ + 1, kFirstRecord);
  }

  // Visits the record at this place; false if there is none that may follow the last one. A block begins at
  // its multiple of 4 KiB only, and FindBlock takes care of it.
  Result<bool> ReadRecord() {
    if (offset_ == kFirstRecord || offset_ >= file().limit()) return false;
    MS_ASSIGN_OR_RETURN(std::string_view bytes,
                        file().At(offset_, std::min(uint64_t{kRecordHeaderBytes}, file().limit() - offset_)));
    const uint64_t size = ClaimedSize(bytes);
    if (size == 0 || size > file().limit() - offset_) return false;
    MS_ASSIGN_OR_RETURN(bytes, file().At(offset_, size));
    const std::optional<Record> record = DecodeRecord(bytes, file().seed());
    if (!record || record->type == RecordType::kBlock || record->lsn <= outcome_.last) return false;
    if (record->type > RecordType::kClock || record->type < RecordType::kBlock) {
      Damage(Here(), fmt::format("a record of the unknown type {}", static_cast<unsigned>(record->type)));
      return false;
    }
    LoggedRecord logged{*record, Here(), {Here().sequence, offset_ + size}};
    MS_RETURN_IF_ERROR(visitor_(logged));
    Advance(record->lsn, record->stamp, offset_ + size);
    ++outcome_.record_count;
    outcome_.end = Here();
    return true;
  }

  void Advance(Lsn lsn, Stamp stamp, uint64_t offset) {
    outcome_.last = lsn;
    outcome_.stamp_max = std::max(outcome_.stamp_max, stamp);
    offset_ = offset;
    // Files that were passed without a record have ends, too.
    for (size_t i = outcome_.ends.size(); i <= file_idx_; ++i) {
      outcome_.ends.push_back({SequenceOf(i), {kFirstRecord, outcome_.ends.back().end.last}});
    }
    outcome_.ends.back().end = {offset, lsn};
  }

  // A place without a record: the log goes on in the next block whose position follows the last record's, or
  // it ends here.
  Status FindBlock() {
    const size_t from_idx = file_idx_;
    const uint64_t from_offset = offset_;
    const LogPlace stopped = Here();
    MS_ASSIGN_OR_RETURN(const uint64_t claimed, ClaimedHere());
    uint64_t torn_to = claimed == 0 ? 0 : from_offset + claimed;
    bool torn = claimed != 0;
    Lsn seen = outcome_.last;
    uint64_t at = AlignUp(offset_);
    for (size_t i = file_idx_; i < windows_.size(); ++i, at = kFirstRecord) {
      if (i != from_idx) MS_RETURN_IF_ERROR(Enter(i, at));
      for (; at + kBlockRecordBytes <= file().limit(); at += kBlockBytes) {
        MS_ASSIGN_OR_RETURN(const std::optional<Block> block, BlockAt(i, at));
        if (!block) continue;
        const bool fits = block->lsn == outcome_.last && seen == outcome_.last;
        if (fits || Planted(Mistake::kTakeAnyBlock)) {
          Advance(std::max(outcome_.last, block->lsn), {}, at + kBlockRecordBytes);
          return {};
        }
        if (block->lsn < seen || block->durable > outcome_.last) {
          Damage(stopped, WhyDamaged(*block));
          return {};
        }
        seen = block->lsn;
        torn = true;
        if (i == from_idx) torn_to = std::max(torn_to, at + kBlockBytes);
      }
      if (windows_[i].listed().end) {
        Damage(stopped, fmt::format("the file goes on to {}, but here is nothing readable", file().limit()));
        return {};
      }
    }
    if (torn && Planted(Mistake::kCondemnTornTail)) {
      Damage(stopped, "torn");
      return {};
    }
    Stop(torn ? ReadOutcome::Kind::kTorn : ReadOutcome::Kind::kEnd, stopped);
    outcome_.lost_bytes = torn_to > from_offset ? torn_to - from_offset : 0;
    return {};
  }

  std::string WhyDamaged(const Block& block) const {
    const uint64_t sequence = SequenceOf(block.file_idx);
    if (block.durable <= outcome_.last) {
      return fmt::format("the block at {} of file {} lies behind position {}", block.offset, sequence,
                         block.lsn.value());
    }
    return fmt::format(
        "what follows position {} is not readable, and the block at {} of file {} says that position {} was "
        "durable",
        outcome_.last.value(), block.offset, sequence, block.durable.value());
  }

  // What a torn record at this place says of its size. At the start of a block there may be the rest of a
  // file's earlier life, which says nothing.
  Result<uint64_t> ClaimedHere() {
    if (IsAligned(offset_) || offset_ >= file().limit()) return uint64_t{0};
    MS_ASSIGN_OR_RETURN(const std::string_view bytes,
                        file().At(offset_, std::min(uint64_t{4}, file().limit() - offset_)));
    return std::min(uint64_t{ClaimedSize(bytes)}, file().limit() - offset_);
  }

  Result<std::optional<Block>> BlockAt(size_t file_idx, uint64_t offset) {
    MS_ASSIGN_OR_RETURN(const std::string_view bytes, file().At(offset, kBlockRecordBytes));
    const std::optional<Record> record = DecodeRecord(bytes, file().seed());
    if (!record) return std::optional<Block>();
    const std::optional<BlockBody> body = DecodeBlock(*record);
    if (!body) return std::optional<Block>();
    const bool identity = body->file == file().listed().file && body->offset == offset;
    if (!identity && !Planted(Mistake::kStaleLooksNew)) return std::optional<Block>();
    outcome_.stamp_max = std::max(outcome_.stamp_max, record->stamp);
    return std::optional(Block{file_idx, offset, record->lsn, body->durable});
  }

  shard::FileSystem& files_;
  const std::string& path_;
  const ShardId shard_;
  const RecordVisitor& visitor_;
  const Mistake planted_;
  size_t shard_count_ = 0;
  std::vector<FileWindow> windows_;
  size_t file_idx_ = 0;
  uint64_t offset_ = 0;
  bool entered_ = false;
  bool done_ = false;
  ReadOutcome outcome_;
};

}  // namespace

std::string ShardFolder(ShardId shard) {
  return fmt::format("shard-{:04}", shard.value());
}
std::string LogFileName(ShardId shard, uint64_t sequence) {
  return fmt::format("{}/{:08}.log", ShardFolder(shard), sequence);
}

Result<ReadOutcome> ReadLog(shard::FileSystem& files, const std::string& path, const Manifest& manifest,
                            ShardId shard, const RecordVisitor& visitor, Mistake planted) {
  MS_CHECK(shard.value() < manifest.shards.size());
  return LogReader(files, path, manifest, shard, visitor, planted).Run();
}

}  // namespace moonshard::wal
