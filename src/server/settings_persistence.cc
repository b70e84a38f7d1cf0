// The data directory, the log, snapshots.

#include "server/setting.h"

namespace moonshard::server {

std::vector<Setting> PersistenceSettings() {
  using enum Change;
  return {
      Fixed("appendonly", kAnyTime, "no", "the write-ahead log does not exist yet: only 'no' is possible",
            "write-ahead log (not there yet)"),
      Choice("appendfsync", kAnyTime, &Settings::appendfsync, {"always", "everysec", "no"},
             "when a write counts as durable; without effect until the log exists"),
      Text("dir", kProtected, &Settings::dir, "data directory"),
      Fixed("save", kAnyTime, "", "snapshots do not exist yet: only '' is possible",
            "snapshot rules (not there yet)"),
  };
}

}  // namespace moonshard::server
