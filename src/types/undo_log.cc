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
        target_.RestoreString(record.db, key, value, record.deadline);
        break;
      case Inverse::kRestoreDeadline:
        target_.RestoreDeadline(record.db, key, record.deadline);
        break;
      case Inverse::kSwap:
        target_.Swap(record.db, DbIndex(static_cast<uint16_t>(record.value_bytes)));
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
      records_.push_back(
          {text_.size(), mutation.other_db.value(), kNoDeadline, 0, mutation.db, Inverse::kSwap});
      return;
  }
}

void UndoLog::AddFormer(DbIndex db, const dash::Entry& entry) {
  // Other types bring their own inverse along with their mutators.
  MS_CHECK(entry.type() == dash::Type::kString);
  char scratch[base::kMaxInt64Chars];
  Add(Inverse::kRestoreString, db, entry.key(), StringBytes(entry, scratch), entry.deadline());
}

void UndoLog::Add(Inverse inverse, DbIndex db, std::string_view key, std::string_view value,
                  TimeMs deadline) {
  records_.push_back({text_.size(), value.size(), deadline, static_cast<uint32_t>(key.size()), db, inverse});
  text_.Append(key);
  text_.Append(value);
}

}  // namespace moonshard::types
