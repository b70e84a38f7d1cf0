#include "commands/sort_core.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "base/number.h"
#include "command/errors.h"
#include "db/errors.h"

namespace moonshard::commands {

using base::EqualsIgnoreCase;

// ---- arguments

SortPattern SortPattern::Parse(std::string_view text) {
  SortPattern pattern;
  const std::string_view visible = command::UpToZero(text);
  if (visible == "#") {
    pattern.kind = Kind::kElement;
    return pattern;
  }
  const size_t star = visible.find('*');
  if (star == std::string_view::npos) return pattern;
  pattern.kind = Kind::kKey;
  pattern.prefix = text.substr(0, star);
  pattern.suffix = text.substr(star + 1);
  const size_t arrow = visible.find("->", star + 1);
  // An arrow at the very end belongs to the key's name.
  if (arrow != std::string_view::npos && arrow + 2 < visible.size()) {
    pattern.kind = Kind::kField;
    pattern.suffix = text.substr(star + 1, arrow - star - 1);
    pattern.field = text.substr(arrow + 2);
  }
  return pattern;
}

std::string SortPattern::KeyOf(std::string_view element) const {
  std::string key;
  key.reserve(prefix.size() + element.size() + suffix.size());
  key += prefix;
  key += element;
  key += suffix;
  return key;
}

bool SortOptions::reads_patterns() const {
  if (by && !dont_sort && by->names_keys()) return true;
  return std::ranges::any_of(get, [](const SortPattern& pattern) { return pattern.names_keys(); });
}

base::Result<SortOptions> ParseSort(std::span<const std::string_view> args, SortStore store) {
  SortOptions options;
  for (size_t i = 2; i < args.size(); ++i) {
    const std::string_view word = args[i];
    const size_t left = args.size() - i - 1;
    if (EqualsIgnoreCase(word, "ASC")) {
      options.descending = false;
    } else if (EqualsIgnoreCase(word, "DESC")) {
      options.descending = true;
    } else if (EqualsIgnoreCase(word, "ALPHA")) {
      options.alpha = true;
    } else if (EqualsIgnoreCase(word, "LIMIT") && left >= 2) {
      auto start = base::ParseInt64(args[i + 1]);
      auto count = base::ParseInt64(args[i + 2]);
      if (!start || !count) return db::kNotAnInteger;
      options.limit_start = *start;
      options.limit_count = *count;
      i += 2;
    } else if (store == SortStore::kAllowed && EqualsIgnoreCase(word, "STORE") && left >= 1) {
      options.store_arg = static_cast<uint32_t>(++i);
    } else if (EqualsIgnoreCase(word, "BY") && left >= 1) {
      options.by = SortPattern::Parse(args[++i]);
      if (command::UpToZero(args[i]).find('*') == std::string_view::npos) options.dont_sort = true;
    } else if (EqualsIgnoreCase(word, "GET") && left >= 1) {
      options.get.push_back(SortPattern::Parse(args[++i]));
    } else {
      return db::kSyntax;
    }
  }
  return options;
}

SortRange RangeOf(const SortOptions& options, size_t count) {
  const auto total = static_cast<int64_t>(count);
  const int64_t begin = std::clamp<int64_t>(options.limit_start, 0, total);
  const int64_t wanted = std::min(options.limit_count, total);
  const int64_t end = wanted < 0 ? total : std::min(begin + wanted, total);
  return {static_cast<size_t>(begin), static_cast<size_t>(end)};
}

// ---- order

namespace {

// What C's strtod takes up to the end of the text, or up to its first zero byte; an empty text is 0.
bool ParseScore(const std::string& text, double& score) {
  char* end = nullptr;
  errno = 0;
  score = std::strtod(text.c_str(), &end);
  return *end == '\0' && errno != ERANGE && !std::isnan(score);
}

int Sign(auto&& difference) {
  return difference < 0 ? -1 : difference > 0 ? 1 : 0;
}

int CompareBytes(std::string_view a, std::string_view b) {
  return Sign(a.compare(b));
}

// By the locale's order, up to the first zero byte.
int Collate(std::string_view a, std::string_view b) {
  return Sign(std::strcoll(std::string(a).c_str(), std::string(b).c_str()));
}

int CompareNumeric(const SortItem& a, const SortItem& b) {
  if (a.score != b.score) return a.score < b.score ? -1 : 1;
  return CompareBytes(a.element, b.element);
}

int CompareAlpha(const SortItem& a, const SortItem& b, const SortOptions& options) {
  // What is stored must not depend on the locale.
  auto compare = options.store_arg ? CompareBytes : Collate;
  if (!options.by) return compare(a.element, b.element);
  if (!a.by || !b.by) return int{a.by.has_value()} - int{b.by.has_value()};
  return compare(*a.by, *b.by);
}

}  // namespace

base::Status SortItems(std::vector<SortItem>& items, const SortOptions& options) {
  if (!options.alpha) {
    for (SortItem& item : items) {
      // A missing key counts as 0.
      if (options.by && !item.by) continue;
      const std::string text = options.by ? *item.by : std::string(item.element);
      if (!ParseScore(text, item.score)) return kScoreNotANumber;
    }
  }
  for (size_t i = 0; i < items.size(); ++i) items[i].position = i;
  std::ranges::sort(items, [&](const SortItem& a, const SortItem& b) {
    const int order = options.alpha ? CompareAlpha(a, b, options) : CompareNumeric(a, b);
    if (order == 0) return a.position < b.position;
    return options.descending ? order > 0 : order < 0;
  });
  return {};
}

}  // namespace moonshard::commands
