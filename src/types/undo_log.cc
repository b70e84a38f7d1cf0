#include "types/undo_log.h"

#include "base/check.h"
#include "types/string_value.h"

namespace moonshard::types {

void UndoLog::Forget() {
  records_.clear();
  text_.Clear();
}

void UndoLog::Rollback() {
  for (size_t i = records_.size(); i-- > 0;) {
    const Record& record = records_[i];
    std::string_view key = text_.view().substr(record.begin, record.key_bytes);
    std::string_view value = text_.view().substr(record.begin + record.key_bytes, record.value_bytes);
    switch (record.inverse) {
      case Inverse::kRemove:
        target_.Remove(record.db, key);
        break;
      case Inverse::kRestoreString:
        target_.RestoreString(record.db, key, value, record.deadline, record.form);
        break;
      case Inverse::kRestorePatch:
        target_.RestorePatch(record.db, key, record.offset, value, record.size, record.form);
        break;
      case Inverse::kRestoreDeadline:
        target_.RestoreDeadline(record.db, key, record.deadline);
        break;
      case Inverse::kSwap:
        target_.Swap(record.db, DbIndex(static_cast<uint16_t>(record.offset)));
        break;
    }
  }
  Forget();
}

void UndoLog::OnMutation(const Mutation& mutation) {
  switch (mutation.kind) {
    case MutationKind::kStringSet:
    case MutationKind::kStringPatch:
      if (mutation.before == nullptr) {
        Add(Inverse::kRemove, mutation.db, mutation.key, {}, kNoDeadline);
      } else if (mutation.kind == MutationKind::kStringPatch && mutation.before->encoding() != kStringInt) {
        AddPatch(mutation);
      } else {
        AddFormer(mutation.db, *mutation.before);
      }
      return;
    case MutationKind::kErase:
      AddFormer(mutation.db, *mutation.before);
      return;
    case MutationKind::kDeadline:
      Add(Inverse::kRestoreDeadline, mutation.db, mutation.key, {}, mutation.before->deadline());
      return;
    case MutationKind::kFlush:
      target_.ForEach(mutation.db, [&](const dash::Entry& entry) { AddFormer(mutation.db, entry); });
      return;
    case MutationKind::kSwap:
      Add(Inverse::kSwap, mutation.db, {}, {}, kNoDeadline).offset = mutation.other_db.value();
      return;
  }
}

void UndoLog::AddFormer(DbIndex db, const dash::Entry& entry) {
  // Other types bring their own inverse along with their mutators.
  MS_CHECK(entry.type() == dash::Type::kString);
  char scratch[base::kMaxInt64Chars];
  Add(Inverse::kRestoreString, db, entry.key(), StringBytes(entry, scratch), entry.deadline()).form =
      FormOf(entry);
}

// What it overwrites, not the whole value: a scope may patch a large one many times.
void UndoLog::AddPatch(const Mutation& mutation) {
  const dash::Entry& entry = *mutation.before;
  char scratch[base::kMaxInt64Chars];
  std::string_view bytes = StringBytes(entry, scratch);
  std::string_view overwritten;
  if (mutation.offset < bytes.size()) overwritten = bytes.substr(mutation.offset, mutation.bytes.size());
  Record& record = Add(Inverse::kRestorePatch, mutation.db, entry.key(), overwritten, kNoDeadline);
  record.offset = static_cast<uint32_t>(mutation.offset);
  record.size = static_cast<uint32_t>(bytes.size());
  record.form = FormOf(entry);
}

UndoLog::Record& UndoLog::Add(Inverse inverse, DbIndex db, std::string_view key, std::string_view value,
                              TimeMs deadline) {
  static_assert(kStringBytesMax <= UINT32_MAX, "offset and size have 32 bits");
  records_.push_back({.begin = text_.size(),
                      .value_bytes = value.size(),
                      .deadline = deadline,
                      .key_bytes = static_cast<uint32_t>(key.size()),
                      .offset = 0,
                      .size = 0,
                      .db = db,
                      .inverse = inverse,
                      .form = StringForm::kPlain});
  text_.Append(key);
  text_.Append(value);
  return records_.back();
}

}  // namespace moonshard::types
