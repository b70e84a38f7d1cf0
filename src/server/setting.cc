#include "server/setting.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/number.h"

namespace moonshard::server {

using base::Status;

namespace {

struct Table {
  std::string_view title;
  std::vector<Setting> (*rows)();
};
constexpr Table kTables[] = {
    {"network", NetworkSettings},
    {"clients", ClientSettings},
    {"process", RuntimeSettings},
    {"memory", MemorySettings},
    {"persistence", PersistenceSettings},
    {"log and figures", ObservationSettings},
    {"types", TypeSettings},
    {"redis", RedisSettings},
};

// Shown to nobody but who asks CONFIG GET for them.
constexpr std::string_view kSecrets[] = {"requirepass", "masterauth", "tls-key-file-pass",
                                         "tls-client-key-file-pass"};

bool Has(const std::vector<Setting>& rows, std::string_view name) {
  return std::ranges::find(rows, name, &Setting::name) != rows.end();
}

std::vector<Setting> CollectSettings() {
  std::vector<Setting> all;
  for (const Table& table : kTables) {
    for (Setting& row : table.rows()) {
      if (Has(all, row.name)) continue;
      row.group = table.title;
      row.secret = std::ranges::find(kSecrets, row.name) != std::end(kSecrets);
      all.push_back(row);
      if (row.other_name.empty() || Has(all, row.other_name)) continue;
      std::swap(row.name, row.other_name);
      row.is_other_name = true;
      all.push_back(std::move(row));
    }
  }
  std::ranges::sort(all, {}, &Setting::name);
  return all;
}

}  // namespace

const std::vector<Setting>& AllSettings() {
  static const std::vector<Setting> all = CollectSettings();
  return all;
}

const Setting* FindSetting(std::string_view name) {
  const std::string lower = base::ToLower(name);
  auto found = std::ranges::lower_bound(AllSettings(), std::string_view(lower), {}, &Setting::name);
  return found != AllSettings().end() && found->name == lower ? &*found : nullptr;
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

base::Result<std::string> OneWord(Words words) {
  if (words.size() != 1) return BadSetting("wrong number of arguments");
  return words[0];
}

base::Result<int64_t> IntegerBetween(Words words, int64_t low, int64_t high) {
  MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
  auto value = base::ParseInt64(word);
  if (!value) return BadSetting("argument couldn't be parsed into an integer");
  if (*value < low || *value > high)
    return BadSetting(fmt::format("argument must be between {} and {} inclusive", low, high));
  return *value;
}

base::Result<uint64_t> MemoryBetween(Words words, uint64_t low, uint64_t high) {
  MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
  MS_ASSIGN_OR_RETURN(uint64_t bytes, ParseMemory(word));
  if (bytes < low || bytes > high)
    return BadSetting(fmt::format("argument must be between {} and {} inclusive", low, high));
  return bytes;
}

base::Result<std::string_view> OneOf(Words words, std::span<const std::string_view> choices) {
  for (std::string_view choice : choices) {
    if (words.size() == 1 && base::EqualsIgnoreCase(words[0], choice)) return choice;
  }
  if (words.size() != 1) return BadSetting("wrong number of arguments");
  return BadSetting(fmt::format("argument(s) must be one of the following: {}", fmt::join(choices, ", ")));
}

Setting Text(std::string_view name, Change change, std::string Settings::* field, std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            MS_ASSIGN_OR_RETURN(settings.*field, OneWord(words));
            return {};
          },
          [=](const Settings& settings) { return settings.*field; }};
}

Setting Choice(std::string_view name, Change change, std::string Settings::* field,
               std::vector<std::string_view> choices, std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            MS_ASSIGN_OR_RETURN(std::string_view choice, OneOf(words, choices));
            settings.*field = choice;
            return {};
          },
          [=](const Settings& settings) { return settings.*field; }};
}

namespace {
base::Result<bool> YesOrNo(Words words) {
  MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
  if (base::EqualsIgnoreCase(word, "yes")) return true;
  if (base::EqualsIgnoreCase(word, "no")) return false;
  return BadSetting("argument must be 'yes' or 'no'");
}
}  // namespace

Setting YesNo(std::string_view name, Change change, bool Settings::* field, std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            MS_ASSIGN_OR_RETURN(settings.*field, YesOrNo(words));
            return {};
          },
          [=](const Settings& settings) { return std::string(settings.*field ? "yes" : "no"); }};
}

Setting Memory(std::string_view name, Change change, uint64_t Settings::* field, std::string_view help,
               uint64_t low, uint64_t high) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            MS_ASSIGN_OR_RETURN(settings.*field, MemoryBetween(words, low, high));
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

Setting Kept(std::string_view name, Change change, std::string_view initial, Check check,
             std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            MS_ASSIGN_OR_RETURN(std::string text, check(words));
            settings.kept.insert_or_assign(std::string(name), std::move(text));
            return {};
          },
          [=](const Settings& settings) {
            auto found = settings.kept.find(name);
            return found == settings.kept.end() ? std::string(initial) : found->second;
          }};
}

Setting Several(Setting row) {
  row.shape = Shape::kWords;
  return row;
}
Setting Repeated(Setting row, size_t line_words) {
  row.shape = Shape::kRepeats;
  row.line_words = line_words;
  return row;
}
Setting AlsoNamed(Setting row, std::string_view other_name) {
  row.other_name = other_name;
  return row;
}
Setting WithoutEffect(Setting row, std::string_view why) {
  row.without_effect = why;
  return row;
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
