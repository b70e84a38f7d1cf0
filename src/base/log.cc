#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string>

namespace moonshard::base {

namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> MakeLogger(std::string_view file) {
  spdlog::sink_ptr sink;
  if (file.empty()) {
    sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(std::string(file));
  }
  auto logger = std::make_shared<spdlog::logger>("moonshard", std::move(sink));
  logger->set_pattern("%P %Y-%m-%dT%H:%M:%S.%e %L %v");
  logger->flush_on(spdlog::level::info);
  return logger;
}

spdlog::logger& Logger() {
  return *spdlog::default_logger_raw();
}

}  // namespace

Status InitLog(LogLevel level, std::string_view file) {
  try {
    spdlog::set_default_logger(MakeLogger(file));
  } catch (const spdlog::spdlog_ex& error) {
    return Status::WithText(Code::kIo, error.what());
  }
  SetLogLevel(level);
  return Status::Ok();
}

void SetLogLevel(LogLevel level) {
  Logger().set_level(ToSpdlog(level));
}

bool LogEnabled(LogLevel level) {
  return Logger().should_log(ToSpdlog(level));
}

void LogLine(LogLevel level, std::string_view line) {
  Logger().log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace moonshard::base
