#pragma once
// What the kernel knows and the packaged liburing 2.3 does not name. Values are the kernel's; each is probed
// or implied by a feature bit before it is used.

#include <cstdint>

namespace moonshard::shard {

// io_uring_params.features (6.15): IORING_ENTER_NO_IOWAIT is understood.
inline constexpr uint32_t kFeatureNoIowait = 1u << 17;
// io_uring_enter: waiting does not count as waiting for a disk.
inline constexpr uint32_t kEnterNoIowait = 1u << 7;
// io_uring_register (6.13): post a message to a ring from a thread without one. Argument: one SQE.
inline constexpr uint32_t kRegisterSendMsgRing = 31;
// io_uring.int_flags: the ring's descriptor is registered (liburing keeps this one to itself).
inline constexpr uint8_t kRingFdRegistered = 1;

}  // namespace moonshard::shard
