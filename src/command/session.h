#pragma once
// What the command pipeline knows of one client. The connection owns it; only its home shard touches it.

#include <cstdint>
#include <string>

#include "base/types.h"
#include "resp/reply.h"

namespace moonshard::command {

struct Command;

// CLIENT REPLY. kSkipNext: the next command's answer is dropped; kSkipping: it is that command's turn.
enum class ReplyMode : uint8_t { kOn, kOff, kSkipNext, kSkipping };

struct Session {
  uint64_t id = 0;
  DbIndex db;
  resp::Protocol protocol = resp::Protocol::kResp2;
  ReplyMode reply_mode = ReplyMode::kOn;
  bool authenticated = true;
  // The connection closes once everything written so far has left.
  bool close_after_reply = false;
  // It closes now; what has not been sent yet never is.
  bool hang_up = false;
  bool monitor = false;   // gets a line for every command (monitor.h)
  bool no_evict = false;  // never closed for the memory that it takes
  // Its accesses leave no trace in the eviction policy's records (CLIENT NO-TOUCH).
  bool no_touch = false;
  const Command* last_command = nullptr;
  std::string name;
  std::string library_name;
  std::string library_version;
  std::string peer;

  bool muted() const { return reply_mode != ReplyMode::kOn; }
};

}  // namespace moonshard::command
