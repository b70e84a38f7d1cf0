#include "server/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/glob.h"
#include "command/errors.h"
#include "server/config_load.h"
#include "server/setting.h"

namespace moonshard::server {

namespace {

using base::Status;
using Change_ = std::pair<std::string, std::string>;

Status Failed(std::string_view name, std::string_view why) {
  return BadSetting(fmt::format("CONFIG SET failed (possibly related to argument '{}') - {}",
                                command::UpToZero(name), why));
}

// Redis' rule: the pieces between single spaces, empty ones too.
std::vector<std::string> WordsOf(const Setting& setting, const std::string& value) {
  if (setting.shape == Shape::kOne) return {value};
  std::vector<std::string> words;
  for (size_t begin = 0; begin <= value.size() && !value.empty();) {
    size_t end = std::min(value.find(' ', begin), value.size());
    words.push_back(value.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

// The settings that `changes` name. Redis complains of names before it looks at values.
base::Result<std::vector<const Setting*>> Choose(std::span<const Change_> changes, bool protected_too) {
  std::vector<const Setting*> chosen;
  for (const auto& [name, value] : changes) {
    const Setting* setting = FindSetting(name);
    if (setting == nullptr) {
      return BadSetting(fmt::format("Unknown option or number of arguments for CONFIG SET - '{}'",
                                    command::UpToZero(name)));
    }
    if (setting->change == Change::kAtStart) return Failed(name, "can't set immutable config");
    if (setting->change == Change::kProtected && !protected_too) {
      return Failed(name, "can't set protected config");
    }
    if (std::ranges::find(chosen, setting) != chosen.end()) return Failed(name, "duplicate parameter");
    chosen.push_back(setting);
  }
  return chosen;
}

}  // namespace

base::Result<Settings> Config::FromArgs(std::span<const std::string> args) {
  Sources sources;
  MS_ASSIGN_OR_RETURN(sources.command_line, ParseCommandLine(args));
  MS_ASSIGN_OR_RETURN(Loaded loaded, LoadConfig(sources));
  return std::move(loaded.settings);
}

Settings Config::Get() const {
  std::lock_guard lock(mutex_);
  return settings_;
}

std::vector<std::pair<std::string, std::string>> Config::Match(std::string_view pattern) const {
  Settings settings = Get();
  std::vector<std::pair<std::string, std::string>> found;
  if (pattern.find_first_of("[*?") == std::string_view::npos) {
    // As in Redis, who names one setting gets it back in the spelling used.
    if (const Setting* setting = FindSetting(pattern)) found.emplace_back(pattern, setting->get(settings));
    return found;
  }
  for (const Setting& setting : AllSettings()) {
    if (base::GlobMatch(pattern, setting.name, base::CaseMode::kIgnore)) {
      found.emplace_back(setting.name, setting.get(settings));
    }
  }
  std::ranges::sort(found);
  return found;
}

Status Config::Set(std::span<const Change_> changes, bool local, const Apply& apply) {
  const Settings before = Get();
  const bool protected_too =
      before.enable_protected_configs == "yes" || (before.enable_protected_configs == "local" && local);
  MS_ASSIGN_OR_RETURN(std::vector<const Setting*> chosen, Choose(changes, protected_too));
  Settings after = before;
  for (size_t i = 0; i < changes.size(); ++i) {
    Status status = chosen[i]->set(after, WordsOf(*chosen[i], changes[i].second));
    if (!status.ok()) return Failed(chosen[i]->name, status.text());
    after.origins.insert_or_assign(std::string(chosen[i]->own_name()), Origin::kCommand);
  }
  Refusal refusal = apply(before, after);
  if (!refusal.status.ok()) return Failed(refusal.setting, refusal.status.text());
  std::lock_guard lock(mutex_);
  settings_ = std::move(after);
  return {};
}

}  // namespace moonshard::server
