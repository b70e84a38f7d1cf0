#include "wal/directory.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "base/check.h"
#include "base/number.h"

namespace moonshard::wal {

namespace {

using base::Result;
using base::Status;
using shard::OpenOptions;

constexpr std::string_view kManifestName = "moonshard.manifest";
constexpr std::string_view kManifestDraft = "moonshard.manifest.tmp";
constexpr std::string_view kLockName = "moonshard.lock";
constexpr std::string_view kLogSuffix = ".log";
constexpr std::string_view kDraftSuffix = ".tmp";

// What new files are filled with. Direct writes want aligned memory.
alignas(shard::kDirectAlignment) const char kZeros[Directory::kStepBytes] = {};

OpenOptions ReadWrite() {
  OpenOptions options;
  options.mode = OpenOptions::Mode::kReadWrite;
  return options;
}

Status Refused(std::string text) {
  return Status::WithText(base::Code::kIo, std::move(text));
}

// The sequence in "00000012.log"; nothing for other names.
std::optional<uint64_t> SequenceOf(std::string_view name) {
  if (!name.ends_with(kLogSuffix)) return std::nullopt;
  name.remove_suffix(kLogSuffix.size());
  if (name.size() < 8) return std::nullopt;
  uint64_t sequence = 0;
  for (char c : name) {
    if (c < '0' || c > '9' || sequence > UINT32_MAX) return std::nullopt;
    sequence = sequence * 10 + static_cast<uint64_t>(c - '0');
  }
  return sequence;
}

}  // namespace

Status LogFile::Sync() {
  if (sync_failed) return Refused("an earlier sync of the file failed");
  Status synced = syncer->Sync();
  sync_failed = !synced.ok();
  return synced;
}

Directory::Directory(shard::FileSystem& files, std::string path, const DirectoryOptions& options)
    : files_(files), path_(std::move(path)), options_(options) {}
Directory::~Directory() = default;

std::string Directory::At(std::string_view name) const {
  return fmt::format("{}/{}", path_, name);
}

Result<std::unique_ptr<Directory>> Directory::Open(shard::FileSystem& files, std::string path,
                                                   const DirectoryOptions& options) {
  std::unique_ptr<Directory> directory(new Directory(files, std::move(path), options));
  Result<std::unique_ptr<shard::FileLock>> lock = files.Lock(directory->At(kLockName));
  if (!lock.ok()) {
    if (!shard::IsLocked(lock.status())) return std::move(lock).status();
    return Refused(fmt::format("the data directory {} is in use by another server", directory->path_));
  }
  directory->lock_ = std::move(lock).value();
  MS_RETURN_IF_ERROR(directory->ReadManifest());
  if (directory->fresh_) MS_RETURN_IF_ERROR(directory->RefuseForeign());
  MS_RETURN_IF_ERROR(directory->CollectSpares());
  return directory;
}

Status Directory::ReadManifest() {
  Result<std::unique_ptr<shard::File>> file = files_.Open(At(kManifestName), OpenOptions());
  if (!file.ok()) return shard::IsNotFound(file.status()) ? Status() : std::move(file).status();
  MS_ASSIGN_OR_RETURN(const uint64_t bytes, (*file)->Size());
  std::string text(std::min<uint64_t>(bytes, kManifestBytesMax + 1), '\0');
  MS_ASSIGN_OR_RETURN(const size_t read, (*file)->Read(0, text));
  text.resize(read);
  Result<Manifest> parsed = ParseManifest(text);
  if (!parsed.ok()) return Refused(fmt::format("{}: {}", At(kManifestName), parsed.status().text()));
  manifest_ = std::move(parsed).value();
  shards_.resize(manifest_.shards.size());
  fresh_ = false;
  return {};
}

// A server that starts empty beside data would look as if it had lost it.
Status Directory::RefuseForeign() {
  MS_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_.List(path_));
  for (const std::string& name : names) {
    if (!name.starts_with("shard-") && name != "dump.rdb" && name != "appendonlydir" &&
        name != "appendonly.aof") {
      continue;
    }
    return Refused(fmt::format("{} holds {} but no {}: not started beside data that would be ignored", path_,
                               name, kManifestName));
  }
  return {};
}

