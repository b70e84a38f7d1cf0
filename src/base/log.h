#pragma once
// The server's log, by level. Formatting and sinks live in log.cc so that no header drags spdlog in.
// Safe from any thread; not for hot paths.

#include <fmt/core.h>

#include <string_view>
#include <utility>

#include "base/status.h"

namespace moonshard::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// kText: "PID TIME LEVEL text", with the time in ISO form and D, I, W or E. kJson: one object per line with
// "time", "level", "pid" and "message".
enum class LogFormat { kText, kJson };

// `file` empty: stdout. Call once before threads start. A file that cannot be opened is an error, and the log
// stays where it was. A file that was moved away or removed is made anew within a second of the next line.
Status InitLog(LogLevel level, std::string_view file, LogFormat format = LogFormat::kText);
// Opens the file again at once.
void ReopenLog();
void SetLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);
void LogLine(LogLevel level, std::string_view line);

template <typename... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(level)) LogLine(level, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void LogInfo(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kInfo, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogWarning(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kWarning, format, std::forward<Args>(args)...);
}
template <typename... Args>
void LogError(fmt::format_string<Args...> format, Args&&... args) {
  Log(LogLevel::kError, format, std::forward<Args>(args)...);
}

}  // namespace moonshard::base
