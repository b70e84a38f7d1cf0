#pragma once
// Batch: records on their way to one file, encoded in the aligned memory from which they will be written.
// Whole pages are written, so a batch that goes on in the middle of one begins with a copy of its start.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/types.h"
#include "shard/env.h"
#include "wal/record.h"

namespace moonshard::wal {

// Memory that direct writes accept. Its size is a multiple of kBlockBytes.
class BatchMemory {
 public:
  BatchMemory() = default;
  BatchMemory(const BatchMemory&) = delete;
  BatchMemory& operator=(const BatchMemory&) = delete;
  BatchMemory(BatchMemory&& other) noexcept { Swap(other); }
  BatchMemory& operator=(BatchMemory&& other) noexcept {
    BatchMemory(std::move(other)).Swap(*this);
    return *this;
  }
  ~BatchMemory() { std::free(data_); }

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  // Keeps the first `used` bytes.
  void Grow(size_t bytes, size_t used) {
    BatchMemory grown;
    grown.bytes_ = AlignUp(bytes);
    grown.data_ = static_cast<char*>(std::aligned_alloc(shard::kDirectAlignment, grown.bytes_));
    MS_CHECK(grown.data_ != nullptr);
    if (used != 0) std::memcpy(grown.data_, data_, used);
    Swap(grown);
  }

 private:
  void Swap(BatchMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }
  char* data_ = nullptr;
  size_t bytes_ = 0;
};

struct Batch {
  BatchMemory memory;
  size_t size = 0;   // bytes in use
  size_t limit = 0;  // up to here records need no further thought; 0 before a block is begun
  size_t fresh = 0;  // what lies before it was written already
  uint64_t sequence = 0;
  uint64_t offset = 0;  // of memory in the file
  uint32_t seed = 0;
  bool starts_block = false;
  bool direct = false;  // durable when it is written
  Lsn before;           // with starts_block: of the record before the block
  Lsn last;             // of the last record; set when it is handed over

  bool empty() const { return size == fresh; }
};

// Keeps the memory of written batches for the next ones; a huge one goes back.
class BatchMemoryPool {
 public:
  BatchMemory Take() {
    if (kept_.empty()) return {};
    BatchMemory memory = std::move(kept_.back());
    kept_.pop_back();
    return memory;
  }
  void Give(BatchMemory memory) {
    if (memory.bytes() != 0 && kept_.size() < kCountMax && memory.bytes() <= kKeptBytesMax)
      kept_.push_back(std::move(memory));
  }

 private:
  static constexpr size_t kCountMax = 2;  // one is filled, one is written
  static constexpr size_t kKeptBytesMax = 4 << 20;
  std::vector<BatchMemory> kept_;
};

}  // namespace moonshard::wal
