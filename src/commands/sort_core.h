#pragma once
// SORT without keys and shards: what its arguments say, what its patterns name, and the order of elements.
// The command around it (sort_commands.cc) reads elements and pattern keys and writes the result.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace moonshard::commands {

// The argument of BY or GET. `*` stands for the element, `->field` behind it names a field of a hash; as in
// Redis the pattern is looked through up to its first zero byte.
struct SortPattern {
  enum class Kind : uint8_t {
    kElement,   // "#": the element itself
    kConstant,  // no '*': names nothing
    kKey,       // a string key
    kField,     // a field of a hash key
  };
  Kind kind = Kind::kConstant;
  std::string_view prefix;
  std::string_view suffix;
  std::string_view field;

  static SortPattern Parse(std::string_view text);
  bool names_keys() const { return kind == Kind::kKey || kind == Kind::kField; }
  std::string KeyOf(std::string_view element) const;
};

struct SortOptions {
  std::optional<SortPattern> by;
  std::vector<SortPattern> get;
  int64_t limit_start = 0;
  int64_t limit_count = -1;
  std::optional<uint32_t> store_arg;  // where the destination's name stands
  bool dont_sort = false;             // BY a constant
  bool descending = false;
  bool alpha = false;

  // Keys that the call does not name may be read.
  bool reads_patterns() const;
};

enum class SortStore : uint8_t { kAllowed, kUnknown };  // SORT, SORT_RO

// Views into `args`.
base::Result<SortOptions> ParseSort(std::span<const std::string_view> args, SortStore store);

// [begin, end) of the sorted elements that LIMIT asks for.
struct SortRange {
  size_t begin = 0;
  size_t end = 0;
};
SortRange RangeOf(const SortOptions& options, size_t count);

struct SortItem {
  std::string_view element;
  // BY's value, where there is a pattern and its key exists.
  std::optional<std::string> by;
  // SortItems fills these: the number of a numeric sort, and the place before.
  double score = 0;
  size_t position = 0;
};

inline constexpr base::StaticError kScoreNotANumber{base::Code::kErr,
                                                    "One or more scores can't be converted into double"};

// Sorts as the options say; fails if a numeric sort meets what is no number. Equal items keep their order.
base::Status SortItems(std::vector<SortItem>& items, const SortOptions& options);

}  // namespace moonshard::commands