// Files of the log that the manifest does not list are free for use; unfinished ones go.
Status Directory::CollectSpares() {
  for (size_t i = 0; i < shards_.size(); ++i) {
    const ShardId shard(static_cast<uint16_t>(i));
    const std::vector<ManifestFile>& listed = manifest_.shards[i].files;
    if (!listed.empty()) shards_[i].next_sequence = listed.back().file.sequence + 1;
    Result<std::vector<std::string>> names = files_.List(At(ShardFolder(shard)));
    if (!names.ok()) {
      if (shard::IsNotFound(names.status())) continue;
      return std::move(names).status();
    }
    for (const std::string& name : *names) {
      const std::string path = At(fmt::format("{}/{}", ShardFolder(shard), name));
      if (name.ends_with(kDraftSuffix)) MS_RETURN_IF_ERROR(files_.Remove(path));
      const std::optional<uint64_t> sequence = SequenceOf(name);
      if (!sequence) continue;
      const bool known = std::any_of(listed.begin(), listed.end(), [&](const ManifestFile& file) {
        return file.file.sequence == *sequence;
      });
      if (known) continue;
      shards_[i].next_sequence = std::max(shards_[i].next_sequence, *sequence + 1);
      MS_ASSIGN_OR_RETURN(const uint64_t bytes, files_.Size(path));
      if (IsAligned(bytes) && bytes >= 2 * kBlockBytes) shards_[i].spares.push_back({path, bytes});
    }
  }
  return {};
}

Manifest Directory::manifest() const {
  std::lock_guard lock(mutex_);
  return manifest_;
}
uint64_t Directory::NextSequence(ShardId shard) const {
  std::lock_guard lock(mutex_);
  return shards_[shard.value()].next_sequence;
}
Lsn Directory::LastLsn(ShardId shard) const {
  std::lock_guard lock(mutex_);
  const ManifestShard& listed = manifest_.shards[shard.value()];
  Lsn last = listed.from;
  for (const ManifestFile& file : listed.files) {
    if (file.end) last = file.end->last;
  }
  return last;
}
size_t Directory::SpareCount(ShardId shard) const {
  std::lock_guard lock(mutex_);
  return shards_[shard.value()].spares.size();
}

Status Directory::CutShard(ManifestShard& shard, const Cut& cut) {
  while (!shard.files.empty() && shard.files.back().file.sequence > cut.end.sequence) shard.files.pop_back();
  if (shard.files.empty()) return {};
  for (ManifestFile& file : shard.files) {
    if (file.end) continue;
    for (const FileEnd& known : cut.ends) {
      if (known.sequence == file.file.sequence) file.end = known.end;
    }
  }
  ManifestFile& last = shard.files.back();
  if (last.file.sequence != cut.end.sequence || cut.end.offset < kFirstRecord ||
      cut.end.offset > last.bytes || (last.end && cut.end.offset > last.end->offset)) {
    return Refused("a log cannot be cut outside its files");
  }
  last.end = ManifestFile::End{cut.end.offset, cut.last};
  return {};
}

// What was read may still be in the page cache only: a process that was killed has lost nothing yet. Before
// the manifest promises it, it goes to the disk.
Status Directory::SyncKept(const Manifest& next) {
  for (size_t i = 0; i < next.shards.size() && !fresh_; ++i) {
    const std::vector<ManifestFile>& before = manifest_.shards[i].files;
    for (size_t k = 0; k < next.shards[i].files.size(); ++k) {
      if (before[k].end || Planted(Mistake::kCloseUnsynced)) continue;
      const std::string name = LogFileName(ShardId(static_cast<uint16_t>(i)), before[k].file.sequence);
      MS_ASSIGN_OR_RETURN(const std::unique_ptr<shard::File> file, files_.Open(At(name), ReadWrite()));
      MS_RETURN_IF_ERROR(file->Sync());
    }
  }
  return {};
}

Status Directory::Begin(const Start& start) {
  std::lock_guard lock(mutex_);
  MS_CHECK(!begun_ && !start.cuts.empty() && start.cuts.size() <= kShardCountMax);
  MS_CHECK(fresh_ || start.cuts.size() == manifest_.shards.size());
  Manifest next = manifest_;
  next.shards.resize(start.cuts.size());
  next.incarnation = start.incarnation;
  next.hash_seed = start.hash_seed;
  next.clock_floor = start.clock_floor;
  for (size_t i = 0; i < next.shards.size(); ++i) {
    Lsn last = next.shards[i].from;
    MS_RETURN_IF_ERROR(CutShard(next.shards[i], start.cuts[i]));
    for (ManifestFile& file : next.shards[i].files) {
      if (!file.end) return Refused("a log cannot be cut behind an open file");
      last = file.end->last;
    }
    if (last != start.cuts[i].last) return Refused("a log is cut at another position than it ends");
  }
  MS_RETURN_IF_ERROR(SyncKept(next));
  const Manifest before = manifest_;
  shards_.resize(next.shards.size());
  MS_RETURN_IF_ERROR(Replace(std::move(next)));
  for (size_t i = 0; i < before.shards.size(); ++i) {
    const std::vector<ManifestFile>& was = before.shards[i].files;
    for (size_t k = manifest_.shards[i].files.size(); k < was.size(); ++k) {
      MakeSpare(ShardId(static_cast<uint16_t>(i)), was[k]);
    }
  }
  begun_ = true;
  incarnation_ = manifest_.incarnation;
  shard_count_ = static_cast<uint16_t>(manifest_.shards.size());
  return {};
}

