#pragma once
// Io over io_uring: one ring per shard (SINGLE_ISSUER, DEFER_TASKRUN), multishot accept and receive into a
// ring of provided buffers, one enter per turn. Must be made on the thread that will use it.

#include <cstdint>
#include <memory>

#include "shard/io.h"

namespace moonshard::shard {

// How another thread wakes the ring. kBest: by a message sent without a ring of its own, where the kernel
// knows it (6.13); otherwise, and with kEventfd, by an eventfd that the ring watches.
enum class UringWake : uint8_t { kBest, kEventfd };

// An error if the kernel refuses any part of what we need (an old kernel, a seccomp filter).
base::Result<std::unique_ptr<Io>> MakeUringIo(const IoOptions& options, UringWake wake = UringWake::kBest);

}  // namespace moonshard::shard
