#include "types/string_value.h"

#include <malloc.h>

#include <cstdlib>

namespace moonshard::types {

StringShape ShapeOf(std::string_view bytes) {
  if (bytes.size() <= base::kMaxInt64Chars && !bytes.empty() && (bytes[0] <= '9')) {
    if (auto integer = base::ParseInt64(bytes)) return {kStringInt, sizeof(int64_t), *integer};
  }
  if (bytes.size() <= kInlineStringMax) return {kStringInline, bytes.size(), 0};
  return {kStringHeap, sizeof(HeapString), 0};
}

HeapString MakeHeap(std::string_view bytes) {
  HeapString heap{static_cast<char*>(std::malloc(bytes.size())), bytes.size()};
  if (heap.data != nullptr) std::memcpy(heap.data, bytes.data(), bytes.size());
  return heap;
}

void FreeHeap(HeapString heap) {
  std::free(heap.data);
}

void StoreString(dash::Entry& entry, const StringShape& shape, std::string_view bytes, HeapString heap) {
  switch (shape.encoding) {
    case kStringInt:
      StoreInt(entry, shape.integer);
      return;
    case kStringInline:
      if (!bytes.empty()) std::memcpy(entry.value().data(), bytes.data(), bytes.size());
      return;
    case kStringHeap:
      std::memcpy(entry.value().data(), &heap, sizeof heap);
      return;
  }
}

void StoreInt(dash::Entry& entry, int64_t value) {
  std::memcpy(entry.value().data(), &value, sizeof value);
}

size_t OutsideBytes(const dash::Entry& entry) {
  if (entry.type() != dash::Type::kString || entry.encoding() != kStringHeap) return 0;
  return malloc_usable_size(LoadHeap(entry).data);
}

void ReleaseOutside(const dash::Entry& entry) {
  if (entry.type() == dash::Type::kString && entry.encoding() == kStringHeap) std::free(LoadHeap(entry).data);
}

}  // namespace moonshard::types
