#pragma once
// How a string lies in its entry. Three encodings:
//
//   kStringInt     the value is the canonical text of an int64: 8 bytes, the number itself
//   kStringInline  up to kInlineStringMax bytes, inside the entry
//   kStringHeap    16 bytes {pointer, size}; the bytes lie in one malloc'd block owned by the entry, which
//                  may be larger than they are
//   kStringRaw     as kStringInline, for a value that was changed in place: clients see "raw", whatever its
//                  size (StringForm)
//
// Owned by one shard.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "base/number.h"
#include "dash/entry.h"

namespace moonshard::types {

enum StringEncoding : uint8_t { kStringInline = 0, kStringInt = 1, kStringHeap = 2, kStringRaw = 3 };

// How a value came about, which OBJECT ENCODING shows as Redis does.
enum class StringForm : uint8_t {
  kPlain,  // as SET stores it: an integer where the text is one
  kText,   // never an integer (INCRBYFLOAT)
  kRaw,    // changed in place (APPEND, SETRANGE, SETBIT)
};

// Up to here the slab's classes waste less than the general allocator's (docs/decisions, entry layout).
inline constexpr size_t kInlineStringMax = 8192;
// 512 MB, as Redis' proto-max-bulk-len.
inline constexpr size_t kStringBytesMax = size_t{512} << 20;

struct HeapString {
  char* data;
  uint64_t size;
};
static_assert(sizeof(HeapString) == 16);

inline int64_t LoadInt(const dash::Entry& entry) {
  int64_t value;
  std::memcpy(&value, entry.value().data(), sizeof value);
  return value;
}

inline HeapString LoadHeap(const dash::Entry& entry) {
  HeapString heap;
  std::memcpy(&heap, entry.value().data(), sizeof heap);
  return heap;
}

// The bytes of a string entry; an integer is formatted into `scratch` (kMaxInt64Chars bytes).
// Valid until the entry changes or `scratch` goes.
inline std::string_view StringBytes(const dash::Entry& entry, char* scratch) {
  switch (static_cast<StringEncoding>(entry.encoding())) {
    case kStringInt:
      return {scratch, base::FormatInt64(LoadInt(entry), scratch)};
    case kStringHeap: {
      HeapString heap = LoadHeap(entry);
      return {heap.data, heap.size};
    }
    case kStringInline:
    case kStringRaw:
      break;
  }
  return {entry.value().data(), entry.value_bytes()};
}
// Their number.
size_t StringSize(const dash::Entry& entry);
// The integer that a string entry's bytes are the canonical text of.
std::optional<int64_t> IntegerOf(const dash::Entry& entry);
// The form to store the same bytes with elsewhere.
StringForm FormOf(const dash::Entry& entry);

// What a new value will need: its encoding and its bytes inside the entry.
struct StringShape {
  StringEncoding encoding;
  size_t value_bytes;
  int64_t integer;  // kStringInt only
};
StringShape ShapeOf(std::string_view bytes, StringForm form = StringForm::kPlain);

// A heap block holding a copy of `bytes`; `data` is null if memory was refused.
HeapString MakeHeap(std::string_view bytes);
void FreeHeap(HeapString heap);
// How large a block a string of `size` bytes takes that grows: twice the size up to a mebibyte, then an
// eighth more, so that appending is cheap however small the pieces.
size_t GrownBytes(size_t size);
// Bytes that fit into its block.
size_t HeapCapacity(HeapString heap);
// Fills the value of an entry that has the shape's encoding and size; `heap` is used for kStringHeap only.
void StoreString(dash::Entry& entry, const StringShape& shape, std::string_view bytes, HeapString heap);
void StoreInt(dash::Entry& entry, int64_t value);

// Bytes that the entry owns outside itself.
size_t OutsideBytes(const dash::Entry& entry);
// Frees them; the entry's value is dead afterwards.
void ReleaseOutside(const dash::Entry& entry);

}  // namespace moonshard::types
