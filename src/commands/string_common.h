#pragma once
// What the string families share: replies, and the options of SET and its relatives.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "command/shard_state.h"
#include "commands/args.h"
#include "types/string_value.h"

namespace moonshard::commands {

using command::ShardState;

inline constexpr base::StaticError kDigestForm{base::Code::kErr, "must be exactly 16 hexadecimal characters"};

// The reply of GET: the value, null, or the error of another type.
inline void ReplyString(Context& context, const dash::Entry* entry) {
  if (entry == nullptr) {
    context.reply.Null();
    return;
  }
  if (entry->type() != dash::Type::kString) {
    context.reply.Error(db::kWrongType);
    return;
  }
  char scratch[base::kMaxInt64Chars];
  context.reply.Bulk(types::StringBytes(*entry, scratch));
}

inline bool IsString(const dash::Entry& entry) {
  return entry.type() == dash::Type::kString;
}
// Null where `ref` is empty.
inline const dash::Entry* EntryOf(Context& context, dash::Table::Ref ref) {
  return ref ? context.db->table().entry(ref) : nullptr;
}

// Where a key is that this call has looked up already: counts nothing.
inline dash::Table::Ref RefOf(Context& context, const db::Key& key) {
  return context.db->table().Find(key.hash, key.text);
}

// An event of class "generic" that follows the operation's own.
inline void NotifyGeneric(ShardState& shard, const db::Database& db, std::string_view key,
                          std::string_view name) {
  shard.keyspace->events().Notify({db::EventClass::kGeneric, name, db.index(), key});
}

// ---- options

enum StringOption : uint32_t {
  kOptNx = 1u << 0,
  kOptXx = 1u << 1,
  kOptGet = 1u << 2,
  kOptKeepTtl = 1u << 3,
  kOptPersist = 1u << 4,
  kOptTime = 1u << 5,  // EX, PX, EXAT, PXAT
  kOptIfEq = 1u << 6,
  kOptIfNe = 1u << 7,
  kOptIfDeq = 1u << 8,
  kOptIfDne = 1u << 9,
};
inline constexpr uint32_t kOptCompare = kOptIfEq | kOptIfNe | kOptIfDeq | kOptIfDne;

struct TimeOption {
  std::string_view token;
  TimeUnit unit;
  TimeBase base;
};

struct StringOptions {
  uint32_t given = 0;
  const TimeOption* time = nullptr;
  std::string_view time_text;
  std::string_view operand;  // of the comparison

  bool has(uint32_t option) const { return (given & option) != 0; }
};

// Redis' option words are C strings.
bool IsWord(std::string_view arg, std::string_view word);
// EX, PX, EXAT or PXAT, or null.
const TimeOption* FindTimeOption(std::string_view word);
// The bit of IFEQ, IFNE, IFDEQ or IFDNE, or 0.
uint32_t FindCompareOption(std::string_view word);

// False: a syntax error. Numbers are checked later (ResolveDeadline), as in Redis.
bool ParseStringOptions(std::span<const std::string_view> words, uint32_t accepted, StringOptions& options);

// The deadline that a time option names. Nothing: the error has been replied.
std::optional<TimeMs> ResolveDeadline(Context& context, const TimeOption& option, std::string_view text);

// ---- comparisons

inline constexpr size_t kDigestChars = 16;
// XXH3 of the bytes, as 16 hexadecimal digits at `to`.
void FormatDigest(std::string_view bytes, char* to);
// Whether the comparison may be made at all; its digest must have the right length.
base::Status CheckOperand(uint32_t option, std::string_view operand);
// Whether an existing string lets the change through.
bool Compares(uint32_t option, std::string_view operand, const dash::Entry& entry);

}  // namespace moonshard::commands