Status Directory::MakeFolder(ShardId shard) {
  ShardFiles& own = shards_[shard.value()];
  if (own.folder_made) return {};
  MS_RETURN_IF_ERROR(files_.MakeDirectory(At(ShardFolder(shard))));
  MS_RETURN_IF_ERROR(files_.SyncDirectory(path_));
  own.folder_made = true;
  return {};
}

Status Directory::Replace(Manifest next) {
  MS_RETURN_IF_ERROR(broken_);
  const std::string text = PrintManifest(next);
  OpenOptions options = ReadWrite();
  options.create = options.truncate = true;
  {
    MS_ASSIGN_OR_RETURN(const std::unique_ptr<shard::File> file, files_.Open(At(kManifestDraft), options));
    MS_RETURN_IF_ERROR(file->Write(0, text));
    MS_RETURN_IF_ERROR(file->Sync());
  }
  // From here on a failure leaves it open which of the two a restart finds.
  Status replaced = files_.Rename(At(kManifestDraft), At(kManifestName));
  if (replaced.ok() && !Planted(Mistake::kNoDirectorySync)) replaced = files_.SyncDirectory(path_);
  if (!replaced.ok()) {
    broken_ = Refused(fmt::format("no telling which manifest is on the disk: {}", replaced.text()));
    return broken_;
  }
  manifest_ = std::move(next);
  return {};
}

void Directory::MakeSpare(ShardId shard, const ManifestFile& file) {
  ShardFiles& own = shards_[shard.value()];
  const std::string path = At(LogFileName(shard, file.file.sequence));
  if (own.spares.size() < options_.spare_count_max) {
    own.spares.push_back({path, file.bytes});
  } else {
    // If it stays, it is found and recycled at the next start.
    (void)files_.Remove(path).ok();
  }
}

Status Directory::List(ShardId shard, const ManifestFile& file) {
  std::lock_guard lock(mutex_);
  Manifest next = manifest_;
  next.shards[shard.value()].files.push_back(file);
  MS_RETURN_IF_ERROR(Replace(std::move(next)));
  shards_[shard.value()].next_sequence = file.file.sequence + 1;
  return {};
}

Status Directory::Close(ShardId shard, uint64_t sequence, const ManifestFile::End& end) {
  std::lock_guard lock(mutex_);
  Manifest next = manifest_;
  for (ManifestFile& file : next.shards[shard.value()].files) {
    if (file.file.sequence != sequence) {
      MS_CHECK(file.end || file.file.sequence > sequence);
      continue;
    }
    MS_CHECK(!file.end && end.offset >= kFirstRecord && end.offset <= file.bytes);
    file.end = end;
  }
  return Replace(std::move(next));
}

Status Directory::Retire(ShardId shard, Lsn upto) {
  std::lock_guard lock(mutex_);
  Manifest next = manifest_;
  ManifestShard& listed = next.shards[shard.value()];
  size_t count = 0;
  while (count < listed.files.size() && listed.files[count].end && listed.files[count].end->last <= upto) {
    listed.from = listed.files[count++].end->last;
  }
  if (count == 0) return {};
  const std::vector<ManifestFile> gone(listed.files.begin(),
                                       listed.files.begin() + static_cast<ptrdiff_t>(count));
  listed.files.erase(listed.files.begin(), listed.files.begin() + static_cast<ptrdiff_t>(count));
  if (Planted(Mistake::kReuseListed)) {
    for (const ManifestFile& file : gone) MakeSpare(shard, file);
    manifest_ = std::move(next);
    return {};
  }
  MS_RETURN_IF_ERROR(Replace(std::move(next)));
  for (const ManifestFile& file : gone) MakeSpare(shard, file);
  return {};
}

std::unique_ptr<Directory::Preparation> Directory::Prepare(ShardId shard, uint64_t sequence, uint64_t bytes) {
  MS_CHECK(IsAligned(bytes) && bytes >= 2 * kBlockBytes);
  return std::unique_ptr<Preparation>(new Preparation(*this, shard, sequence, bytes));
}

Directory::Preparation::Preparation(Directory& directory, ShardId shard, uint64_t sequence, uint64_t bytes)
    : directory_(directory), shard_(shard), id_{directory.incarnation(), sequence}, bytes_(bytes) {}
Directory::Preparation::~Preparation() = default;

