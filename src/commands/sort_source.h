#pragma once
// Where SORT's elements and its patterns' values come from: the one place that knows types of values. A new
// collection type adds its reader to sort_source.cc, and hashes their fields; nothing else of SORT changes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "commands/sort_core.h"
#include "dash/entry.h"

namespace moonshard::commands {

// What Redis does with the elements depends on where they come from.
enum class SourceKind : uint8_t {
  kNone,       // no such key: no elements
  kList,       // in order; without sorting they stay so, also with DESC
  kSet,        // in no order: what is stored is sorted, whatever BY says
  kSortedSet,  // by score; without sorting, DESC turns them around
};

struct SortInput {
  SourceKind kind = SourceKind::kNone;
  std::vector<std::string> elements;
};

// `entry` may be null. Fails for a type that has no elements.
base::Result<SortInput> ReadSortInput(const dash::Entry* entry);

// What a key holds for a pattern; nothing if it is absent or of another type.
std::optional<std::string> ReadPatternValue(const dash::Entry* entry, const SortPattern& pattern);

}  // namespace moonshard::commands
