#pragma once
// Io over epoll: for kernels and containers without io_uring, and as the check of the other backend. All
// receiving happens in Poll, into one buffer of the shard; sends are tried directly in Submit and finish on
// EPOLLOUT.

#include <memory>

#include "shard/io.h"

namespace moonshard::shard {

base::Result<std::unique_ptr<Io>> MakeEpollIo(const IoOptions& options);

}  // namespace moonshard::shard