Status Directory::Preparation::Step() {
  MS_CHECK(!done_);
  Status stepped = StepOnce();
  if (stepped.ok()) return stepped;
  file_.reset();
  std::lock_guard lock(directory_.mutex_);
  // A broken directory may list the file.
  if (making_.empty() || !directory_.broken_.ok()) return stepped;
  if (recycled_) {
    directory_.shards_[shard_.value()].spares.push_back({making_, bytes_});
  } else {
    // What was begun takes room that somebody may need.
    (void)directory_.files_.Remove(making_).ok();
  }
  return stepped;
}

Status Directory::Preparation::StepOnce() {
  if (file_ == nullptr) return Start();
  if (filled_ < bytes_ && !recycled_) {
    const uint64_t count = std::min(kStepBytes, bytes_ - filled_);
    MS_RETURN_IF_ERROR(file_->Write(filled_, {kZeros, count}));
    filled_ += count;
    return {};
  }
  return Finish();
}

Status Directory::Preparation::Start() {
  shard::FileSystem& files = directory_.files_;
  {
    std::lock_guard lock(directory_.mutex_);
    MS_RETURN_IF_ERROR(directory_.broken_);
    MS_RETURN_IF_ERROR(directory_.MakeFolder(shard_));
    std::vector<Spare>& spares = directory_.shards_[shard_.value()].spares;
    const auto found =
        std::find_if(spares.begin(), spares.end(), [&](const Spare& spare) { return spare.bytes >= bytes_; });
    if (found != spares.end()) {
      recycled_ = true;
      making_ = found->path;
      bytes_ = found->bytes;
      spares.erase(found);
    }
  }
  OpenOptions options = ReadWrite();
  if (!recycled_) {
    making_ = directory_.At(fmt::format("{}/{:08}{}", ShardFolder(shard_), id_.sequence, kDraftSuffix));
    options.create = options.truncate = true;
  }
  options.direct = true;
  Result<std::unique_ptr<shard::File>> opened = files.Open(making_, options);
  direct_ = opened.ok();
  if (!direct_ && !shard::IsNoSpace(opened.status())) {
    options.direct = false;
    opened = files.Open(making_, options);
  }
  if (!opened.ok()) return std::move(opened).status();
  file_ = std::move(opened).value();
  return {};
}

// The header last: without it nobody can take the file for one of the log.
Status Directory::Preparation::Finish() {
  shard::FileSystem& files = directory_.files_;
  alignas(shard::kDirectAlignment) char block[kBlockBytes] = {};
  EncodeFileHeader({id_, shard_, directory_.shard_count()}, block);
  const std::string name = directory_.At(LogFileName(shard_, id_.sequence));
  ManifestFile listed{id_, bytes_, std::nullopt};
  if (directory_.Planted(Mistake::kListBeforeComplete)) {
    MS_RETURN_IF_ERROR(files.Rename(making_, name));
    MS_RETURN_IF_ERROR(directory_.List(shard_, listed));
    MS_RETURN_IF_ERROR(file_->Write(0, block));
  } else {
    MS_RETURN_IF_ERROR(file_->Write(0, block));
    MS_RETURN_IF_ERROR(file_->Sync());
    if (making_ != name) {
      MS_RETURN_IF_ERROR(files.Rename(making_, name));
      // An attempt that failed late may have left a spare of this name, which is gone now.
      std::lock_guard lock(directory_.mutex_);
      std::erase_if(directory_.shards_[shard_.value()].spares,
                    [&](const Spare& spare) { return spare.path == name; });
      making_ = name;
    }
    if (!directory_.Planted(Mistake::kNoDirectorySync))
      MS_RETURN_IF_ERROR(files.SyncDirectory(directory_.At(ShardFolder(shard_))));
  }
  // Opened before it is listed: whatever fails here leaves a manifest without it.
  if (!result_) {
    MS_ASSIGN_OR_RETURN(result_, OpenAll());
  }
  if (!directory_.Planted(Mistake::kListBeforeComplete)) MS_RETURN_IF_ERROR(directory_.List(shard_, listed));
  file_.reset();
  done_ = true;
  return {};
}

Result<std::unique_ptr<LogFile>> Directory::Preparation::OpenAll() {
  shard::FileSystem& files = directory_.files_;
  const std::string name = directory_.At(LogFileName(shard_, id_.sequence));
  auto result = std::make_unique<LogFile>();
  result->file = id_;
  result->bytes = bytes_;
  OpenOptions options = ReadWrite();
  MS_ASSIGN_OR_RETURN(result->lazy, files.Open(name, options));
  MS_ASSIGN_OR_RETURN(result->syncer, files.Open(name, options));
  options.dsync = true;
  options.direct = direct_;
  MS_ASSIGN_OR_RETURN(result->durable, files.Open(name, options));
  return result;
}

}  // namespace moonshard::wal
