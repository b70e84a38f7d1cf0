#include "types/string_value.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>

namespace moonshard::types {

StringShape ShapeOf(std::string_view bytes, StringForm form) {
  if (form == StringForm::kPlain && bytes.size() <= base::kMaxInt64Chars && !bytes.empty() &&
      (bytes[0] <= '9')) {
    if (auto integer = base::ParseInt64(bytes)) return {kStringInt, sizeof(int64_t), *integer};
  }
  if (bytes.size() <= kInlineStringMax) {
    return {form == StringForm::kRaw ? kStringRaw : kStringInline, bytes.size(), 0};
  }
  return {kStringHeap, sizeof(HeapString), 0};
}

size_t StringSize(const dash::Entry& entry) {
  char scratch[base::kMaxInt64Chars];
  return StringBytes(entry, scratch).size();
}

std::optional<int64_t> IntegerOf(const dash::Entry& entry) {
  if (entry.encoding() == kStringInt) return LoadInt(entry);
  char scratch[base::kMaxInt64Chars];
  return base::ParseInt64(StringBytes(entry, scratch));
}

StringForm FormOf(const dash::Entry& entry) {
  switch (static_cast<StringEncoding>(entry.encoding())) {
    case kStringInt:
      return StringForm::kPlain;
    case kStringInline:
      return StringForm::kText;
    case kStringHeap:
    case kStringRaw:
      break;
  }
  return StringForm::kRaw;
}

HeapString MakeHeap(std::string_view bytes) {
  HeapString heap{static_cast<char*>(std::malloc(bytes.size())), bytes.size()};
  if (heap.data != nullptr) std::memcpy(heap.data, bytes.data(), bytes.size());
  return heap;
}

void FreeHeap(HeapString heap) {
  std::free(heap.data);
}

size_t GrownBytes(size_t size) {
  constexpr size_t kMebibyte = size_t{1} << 20;
  return size < kMebibyte ? 2 * size : size + std::max(kMebibyte, size / 8);
}

size_t HeapCapacity(HeapString heap) {
  return malloc_usable_size(heap.data);
}

void StoreString(dash::Entry& entry, const StringShape& shape, std::string_view bytes, HeapString heap) {
  switch (shape.encoding) {
    case kStringInt:
      StoreInt(entry, shape.integer);
      return;
    case kStringInline:
    case kStringRaw:
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
