#include "types/detached_value.h"

#include <cstring>
#include <utility>

#include "base/check.h"
#include "types/string_value.h"

namespace moonshard::types {

namespace {
HeapString HeapOf(std::string_view entry_bytes) {
  HeapString heap;
  MS_DCHECK(entry_bytes.size() == sizeof heap);
  std::memcpy(&heap, entry_bytes.data(), sizeof heap);
  return heap;
}
}  // namespace

DetachedValue::DetachedValue(DetachedValue&& other) noexcept
    : present_(std::exchange(other.present_, false)),
      owns_blocks_(std::exchange(other.owns_blocks_, false)),
      type_(other.type_),
      encoding_(other.encoding_),
      deadline_(other.deadline_),
      access_clock_(other.access_clock_),
      keeps_access_clock_(other.keeps_access_clock_),
      bytes_(std::move(other.bytes_)) {}

DetachedValue& DetachedValue::operator=(DetachedValue&& other) noexcept {
  if (this == &other) return *this;
  Release();
  present_ = std::exchange(other.present_, false);
  owns_blocks_ = std::exchange(other.owns_blocks_, false);
  type_ = other.type_;
  encoding_ = other.encoding_;
  deadline_ = other.deadline_;
  access_clock_ = other.access_clock_;
  keeps_access_clock_ = other.keeps_access_clock_;
  bytes_ = std::move(other.bytes_);
  return *this;
}

DetachedValue DetachedValue::Lend(const dash::Entry& entry) {
  DetachedValue value;
  value.present_ = true;
  value.type_ = entry.type();
  value.encoding_ = entry.encoding();
  value.deadline_ = entry.deadline();
  value.access_clock_ = entry.access_clock();
  value.keeps_access_clock_ = true;
  value.bytes_ = entry.value_view();
  return value;
}

DetachedValue DetachedValue::Clone(const dash::Entry& entry) {
  DetachedValue value = Lend(entry);
  value.keeps_access_clock_ = false;
  // Other types bring the copy of their blocks along.
  MS_CHECK(entry.type() == dash::Type::kString);
  if (entry.encoding() != kStringHeap) return value;
  HeapString former = LoadHeap(entry);
  HeapString copy = MakeHeap({former.data, former.size});
  if (copy.data == nullptr) return {};
  value.bytes_.assign(reinterpret_cast<const char*>(&copy), sizeof copy);
  value.owns_blocks_ = true;
  return value;
}

DetachedValue DetachedValue::OfString(std::string_view bytes) {
  DetachedValue value;
  StringShape shape = ShapeOf(bytes);
  value.type_ = dash::Type::kString;
  value.encoding_ = shape.encoding;
  switch (shape.encoding) {
    case kStringInt:
      value.bytes_.assign(reinterpret_cast<const char*>(&shape.integer), sizeof shape.integer);
      break;
    case kStringInline:
    case kStringRaw:
      value.bytes_ = bytes;
      break;
    case kStringHeap: {
      HeapString heap = MakeHeap(bytes);
      if (heap.data == nullptr) return {};
      value.bytes_.assign(reinterpret_cast<const char*>(&heap), sizeof heap);
      value.owns_blocks_ = true;
      break;
    }
  }
  value.present_ = true;
  return value;
}

std::string_view DetachedValue::StringBytes(char* scratch) const {
  MS_DCHECK(type_ == dash::Type::kString);
  switch (static_cast<StringEncoding>(encoding_)) {
    case kStringInt: {
      int64_t integer;
      std::memcpy(&integer, bytes_.data(), sizeof integer);
      return {scratch, base::FormatInt64(integer, scratch)};
    }
    case kStringHeap: {
      HeapString heap = HeapOf(bytes_);
      return {heap.data, heap.size};
    }
    case kStringInline:
    case kStringRaw:
      break;
  }
  return bytes_;
}

void DetachedValue::MoveInto(dash::Entry& entry) {
  MS_DCHECK(present_ && entry.value_bytes() == bytes_.size());
  entry.set_type(type_, encoding_);
  if (!bytes_.empty()) std::memcpy(entry.value().data(), bytes_.data(), bytes_.size());
  if (keeps_access_clock_) entry.set_access_clock(access_clock_);
  owns_blocks_ = false;
}

void DetachedValue::Release() {
  if (!std::exchange(owns_blocks_, false)) return;
  FreeHeap(HeapOf(bytes_));
}

}  // namespace moonshard::types
