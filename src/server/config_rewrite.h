#pragma once
// CONFIG REWRITE: brings the configuration file up to what the server uses. Comments, order and the lines of
// settings that have not changed stay byte for byte. A changed setting takes the place of its first line, a
// new one goes to the end, behind Redis' marker line. What the environment gave is not written.

#include <string>
#include <string_view>

#include "base/status.h"
#include "server/settings.h"

namespace moonshard::server {

struct ConfigFile {
  std::string path;    // absolute
  std::string folder;  // where relative includes start
};

// The new text; it has been read back and leads to `settings`.
base::Result<std::string> RewrittenText(std::string_view old_text, const ConfigFile& file,
                                        const Settings& settings);
// Replaces the file atomically and durably, keeping its mode and owner; makes it if it is gone.
base::Status RewriteConfigFile(const ConfigFile& file, const Settings& settings);

}  // namespace moonshard::server
