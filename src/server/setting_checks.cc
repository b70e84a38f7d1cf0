#include "server/setting_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/bytes.h"
#include "base/number.h"

namespace moonshard::server {

namespace {

using base::Result;
using Checked = Result<std::string>;

std::vector<std::string_view> SplitChoices(std::string_view choices) {
  std::vector<std::string_view> found;
  for (size_t begin = 0; begin < choices.size();) {
    size_t end = std::min(choices.find(", ", begin), choices.size());
    found.push_back(choices.substr(begin, end - begin));
    begin = end + 2;
  }
  return found;
}

// `save ""` and CONFIG SET save "" both mean none.
bool IsNothing(Words words) {
  return words.empty() || (words.size() == 1 && words[0].empty());
}

}  // namespace

Check AnyText() {
  return [](Words words) -> Checked { return OneWord(words); };
}

Check IsYesNo() {
  return [](Words words) -> Checked {
    MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
    if (base::EqualsIgnoreCase(word, "yes")) return std::string("yes");
    if (base::EqualsIgnoreCase(word, "no")) return std::string("no");
    return BadSetting("argument must be 'yes' or 'no'");
  };
}

Check Range(int64_t low, int64_t high) {
  return [=](Words words) -> Checked {
    MS_ASSIGN_OR_RETURN(int64_t value, IntegerBetween(words, low, high));
    return std::to_string(value);
  };
}

Check ClampedInto(int64_t low, int64_t high) {
  return [=](Words words) -> Checked {
    MS_ASSIGN_OR_RETURN(int64_t value, IntegerBetween(words, 0, kInt32Max));
    return std::to_string(std::clamp(value, low, high));
  };
}

Check Bytes(uint64_t low) {
  return [=](Words words) -> Checked {
    MS_ASSIGN_OR_RETURN(uint64_t bytes, MemoryBetween(words, low, kMemoryMax));
    return std::to_string(bytes);
  };
}

Check BytesAtLeast(uint64_t floor) {
  return [=](Words words) -> Checked {
    MS_ASSIGN_OR_RETURN(uint64_t bytes, MemoryBetween(words, 1, kMemoryMax));
    return std::to_string(std::max(bytes, floor));
  };
}

Check BytesOrPercent() {
  return [](Words words) -> Checked {
    MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
    if (word.ends_with('%')) {
      auto percent = base::ParseInt64(std::string_view(word).substr(0, word.size() - 1));
      if (!percent || *percent < 0) return BadSetting("argument must be a memory or percent value");
      if (*percent > 100) return BadSetting("percentage argument must be less or equal to 100");
      return word;
    }
    auto bytes = ParseMemory(word);
    if (!bytes.ok()) return BadSetting("argument must be a memory or percent value");
    return std::to_string(*bytes);
  };
}

Check Choices(std::string_view choices) {
  return [all = SplitChoices(choices)](Words words) -> Checked {
    MS_ASSIGN_OR_RETURN(std::string_view choice, OneOf(words, all));
    return std::string(choice);
  };
}

Check PlainName(std::string_view setting, std::string_view what) {
  return [=](Words words) -> Checked {
    MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
    if (word.empty()) return BadSetting(fmt::format("{} can't be empty", setting));
    if (word.find('/') != std::string::npos) {
      return BadSetting(fmt::format("{} can't be a path, just a {}", setting, what));
    }
    return word;
  };
}

Check HostName() {
  return [](Words words) -> Checked {
    constexpr size_t kBytesMax = 255;
    MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
    if (word.size() > kBytesMax) return BadSetting("Hostnames must be less than 256 characters");
    auto allowed = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
             c == '.';
    };
    if (!std::ranges::all_of(word, allowed)) {
      return BadSetting("Hostnames may only contain alphanumeric characters, hyphens or dots");
    }
    return word;
  };
}

Check Only(Check check, std::string_view value, std::string_view why_not) {
  return [=](Words words) -> Checked {
    MS_ASSIGN_OR_RETURN(std::string text, check(words));
    if (text != value) return BadSetting(std::string(why_not));
    return text;
  };
}

Check SavePoints() {
  return [](Words words) -> Checked {
    if (IsNothing(words)) return std::string();
    if (words.size() % 2 != 0) return BadSetting("Invalid save parameters");
    std::vector<int64_t> numbers;
    for (size_t i = 0; i < words.size(); i += 2) {
      auto seconds = base::ParseInt64(words[i]);
      auto changes = base::ParseInt64(words[i + 1]);
      if (!seconds || !changes || *seconds < 1 || *changes < 0 || *changes > kInt32Max) {
        return BadSetting("Invalid save parameters");
      }
      numbers.insert(numbers.end(), {*seconds, *changes});
    }
    return fmt::format("{}", fmt::join(numbers, " "));
  };
}

namespace {

struct ClientClass {
  std::string_view name;
  std::string_view other_name;
  std::string limits;
};

// Three numbers as Redis shows them; nothing if they are none.
std::optional<std::string> ParseLimits(Words words) {
  auto hard = ParseMemory(words[0]);
  auto soft = ParseMemory(words[1]);
  auto seconds = base::ParseInt64(words[2]);
  if (!hard.ok() || !soft.ok() || !seconds || *seconds < 0) return std::nullopt;
  return fmt::format("{} {} {}", *hard, *soft, *seconds);
}

}  // namespace

