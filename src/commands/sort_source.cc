#include "commands/sort_source.h"

#include "base/number.h"
#include "db/errors.h"
#include "types/string_value.h"

namespace moonshard::commands {

base::Result<SortInput> ReadSortInput(const dash::Entry* entry) {
  if (entry == nullptr) return SortInput();
  return db::kWrongType;
}

std::optional<std::string> ReadPatternValue(const dash::Entry* entry, const SortPattern& pattern) {
  if (entry == nullptr || pattern.kind != SortPattern::Kind::kKey) return std::nullopt;
  if (entry->type() != dash::Type::kString) return std::nullopt;
  char scratch[base::kMaxInt64Chars];
  return std::string(types::StringBytes(*entry, scratch));
}

}  // namespace moonshard::commands
