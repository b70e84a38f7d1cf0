#include "server/config_load.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <limits.h>
#include <stdlib.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "resp/inline_args.h"
#include "server/setting.h"

namespace moonshard::server {

namespace {

using base::Result;
using base::Status;

// Lines of redis.conf that are not settings. To go on without what they ask for would leave a hole.
constexpr std::pair<std::string_view, std::string_view> kRefused[] = {
    {"rename-command", "commands cannot be renamed or hidden"},
    {"loadmodule", "modules of Redis cannot be loaded"},
    {"user", "access lists do not exist yet"},
    {"sentinel", "there is no sentinel mode"},
};
// Redis 7 passes over these.
constexpr std::string_view kRetired[] = {"list-max-ziplist-entries", "list-max-ziplist-value",
                                         "lua-replicate-commands"};
constexpr std::string_view kPrefix = "MOONSHARD_";
constexpr size_t kSecretBytesMax = 64 * 1024;

class Loader {
 public:
  Status Apply(const Directive& directive, Origin origin) {
    for (auto [name, why] : kRefused) {
      if (directive.name == name) return Failed(directive, why);
    }
    if (std::ranges::find(kRetired, directive.name) != std::end(kRetired)) {
      idle_["retired by Redis"].insert(directive.name);
      return {};
    }
    const Setting* setting = FindSetting(directive.name);
    if (setting == nullptr) {
      return BadSetting(fmt::format("{}: unknown option '{}', did you mean '{}'?", directive.where,
                                    directive.name, NearestSetting(directive.name)));
    }
    Status status = Set(*setting, directive.words, origin);
    if (!status.ok()) return Failed(directive, status.text());
    loaded_.settings.origins.insert_or_assign(std::string(setting->own_name()), origin);
    if (!setting->without_effect.empty()) idle_[setting->without_effect].insert(std::string(setting->name));
    return {};
  }
  void Warn(std::string text) { loaded_.warnings.push_back(std::move(text)); }
  void set_file(std::string file) { loaded_.file = std::move(file); }

  Loaded Finish() {
    std::vector<std::string> groups;
    for (const auto& [why, names] : idle_)
      groups.push_back(fmt::format("{} ({})", fmt::join(names, ", "), why));
    loaded_.without_effect = fmt::format("{}", fmt::join(groups, "; "));
    return std::move(loaded_);
  }

 private:
  static Status Failed(const Directive& directive, std::string_view why) {
    // A flag's place is its name already.
    if (directive.where.ends_with(directive.name))
      return BadSetting(fmt::format("{}: {}", directive.where, why));
    return BadSetting(fmt::format("{}: {}: {}", directive.where, directive.name, why));
  }

  Status Set(const Setting& setting, const std::vector<std::string>& words, Origin origin) {
    if (setting.shape != Shape::kRepeats) return setting.set(loaded_.settings, words);
    // Lines of one source add up; an empty one begins anew. Another source begins anew as well.
    std::vector<std::string>& all = repeated_[{setting.own_name(), origin}];
    bool nothing = words.size() == 1 && words[0].empty();
    if (nothing) all.clear();
    std::vector<std::string> longer = all;
    if (!nothing) longer.insert(longer.end(), words.begin(), words.end());
    MS_RETURN_IF_ERROR(setting.set(loaded_.settings, nothing ? words : longer));
    all = std::move(longer);
    return {};
  }

  Loaded loaded_;
  std::map<std::pair<std::string_view, Origin>, std::vector<std::string>> repeated_;
  std::map<std::string_view, std::set<std::string>> idle_;  // reason -> names
};

Status ApplyAll(Loader& loader, std::vector<Directive> directives, const std::string& folder, Origin origin) {
  MS_ASSIGN_OR_RETURN(std::vector<Directive> resolved, ResolveIncludes(std::move(directives), folder));
  for (const Directive& directive : resolved) MS_RETURN_IF_ERROR(loader.Apply(directive, origin));
  return {};
}

std::string VariableOf(std::string_view name) {
  std::string variable(kPrefix);
  for (char c : name) variable += c == '-' ? '_' : base::ToUpper(c);
  return variable;
}

class Environment {
 public:
  explicit Environment(const std::vector<std::string>& environment) {
    for (const std::string& entry : environment) {
      size_t equals = entry.find('=');
      if (entry.starts_with(kPrefix) && equals != std::string::npos) {
        left_.emplace(entry.substr(0, equals), entry.substr(equals + 1));
      }
    }
  }