Check OutputLimits() {
  return [](Words words) -> Checked {
    if (words.size() % 4 != 0) return BadSetting("Wrong number of arguments in buffer limit configuration.");
    std::array<ClientClass, 3> classes = {{{"normal", "normal", "0 0 0"},
                                           {"slave", "replica", "268435456 67108864 60"},
                                           {"pubsub", "pubsub", "33554432 8388608 60"}}};
    for (size_t i = 0; i < words.size(); i += 4) {
      auto found = std::ranges::find_if(classes, [&](const ClientClass& c) {
        return base::EqualsIgnoreCase(words[i], c.name) || base::EqualsIgnoreCase(words[i], c.other_name);
      });
      if (found == classes.end())
        return BadSetting("Invalid client class specified in buffer limit configuration.");
      auto limits = ParseLimits(words.subspan(i + 1, 3));
      if (!limits)
        return BadSetting("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
      found->limits = *limits;
    }
    std::vector<std::string> parts;
    for (const ClientClass& c : classes) parts.push_back(fmt::format("{} {}", c.name, c.limits));
    return fmt::format("{}", fmt::join(parts, " "));
  };
}

Check KeyspaceEvents() {
  return [](Words words) -> Checked {
    // The classes that A stands for, then the rest, in the order in which Redis writes them.
    constexpr std::string_view kAll = "g$lshzxetd";
    constexpr std::string_view kRest = "nKEm";  // n is not shown beside A
    MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
    std::string given = word;
    if (given.find('A') != std::string::npos) given += kAll;
    for (char c : word) {
      if (c != 'A' && kAll.find(c) == std::string_view::npos && kRest.find(c) == std::string_view::npos) {
        return BadSetting("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
      }
    }
    auto has = [&](char c) { return given.find(c) != std::string::npos; };
    std::string shown;
    if (std::ranges::all_of(kAll, has)) {
      shown = "A";
    } else {
      std::ranges::copy_if(kAll, std::back_inserter(shown), has);
    }
    const bool all = shown == "A";
    std::ranges::copy_if(kRest, std::back_inserter(shown),
                         [&](char c) { return has(c) && !(all && c == 'n'); });
    return shown;
  };
}

Check OomScores() {
  return [](Words words) -> Checked {
    if (words.size() != 3) return BadSetting("wrong number of arguments");
    for (const std::string& word : words) {
      auto value = base::ParseInt64(word);
      if (!value || *value < -2000 || *value > 2000) {
        return BadSetting("Invalid oom-score-adj-values, elements must be between -2000 and 2000.");
      }
    }
    return fmt::format("{}", fmt::join(words, " "));
  };
}

Check ProcessTitle() {
  return [](Words words) -> Checked {
    // These stand for nothing when Redis tries the template; the result must not be empty.
    constexpr std::array<std::string_view, 3> kEmpty = {"title", "unixsocket", "config-file"};
    constexpr std::array<std::string_view, 4> kFull = {"listen-addr", "server-mode", "port", "tls-port"};
    MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
    bool says_something = false;
    bool known = true;
    for (size_t at = 0; at < word.size() && known; ++at) {
      if (word[at] != '{') {
        says_something = says_something || word[at] != ' ';
        continue;
      }
      const size_t end = std::min(word.find('}', at), word.size());
      const std::string_view name = std::string_view(word).substr(at + 1, end - at - 1);
      const bool full = std::ranges::find(kFull, name) != kFull.end();
      known = end < word.size() && (full || std::ranges::find(kEmpty, name) != kEmpty.end());
      says_something = says_something || full;
      at = end;
    }
    if (!known || !says_something) {
      return BadSetting("template format is invalid or contains unknown variables");
    }
    return word;
  };
}

Check ShutdownOptions() {
  return [](Words words) -> Checked {
    constexpr std::array<std::string_view, 5> kOptions = {"default", "save", "nosave", "now", "force"};
    std::array<bool, 5> given = {};
    bool known = !words.empty();
    for (const std::string& word : words) {
      auto option = std::ranges::find_if(
          kOptions, [&](std::string_view name) { return base::EqualsIgnoreCase(name, word); });
      known = known && option != kOptions.end();
      if (known) given[static_cast<size_t>(option - kOptions.begin())] = true;
    }
    if (!known) {
      return BadSetting(
          fmt::format("argument(s) must be one of the following: {}", fmt::join(kOptions, ", ")));
    }
    if (given[1] && given[2]) {
      return BadSetting("shutdown options SAVE and NOSAVE can't be used simultaneously");
    }
    std::vector<std::string_view> shown;
    for (size_t i = 1; i < kOptions.size(); ++i) {
      if (given[i]) shown.push_back(kOptions[i]);
    }
    return shown.empty() ? std::string("default") : fmt::format("{}", fmt::join(shown, " "));
  };
}

Check ReplicaOf() {
  return [](Words words) -> Checked {
    if (words.size() != 2) return BadSetting("wrong number of arguments");
    if (base::EqualsIgnoreCase(words[0], "no") && base::EqualsIgnoreCase(words[1], "one"))
      return std::string();
    auto port = base::ParseInt64(words[1]);
    if (!port || *port < 0 || *port > 65535) return BadSetting("Invalid master port");
    return fmt::format("{} {}", words[0], *port);
  };
}

}  // namespace moonshard::server
