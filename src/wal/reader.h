#pragma once
// Reader: goes through one shard's log in the order of writing and says how it ends: cleanly, in the torn
// tail that a crash leaves, or in damage. docs/formats/log.md, "Reading", has the rules and why they are
// right.
//
// Reads only; memory is bounded by the largest record. Any thread, one at a time.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "shard/env.h"
#include "wal/manifest.h"
#include "wal/mistake.h"
#include "wal/record.h"

namespace moonshard::wal {

// A place in one shard's log. Sequence 0: before the first file.
struct LogPlace {
  uint64_t sequence = 0;
  uint64_t offset = 0;
  friend auto operator<=>(const LogPlace&, const LogPlace&) = default;
};

// A record with its place. The body is valid during the visit.
struct LoggedRecord {
  Record record;
  LogPlace begin;
  LogPlace end;
};

// Where the part of the log in one file ends.
struct FileEnd {
  uint64_t sequence = 0;
  ManifestFile::End end;
};

struct ReadOutcome {
  enum class Kind : uint8_t {
    kEnd,     // nothing follows the last record
    kTorn,    // something follows that was never acknowledged; it is to be forgotten
    kDamage,  // something that was acknowledged is missing or unreadable: refuse to start
  };
  Kind kind = Kind::kEnd;
  LogPlace place;           // where reading stopped; of kDamage, where the trouble lies
  uint64_t lost_bytes = 0;  // of kTorn: how much follows, as far as that can be seen
  std::string why;          // of kDamage, a sentence without its end

  LogPlace end;  // behind the last record that was visited or, with none, where the first would be
  Lsn last;      // of the last record
  std::vector<FileEnd> ends;  // of the files before the one of `end`
  Stamp stamp_max;
  uint64_t record_count = 0;
};

// Not called for block records. An error ends the reading and is its result.
using RecordVisitor = std::function<base::Status(const LoggedRecord&)>;

// "shard-0003" and "shard-0003/00000012.log".
std::string ShardFolder(ShardId shard);
std::string LogFileName(ShardId shard, uint64_t sequence);

// Reads the log of `shard` in the data directory `path`. An error of the file system is a Status: that a
// file could not be read is no statement about its content.
base::Result<ReadOutcome> ReadLog(shard::FileSystem& files, const std::string& path, const Manifest& manifest,
                                  ShardId shard, const RecordVisitor& visitor,
                                  Mistake planted = Mistake::kNone);

}  // namespace moonshard::wal