  Status Apply(Loader& loader) {
    // A service of Kubernetes that is called moonshard gives MOONSHARD_PORT another meaning.
    auto port = left_.find("MOONSHARD_PORT");
    if (port != left_.end() && port->second.find("://") != std::string::npos) {
      loader.Warn("MOONSHARD_PORT is a service address of Kubernetes and no port: passed over");
      left_.erase(port);
    }
    for (const Setting& setting : AllSettings())
      MS_RETURN_IF_ERROR(Take(loader, setting, VariableOf(setting.name)));
    MS_RETURN_IF_ERROR(Take(loader, *FindSetting("requirepass"), "MOONSHARD_PASSWORD"));
    std::vector<std::string_view> unknown;
    for (const auto& [name, value] : left_) unknown.push_back(name);
    if (!unknown.empty()) {
      loader.Warn(fmt::format("environment variables that name no setting: {}", fmt::join(unknown, ", ")));
    }
    return {};
  }

 private:
  // The value of `variable`, or of the file that `variable`_FILE names.
  Status Take(Loader& loader, const Setting& setting, const std::string& variable) {
    auto plain = left_.find(variable);
    auto file = left_.find(variable + "_FILE");
    if (plain == left_.end() && file == left_.end()) return {};
    if (plain != left_.end() && file != left_.end()) {
      return BadSetting(fmt::format("{} and {}_FILE are both set", variable, variable));
    }
    std::string value;
    if (plain != left_.end()) {
      value = plain->second;
      left_.erase(plain);
    } else {
      auto text = ReadText(file->second, kSecretBytesMax);
      if (!text.ok()) return BadSetting(fmt::format("{}: {}", file->first, text.status().text()));
      value = *text;
      if (value.ends_with('\n')) value.pop_back();
      if (value.ends_with('\r')) value.pop_back();
      left_.erase(file);
    }
    Directive directive{std::string(setting.name), {value}, variable};
    if (setting.shape != Shape::kOne) {
      resp::ArgVector words;
      if (!resp::SplitArgsInPlace(value, words)) return BadSetting(variable + ": unbalanced quotes");
      directive.words.assign(words.begin(), words.end());
      if (words.empty()) directive.words = {""};
    }
    return loader.Apply(directive, Origin::kEnvironment);
  }

