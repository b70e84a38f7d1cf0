#pragma once
// Buffer: a growable run of bytes that is written at its end and read from its start. The reply writer,
// connections and message arenas use it. Growth doubles; memory is malloc'd, so a Buffer can be handed from
// one shard to another. One owner at a time.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/macros.h"

namespace moonshard::base {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t capacity) { Grow(capacity); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept { Swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    if (this != &other) {
      Free();
      Swap(other);
    }
    return *this;
  }
  ~Buffer() { std::free(data_); }

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }

  // At least `bytes` writable bytes at the end; follow with Commit of what was written.
  MS_ALWAYS_INLINE char* Reserve(size_t bytes) {
    if (capacity_ - size_ < bytes) [[unlikely]]
      Grow(size_ + bytes);
    return data_ + size_;
  }
  MS_ALWAYS_INLINE void Commit(size_t bytes) {
    MS_DCHECK(size_ + bytes <= capacity_);
    size_ += bytes;
  }
  MS_ALWAYS_INLINE void Append(std::string_view bytes) {
    char* to = Reserve(bytes.size());
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  void push_back(char c) {
    *Reserve(1) = c;
    ++size_;
  }
  // Drops the first `bytes`; O(rest).
  void Consume(size_t bytes) {
    MS_DCHECK(bytes <= size_);
    size_ -= bytes;
    if (size_ != 0) std::memmove(data_, data_ + bytes, size_);
  }
  void Truncate(size_t size) {
    MS_DCHECK(size <= size_);
    size_ = size;
  }
  void Clear() { size_ = 0; }
  // Empty, and the memory goes back.
  void Free() {
    std::free(data_);
    data_ = nullptr;
    size_ = capacity_ = 0;
  }
  void Swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

 private:
  static constexpr size_t kMinCapacity = 256;
  MS_NOINLINE void Grow(size_t needed);

  char* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace moonshard::base
