#include "dash/slab.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "base/random.h"

namespace moonshard::dash {
namespace {

struct Block {
  Handle handle;
  size_t bytes;
  char fill;
};

void Fill(Slab& slab, const Block& block) {
  std::memset(slab.Address(block.handle), block.fill, block.bytes);
}

bool Holds(const Slab& slab, const Block& block) {
  const char* at = slab.Address(block.handle);
  return at[0] == block.fill && std::memcmp(at, at + 1, block.bytes - 1) == 0;
}

size_t RandomSize(base::Random& random) {
  switch (random.Below(8)) {
    case 0:
      return 1 + random.Below(16384);
    case 1:
      return 1 + random.Below(65536);
    case 2:
      return 65536 + random.Below(300000);
    default:
      return 1 + random.Below(1200);
  }
}

TEST(Slab, ClassesHoldWhatTheyPromiseAndWasteLittle) {
  size_t last = 0;
  for (size_t bytes = 1; bytes <= 70000; ++bytes) {
    const size_t block = Slab::ClassBytes(bytes);
    ASSERT_GE(block, bytes);
    ASSERT_GE(block, last);
    ASSERT_EQ(block % 8, 0u);
    if (bytes <= Slab::kFineBytesMax) {
      ASSERT_LT(block - bytes, 8u);
    } else if (bytes <= Slab::kChunkBytes) {
      // The next larger count of blocks in a chunk would not have held it.
      const size_t count = Slab::kChunkBytes / block;
      ASSERT_LT(Slab::kChunkBytes / (count + 1) / 8 * 8, bytes);
    }
    last = block;
  }
}

TEST(Slab, BlocksKeepTheirBytesAndAccountsAgree) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  base::Random random(seed);
  Slab slab;
  std::vector<Block> blocks;
  size_t used = 0;
  for (int round = 0; round < 60000; ++round) {
    // The balance swings, so that chunks fill and run empty again.
    const bool grow = blocks.empty() || random.Below(100) < (round / 3000 % 2 == 0 ? 70u : 30u);
    if (grow) {
      Block block{kNoHandle, RandomSize(random), static_cast<char>(random.Next())};
      block.handle = slab.Allocate(block.bytes);
      ASSERT_NE(block.handle, kNoHandle);
      ASSERT_EQ(slab.BlockBytes(block.handle), Slab::ClassBytes(block.bytes));
      ASSERT_EQ(slab.HandleOf(slab.Address(block.handle)), block.handle);
      Fill(slab, block);
      used += Slab::ClassBytes(block.bytes);
      blocks.push_back(block);
    } else {
      const size_t victim = random.Below(blocks.size());
      const Block block = blocks[victim];
      blocks[victim] = blocks.back();
      blocks.pop_back();
      ASSERT_TRUE(Holds(slab, block));
      ASSERT_EQ(slab.Free(block.handle), Slab::ClassBytes(block.bytes));
      used -= Slab::ClassBytes(block.bytes);
    }
    ASSERT_EQ(slab.used_bytes(), used);
    ASSERT_GE(slab.committed_bytes(), used);
    if (round % 1000 == 0) slab.CheckInvariants();
  }
  for (const Block& block : blocks) {
    ASSERT_TRUE(Holds(slab, block));
    slab.Free(block.handle);
  }
  slab.Trim();
  slab.CheckInvariants();
  EXPECT_EQ(slab.used_bytes(), 0u);
  EXPECT_EQ(slab.committed_bytes(), 0u);
}

TEST(Slab, FreedChunksServeOtherSizes) {
  Slab slab({.budget_bytes = 64 * Slab::kChunkBytes});
  for (size_t bytes :
       {size_t{24}, size_t{1000}, size_t{40}, size_t{16384}, size_t{5000}, size_t{195000}, size_t{64}}) {
    std::vector<Handle> handles;
    for (Handle handle; (handle = slab.Allocate(bytes)) != kNoHandle;) handles.push_back(handle);
    // The whole budget is usable for every size, whatever lived in it before.
    EXPECT_GE(handles.size() * Slab::ClassBytes(bytes), 60 * Slab::kChunkBytes) << bytes;
    EXPECT_EQ(slab.used_bytes(), handles.size() * Slab::ClassBytes(bytes));
    slab.CheckInvariants();
    for (Handle handle : handles) slab.Free(handle);
    slab.CheckInvariants();
    EXPECT_EQ(slab.used_bytes(), 0u);
  }
}

TEST(Slab, ExhaustedRangeAnswersNone) {
  Slab slab({.reserve_bytes = 8 * Slab::kChunkBytes});
  EXPECT_EQ(slab.reserved_bytes(), 8 * Slab::kChunkBytes);
  EXPECT_EQ(slab.Allocate(8 * Slab::kChunkBytes), kNoHandle);
  const Handle run = slab.Allocate(3 * Slab::kChunkBytes);
  ASSERT_NE(run, kNoHandle);
  std::vector<Handle> handles;
  for (Handle handle; (handle = slab.Allocate(Slab::kChunkBytes)) != kNoHandle;) handles.push_back(handle);
  EXPECT_EQ(handles.size(), 4u);  // eight, less the unused first one, less the run
  EXPECT_EQ(slab.Allocate(8), kNoHandle);
  slab.Free(run);
  const Handle small = slab.Allocate(8);
  EXPECT_NE(small, kNoHandle);
  EXPECT_EQ(slab.Allocate(3 * Slab::kChunkBytes), kNoHandle);
  slab.Free(small);
  const Handle again = slab.Allocate(3 * Slab::kChunkBytes);
  EXPECT_NE(again, kNoHandle);
  slab.CheckInvariants();
}

TEST(Slab, GivesPagesOfFreeChunksBack) {
  Slab slab;
  std::vector<Handle> handles;
  for (int i = 0; i < 200000; ++i) {
    handles.push_back(slab.Allocate(512));
    std::memset(slab.Address(handles.back()), 1, 512);
  }
  const size_t full = slab.committed_bytes();
  for (Handle handle : handles) slab.Free(handle);
  EXPECT_LT(slab.committed_bytes(), full / 20);
  const Handle fresh = slab.Allocate(512);
  EXPECT_NE(fresh, kNoHandle);
  std::memset(slab.Address(fresh), 2, 512);
}

TEST(Slab, FailsOnCommand) {
  Slab slab;
  slab.FailAllocationsAfter(2);
  EXPECT_NE(slab.Allocate(8), kNoHandle);
  EXPECT_NE(slab.Allocate(100000), kNoHandle);
  EXPECT_EQ(slab.Allocate(8), kNoHandle);
  EXPECT_EQ(slab.Allocate(100000), kNoHandle);
  slab.FailAllocationsAfter(Slab::kNeverFail);
  EXPECT_NE(slab.Allocate(8), kNoHandle);
}

}  // namespace
}  // namespace moonshard::dash
