#pragma once
// Setting: the row of one setting, and builders for the usual kinds. A family's rows stand in a table of its
// own (settings_<family>.cc); setting.cc lists the tables.

#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "db/eviction_settings.h"
#include "server/settings.h"

namespace moonshard::command {
struct LiveSettings;
}

namespace moonshard::server {

using Words = std::span<const std::string>;

// kProtected is Redis' word for what it changes at run time only if enable-protected-configs said so at the
// start.
enum class Change : uint8_t { kAtStart, kProtected, kAnyTime };

enum class Shape : uint8_t {
  kOne,      // one word
  kWords,    // CONFIG SET splits its value at the spaces
  kRepeats,  // words too; and the lines of one source (file, environment, flags) add up
};

struct Setting {
  std::string_view name;
  Change change;
  std::string_view help;
  // Checks the words of a value and takes them over; an error leaves the settings as they are.
  std::function<base::Status(Settings&, Words)> set;
  // As CONFIG GET shows it.
  std::function<std::string(const Settings&)> get;

  Shape shape = Shape::kOne;
  // Why it has no effect here, in a few words ("replication"); empty: it has one. Whoever sets it is told at
  // start.
  std::string_view without_effect = {};
  // Redis' other name of the same setting. The table gets a second row under it.
  std::string_view other_name = {};
  // kRepeats: a configuration file is written with this many words a line; 0: all on one.
  size_t line_words = 0;
  // Set by AllSettings: the table's title, whether the value must not be shown, whether this is the second
  // row.
  std::string_view group = {};
  bool secret = false;
  bool is_other_name = false;

  // The name under which Settings::origins knows it.
  std::string_view own_name() const { return is_other_name ? other_name : name; }
};

// The families' tables, in the order of setting.cc.
std::vector<Setting> NetworkSettings();
std::vector<Setting> ClientSettings();
std::vector<Setting> RuntimeSettings();
std::vector<Setting> MemorySettings();
std::vector<Setting> PersistenceSettings();
std::vector<Setting> ObservationSettings();
// Last: what a family above has a row for is passed over.
std::vector<Setting> TypeSettings();
std::vector<Setting> RedisSettings();

// What the pipeline and the connections read while the server runs.
void ApplyClientSettings(const Settings& settings, command::LiveSettings& live);
// What the data budget reads while the server runs.
void ApplyMemorySettings(const Settings& settings, db::EvictionSettings& live);

// All of them, by name.
const std::vector<Setting>& AllSettings();
// Null if there is none; any case.
const Setting* FindSetting(std::string_view name);
// The name with the least edit distance.
std::string_view NearestSetting(std::string_view name);

// ---- builders

base::Status BadSetting(std::string text);
base::Result<int64_t> IntegerBetween(Words words, int64_t low, int64_t high);
base::Result<uint64_t> MemoryBetween(Words words, uint64_t low, uint64_t high);
// The choice that `words` name, in any case.
base::Result<std::string_view> OneOf(Words words, std::span<const std::string_view> choices);
base::Result<std::string> OneWord(Words words);

template <std::integral T>
Setting Integer(std::string_view name, Change change, T Settings::* field, int64_t low, int64_t high,
                std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> base::Status {
            MS_ASSIGN_OR_RETURN(int64_t value, IntegerBetween(words, low, high));
            settings.*field = static_cast<T>(value);
            return {};
          },
          [=](const Settings& settings) { return std::to_string(settings.*field); }};
}

Setting Text(std::string_view name, Change change, std::string Settings::* field, std::string_view help);
Setting Choice(std::string_view name, Change change, std::string Settings::* field,
               std::vector<std::string_view> choices, std::string_view help);
Setting YesNo(std::string_view name, Change change, bool Settings::* field, std::string_view help);
// A number of bytes with a unit, as in 100mb.
inline constexpr uint64_t kMemoryMax = std::numeric_limits<int64_t>::max();
Setting Memory(std::string_view name, Change change, uint64_t Settings::* field, std::string_view help,
               uint64_t low = 0, uint64_t high = kMemoryMax);
// A setting of Redis that has only one value here so far; any other is refused with the reason.
Setting Fixed(std::string_view name, Change change, std::string_view value, std::string_view why_not,
              std::string_view help);
// Kept in Settings::kept, its value checked as Redis checks it.
using Check = std::function<base::Result<std::string>(Words)>;  // words to canonical text
Setting Kept(std::string_view name, Change change, std::string_view initial, Check check,
             std::string_view help);

// ---- on top of a row

Setting Several(Setting row);                          // Shape::kWords
Setting Repeated(Setting row, size_t line_words = 0);  // Shape::kRepeats
Setting AlsoNamed(Setting row, std::string_view other_name);
Setting WithoutEffect(Setting row, std::string_view why);

// "1gb" = 2^30, "1g" = 10^9, "100" = 100 bytes, as in redis.conf.
base::Result<uint64_t> ParseMemory(std::string_view text);

}  // namespace moonshard::server
