#include "shard/frame_pool.h"

#include <bit>
#include <cstdlib>

#include "base/check.h"
#include "shard/shard.h"

#if defined(__SANITIZE_ADDRESS__)
#define MS_POOL_FRAMES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MS_POOL_FRAMES 0
#endif
#endif
#ifndef MS_POOL_FRAMES
#define MS_POOL_FRAMES 1
#endif

namespace moonshard::shard {

FramePool::~FramePool() {
  for (FreeBlock* block : free_) {
    while (block != nullptr) {
      FreeBlock* next = block->next;
      std::free(block);
      block = next;
    }
  }
}

bool FramePool::pooling() {
  return MS_POOL_FRAMES != 0;
}

size_t FramePool::ClassOf(size_t bytes) {
  return bytes <= kSmallest ? 0 : static_cast<size_t>(std::bit_width((bytes - 1) / kSmallest));
}

void* FramePool::Allocate(size_t bytes) {
  const size_t size_class = ClassOf(bytes);
  if (MS_POOL_FRAMES && size_class < kClassCount && free_[size_class] != nullptr) {
    FreeBlock* block = free_[size_class];
    free_[size_class] = block->next;
    pooled_bytes_ -= kSmallest << size_class;
    return block;
  }
  ++mallocs_;
  void* block = std::malloc(size_class < kClassCount ? kSmallest << size_class : bytes);
  MS_CHECK(block != nullptr);
  return block;
}

void FramePool::Free(void* block, size_t bytes) {
  const size_t size_class = ClassOf(bytes);
  const size_t class_bytes = kSmallest << size_class;
  if (!MS_POOL_FRAMES || size_class >= kClassCount || pooled_bytes_ + class_bytes > kMaxPooledBytes) {
    std::free(block);
    return;
  }
  auto* freed = static_cast<FreeBlock*>(block);
  freed->next = free_[size_class];
  free_[size_class] = freed;
  pooled_bytes_ += class_bytes;
}

void* AllocateFrame(size_t bytes) {
  if (Shard* shard = Shard::CurrentOrNull()) return shard->frames().Allocate(bytes);
  // The same size as the pool would take: whichever shard frees the block may keep it.
  return FramePool().Allocate(bytes);
}

void FreeFrame(void* block, size_t bytes) {
  if (Shard* shard = Shard::CurrentOrNull()) {
    shard->frames().Free(block, bytes);
  } else {
    std::free(block);
  }
}

}  // namespace moonshard::shard