  std::map<std::string, std::string> left_;
};

// Lines of at most 100 characters, indented.
std::string Wrapped(std::string_view text) {
  constexpr size_t kWidth = 98;
  std::string lines;
  for (std::string_view indent = "  "; !text.empty(); indent = "    ") {
    size_t end = text.size() <= kWidth ? text.size() : text.rfind(' ', kWidth);
    if (end == std::string_view::npos) end = text.size();
    lines += fmt::format("{}{}\n", indent, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string_view OriginWord(Origin origin) {
  constexpr std::string_view kWords[] = {"default", "file", "environment", "flag", "command"};
  return kWords[static_cast<size_t>(origin)];
}

}  // namespace

Result<CommandLine> ParseCommandLine(std::span<const std::string> args) {
  CommandLine line;
  size_t i = 0;
  if (!args.empty() && !args[0].empty() && (args[0] == "-" || args[0][0] != '-')) line.file = args[i++];
  while (i < args.size()) {
    if (!args[i].starts_with("--") || args[i].size() == 2) {
      return BadSetting(fmt::format("unexpected argument '{}': settings are given as --name value", args[i]));
    }
    size_t end = i + 1;
    while (end < args.size() && !args[end].starts_with("--")) ++end;
    Directive flag{base::ToLower(std::string_view(args[i]).substr(2)),
                   {args.begin() + static_cast<ptrdiff_t>(i) + 1, args.begin() + static_cast<ptrdiff_t>(end)},
                   args[i]};
    bool alone = flag.words.empty();
    if (flag.name == "check-config" && alone) {
      line.check_config = true;
    } else if (flag.name == "healthcheck" && alone) {
      line.healthcheck = true;
    } else {
      line.flags.push_back(std::move(flag));
    }
    i = end;
  }
  return line;
}

Result<Loaded> LoadConfig(const Sources& sources) {
  Loader loader;
  const std::string& file = sources.command_line.file;
  if (!file.empty()) {
    bool from_input = file == "-";
    auto text = from_input ? sources.standard_input() : ReadText(file, kConfigBytesMax);
    if (!text.ok()) return BadSetting(fmt::format("configuration file: {}", text.status().text()));
    MS_ASSIGN_OR_RETURN(auto lines, ParseConfigText(*text, from_input ? "standard input" : file));
    MS_RETURN_IF_ERROR(ApplyAll(loader, std::move(lines), sources.folder, Origin::kFile));
    char absolute[PATH_MAX];
    if (!from_input && realpath(file.c_str(), absolute) != nullptr) loader.set_file(absolute);
  }
  MS_RETURN_IF_ERROR(Environment(sources.environment).Apply(loader));
  MS_RETURN_IF_ERROR(ApplyAll(loader, sources.command_line.flags, sources.folder, Origin::kFlag));
  Loaded loaded = loader.Finish();
  loaded.folder = sources.folder;
  return loaded;
}

Result<Settings> SettingsOfText(std::string_view text, std::string_view source, const std::string& folder) {
  Loader loader;
  MS_ASSIGN_OR_RETURN(auto lines, ParseConfigText(text, source));
  MS_RETURN_IF_ERROR(ApplyAll(loader, std::move(lines), folder, Origin::kFile));
  return loader.Finish().settings;
}

std::string HelpText() {
  std::string text =
      "usage: moonshard [FILE | -] [--name value ...]\n"
      "       moonshard [FILE] --check-config | --healthcheck\n"
      "       moonshard --version | --help\n\n"
      "FILE has a setting a line, as redis.conf; - reads it from standard input. MOONSHARD_NAME in the\n"
      "environment sets `name` (dashes are underscores), MOONSHARD_NAME_FILE reads its value from a file.\n"
      "Flags beat the environment, the environment beats the file.\n";
  Settings defaults;
  std::map<std::string_view, std::vector<const Setting*>> groups;
  std::map<std::string_view, std::vector<std::string_view>> idle;
  for (const Setting& setting : AllSettings()) {
    if (setting.without_effect.empty()) {
      groups[setting.group].push_back(&setting);
    } else {
      idle[setting.without_effect].push_back(setting.name);
    }
  }
  for (const auto& [group, rows] : groups) {
    text += fmt::format("\n{}:\n", group);
    for (const Setting* row : rows) {
      text += fmt::format("  --{:<24} {} [{}]\n", row->name, row->help, row->get(defaults));
    }
  }
  text += "\nSettings of Redis that are taken and have no effect here:\n";
  for (const auto& [why, names] : idle) text += Wrapped(fmt::format("{}: {}", why, fmt::join(names, ", ")));
  return text;
}

std::string DescribeSettings(const Loaded& loaded) {
  std::string text;
  for (const auto& [name, origin] : loaded.settings.origins) {
    const Setting* setting = FindSetting(name);
    text += fmt::format("{} {} ({})\n", name, setting->secret ? "***" : setting->get(loaded.settings),
                        OriginWord(origin));
  }
  if (!loaded.without_effect.empty()) text += fmt::format("without effect here: {}\n", loaded.without_effect);
  for (const std::string& warning : loaded.warnings) text += fmt::format("warning: {}\n", warning);
  return text;
}

}  // namespace moonshard::server
