#include "dash/directory.h"

#include <utility>

#include "base/check.h"

namespace moonshard::dash {

template <typename T>
T* Directory::AllocateArray(size_t count) {
  const Handle block = slab_.Allocate(count * sizeof(T));
  if (block == kNoHandle) return nullptr;
  bytes_ += slab_.BlockBytes(block);
  return slab_.Get<T>(block);
}

template <typename T>
void Directory::FreeArray(T* array) {
  bytes_ -= slab_.Free(slab_.HandleOf(array));
}

bool Directory::Grow(uint64_t hash) {
  if (RootBits() < kRootBitsMax) return GrowRoot();
  return GrowSub(root_[(hash >> 1) >> root_shift_]);
}

bool Directory::GrowRoot() {
  const size_t old_count = size_t{1} << RootBits();
  Sub* root = AllocateArray<Sub>(2 * old_count);
  if (root == nullptr) return false;
  for (size_t i = 0; i < 2 * old_count; ++i) {
    // Only a full-grown root has sub-directories with slots of their own.
    MS_DCHECK(root_[i / 2].shift == 63);
    root[i] = Sub{&root[i].single, root_[i / 2].single, 63};
  }
  if (root_ != &first_) FreeArray(root_);
  root_ = root;
  --root_shift_;
  return true;
}

bool Directory::GrowSub(Sub& sub) {
  const size_t old_count = size_t{1} << (63 - sub.shift);
  Slot* slots = AllocateArray<Slot>(2 * old_count);
  if (slots == nullptr) return false;
  for (size_t i = 0; i < old_count; ++i) slots[2 * i] = slots[2 * i + 1] = sub.slots[i];
  if (sub.slots != &sub.single) FreeArray(sub.slots);
  sub.slots = slots;
  --sub.shift;
  return true;
}

void Directory::FreeSlots(Sub& sub) {
  if (sub.slots == &sub.single) return;
  FreeArray(sub.slots);
  sub.slots = &sub.single;
  sub.shift = 63;
}

void Directory::SetRange(uint64_t prefix, uint32_t depth, Slot value) {
  const uint32_t root_bits = RootBits();
  size_t first = (prefix >> 1) >> root_shift_;
  if (depth <= root_bits) {
    const size_t count = size_t{1} << (root_bits - depth);
    for (size_t i = first; i < first + count; ++i) {
      FreeSlots(root_[i]);
      root_[i].single = value;
    }
    return;
  }
  Sub& sub = root_[first];
  const uint32_t sub_depth = 63u - sub.shift;
  MS_CHECK(depth - root_bits <= sub_depth);
  first = ((prefix << root_bits) >> 1) >> sub.shift;
  const size_t count = size_t{1} << (sub_depth - (depth - root_bits));
  for (size_t i = first; i < first + count; ++i) sub.slots[i] = value;
}

void Directory::Reset() {
  if (root_ != &first_) {
    for (size_t i = 0; i < size_t{1} << RootBits(); ++i) FreeSlots(root_[i]);
    FreeArray(root_);
    root_ = &first_;
    root_shift_ = 63;
  }
  first_.single = kEmpty;
}

void Directory::Swap(Directory& other) {
  // A root of one entry lies inside, and its entry holds its slot itself: that much stays where it is.
  std::swap(first_.single, other.first_.single);
  std::swap(root_, other.root_);
  if (root_ == &other.first_) root_ = &first_;
  if (other.root_ == &first_) other.root_ = &other.first_;
  std::swap(root_shift_, other.root_shift_);
  std::swap(bytes_, other.bytes_);
}

}  // namespace moonshard::dash
