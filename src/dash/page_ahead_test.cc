#include "dash/page_ahead.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <thread>
#include <vector>

#include "dash/slab.h"

namespace moonshard::dash {
namespace {

constexpr size_t kStepBytes = size_t{2} << 20;

void WaitUntilReady(const PageAhead& ahead, const char* at, size_t bytes) {
  while (!ahead.Ready(at, bytes)) std::this_thread::yield();
}

TEST(PageAhead, MakesTheRangeWritableAndPresent) {
  shard::RealEnv env;
  void* map = ::mmap(nullptr, 2 * kStepBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(map, MAP_FAILED);
  char* at = static_cast<char*>(map);
  {
    PageAhead ahead(env.MakeWorker("pages"));
    EXPECT_FALSE(ahead.Ready(at, kStepBytes));
    ahead.Request(at, kStepBytes);
    WaitUntilReady(ahead, at, kStepBytes);
    EXPECT_FALSE(ahead.Ready(at + kStepBytes, kStepBytes)) << "asked for another range";
    EXPECT_FALSE(ahead.Ready(at, kStepBytes / 2)) << "asked for another size";
  }
  std::vector<unsigned char> present(kStepBytes / 4096);
  ASSERT_EQ(::mincore(at, kStepBytes, present.data()), 0);
  for (unsigned char page : present) ASSERT_EQ(page & 1, 1);
  std::memset(at, 7, kStepBytes);
  ::munmap(map, 2 * kStepBytes);
}

TEST(PageAhead, ServesASlabThatGrows) {
  shard::RealEnv env;
  Slab slab({.reserve_bytes = size_t{256} << 20});
  PageAhead ahead(env.MakeWorker("pages"));
  slab.set_page_ahead(&ahead);
  constexpr size_t kRangeBytes = size_t{256} << 20;
  constexpr size_t kFirstAhead = size_t{128} << 20;
  const char* base = slab.Address(kNoHandle);
  // Blocks of one chunk, each marked, until the range is used up.
  std::vector<Handle> blocks;
  while (true) {
    Handle block = slab.Allocate(Slab::kChunkBytes);
    if (block == kNoHandle) break;
    std::memset(slab.Address(block), static_cast<int>(blocks.size() & 0x7F), Slab::kChunkBytes);
    blocks.push_back(block);
    const auto offset = static_cast<size_t>(slab.Address(block) - base);
    const size_t next_step = (offset / kStepBytes + 1) * kStepBytes;
    // It has asked for the next step as soon as it entered this one.
    if (next_step >= kFirstAhead && next_step < kRangeBytes)
      WaitUntilReady(ahead, base + next_step, kStepBytes);
  }
  EXPECT_EQ(blocks.size(), (size_t{256} << 20) / Slab::kChunkBytes - 1);
  for (size_t i = 0; i < blocks.size(); ++i) {
    const char* block = slab.Address(blocks[i]);
    ASSERT_EQ(block[0], static_cast<char>(i & 0x7F));
    ASSERT_EQ(block[Slab::kChunkBytes - 1], static_cast<char>(i & 0x7F));
  }
  slab.CheckInvariants();
}

}  // namespace
}  // namespace moonshard::dash
