#include "wal/manifest.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "base/crc32c.h"
#include "base/number.h"

namespace moonshard::wal {

namespace {

using base::Result;
using base::Status;

constexpr std::string_view kTitle = "moonshard-log";
constexpr uint64_t kFileBytesMin = 2 * kBlockBytes;  // the header and one block

// Reads lines of words. The first thing that is not as it should be is kept as the error; everything read
// after it is empty.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool ok() const { return error_.empty(); }
  bool at_end() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }
  uint64_t number() const { return number_; }
  const std::string& error() const { return error_; }
  void Fail(std::string_view what) {
    if (error_.empty()) error_ = fmt::format("line {}: {}", number_, what);
  }

  // The next line begins with `name`.
  bool Next(std::string_view name) {
    ++number_;
    const size_t end = rest_.find('\n');
    if (!ok() || end == std::string_view::npos) {
      Fail(fmt::format("'{}' is missing", name));
      return false;
    }
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    if (Word() == name) return true;
    Fail(fmt::format("'{}' is missing", name));
    return false;
  }
  bool NextIs(std::string_view name) const {
    return rest_.size() > name.size() && rest_.starts_with(name) && rest_[name.size()] == ' ';
  }
  std::string_view Word() {
    const size_t end = line_.find(' ');
    const std::string_view word = line_.substr(0, end);
    line_.remove_prefix(end == std::string_view::npos ? line_.size() : end + 1);
    if (end != std::string_view::npos && line_.empty()) Fail("a blank at the end");
    return word;
  }
  uint64_t Decimal(uint64_t max = INT64_MAX) {
    const std::optional<int64_t> value = base::ParseInt64(Word());
    if (value && *value >= 0 && static_cast<uint64_t>(*value) <= max) return static_cast<uint64_t>(*value);
    Fail("a number is missing or out of its range");
    return 0;
  }
  uint64_t Hex() {
    const std::string_view word = Word();
    uint64_t value = 0;
    bool good = word.size() == 16;
    for (char c : word) {
      const bool digit = c >= '0' && c <= '9';
      good = good && (digit || (c >= 'a' && c <= 'f'));
      value = value << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
    }
    if (good) return value;
    Fail("16 hexadecimal digits are missing");
    return 0;
  }
  void EndOfLine() {
    if (!line_.empty()) Fail("more than belongs there");
  }

 private:
  std::string_view rest_;
  std::string_view line_;
  uint64_t number_ = 0;
  std::string error_;
};

void ParseFile(Lines& lines, const Manifest& manifest, ManifestShard& shard) {
  ManifestFile file;
  file.file.sequence = lines.Decimal();
  file.file.incarnation = lines.Hex();
  file.bytes = lines.Decimal();
  const std::string_view state = lines.Word();
  if (state == "closed") {
    ManifestFile::End end;
    end.offset = lines.Decimal();
    end.last = Lsn(lines.Decimal());
    if (end.offset < kFirstRecord || end.offset > file.bytes) lines.Fail("a file ends outside itself");
    file.end = end;
  } else if (state != "open") {
    lines.Fail("a file is open or closed");
  }
  lines.EndOfLine();
  if (file.file.sequence == 0) lines.Fail("sequences begin at 1");
  if (file.bytes < kFileBytesMin || !IsAligned(file.bytes)) lines.Fail("no size of a file");
  if (!file.end && file.file.incarnation != manifest.incarnation)
    lines.Fail("a file of an earlier incarnation is open");
  const ManifestFile* before = shard.files.empty() ? nullptr : &shard.files.back();
  if (before != nullptr) {
    if (before->file.sequence >= file.file.sequence) lines.Fail("sequences do not rise");
    if (!before->end && file.end) lines.Fail("a closed file follows an open one");
  }
  const Lsn last = before != nullptr && before->end ? before->end->last : shard.from;
  if (file.end && file.end->last < last) lines.Fail("positions fall");
  shard.files.push_back(file);
}

