// The data directory, the log, snapshots.

#include "server/setting_checks.h"

namespace moonshard::server {

std::vector<Setting> PersistenceSettings() {
  using enum Change;
  return {
      Kept("appendonly", kAnyTime, "no",
           Only(IsYesNo(), "no", "the write-ahead log does not exist yet: only 'no' is possible"),
           "write-ahead log (not there yet)"),
      WithoutEffect(Choice("appendfsync", kAnyTime, &Settings::appendfsync, {"everysec", "always", "no"},
                           "when a write counts as durable; without effect until the log exists"),
                    "no log yet"),
      Text("dir", kProtected, &Settings::dir, "data directory; relative paths of files start there"),
  };
}

}  // namespace moonshard::server
