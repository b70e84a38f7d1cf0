#include "server/config.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/glob.h"
#include "command/errors.h"
#include "server/setting.h"

namespace moonshard::server {

namespace {

using base::Status;
Status Apply(Settings& settings, std::string_view name, Words words) {
  const Setting* setting = FindSetting(name);
  if (setting == nullptr) {
    return BadSetting(fmt::format("unknown option '--{}', did you mean '--{}'?", name, NearestSetting(name)));
  }
  Status status = setting->set(settings, words);
  if (!status.ok()) return BadSetting(fmt::format("--{}: {}", setting->name, status.text()));
  return {};
}

}  // namespace

base::Result<Settings> Config::FromArgs(std::span<const std::string> args) {
  Settings settings;
  for (size_t i = 0; i < args.size();) {
    if (!args[i].starts_with("--") || args[i].size() == 2) {
      return BadSetting(fmt::format("unexpected argument '{}': settings are given as --name value", args[i]));
    }
    size_t end = i + 1;
    while (end < args.size() && !args[end].starts_with("--")) ++end;
    MS_RETURN_IF_ERROR(
        Apply(settings, std::string_view(args[i]).substr(2), args.subspan(i + 1, end - i - 1)));
    i = end;
  }
  return settings;
}

std::string Config::Help() {
  std::string text = "usage: moonshard [--name value ...]\n\n";
  Settings defaults;
  for (const Setting& setting : AllSettings()) {
    text += fmt::format("  --{:<18} {} [{}]\n", setting.name, setting.help, setting.get(defaults));
  }
  return text;
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

base::Result<Settings> Config::Set(std::span<const std::pair<std::string, std::string>> changes) {
  auto failed = [](std::string_view name, std::string_view why) {
    return BadSetting(fmt::format("CONFIG SET failed (possibly related to argument '{}') - {}",
                                  command::UpToZero(name), why));
  };
  // First the names, then the values: Redis complains in this order.
  std::vector<const Setting*> chosen;
  for (const auto& [name, value] : changes) {
    const Setting* setting = FindSetting(name);
    if (setting == nullptr) {
      return BadSetting(fmt::format("Unknown option or number of arguments for CONFIG SET - '{}'",
                                    command::UpToZero(name)));
    }
    if (setting->change == Change::kAtStart) return failed(name, "can't set immutable config");
    if (setting->change == Change::kProtected) return failed(name, "can't set protected config");
    if (std::ranges::find(chosen, setting) != chosen.end()) return failed(name, "duplicate parameter");
    chosen.push_back(setting);
  }
  std::lock_guard lock(mutex_);
  Settings changed = settings_;
  for (size_t i = 0; i < changes.size(); ++i) {
    std::string word = changes[i].second;
    Status status = chosen[i]->set(changed, {&word, 1});
    if (!status.ok()) return failed(chosen[i]->name, status.text());
  }
  settings_ = changed;
  return changed;
}

}  // namespace moonshard::server
