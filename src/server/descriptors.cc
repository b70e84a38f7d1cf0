#include "server/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

namespace moonshard::server {

namespace {
// Descriptors besides those of clients: rings, logs, listeners.
constexpr rlim_t kOwnDescriptors = 256;
}  // namespace

uint32_t MakeRoomForClients(uint32_t clients) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return clients;
  rlim_t wanted = clients + kOwnDescriptors;
  if (limit.rlim_cur >= wanted) return clients;
  rlimit raised = {wanted, std::max(limit.rlim_max, wanted)};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return clients;
  raised = {limit.rlim_max, limit.rlim_max};
  rlim_t reached = setrlimit(RLIMIT_NOFILE, &raised) == 0 ? limit.rlim_max : limit.rlim_cur;
  if (reached >= wanted) return clients;
  return static_cast<uint32_t>(reached > 2 * kOwnDescriptors ? reached - kOwnDescriptors : kOwnDescriptors);
}

}  // namespace moonshard::server
