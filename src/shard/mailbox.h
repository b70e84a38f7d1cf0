#pragma once
// Mailbox: the ring from one shard to another; one producer thread, one consumer thread.
//
//   slots   |..|..|r |r |r |w |w |..|      r: published, not yet run    w: written this turn, not yet
//   published
//                  ^consumed ^published ^written
//
// The producer writes slots during its turn and publishes once, at its end (one release store, one cache line
// moved however many messages). The consumer polls a count at the start of its turn and runs exactly those;
// it frees their slots with one release store. Indices run freely over 2^64; slot = index & mask.
//
// A full ring: the producer sets `starved` and parks the node (Shard keeps a list per target); the consumer,
// once it has freed slots, clears the flag and wakes the producer like the receiver of a message. Both sides
// put a sequentially consistent fence between their store and their look at the other's flag, so that one of
// them sees it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/check.h"
#include "shard/message.h"

namespace moonshard::shard {

inline constexpr uint32_t kDefaultRingSlots = 1024;

class Mailbox {
 public:
  explicit Mailbox(uint32_t slots);  // a power of two
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  uint64_t capacity() const { return mask_ + 1; }

  // Producer. False: full.
  bool TryWrite(const Message& message) {
    if (written_ - consumed_seen_ > mask_) [[unlikely]] {
      consumed_seen_ = consumed_.load(std::memory_order_acquire);
      if (written_ - consumed_seen_ > mask_) return false;
    }
    slots_[written_ & mask_].message = message;
    ++written_;
    return true;
  }
  bool HasRoom() {
    consumed_seen_ = consumed_.load(std::memory_order_acquire);
    return written_ - consumed_seen_ <= mask_;
  }
  void Publish() { published_.store(written_, std::memory_order_release); }
  void set_starved() { starved_.store(true, std::memory_order_release); }

  // Consumer. How many messages may be run now.
  size_t Poll() { return static_cast<size_t>(published_.load(std::memory_order_acquire) - next_); }
  // The message `ahead` places after the next one to run; ahead < Poll().
  const Message& Peek(size_t ahead) const { return slots_[(next_ + ahead) & mask_].message; }
  void Advance() { ++next_; }
  void FreeRun() { consumed_.store(next_, std::memory_order_release); }
  bool TakeStarved() {
    return starved_.load(std::memory_order_relaxed) && starved_.exchange(false, std::memory_order_acquire);
  }

 private:
  struct alignas(64) Slot {
    Message message;
  };
  static_assert(sizeof(Slot) == 64);
  struct FreeSlots {
    size_t bytes;
    void operator()(Slot* slots) const;
  };

  std::unique_ptr<Slot[], FreeSlots> slots_;
  uint64_t mask_;

  // The producer's line, then what each side tells the other, then the consumer's line.
  alignas(64) uint64_t written_ = 0;
  uint64_t consumed_seen_ = 0;
  alignas(64) std::atomic<uint64_t> published_{0};
  alignas(64) std::atomic<uint64_t> consumed_{0};
  std::atomic<bool> starved_{false};
  alignas(64) uint64_t next_ = 0;
};

}  // namespace moonshard::shard
