#pragma once
// The one way by which a value changes. Every mutator of every type reports what it is about to do to the
// sink of its shard, element by element, after all checks that may refuse have passed and before the change
// is applied; so a consumer sees the old state (through `before`) and the new one (through the other fields).
// Log effects, client tracking, index hooks and undo are consumers; expiry and eviction report here as well.
//
// With no consumer attached a report costs one increment and one predictable branch.
// Owned by one shard.

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/macros.h"
#include "base/types.h"

namespace moonshard::dash {
class Entry;
}

namespace moonshard::types {

enum class MutationKind : uint8_t {
  kStringSet,    // the whole value becomes `bytes`, the deadline becomes `deadline`
  kStringPatch,  // `bytes` replace the value's bytes at `offset`, growing it if needed; the deadline stays
  kDeadline,     // only the deadline changes, to `deadline` (kNoDeadline: it goes)
  kErase,        // the key goes
  kFlush,        // every key of `db` goes
  kSwap,         // `db` and `other_db` exchange their keys
};

enum class MutationReason : uint8_t { kCommand, kExpired, kEvicted };

struct Mutation {
  MutationKind kind;
  MutationReason reason = MutationReason::kCommand;
  DbIndex db = {};
  std::string_view key = {};
  // The entry as it is before the change; null if the key is absent. Valid during the call only.
  const dash::Entry* before = nullptr;
  std::string_view bytes = {};
  uint64_t offset = 0;
  TimeMs deadline = kNoDeadline;
  DbIndex other_db = {};
};

class MutationConsumer {
 public:
  virtual void OnMutation(const Mutation& mutation) = 0;

 protected:
  ~MutationConsumer() = default;
};

class MutationSink {
 public:
  // Position of the last change on this shard; the log will give these positions their place on disk.
  Lsn position() const { return position_; }
  uint64_t change_count() const { return position_.value(); }

  MS_ALWAYS_INLINE void Report(const Mutation& mutation) {
    position_ = Lsn(position_.value() + 1);
    if (!consumers_.empty()) [[unlikely]]
      Deliver(mutation);
  }

  // Consumers are called in the order of attachment.
  void Attach(MutationConsumer& consumer);
  void Detach(MutationConsumer& consumer);

 private:
  MS_NOINLINE void Deliver(const Mutation& mutation);

  Lsn position_;
  std::vector<MutationConsumer*> consumers_;
};

}  // namespace moonshard::types
