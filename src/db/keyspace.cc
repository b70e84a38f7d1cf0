#include "db/keyspace.h"

#include <algorithm>
#include <limits>

#include "db/errors.h"

namespace moonshard::db {

using dash::Entry;
using dash::Table;
using types::Mutation;
using types::MutationKind;
using types::MutationReason;

namespace {
// The access clock draws numbers of its own, so that commands that ask for random ones see the same whether
// or not a policy counts.
constexpr uint64_t kAccessSeed = 0xACCE55ull << 32;
}  // namespace

Keyspace::Keyspace(const KeyspaceOptions& options)
    : options_(options),
      access_clock_(options.eviction != nullptr ? *options.eviction : default_eviction_,
                    options.random_seed ^ kAccessSeed),
      slab_({.huge_pages = dash::HugePages::kOn}),
      random_(options.random_seed) {
  for (size_t i = 0; i < kDatabaseCount; ++i) {
    databases_[i] = std::make_unique<Database>(*this, DbIndex(static_cast<uint16_t>(i)));
  }
}

TimeMs Keyspace::NextDeadlineHint() const {
  if (!active_expire_) return kNoDeadline;
  TimeMs earliest = kNoDeadline;
  for (const auto& database : databases_) {
    if (database->deadline_count() == 0) continue;
    earliest = std::min(earliest, database->table_.earliest_deadline_hint());
  }
  return earliest;
}

size_t Keyspace::ExpireDue(size_t limit, const LockView* locks) {
  if (!active_expire_) return 0;
  size_t erased = 0;
  for (const auto& database : databases_) {
    if (database->deadline_count() == 0) continue;
    while (erased < limit) {
      Table::Ref ref = database->table_.NextDue(now_);
      if (!ref) break;
      const Entry& entry = *database->table_.entry(ref);
      if (locks != nullptr) {
        uint64_t hash = base::HashBytes(entry.key(), options_.seed);
        if (locks->IsLocked(LockFingerprint(database->index(), hash))) {
          database->table_.DeferDue(ref, now_ + 1);
          continue;
        }
      }
      stats_.expire_lag_ms.Add(static_cast<uint64_t>(now_ - entry.deadline()));
      database->EraseRef(ref, MutationReason::kExpired, "expired");
      ++erased;
    }
  }
  return erased;
}

Keyspace::~Keyspace() {
  FreeRetired(std::numeric_limits<size_t>::max());
}

Database::Database(Keyspace& keyspace, DbIndex index)
    : keyspace_(keyspace),
      index_(index),
      table_(keyspace.slab_,
             {.seed = keyspace.options_.seed, .fresh_clock = keyspace.access_clock_.fresh()}) {}

Database::~Database() {
  ReleaseAllOutside();
}

bool Database::Expired(const Entry& entry) const {
  return entry.deadline() <= keyspace_.now_;
}

Table::Ref Database::FindLive(const Key& key) {
  Table::Ref ref = table_.Find(key.hash, key.text);
  if (ref && Expired(*table_.entry(ref))) [[unlikely]] {
    EraseRef(ref, MutationReason::kExpired, "expired");
    return {};
  }
  return ref;
}

Entry* Database::Find(const Key& key) {
  Entry* entry = Peek(key);
  if (entry != nullptr) keyspace_.access_clock_.Touch(*entry);
  return entry;
}

Entry* Database::Peek(const Key& key) {
  Table::Ref ref = FindLive(key);
  if (!ref) {
    ++keyspace_.stats_.misses;
    return nullptr;
  }
  ++keyspace_.stats_.hits;
  return table_.entry(ref);
}

Table::Ref Database::FindForWrite(const Key& key) {
  Table::Ref ref = FindLive(key);
  if (ref) keyspace_.access_clock_.Touch(*table_.entry(ref));
  return ref;
}

base::Status Database::SetString(const Key& key, std::string_view bytes, TimeMs deadline, EventName event,
                                 types::StringForm form) {
  return SetStringAt(key, FindForWrite(key), bytes, deadline, event, form);
}

base::Status Database::SetStringAt(const Key& key, Table::Ref ref, std::string_view bytes, TimeMs deadline,
                                   EventName event, types::StringForm form) {
  MS_RETURN_IF_ERROR(Store(key, ref, bytes, deadline, form));
  if (!ref) keyspace_.events_.Notify({EventClass::kNew, "new", index_, key.text});
  keyspace_.events_.Notify({event.event_class, event.name, index_, key.text});
  return {};
}

base::Status Database::Store(const Key& key, Table::Ref ref, std::string_view bytes, TimeMs deadline,
                             types::StringForm form) {
  types::StringShape shape = types::ShapeOf(bytes, form);
  types::HeapString heap{nullptr, 0};
  if (shape.encoding == types::kStringHeap) {
    heap = types::MakeHeap(bytes);
    if (heap.data == nullptr) return kOutOfMemory;
  }
  if (ref) return Replace(ref, shape, bytes, heap, deadline);
  ref = table_.Insert(key.hash, key.text, dash::Type::kString, shape.encoding, shape.value_bytes, deadline);
  if (!ref) {
    types::FreeHeap(heap);
    return kOutOfMemory;
  }
  keyspace_.sink_.Report({.kind = MutationKind::kStringSet,
                          .db = index_,
                          .key = key.text,
                          .bytes = bytes,
                          .deadline = deadline});
  Entry& entry = *table_.entry(ref);
  types::StoreString(entry, shape, bytes, heap);
  keyspace_.outside_bytes_ += types::OutsideBytes(entry);
  return {};
}

base::Status Database::Replace(Table::Ref ref, const types::StringShape& shape, std::string_view bytes,
                               types::HeapString heap, TimeMs deadline) {
  Entry* entry = table_.entry(ref);
  // Most overwrites keep the form: nothing to free, to move or to refuse.
  bool same_form = entry->type() == dash::Type::kString && entry->encoding() != types::kStringHeap &&
                   shape.encoding != types::kStringHeap && entry->value_bytes() == shape.value_bytes &&
                   entry->deadline() == deadline;
  if (!same_form && !HasRoom(*entry, shape.value_bytes, deadline)) {
    types::FreeHeap(heap);
    return kOutOfMemory;
  }
  keyspace_.sink_.Report({.kind = MutationKind::kStringSet,
                          .db = index_,
                          .key = entry->key(),
                          .before = entry,
                          .bytes = bytes,
                          .deadline = deadline});
  table_.Touch(ref);
  if (same_form) {
    entry->set_type(dash::Type::kString, shape.encoding);
    types::StoreString(*entry, shape, bytes, heap);
    return {};
  }
  keyspace_.outside_bytes_ -= types::OutsideBytes(*entry);
  types::ReleaseOutside(*entry);
  entry = Reshape(ref, shape.value_bytes, deadline);
  entry->set_type(dash::Type::kString, shape.encoding);
  types::StoreString(*entry, shape, bytes, heap);
  keyspace_.outside_bytes_ += types::OutsideBytes(*entry);
  return {};
}

Entry* Database::Reshape(Table::Ref ref, size_t value_bytes, TimeMs deadline) {
  // The smaller of the two forms between: HasRoom counts on it.
  if (dash::DeadlineBytes(deadline) < table_.entry(ref)->deadline_bytes()) {
    MS_CHECK(table_.SetDeadline(ref, deadline) != nullptr);
  }
  Entry* entry = table_.Resize(ref, value_bytes);
  MS_CHECK(entry != nullptr);
  if (entry->deadline() != deadline) {
    entry = table_.SetDeadline(ref, deadline);
    MS_CHECK(entry != nullptr);
  }
  return entry;
}

base::Status Database::SetDeadline(Table::Ref ref, TimeMs deadline) {
  Entry* entry = table_.entry(ref);
  if (!HasRoom(*entry, entry->value_bytes(), deadline)) return kOutOfMemory;
  keyspace_.sink_.Report({.kind = MutationKind::kDeadline,
                          .db = index_,
                          .key = entry->key(),
                          .before = entry,
                          .deadline = deadline});
  MS_CHECK(table_.SetDeadline(ref, deadline) != nullptr);
  return {};
}

// Where both the value's size and the deadline's width change, the entry is laid out twice (Reshape), and the
// block between must be there as well. Probes that are held together and then freed are what the slab hands
// out next.
bool Database::HasRoom(const Entry& entry, size_t value_bytes, TimeMs deadline) {
  const size_t old_width = entry.deadline_bytes();
  const size_t width = dash::DeadlineBytes(deadline);
  if (width == old_width && value_bytes == entry.value_bytes()) return true;
  if (width != 0 && old_width == 0 && !table_.ReserveForDeadlines()) return false;
  auto class_of = [&](size_t bytes, size_t deadline_bytes) {
    return dash::Slab::ClassBytes(Entry::Bytes(entry.key_bytes(), bytes, deadline_bytes));
  };
  dash::Slab& slab = keyspace_.slab_;
  // Not the class of its bytes: an entry that shrank in a full slab stayed in its block.
  const size_t now = slab.BlockBytes(slab.HandleOf(&entry));
  const size_t end = class_of(value_bytes, width);
  const size_t between = width == old_width  ? end
                         : width > old_width ? class_of(value_bytes, old_width)
                                             : class_of(entry.value_bytes(), width);
  if (end <= now && (between == now || between == end)) return true;
  const bool stops_between = between != now && between != end;
  const dash::Handle first = stops_between ? slab.Allocate(between) : dash::kNoHandle;
  const dash::Handle last = slab.Allocate(end);
  // What does not grow may stay where it is.
  const bool fits = last != dash::kNoHandle && (!stops_between || first != dash::kNoHandle || between <= now);
  if (last != dash::kNoHandle) slab.Free(last);
  if (first != dash::kNoHandle) slab.Free(first);
  return fits;
}

bool Database::Erase(const Key& key, std::string_view event) {
  Table::Ref ref = FindForWrite(key);
  if (!ref) return false;
  EraseRef(ref, MutationReason::kCommand, event);
  return true;
}

void Database::EraseRef(Table::Ref ref, MutationReason reason, std::string_view event) {
  const Entry& entry = *table_.entry(ref);
  ReportErase(entry, reason);
  if (reason == MutationReason::kExpired) ++keyspace_.stats_.expired;
  if (reason == MutationReason::kEvicted) ++keyspace_.stats_.evicted;
  if (keyspace_.events_.listening()) [[unlikely]] {
    EventClass event_class = reason == MutationReason::kExpired   ? EventClass::kExpired
                             : reason == MutationReason::kEvicted ? EventClass::kEvicted
                                                                  : EventClass::kGeneric;
    keyspace_.events_.Notify({event_class, event, index_, entry.key()});
  }
  Drop(ref);
}

void Database::ReportErase(const Entry& entry, MutationReason reason) {
  keyspace_.sink_.Report(
      {.kind = MutationKind::kErase, .reason = reason, .db = index_, .key = entry.key(), .before = &entry});
}

void Database::Drop(Table::Ref ref) {
  const Entry& entry = *table_.entry(ref);
  // A snapshot takes its copy here, before the value goes.
  table_.Touch(ref);
  keyspace_.outside_bytes_ -= types::OutsideBytes(entry);
  types::ReleaseOutside(entry);
  table_.Erase(ref);
}

void Database::ReleaseAllOutside() {
  uint64_t cursor = 0;
  do {
    cursor = table_.Scan(cursor, [&](const Entry* entry) {
      keyspace_.outside_bytes_ -= types::OutsideBytes(*entry);
      types::ReleaseOutside(*entry);
    });
  } while (cursor != 0);
}

void Database::RestoreDeadline(const Key& key, TimeMs deadline) {
  Table::Ref ref = table_.Find(key.hash, key.text);
  if (ref) MS_CHECK(SetDeadline(ref, deadline).ok());
}

void Database::RestoreAbsence(const Key& key) {
  Table::Ref ref = table_.Find(key.hash, key.text);
  if (!ref) return;
  ReportErase(*table_.entry(ref), MutationReason::kCommand);
  Drop(ref);
}

}  // namespace moonshard::db
