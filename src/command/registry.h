#pragma once
// The set of all commands, found by name. Built once before the shards start; read-only and safe from any
// thread after.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/spec.h"

namespace moonshard::command {

// A command as the pipeline uses it: the row, and what is derived from it once.
struct Command {
  const CommandRow* row = nullptr;
  const Command* parent = nullptr;  // a subcommand's container
  std::string full_name;            // "config|get" for a subcommand
  uint16_t index = 0;               // position in the statistics arrays
  uint32_t categories = 0;          // declared and implied
  bool single_key = false;          // exactly one key, argument 1: the hot path needs no key search
  bool cheap = false;               // takes about nothing whatever it finds (command/observation.h)
  std::vector<Command> subcommands;
};

class Registry {
 public:
  explicit Registry(std::span<const std::span<const CommandRow>> tables);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Case-insensitive; null if there is no such command. O(1), no allocation.
  const Command* Find(std::string_view name) const;
  static const Command* FindSubcommand(const Command& command, std::string_view name);

  std::span<const Command> commands() const { return commands_; }
  // Commands and subcommands; Command::index is below this.
  size_t index_count() const { return index_count_; }

 private:
  // Up to 8 bytes of the name in lower case, then its length: enough to tell most names apart with one
  // compare.
  struct Slot {
    uint64_t prefix = 0;
    uint32_t length = 0;
    uint32_t command = kNone;
  };
  static constexpr uint32_t kNone = ~0u;
  static uint64_t Prefix(std::string_view name);
  static size_t Hash(uint64_t prefix, size_t length);

  std::vector<Command> commands_;
  std::vector<Slot> slots_;  // open addressing, a power of two, at most a quarter full
  size_t index_count_ = 0;
};

// The positions of the keys in a call; appends argument indices to `positions`. False if the arguments cannot
// hold the keys (a bad or too large key count). O(keys).
bool FindKeys(const CommandRow& row, std::span<const std::string_view> args,
              std::vector<uint32_t>& positions);

}  // namespace moonshard::command
