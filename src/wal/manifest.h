#pragma once
// The manifest: what belongs to a data directory. A file that it does not list is not part of the log; one
// that it lists must be there, whole. A short text that a person can read, replaced atomically
// (directory.h); docs/formats/log.md describes its lines.
//
// Plain data; safe from any thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "wal/record.h"

namespace moonshard::wal {

inline constexpr uint32_t kManifestVersion = 1;
inline constexpr size_t kManifestBytesMax = 16 << 20;
inline constexpr uint16_t kShardCountMax = 256;

struct ManifestFile {
  // Set once everything before it is durable and nothing will be written behind it.
  struct End {
    uint64_t offset = 0;
    Lsn last;  // of the last record
    friend bool operator==(const End&, const End&) = default;
  };
  FileId file;
  uint64_t bytes = 0;
  std::optional<End> end;
  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;
};

struct ManifestShard {
  Lsn from;  // what precedes the first file's first record; 0 while the log holds everything
  std::vector<ManifestFile> files;  // in the order of writing
  friend bool operator==(const ManifestShard&, const ManifestShard&) = default;
};

struct Manifest {
  uint64_t incarnation = 0;
  uint64_t hash_seed = 0;  // base::HashSeed of the keys; a secret
  TimeMs clock_floor = 0;  // no clock of a shard was beyond it when the incarnation began
  std::vector<ManifestShard> shards;
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

std::string PrintManifest(const Manifest& manifest);
// Refuses whatever PrintManifest would not have written, and says which line. Text of a newer version is
// refused as such.
base::Result<Manifest> ParseManifest(std::string_view text);

}  // namespace moonshard::wal
