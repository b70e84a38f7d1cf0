// What the server tells of itself.

#include "server/setting.h"

namespace moonshard::server {

std::vector<Setting> ObservationSettings() {
  using enum Change;
  return {
      Text("logfile", kAtStart, &Settings::logfile, "log file; empty: standard output"),
      Choice("loglevel", kAnyTime, &Settings::loglevel, {"debug", "verbose", "notice", "warning"},
             "least level logged"),
  };
}

}  // namespace moonshard::server
