// What the server tells of itself.

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "server/setting.h"

namespace moonshard::server {

namespace {

using base::Status;

// "50 99 99.9", in one word or several.
Status SetPercentiles(Settings& settings, Words words) {
  std::vector<double> percentiles;
  for (const std::string& word : words) {
    for (const char* at = word.c_str(); *at != '\0';) {
      char* end = nullptr;
      double value = std::strtod(at, &end);
      if (end == at || (*end != ' ' && *end != '\0') || std::isnan(value)) {
        return BadSetting("Invalid latency-tracking-info-percentiles parameters");
      }
      if (value < 0 || value > 100) {
        return BadSetting("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]");
      }
      percentiles.push_back(value);
      at = end;
      while (*at == ' ') ++at;
    }
  }
  settings.latency_tracking_info_percentiles = std::move(percentiles);
  return {};
}

// Six digits behind the point at most, and no zeros at the end.
std::string GetPercentiles(const Settings& settings) {
  std::string text;
  for (double value : settings.latency_tracking_info_percentiles) {
    if (!text.empty()) text += ' ';
    text += fmt::format("{:.6f}", value);
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

constexpr int64_t kAnyNumber = std::numeric_limits<int64_t>::max();

}  // namespace

std::vector<Setting> ObservationSettings() {
  using enum Change;
  return {
      Integer("latency-monitor-threshold", kAnyTime, &Settings::latency_monitor_threshold, 0, kAnyNumber,
              "milliseconds from which on LATENCY notes what was slow; 0: never"),
      YesNo("latency-tracking", kAnyTime, &Settings::latency_tracking, "keep a histogram per command"),
      Several({"latency-tracking-info-percentiles", kAnyTime, "what INFO latencystats shows of them",
               SetPercentiles, GetPercentiles}),
      Choice("log-format", kAtStart, &Settings::log_format, {"text", "json"}, "form of the log's lines"),
      Text("logfile", kAtStart, &Settings::logfile, "log file; empty: standard output"),
      Choice("loglevel", kAnyTime, &Settings::loglevel, {"debug", "verbose", "notice", "warning"},
             "least level logged"),
      Integer("slowlog-log-slower-than", kAnyTime, &Settings::slowlog_log_slower_than, -1, kAnyNumber,
              "microseconds from which on SLOWLOG notes a call; -1: never"),
      Integer("slowlog-max-len", kAnyTime, &Settings::slowlog_max_len, 0, kAnyNumber,
              "most entries of the slow log"),
  };
}

}  // namespace moonshard::server
