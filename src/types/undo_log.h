#pragma once
// UndoLog: a scope that can be taken back. While it records it writes down the inverse of every mutation of
// one shard's sink; Rollback applies the inverses, newest first, and the keyspace is what it was. Scripts and
// transactions that may have to start again keep one per shard that they change.
//
//   types::UndoLog undo(keyspace.sink(), target);   // target: the keyspace, see db/undo_target.h
//   {
//     types::UndoLog::Recording recording(undo);    // around the scope's own changes, not across its waits:
//     what other
//     ...                                           // clients change in between is not the scope's
//   }
//   undo.Rollback();                                // or undo.Forget(): they stand
//
// The keys it changed must be locked until then. The inverses pass through the sink like any other change, so
// a consumer that watched the scope (the log of effects, a tracking table) ends where it began; keyspace
// events are not sent. A key that expired under the scope's own access comes back too, and goes again at the
// next look at it.
//
// Cost: a record of 40 bytes, the key and the former value per mutation, of a patch the bytes it overwrote; a
// flush copies the database. bytes() says how much has gathered, so that the owner of the scope can bound it.
// Owned by one shard.

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "types/mutation.h"
#include "types/string_value.h"

namespace moonshard::types {

// What the inverses are applied to. Each call reports to the sink and must not fail: it returns to a state
// that fitted before. None of them lets a key expire.
class UndoTarget {
 public:
  virtual void RestoreString(DbIndex db, std::string_view key, std::string_view bytes, TimeMs deadline,
                             StringForm form) = 0;
  // `bytes` return to `offset`, then the string is cut to `size`.
  virtual void RestorePatch(DbIndex db, std::string_view key, uint64_t offset, std::string_view bytes,
                            uint64_t size, StringForm form) = 0;
  virtual void RestoreDeadline(DbIndex db, std::string_view key, TimeMs deadline) = 0;
  virtual void Remove(DbIndex db, std::string_view key) = 0;
  virtual void Swap(DbIndex a, DbIndex b) = 0;
  // Calls fn for every entry of a database that is about to be flushed.
  virtual void ForEach(DbIndex db, const std::function<void(const dash::Entry&)>& fn) = 0;

 protected:
  ~UndoTarget() = default;
};

class UndoLog final : public MutationConsumer {
 public:
  // Both outlive the log.
  UndoLog(MutationSink& sink, UndoTarget& target) : sink_(sink), target_(target) {}
  UndoLog(const UndoLog&) = delete;
  UndoLog& operator=(const UndoLog&) = delete;

  // Mutations are recorded during the life of this object.
  class Recording {
   public:
    explicit Recording(UndoLog& log) : log_(log) { log_.sink_.Attach(log_); }
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;
    ~Recording() { log_.sink_.Detach(log_); }

   private:
    UndoLog& log_;
  };

  // Takes back everything recorded since the last Rollback or Forget. Not while a Recording lives.
  void Rollback();
  // Everything so far stands.
  void Forget();

  size_t record_count() const { return records_.size(); }
  size_t bytes() const { return records_.size() * sizeof(Record) + text_.size(); }

  void OnMutation(const Mutation& mutation) override;

 private:
  enum class Inverse : uint8_t { kRemove, kRestoreString, kRestorePatch, kRestoreDeadline, kSwap };
  // Key and value lie one behind the other in text_, from `begin` on.
  struct Record {
    uint64_t begin;
    uint64_t value_bytes;
    TimeMs deadline;
    uint32_t key_bytes;
    uint32_t offset;  // kRestorePatch; the deadline stays. kSwap: the other database
    uint32_t size;    // kRestorePatch: the string's former length
    DbIndex db;
    Inverse inverse;
    StringForm form;
  };
  static_assert(sizeof(Record) <= 40);

  Record& Add(Inverse inverse, DbIndex db, std::string_view key, std::string_view value, TimeMs deadline);
  void AddFormer(DbIndex db, const dash::Entry& entry);
  void AddPatch(const Mutation& mutation);

  MutationSink& sink_;
  UndoTarget& target_;
  std::vector<Record> records_;
  base::Buffer text_;
};

}  // namespace moonshard::types
