#pragma once
// UndoTarget: a keyspace as an undo log sees it (types/undo_log.h).
// Owned by one shard.

#include "db/keyspace.h"
#include "types/undo_log.h"

namespace moonshard::db {

class UndoTarget final : public types::UndoTarget {
 public:
  explicit UndoTarget(Keyspace& keyspace) : keyspace_(keyspace) {}

  void RestoreString(DbIndex db, std::string_view key, std::string_view bytes, TimeMs deadline,
                     types::StringForm form) override {
    keyspace_.database(db).RestoreString(KeyOf(key), bytes, deadline, form);
  }
  void RestorePatch(DbIndex db, std::string_view key, uint64_t offset, std::string_view bytes, uint64_t size,
                    types::StringForm form) override {
    keyspace_.database(db).RestorePatch(KeyOf(key), offset, bytes, size, form);
  }
  void RestoreDeadline(DbIndex db, std::string_view key, TimeMs deadline) override {
    keyspace_.database(db).RestoreDeadline(KeyOf(key), deadline);
  }
  void Remove(DbIndex db, std::string_view key) override {
    keyspace_.database(db).RestoreAbsence(KeyOf(key));
  }
  void Swap(DbIndex a, DbIndex b) override { keyspace_.RestoreSwap(a, b); }
  void ForEach(DbIndex db, const std::function<void(const dash::Entry&)>& fn) override {
    dash::Table& table = keyspace_.database(db).table();
    uint64_t cursor = 0;
    do {
      cursor = table.Scan(cursor, [&](const dash::Entry* entry) { fn(*entry); });
    } while (cursor != 0);
  }

 private:
  Key KeyOf(std::string_view text) const { return {text, base::HashBytes(text, keyspace_.seed())}; }

  Keyspace& keyspace_;
};

}  // namespace moonshard::db
