#pragma once
// The form of INFO: sections, which of them were asked for, and its ways to write figures.

#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "command/server_control.h"
#include "commands/info_figures.h"

namespace moonshard::commands {

// "1.50M", as Redis shortens sizes.
std::string HumanBytes(uint64_t bytes);
// "12.34%"; of nothing it is 0.
std::string Percent(uint64_t part, uint64_t whole);
// "1.23"
std::string Ratio(uint64_t a, uint64_t b);
inline int64_t Difference(uint64_t a, uint64_t b) {
  return static_cast<int64_t>(a) - static_cast<int64_t>(b);
}
// What would end or split a field's name is '_'.
std::string SafeName(std::string_view name);

std::string OsName();
std::string BuildId();
// Stays the same while the process runs, and is not the run id.
std::string ReplicationId(std::string_view run_id);
// The value of one setting, "" if there is none.
std::string ConfigValue(command::ServerControl& server, std::string_view name);

struct Percentile {
  std::string name;  // "99.9"
  double value = 0;
};
std::vector<Percentile> PercentilesOf(std::string_view setting);

struct MemoryFigures {
  uint64_t used = 0;
  uint64_t peak = 0;
  uint64_t index = 0;
  uint64_t committed = 0;
  uint64_t resident = 0;
  uint64_t machine = 0;
  uint64_t limit = 0;

  static MemoryFigures Of(const std::vector<ShardFigures>& shards, command::ServerControl& server);
};

class InfoPage {
 public:
  // `sections`: the arguments of INFO.
  InfoPage(std::string& text, std::span<const std::string_view> sections)
      : text_(text), sections_(sections) {}

  bool Wants(std::string_view section) const;
  // Writes the title if the section is wanted.
  bool Begin(std::string_view section, std::string_view title);
  template <typename T>
  void Field(std::string_view name, const T& value) {
    fmt::format_to(std::back_inserter(text_), "{}:{}\r\n", name, value);
  }
  // Also its short form, as <name>_human.
  void Bytes(std::string_view name, uint64_t bytes);
  // What Redis counts and does not exist here.
  void Zeros(std::initializer_list<std::string_view> names) {
    for (std::string_view name : names) Field(name, 0);
  }

 private:
  std::string& text_;
  std::span<const std::string_view> sections_;
};

}  // namespace moonshard::commands
