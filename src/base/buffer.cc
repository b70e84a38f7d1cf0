#include "base/buffer.h"

#include <algorithm>

namespace moonshard::base {

void Buffer::Grow(size_t needed) {
  size_t capacity = std::max({needed, capacity_ * 2, kMinCapacity});
  void* grown = std::realloc(data_, capacity);
  MS_CHECK(grown != nullptr);
  data_ = static_cast<char*>(grown);
  capacity_ = capacity;
}

}  // namespace moonshard::base