Manifest ParseLines(Lines& lines) {
  Manifest manifest;
  lines.Next("incarnation");
  manifest.incarnation = lines.Hex();
  lines.EndOfLine();
  lines.Next("hash-seed");
  manifest.hash_seed = lines.Hex();
  lines.EndOfLine();
  lines.Next("clock");
  manifest.clock_floor = static_cast<TimeMs>(lines.Decimal());
  lines.EndOfLine();
  lines.Next("snapshot");
  if (lines.Word() != "none") lines.Fail("a snapshot, of which this version knows nothing");
  lines.EndOfLine();
  lines.Next("shards");
  const uint64_t shard_count = lines.Decimal(kShardCountMax);
  lines.EndOfLine();
  if (shard_count == 0) lines.Fail("no shards");
  for (uint64_t i = 0; i < shard_count && lines.ok(); ++i) {
    ManifestShard& shard = manifest.shards.emplace_back();
    lines.Next("shard");
    if (lines.Decimal() != i) lines.Fail("the shards are not in their order");
    if (lines.Word() != "from") lines.Fail("'from' is missing");
    shard.from = Lsn(lines.Decimal());
    lines.EndOfLine();
    while (lines.ok() && lines.NextIs("file")) {
      lines.Next("file");
      ParseFile(lines, manifest, shard);
    }
  }
  return manifest;
}

Status Damaged(std::string_view why) {
  return Status::WithText(base::Code::kIo, fmt::format("the manifest is damaged: {}", why));
}

}  // namespace

std::string PrintManifest(const Manifest& manifest) {
  std::string text =
      fmt::format("{} {}\nincarnation {:016x}\nhash-seed {:016x}\nclock {}\nsnapshot none\nshards {}\n",
                  kTitle, kManifestVersion, manifest.incarnation, manifest.hash_seed, manifest.clock_floor,
                  manifest.shards.size());
  auto out = std::back_inserter(text);
  for (size_t i = 0; i < manifest.shards.size(); ++i) {
    const ManifestShard& shard = manifest.shards[i];
    fmt::format_to(out, "shard {} from {}\n", i, shard.from.value());
    for (const ManifestFile& file : shard.files) {
      fmt::format_to(out, "file {} {:016x} {} ", file.file.sequence, file.file.incarnation, file.bytes);
      if (file.end) {
        fmt::format_to(out, "closed {} {}\n", file.end->offset, file.end->last.value());
      } else {
        fmt::format_to(out, "open\n");
      }
    }
  }
  fmt::format_to(out, "crc32c {:08x}\n", base::Crc32c(0, text));
  return text;
}

Result<Manifest> ParseManifest(std::string_view text) {
  if (text.size() > kManifestBytesMax) return Damaged("it is too long");
  Lines lines(text);
  lines.Next(kTitle);
  const uint64_t version = lines.Decimal();
  lines.EndOfLine();
  if (!lines.ok()) return Damaged(lines.error());
  if (version != kManifestVersion) {
    return Status::WithText(
        base::Code::kIo, fmt::format("the manifest is of version {}, and this server knows version {} only",
                                     version, kManifestVersion));
  }
  // The checksum covers everything before its own line.
  constexpr size_t kLastLineBytes = sizeof("crc32c 01234567");
  if (text.size() < kLastLineBytes) return Damaged("it is cut short");
  const std::string_view covered = text.substr(0, text.size() - kLastLineBytes);
  if (text.substr(covered.size()) != fmt::format("crc32c {:08x}\n", base::Crc32c(0, covered)))
    return Damaged("its checksum does not fit");
  Manifest manifest = ParseLines(lines);
  if (lines.ok() && lines.rest().size() != kLastLineBytes) lines.Fail("more than belongs there");
  if (!lines.ok()) return Damaged(lines.error());
  return manifest;
}

}  // namespace moonshard::wal
