// Whole values and whole databases on the move: a value that is put where another key was, databases that
// are flushed or exchanged.

#include <limits>
#include <utility>

#include "db/errors.h"
#include "db/keyspace.h"

namespace moonshard::db {

using dash::Entry;
using dash::Table;
using types::DetachedValue;
using types::MutationKind;
using types::MutationReason;

namespace {
// Freed by the flush itself, so that a small database is gone at once: some 50 us.
constexpr size_t kFreedAtOnce = 1024;
// A block outside counts as one key more per so many bytes: freeing one takes microseconds, and giving its
// pages back takes longer (values_bench.cc).
constexpr size_t kOutsideBytesPerKey = 1024;
}  // namespace

base::Status Database::Place(const Key& key, DetachedValue& value) {
  Table::Ref ref = FindForWrite(key);
  const Entry* before = ref ? table_.entry(ref) : nullptr;
  if (before != nullptr) {
    if (!HasRoom(*before, value.entry_bytes().size(), value.deadline())) return kOutOfMemory;
  } else {
    ref = table_.Insert(key.hash, key.text, value.type(), value.encoding(), value.entry_bytes().size(),
                        value.deadline());
    if (!ref) return kOutOfMemory;
  }
  char scratch[base::kMaxInt64Chars];
  keyspace_.sink_.Report({.kind = MutationKind::kStringSet,
                          .db = index_,
                          .key = key.text,
                          .before = before,
                          .bytes = value.StringBytes(scratch),
                          .deadline = value.deadline()});
  Entry* entry = table_.entry(ref);
  if (before != nullptr) {
    table_.Touch(ref);
    keyspace_.outside_bytes_ -= types::OutsideBytes(*entry);
    types::ReleaseOutside(*entry);
    entry = Reshape(ref, value.entry_bytes().size(), value.deadline());
  }
  value.MoveInto(*entry);
  keyspace_.outside_bytes_ += types::OutsideBytes(*entry);
  Notify(kEventNew, key);
  return {};
}

void Database::EraseLent(const Key& key, std::string_view event) {
  // Not FindForWrite: a key that has been lent stays until it is given up, whatever its deadline.
  Table::Ref ref = table_.Find(key.hash, key.text);
  MS_CHECK(ref);
  const Entry& entry = *table_.entry(ref);
  ReportErase(entry, MutationReason::kCommand);
  table_.Touch(ref);
  keyspace_.outside_bytes_ -= types::OutsideBytes(entry);
  table_.Erase(ref);
  Notify({EventClass::kGeneric, event}, key);
}

size_t Database::Flush() {
  size_t erased = size();
  if (erased == 0) return 0;
  keyspace_.sink_.Report({.kind = MutationKind::kFlush, .db = index_});
  auto retired = std::make_unique<Table>(keyspace_.slab_, dash::TableOptions{.seed = keyspace_.seed()});
  retired->TakeEpochOf(table_);
  retired->Swap(table_);
  keyspace_.retired_.push_back(std::move(retired));
  keyspace_.FreeRetired(kFreedAtOnce);
  return erased;
}

void Keyspace::FreeRetired(size_t limit) {
  size_t freed = 0;
  while (!retired_.empty() && freed < limit) {
    Table& table = *retired_.front();
    // A segment at a time: what lies outside counts as well.
    bool more = table.Dismantle(1, [&](const Entry& entry) {
      ++stats_.lazily_freed;
      size_t outside = types::OutsideBytes(entry);
      outside_bytes_ -= outside;
      freed += 1 + outside / kOutsideBytesPerKey;
      types::ReleaseOutside(entry);
    });
    if (!more) retired_.pop_front();
  }
}

size_t Keyspace::retired_key_count() const {
  size_t count = 0;
  for (const auto& table : retired_) count += table->size();
  return count;
}

void Keyspace::Swap(DbIndex a, DbIndex b) {
  if (a == b) return;
  RestoreSwap(a, b);
  events_.NotifySwap(a, b);
}

void Keyspace::RestoreSwap(DbIndex a, DbIndex b) {
  sink_.Report({.kind = MutationKind::kSwap, .db = a, .other_db = b});
  database(a).table_.Swap(database(b).table_);
}

}  // namespace moonshard::db
