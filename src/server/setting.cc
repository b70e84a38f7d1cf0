#include "server/setting.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/number.h"

namespace moonshard::server {

using base::Status;

const std::vector<Setting>& AllSettings() {
  static const std::vector<Setting> all = [] {
    std::vector<Setting> rows;
    for (auto table : {NetworkSettings, ClientSettings, RuntimeSettings, MemorySettings, PersistenceSettings,
                       ObservationSettings}) {
      std::ranges::move(table(), std::back_inserter(rows));
    }
    std::ranges::sort(rows, {}, &Setting::name);
    return rows;
  }();
  return all;
}

const Setting* FindSetting(std::string_view name) {
  for (const Setting& setting : AllSettings()) {
    if (base::EqualsIgnoreCase(setting.name, name)) return &setting;
  }
  return nullptr;
}

namespace {
// Levenshtein's distance.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + size_t{a[i - 1] != b[j - 1]}});
      diagonal = above;
    }
  }
  return row[b.size()];
}
}  // namespace

std::string_view NearestSetting(std::string_view name) {
  auto nearest =
      std::ranges::min_element(AllSettings(), {}, [&](const Setting& s) { return Distance(s.name, name); });
  return nearest->name;
}

Status BadSetting(std::string text) {
  return Status::WithText(base::Code::kErr, std::move(text));
}

base::Result<int64_t> IntegerBetween(Words words, int64_t low, int64_t high) {
  auto value = words.size() == 1 ? base::ParseInt64(words[0]) : std::nullopt;
  if (!value) return BadSetting("argument couldn't be parsed into an integer");
  if (*value < low || *value > high)
    return BadSetting(fmt::format("argument must be between {} and {} inclusive", low, high));
  return *value;
}

Setting Text(std::string_view name, Change change, std::string Settings::* field, std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            if (words.size() != 1) return BadSetting("takes one value");
            settings.*field = words[0];
            return {};
          },
          [=](const Settings& settings) { return settings.*field; }};
}

Setting Choice(std::string_view name, Change change, std::string Settings::* field,
               std::vector<std::string_view> choices, std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            for (std::string_view choice : choices) {
              if (words.size() != 1 || !base::EqualsIgnoreCase(words[0], choice)) continue;
              settings.*field = choice;
              return {};
            }
            return BadSetting(
                fmt::format("argument(s) must be one of the following: {}", fmt::join(choices, ", ")));
          },
          [=](const Settings& settings) { return settings.*field; }};
}

Setting YesNo(std::string_view name, Change change, bool Settings::* field, std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            bool yes = words.size() == 1 && base::EqualsIgnoreCase(words[0], "yes");
            bool no = words.size() == 1 && base::EqualsIgnoreCase(words[0], "no");
            if (!yes && !no) return BadSetting("argument must be 'yes' or 'no'");
            settings.*field = yes;
            return {};
          },
          [=](const Settings& settings) { return std::string(settings.*field ? "yes" : "no"); }};
}

Setting Memory(std::string_view name, Change change, uint64_t Settings::* field, std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            if (words.size() != 1) return BadSetting("argument must be a memory value");
            MS_ASSIGN_OR_RETURN(settings.*field, ParseMemory(words[0]));
            return {};
          },
          [=](const Settings& settings) { return std::to_string(settings.*field); }};
}

Setting Fixed(std::string_view name, Change change, std::string_view value, std::string_view why_not,
              std::string_view help) {
  return {name, change, help,
          [=](Settings&, Words words) -> Status {
            bool same = words.size() == 1 && base::EqualsIgnoreCase(words[0], value);
            return same ? Status() : BadSetting(std::string(why_not));
          },
          [=](const Settings&) { return std::string(value); }};
}

base::Result<uint64_t> ParseMemory(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  // No digits at all are 0, as in Redis.
  auto value = digits == 0 ? 0 : base::ParseInt64(text.substr(0, digits));
  std::string unit = base::ToLower(text.substr(digits));
  uint64_t factor = 0;
  if (unit.empty() || unit == "b") factor = 1;
  if (unit == "k") factor = 1000;
  if (unit == "kb") factor = uint64_t{1} << 10;
  if (unit == "m") factor = 1'000'000;
  if (unit == "mb") factor = uint64_t{1} << 20;
  if (unit == "g") factor = 1'000'000'000;
  if (unit == "gb") factor = uint64_t{1} << 30;
  uint64_t bytes = 0;
  if (!value || factor == 0 || __builtin_mul_overflow(static_cast<uint64_t>(*value), factor, &bytes)) {
    return BadSetting("argument must be a memory value");
  }
  return bytes;
}

}  // namespace moonshard::server
