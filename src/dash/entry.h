#pragma once
// Entry: one key with its value, one block in the slab, packed without padding.
//
//      0         1         2         3                   6                   8
//      +---------+---------+---------+---------+---------+---------+---------+
//      | key_len |enc |type|  flags  |    access clock (24 bits)   | value bytes |   fixed header, 8 bytes
//      +---------+---------+---------+---------+---------+---------+---------+
//      | deadline, ms since the epoch: 48 bits, or 64              |               0, 6 or 8 bytes
//      +---------+---------+---------+---------+
//      | key length, 32 bits                   |                                   only if key_len == 255
//      +---------+---------+---------+---------+
//      | key bytes ... | value bytes ...                                           unaligned; the block is
//      rounded up to 8
//
// A 16-byte key with a 32-byte value takes 56 bytes, with a deadline 64. The table does not interpret values:
// what is too large for the entry the caller keeps elsewhere, and the entry holds the pointer under an
// encoding of its own. Value bytes are unaligned: copy words in and out with memcpy.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string_view>

#include "base/check.h"
#include "base/macros.h"
#include "base/types.h"

namespace moonshard::dash {

// What a key holds. Four bits in the entry.
enum class Type : uint8_t {
  kString = 0,
  kList = 1,
  kSet = 2,
  kZset = 3,
  kHash = 4,
  kStream = 5,
  kJson = 6,
  kBloom = 7,
};

enum EntryFlags : uint8_t {
  // Reserved: the entry of a structure carries the LSN of its last write. Not used yet.
  kHasLastLsn = 1,
  // These bits are the number of bytes of the deadline as it stands: 0, 6 or 8.
  kDeadlineBytesMask = 0x0E,
  kReservedFlags = 0xF0,
};

inline constexpr size_t kInlineValueBytesMax = 65535;
inline constexpr uint8_t kEncodingMax = 15;
// The last deadline of 48 bits: the year 10889. Only later ones take eight bytes.
inline constexpr TimeMs kShortDeadlineMax = (TimeMs{1} << 48) - 1;

// Earlier than the epoch is kept as the epoch.
constexpr TimeMs ClampDeadline(TimeMs deadline) {
  return deadline < 0 ? 0 : deadline;
}

// What a deadline takes in the entry.
constexpr size_t DeadlineBytes(TimeMs deadline) {
  if (deadline == kNoDeadline) return 0;
  return deadline <= kShortDeadlineMax ? 6 : 8;
}

// Equal bytes at `a` and `b`. Inlined for the sizes keys have; no call below 64 bytes.
MS_ALWAYS_INLINE bool EqualBytes(const char* a, const char* b, size_t size) {
  auto word = [](const char* at) {
    uint64_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  auto half = [](const char* at) {
    uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  if (size >= 8) {
    if (size > 64) [[unlikely]]
      return std::memcmp(a, b, size) == 0;
    // Whole words, the last one overlapping its neighbour.
    uint64_t difference = word(a + size - 8) ^ word(b + size - 8);
    for (size_t i = 0; i + 8 < size; i += 8) difference |= word(a + i) ^ word(b + i);
    return difference == 0;
  }
  if (size >= 4) return ((half(a) ^ half(b)) | (half(a + size - 4) ^ half(b + size - 4))) == 0;
  for (size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

class Entry {
 public:
  static constexpr size_t kHeaderBytes = 8;
  static constexpr size_t kLongKeyLengthBytes = 4;
  static constexpr uint8_t kLongKey = 255;

  // Bytes an entry needs before rounding.
  static size_t Bytes(size_t key_bytes, size_t value_bytes, size_t deadline_bytes) {
    return kHeaderBytes + deadline_bytes + (key_bytes >= kLongKey ? kLongKeyLengthBytes : 0) + key_bytes +
           value_bytes;
  }
  size_t bytes() const { return KeyOffset() + key_bytes() + value_bytes_; }

  size_t key_bytes() const {
    if (key_len_ != kLongKey) [[likely]]
      return key_len_;
    uint32_t length;
    std::memcpy(&length, At(kHeaderBytes + deadline_bytes()), sizeof length);
    return length;
  }
  std::string_view key() const { return {At(KeyOffset()), key_bytes()}; }
  MS_ALWAYS_INLINE bool KeyEquals(std::string_view key) const {
    if (key_len_ == kLongKey) [[unlikely]]
      return this->key() == key;
    return key_len_ == key.size() && EqualBytes(At(kHeaderBytes + deadline_bytes()), key.data(), key.size());
  }

  std::span<char> value() { return {At(KeyOffset() + key_bytes()), value_bytes_}; }
  std::span<const char> value() const { return {At(KeyOffset() + key_bytes()), value_bytes_}; }
  std::string_view value_view() const { return {At(KeyOffset() + key_bytes()), value_bytes_}; }
  size_t value_bytes() const { return value_bytes_; }

  Type type() const { return static_cast<Type>(type_encoding_ & 15); }
  uint8_t encoding() const { return type_encoding_ >> 4; }
  void set_type(Type type, uint8_t encoding) {
    MS_DCHECK(encoding <= kEncodingMax && static_cast<uint8_t>(type) <= 15);
    type_encoding_ = static_cast<uint8_t>(encoding << 4 | static_cast<uint8_t>(type));
  }
  void set_encoding(uint8_t encoding) { set_type(type(), encoding); }

  bool has_deadline() const { return deadline_bytes() != 0; }
  size_t deadline_bytes() const { return flags_ & size_t{kDeadlineBytesMask}; }
  TimeMs deadline() const {
    if (!has_deadline()) return kNoDeadline;
    uint64_t value = 0;
    std::memcpy(&value, At(kHeaderBytes), deadline_bytes());
    return static_cast<TimeMs>(value);
  }

  // Access time or frequency of the eviction policy, 24 bits. Not a change of the entry in the sense of
  // snapshots.
  uint32_t access_clock() const {
    // One load: the byte of the flags comes along and is shifted out.
    static_assert(offsetof(Entry, access_clock_) == offsetof(Entry, flags_) + 1);
    uint32_t word;
    std::memcpy(&word, At(offsetof(Entry, flags_)), sizeof word);
    return word >> 8;
  }
  void set_access_clock(uint32_t clock) {
    const uint32_t word = clock << 8 | flags_;
    std::memcpy(At(offsetof(Entry, flags_)), &word, sizeof word);
  }

 private:
  friend class Table;

  // The table's part: lays out a fresh block, and changes what decides its size.
  void Init(std::string_view key, Type type, uint8_t encoding, size_t value_bytes, TimeMs deadline) {
    const bool is_long = key.size() >= kLongKey;
    key_len_ = is_long ? kLongKey : static_cast<uint8_t>(key.size());
    set_type(type, encoding);
    flags_ = static_cast<uint8_t>(DeadlineBytes(deadline));
    set_access_clock(0);
    value_bytes_ = static_cast<uint16_t>(value_bytes);
    if (deadline != kNoDeadline) set_deadline(deadline);
    if (is_long) {
      const auto length = static_cast<uint32_t>(key.size());
      std::memcpy(At(kHeaderBytes + deadline_bytes()), &length, sizeof length);
    }
    if (!key.empty()) std::memcpy(At(KeyOffset()), key.data(), key.size());
  }
  void set_deadline(TimeMs deadline) {
    MS_DCHECK(deadline >= 0 && deadline_bytes() == DeadlineBytes(deadline));
    std::memcpy(At(kHeaderBytes), &deadline, deadline_bytes());
  }
  void set_value_bytes(size_t bytes) { value_bytes_ = static_cast<uint16_t>(bytes); }
  void set_deadline_bytes(size_t bytes) { flags_ = static_cast<uint8_t>(bytes); }

  size_t KeyOffset() const {
    return kHeaderBytes + deadline_bytes() + (key_len_ == kLongKey ? kLongKeyLengthBytes : 0);
  }
  char* At(size_t offset) { return reinterpret_cast<char*>(this) + offset; }
  const char* At(size_t offset) const { return reinterpret_cast<const char*>(this) + offset; }

  uint8_t key_len_;
  uint8_t type_encoding_;
  uint8_t flags_;
  uint8_t access_clock_[3];
  uint16_t value_bytes_;
};
static_assert(sizeof(Entry) == Entry::kHeaderBytes);
static_assert((DeadlineBytes(0) & ~size_t{kDeadlineBytesMask}) == 0 &&
              DeadlineBytes(kNoDeadline - 1) == sizeof(TimeMs));
static_assert(std::numeric_limits<uint16_t>::max() == kInlineValueBytesMax);

}  // namespace moonshard::dash
