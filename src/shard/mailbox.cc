#include "shard/mailbox.h"

#include <sys/mman.h>

#include <bit>

namespace moonshard::shard {

// Mapped, not allocated: pages of a ring that was never filled cost no memory.
Mailbox::Mailbox(uint32_t slots) : slots_(nullptr, FreeSlots{slots * sizeof(Slot)}), mask_(slots - 1) {
  MS_CHECK(std::has_single_bit(slots));
  void* memory =
      mmap(nullptr, slots * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MS_CHECK(memory != MAP_FAILED);
  slots_.reset(static_cast<Slot*>(memory));
}

void Mailbox::FreeSlots::operator()(Slot* slots) const {
  munmap(slots, bytes);
}

}  // namespace moonshard::shard
