#pragma once
// DetachedValue: a value off its key, on its way to another key, database or shard. Commands that work on
// any type (RENAME, COPY, MOVE, RESTORE) know values only in this form.
//
//   Lend(entry)    the very value of an entry: its blocks outside are shared with the entry, so that moving a
//                  large value copies nothing. The lender stays as it is, locked, until the value was placed
//                  (db::Database::Place) and is then given up (EraseLent), or keeps it if that failed.
//   Clone(entry)   a copy with blocks of its own.
//   OfString       a new string.
//
// `entry_bytes` are the bytes as they lie in an entry. A new type needs: its blocks in Clone and Release.
// Belongs to one command; goes from shard to shard with it.

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/types.h"
#include "dash/entry.h"

namespace moonshard::types {

class DetachedValue {
 public:
  // No value: the key is absent.
  DetachedValue() = default;
  DetachedValue(const DetachedValue&) = delete;
  DetachedValue& operator=(const DetachedValue&) = delete;
  DetachedValue(DetachedValue&& other) noexcept;
  DetachedValue& operator=(DetachedValue&& other) noexcept;
  ~DetachedValue() { Release(); }

  static DetachedValue Lend(const dash::Entry& entry);
  // The deadline is copied as well. Empty if memory was refused.
  static DetachedValue Clone(const dash::Entry& entry);
  static DetachedValue OfString(std::string_view bytes);

  explicit operator bool() const { return present_; }
  dash::Type type() const { return type_; }
  uint8_t encoding() const { return encoding_; }
  TimeMs deadline() const { return deadline_; }
  void set_deadline(TimeMs deadline) { deadline_ = deadline; }
  std::string_view entry_bytes() const { return bytes_; }
  // Strings only; an integer is formatted into `scratch` (base::kMaxInt64Chars bytes).
  std::string_view StringBytes(char* scratch) const;

  // Fills an entry of the right value size, which owns the blocks from here on.
  void MoveInto(dash::Entry& entry);

 private:
  void Release();

  bool present_ = false;
  bool owns_blocks_ = false;
  dash::Type type_ = dash::Type::kString;
  uint8_t encoding_ = 0;
  TimeMs deadline_ = kNoDeadline;
  // A lent value brings its own along (dash/entry.h); others are as new.
  uint32_t access_clock_ = 0;
  bool keeps_access_clock_ = false;
  std::string bytes_;
};

}  // namespace moonshard::types
