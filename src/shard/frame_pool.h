#pragma once
// Coroutine frames and other short-lived blocks of one shard: free lists by size class over malloc. A steady
// load allocates nothing. Every block is a malloc block of its own, so one that outlives its shard may be
// freed anywhere. Owned by one shard. Under AddressSanitizer the lists stay empty, so that use after free is
// found.

#include <cstddef>
#include <cstdint>

namespace moonshard::shard {

class FramePool {
 public:
  FramePool() = default;
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;
  ~FramePool();

  void* Allocate(size_t bytes);
  void Free(void* block, size_t bytes);  // `bytes` as at Allocate

  // Whether freed blocks are kept at all in this build.
  static bool pooling();

  size_t pooled_bytes() const { return pooled_bytes_; }
  uint64_t mallocs() const { return mallocs_; }

 private:
  // Classes of 64, 128, 256 ... 8192 bytes; larger blocks go to malloc.
  static constexpr size_t kClassCount = 8;
  static constexpr size_t kSmallest = 64;
  static constexpr size_t kMaxPooledBytes = 1 << 20;  // per shard; what is freed beyond goes back to malloc
  struct FreeBlock {
    FreeBlock* next;
  };
  static size_t ClassOf(size_t bytes);

  FreeBlock* free_[kClassCount] = {};
  size_t pooled_bytes_ = 0;
  uint64_t mallocs_ = 0;
};

// From the current shard's pool; off a shard, from malloc.
void* AllocateFrame(size_t bytes);
void FreeFrame(void* block, size_t bytes);

}  // namespace moonshard::shard
