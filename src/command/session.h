#pragma once
// What the command pipeline knows of one client. The connection owns it; only its home shard touches it.

#include <cstdint>
#include <string>

#include "base/types.h"
#include "resp/reply.h"

namespace moonshard::command {

struct Session {
  uint64_t id = 0;
  DbIndex db;
  resp::Protocol protocol = resp::Protocol::kResp2;
  bool authenticated = true;
  // The connection closes once everything written so far has left.
  bool close_after_reply = false;
  // It closes now; what has not been sent yet never is.
  bool hang_up = false;
  // Its accesses leave no trace in the eviction policy's records (CLIENT NO-TOUCH).
  bool no_touch = false;
  std::string name;
  std::string library_name;
  std::string library_version;
  std::string peer;
};

}  // namespace moonshard::command
