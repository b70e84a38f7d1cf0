#include "command/registry.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/number.h"

namespace moonshard::command {

namespace {

uint32_t ImpliedCategories(const CommandRow& row) {
  uint32_t categories = row.categories;
  if (row.is(kWrite)) categories |= kCatWrite;
  if (row.is(kReadonly) && (categories & kCatScripting) == 0) categories |= kCatRead;
  if (row.is(kAdmin)) categories |= kCatAdmin | kCatDangerous;
  if (row.is(kPubsub)) categories |= kCatPubsub;
  if (row.is(kBlocking)) categories |= kCatBlocking;
  categories |= row.is(kFast) ? kCatFast : kCatSlow;
  return categories;
}

Command MakeCommand(const CommandRow& row, std::string_view prefix, size_t& index) {
  Command command;
  command.row = &row;
  command.full_name = std::string(prefix) + std::string(row.name);
  command.index = static_cast<uint16_t>(index++);
  command.categories = ImpliedCategories(row);
  command.single_key = row.single_key();
  // Redis' own mark for commands of constant (or logarithmic) time, and those that say so themselves.
  command.cheap = (row.is(kFast) || row.complexity == "O(1)") && row.handler != nullptr && !row.is(kBlocking);
  for (const CommandRow& sub : row.subcommands) {
    command.subcommands.push_back(MakeCommand(sub, command.full_name + "|", index));
  }
  return command;
}

}  // namespace

Registry::Registry(std::span<const std::span<const CommandRow>> tables) {
  for (std::span<const CommandRow> table : tables) {
    for (const CommandRow& row : table) commands_.push_back(MakeCommand(row, "", index_count_));
  }
  std::ranges::sort(commands_, {},
                    [](const Command& command) { return std::string_view(command.full_name); });
  slots_.resize(std::bit_ceil(commands_.size() * 4));
  for (size_t i = 0; i < commands_.size(); ++i) {
    Command& command = commands_[i];
    for (Command& sub : command.subcommands) sub.parent = &command;
    std::string_view name = command.row->name;
    MS_CHECK(Find(name) == nullptr);
    uint64_t prefix = Prefix(name);
    size_t at = Hash(prefix, name.size()) & (slots_.size() - 1);
    while (slots_[at].command != kNone) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {prefix, static_cast<uint32_t>(name.size()), static_cast<uint32_t>(i)};
  }
}

uint64_t Registry::Prefix(std::string_view name) {
  uint64_t word = 0;
  if (name.size() >= sizeof word) {
    std::memcpy(&word, name.data(), sizeof word);
  } else {
    for (size_t i = name.size(); i-- > 0;) word = word << 8 | static_cast<unsigned char>(name[i]);
  }
  // Sets the case bit of every byte: letters become lower case. Other bytes may collide, so a candidate is
  // compared in full as well.
  return word | 0x2020202020202020ull;
}

size_t Registry::Hash(uint64_t prefix, size_t length) {
  uint64_t h = (prefix ^ length) * 0x9E3779B97F4A7C15ull;
  return static_cast<size_t>(h >> 40);
}

const Command* Registry::Find(std::string_view name) const {
  uint64_t prefix = Prefix(name);
  size_t at = Hash(prefix, name.size()) & (slots_.size() - 1);
  for (; slots_[at].command != kNone; at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.prefix != prefix || slot.length != name.size()) continue;
    const Command& command = commands_[slot.command];
    if (base::EqualsIgnoreCase(command.row->name, name)) return &command;
  }
  return nullptr;
}

const Command* Registry::FindSubcommand(const Command& command, std::string_view name) {
  for (const Command& sub : command.subcommands) {
    if (base::EqualsIgnoreCase(sub.row->name, name)) return &sub;
  }
  return nullptr;
}

namespace {

// First argument of a key spec's range, or 0 if the keyword is absent.
size_t BeginOf(const KeySpec& spec, std::span<const std::string_view> args) {
  if (spec.begin == KeySpec::Begin::kIndex) return static_cast<size_t>(spec.begin_index);
  bool forward = spec.begin_index > 0;
  size_t at = forward ? static_cast<size_t>(spec.begin_index)
                      : args.size() - std::min(args.size(), static_cast<size_t>(-spec.begin_index));
  while (at > 0 && at < args.size()) {
    if (base::EqualsIgnoreCase(args[at], spec.keyword)) return at + 1;
    at = forward ? at + 1 : at - 1;
  }
  return 0;
}

bool FindSpecKeys(const KeySpec& spec, std::span<const std::string_view> args,
                  std::vector<uint32_t>& positions) {
  if (spec.begin == KeySpec::Begin::kUnknown || spec.find == KeySpec::Find::kUnknown) return true;
  size_t begin = BeginOf(spec, args);
  if (begin == 0) return true;
  if (begin >= args.size()) return false;
  size_t first = begin;
  size_t last;
  if (spec.find == KeySpec::Find::kRange) {
    if (spec.last >= 0) {
      last = first + static_cast<size_t>(spec.last);
    } else {
      last = args.size() - static_cast<size_t>(-spec.last);
      if (spec.limit > 1) last = first + (last - first + 1) / static_cast<size_t>(spec.limit) - 1;
    }
    if (last >= args.size()) return false;
  } else {
    size_t count_at = begin + static_cast<size_t>(spec.keynum_index);
    if (count_at >= args.size()) return false;
    auto count = base::ParseInt64(args[count_at]);
    first = begin + static_cast<size_t>(spec.first_key);
    if (!count || *count < 0 || static_cast<uint64_t>(*count) > args.size()) return false;
    if (*count == 0) return true;
    last = first + (static_cast<size_t>(*count) - 1) * static_cast<size_t>(spec.step);
    if (last >= args.size()) return false;
  }
  for (size_t at = first; at <= last; at += static_cast<size_t>(spec.step)) {
    positions.push_back(static_cast<uint32_t>(at));
  }
  return true;
}

}  // namespace

bool FindKeys(const CommandRow& row, std::span<const std::string_view> args,
              std::vector<uint32_t>& positions) {
  if (row.routing.find_keys != nullptr) return row.routing.find_keys(args, positions);
  for (const KeySpec& spec : row.keys) {
    if ((spec.flags & kKeyNotKey) != 0) continue;
    if (!FindSpecKeys(spec, args, positions)) return false;
  }
  return true;
}

}  // namespace moonshard::command
