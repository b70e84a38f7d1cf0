// Database: what changes a string without replacing it whole.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/check.h"
#include "db/errors.h"
#include "db/keyspace.h"

namespace moonshard::db {

using dash::Entry;
using dash::Table;
using types::HeapString;
using types::MutationKind;
using types::StringForm;

namespace {

// `value` is a whole string of former length `old_size`, with room for what is written.
void Overwrite(char* value, size_t old_size, size_t offset, std::string_view bytes) {
  if (offset > old_size) std::memset(value + old_size, 0, offset - old_size);
  if (!bytes.empty()) std::memcpy(value + offset, bytes.data(), bytes.size());
}

void StoreHeap(Entry& entry, HeapString heap) {
  std::memcpy(entry.value().data(), &heap, sizeof heap);
}

}  // namespace

base::Result<int64_t> Database::IncrementBy(const Key& key, int64_t delta, EventName event) {
  Table::Ref ref = FindForWrite(key);
  int64_t value = 0;
  bool in_place = false;
  TimeMs deadline = kNoDeadline;
  if (ref) {
    const Entry& entry = *table_.entry(ref);
    if (entry.type() != dash::Type::kString) return kWrongType;
    in_place = entry.encoding() == types::kStringInt;
    auto integer = types::IntegerOf(entry);
    if (!integer) return kNotAnInteger;
    value = *integer;
    deadline = entry.deadline();
  }
  if (__builtin_add_overflow(value, delta, &value)) return kIncrementOverflow;
  char text[base::kMaxInt64Chars];
  std::string_view bytes(text, base::FormatInt64(value, text));
  if (in_place) {
    keyspace_.sink_.Report({.kind = MutationKind::kStringSet,
                            .db = index_,
                            .key = key.text,
                            .before = table_.entry(ref),
                            .bytes = bytes,
                            .deadline = deadline});
    table_.Touch(ref);
    types::StoreInt(*table_.entry(ref), value);
  } else {
    MS_RETURN_IF_ERROR(Store(key, ref, bytes, deadline, StringForm::kPlain));
    if (!ref) keyspace_.events_.Notify({EventClass::kNew, "new", index_, key.text});
  }
  keyspace_.events_.Notify({event.event_class, event.name, index_, key.text});
  return value;
}

base::Result<size_t> Database::PatchString(const Key& key, Table::Ref ref, size_t offset,
                                           std::string_view bytes, EventName event) {
  size_t size = offset + bytes.size();
  MS_DCHECK(size <= types::kStringBytesMax);
  if (!ref) {
    MS_RETURN_IF_ERROR(PatchAbsent(key, offset, bytes));
    keyspace_.events_.Notify({EventClass::kNew, "new", index_, key.text});
  } else {
    const Entry& entry = *table_.entry(ref);
    MS_DCHECK(entry.type() == dash::Type::kString);
    size = std::max(size, types::StringSize(entry));
    if (entry.encoding() == types::kStringHeap) {
      MS_RETURN_IF_ERROR(PatchHeap(ref, offset, bytes, size));
    } else if (size <= types::kInlineStringMax) {
      MS_RETURN_IF_ERROR(PatchInline(ref, offset, bytes, size));
    } else {
      MS_RETURN_IF_ERROR(PatchIntoHeap(ref, offset, bytes, size));
    }
  }
  if (!event.name.empty()) keyspace_.events_.Notify({event.event_class, event.name, index_, key.text});
  return size;
}

base::Status Database::PatchAbsent(const Key& key, size_t offset, std::string_view bytes) {
  const size_t size = offset + bytes.size();
  const bool is_inline = size <= types::kInlineStringMax;
  HeapString heap{nullptr, size};
  if (!is_inline) {
    heap.data = static_cast<char*>(std::malloc(size));
    if (heap.data == nullptr) return kOutOfMemory;
  }
  Table::Ref ref =
      table_.Insert(key.hash, key.text, dash::Type::kString,
                    is_inline ? types::kStringRaw : types::kStringHeap, is_inline ? size : sizeof heap);
  if (!ref) {
    types::FreeHeap(heap);
    return kOutOfMemory;
  }
  keyspace_.sink_.Report(
      {.kind = MutationKind::kStringPatch, .db = index_, .key = key.text, .bytes = bytes, .offset = offset});
  Entry& entry = *table_.entry(ref);
  Overwrite(is_inline ? entry.value().data() : heap.data, 0, offset, bytes);
  if (!is_inline) {
    StoreHeap(entry, heap);
    keyspace_.outside_bytes_ += types::OutsideBytes(entry);
  }
  return {};
}

void Database::MakeRaw(Table::Ref ref) {
  Entry* entry = table_.entry(ref);
  if (types::FormOf(*entry) == StringForm::kRaw) return;
  char scratch[base::kMaxInt64Chars];
  const std::string_view text = types::StringBytes(*entry, scratch);
  if (!HasRoom(*entry, text.size(), entry->deadline())) return;
  table_.Touch(ref);
  if (entry->encoding() == types::kStringInt) {
    if (text.size() != entry->value_bytes()) entry = table_.Resize(ref, text.size());
    MS_CHECK(entry != nullptr);
    std::memcpy(entry->value().data(), scratch, entry->value_bytes());
  }
  entry->set_encoding(types::kStringRaw);
}

// A value inside the entry that stays there.
base::Status Database::PatchInline(Table::Ref ref, size_t offset, std::string_view bytes, size_t size) {
  Entry* entry = table_.entry(ref);
  if (!HasRoom(*entry, size, entry->deadline())) return kOutOfMemory;
  ReportPatch(*entry, offset, bytes);
  table_.Touch(ref);
  const bool was_integer = entry->encoding() == types::kStringInt;
  char scratch[base::kMaxInt64Chars];
  const size_t old_size = types::StringBytes(*entry, scratch).size();
  if (size != entry->value_bytes()) {
    entry = table_.Resize(ref, size);
    MS_CHECK(entry != nullptr);
  }
  entry->set_encoding(types::kStringRaw);
  if (was_integer) std::memcpy(entry->value().data(), scratch, old_size);
  Overwrite(entry->value().data(), old_size, offset, bytes);
  return {};
}

// A value inside the entry that grows out of it.
base::Status Database::PatchIntoHeap(Table::Ref ref, size_t offset, std::string_view bytes, size_t size) {
  Entry* entry = table_.entry(ref);
  HeapString heap{static_cast<char*>(std::malloc(types::GrownBytes(size))), size};
  if (heap.data == nullptr) return kOutOfMemory;
  if (!HasRoom(*entry, sizeof heap, entry->deadline())) {
    types::FreeHeap(heap);
    return kOutOfMemory;
  }
  ReportPatch(*entry, offset, bytes);
  table_.Touch(ref);
  char scratch[base::kMaxInt64Chars];
  std::string_view old_bytes = types::StringBytes(*entry, scratch);
  if (!old_bytes.empty()) std::memcpy(heap.data, old_bytes.data(), old_bytes.size());
  Overwrite(heap.data, old_bytes.size(), offset, bytes);
  entry = table_.Resize(ref, sizeof heap);
  MS_CHECK(entry != nullptr);
  entry->set_encoding(types::kStringHeap);
  StoreHeap(*entry, heap);
  keyspace_.outside_bytes_ += types::OutsideBytes(*entry);
  return {};
}

base::Status Database::PatchHeap(Table::Ref ref, size_t offset, std::string_view bytes, size_t size) {
  Entry& entry = *table_.entry(ref);
  HeapString heap = types::LoadHeap(entry);
  const size_t capacity = types::HeapCapacity(heap);
  // A snapshot takes its copy here, before the block moves.
  table_.Touch(ref);
  if (size > capacity) {
    char* grown = static_cast<char*>(std::realloc(heap.data, types::GrownBytes(size)));
    if (grown == nullptr) return kOutOfMemory;
    heap.data = grown;
    StoreHeap(entry, heap);
    keyspace_.outside_bytes_ += types::HeapCapacity(heap) - capacity;
  }
  ReportPatch(entry, offset, bytes);
  Overwrite(heap.data, heap.size, offset, bytes);
  heap.size = size;
  StoreHeap(entry, heap);
  return {};
}

void Database::ReportPatch(const Entry& entry, size_t offset, std::string_view bytes) {
  keyspace_.sink_.Report({.kind = MutationKind::kStringPatch,
                          .db = index_,
                          .key = entry.key(),
                          .before = &entry,
                          .bytes = bytes,
                          .offset = offset});
}

void Database::RestoreString(const Key& key, std::string_view bytes, TimeMs deadline, StringForm form) {
  MS_CHECK(Store(key, table_.Find(key.hash, key.text), bytes, deadline, form).ok());
}

void Database::RestorePatch(const Key& key, size_t offset, std::string_view bytes, size_t size,
                            StringForm form) {
  Table::Ref ref = table_.Find(key.hash, key.text);
  if (!ref) return;
  Entry& entry = *table_.entry(ref);
  MS_CHECK(offset + bytes.size() <= types::StringSize(entry) && entry.encoding() != types::kStringInt);
  if (!bytes.empty()) {
    ReportPatch(entry, offset, bytes);
    table_.Touch(ref);
    char* value = entry.encoding() == types::kStringHeap ? types::LoadHeap(entry).data : entry.value().data();
    std::memcpy(value + offset, bytes.data(), bytes.size());
  }
  CutString(key, ref, size, form);
}

// Ends a string at `size` bytes. A mutation knows no shorter value but a whole one.
void Database::CutString(const Key& key, Table::Ref ref, size_t size, StringForm form) {
  Entry& entry = *table_.entry(ref);
  char scratch[base::kMaxInt64Chars];
  std::string_view bytes = types::StringBytes(entry, scratch);
  if (bytes.size() == size && types::FormOf(entry) == form) return;
  bytes = bytes.substr(0, size);
  if (entry.encoding() != types::kStringHeap || size <= types::kInlineStringMax) {
    // A copy, since its old place goes.
    MS_CHECK(Store(key, ref, std::string(bytes), entry.deadline(), form).ok());
    return;
  }
  keyspace_.sink_.Report({.kind = MutationKind::kStringSet,
                          .db = index_,
                          .key = entry.key(),
                          .before = &entry,
                          .bytes = bytes,
                          .deadline = entry.deadline()});
  table_.Touch(ref);
  StoreHeap(entry, {types::LoadHeap(entry).data, size});
}

}  // namespace moonshard::db
