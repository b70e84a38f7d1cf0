#pragma once
// Deliberate mistakes of the log, so that its simulation can show that it would find them. Tests only.

#include <cstdint>

namespace moonshard::wal {

enum class Mistake : uint8_t {
  kNone,
  // Of the writer.
  kNoSync,            // durable without a sync
  kAckBeforeWrite,    // durable when it is handed over
  kRewriteBlock,      // the write after a sync goes on in the block before it
  kGoOnAfterFailure,  // a failed write or sync is tried again and trusted
  kRotateUnsynced,    // the old file is left without a sync
  kDurableTooHigh,    // a block claims that itself is durable
  kStaleLooksNew,     // checksums have no seed, blocks no identity
  // Of the directory.
  kNoDirectorySync,     // names are not synced
  kListBeforeComplete,  // a file enters the manifest before it is synced
  kReuseListed,         // a file is used again before the manifest has forgotten it
  kCloseUnsynced,       // a new incarnation closes files that it did not sync
  // Of the reader.
  kReadCache,        // reads the tail through the page cache, which after a failed sync is not the disk
  kTakeAnyBlock,     // goes on in the next valid block, whatever its position
  kForgiveDamage,    // takes damage for a torn tail
  kCondemnTornTail,  // takes a torn tail for damage
};

}  // namespace moonshard::wal
