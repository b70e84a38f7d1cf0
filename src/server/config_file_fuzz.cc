// Any bytes as a configuration file: reading them ends in settings or in a one-line error, and a file that
// was read is written back unchanged when nothing changed.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "server/config_load.h"
#include "server/config_rewrite.h"
#include "server/setting.h"

namespace moonshard::server {
namespace {

int Try(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  auto directives = ParseConfigText(text, "f");
  if (!directives.ok()) return 0;
  for (const Directive& directive : *directives) {
    if (directive.name == "include") return 0;  // other files are no part of this
  }
  auto settings = SettingsOfText(text, "f", "/");
  if (!settings.ok()) {
    MS_CHECK(!settings.status().text().empty());
    return 0;
  }
  const ConfigFile file = {"/f", "/"};
  auto same = RewrittenText(text, file, *settings);
  MS_CHECK(same.ok() && *same == text);
  // Changed back to defaults: what is written leads there.
  Settings changed = *settings;
  const Settings defaults;
  for (const char* name : {"masterauth", "hz", "maxmemory", "port"}) {
    const Setting* setting = FindSetting(name);
    std::string word = setting->get(defaults);
    MS_CHECK(setting->set(changed, {&word, 1}).ok());
    changed.origins[name] = Origin::kCommand;
  }
  auto rewritten = RewrittenText(text, file, changed);
  MS_CHECK(rewritten.ok());
  auto back = SettingsOfText(*rewritten, "f", "/");
  MS_CHECK(back.ok() && back->port == changed.port && back->maxmemory == changed.maxmemory);
  return 0;
}

}  // namespace
}  // namespace moonshard::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return moonshard::server::Try(data, size);
}
