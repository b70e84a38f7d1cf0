#include "base/log.h"

#include <fcntl.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <mutex>
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

// Appends to a file, a system call per line. Follows its name: once a second it looks whether the name still
// leads to the open file, so that a log can be rotated by renaming it.
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FileSink(std::string path) : path_(std::move(path)) { fd_ = Open(); }
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;
  ~FileSink() override {
    if (fd_ >= 0) close(fd_);
  }

  bool valid() const { return fd_ >= 0; }
  void Reopen() {
    std::lock_guard lock(mutex_);
    Replace();
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (message.time - looked_ >= std::chrono::seconds(1)) {
      looked_ = message.time;
      if (WasMoved()) Replace();
    }
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::string_view left(line.data(), line.size());
    while (!left.empty()) {
      ssize_t wrote = write(fd_, left.data(), left.size());
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return;  // a full disk loses lines, and nothing else
      left.remove_prefix(static_cast<size_t>(wrote));
    }
  }
  void flush_() override {}

 private:
  int Open() const { return open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644); }
  bool WasMoved() const {
    struct stat open_file{};
    struct stat named{};
    if (fstat(fd_, &open_file) != 0 || stat(path_.c_str(), &named) != 0) return true;
    return open_file.st_dev != named.st_dev || open_file.st_ino != named.st_ino;
  }
  // Without a new file the old one is better than none.
  void Replace() {
    int fd = Open();
    if (fd < 0) return;
    close(fd_);
    fd_ = fd;
  }

  std::string path_;
  int fd_ = -1;
  spdlog::log_clock::time_point looked_{};
};

// The text of a message inside a JSON string.
class JsonText final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& to) override {
    for (char c : message.payload) {
      if (c == '"' || c == '\\') {
        to.push_back('\\');
        to.push_back(c);
      } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
        fmt::format_to(std::back_inserter(to), "\\u{:04x}", static_cast<unsigned>(c));
      } else {
        to.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<JsonText>(); }
};

std::unique_ptr<spdlog::formatter> MakeFormatter(LogFormat format) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  if (format == LogFormat::kJson) {
    formatter->add_flag<JsonText>('J').set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","pid":%P,"message":"%J"})");
  } else {
    formatter->set_pattern("%P %Y-%m-%dT%H:%M:%S.%e %L %v");
  }
  return formatter;
}

spdlog::logger& Logger() {
  return *spdlog::default_logger_raw();
}

}  // namespace

Status InitLog(LogLevel level, std::string_view file, LogFormat format) {
  spdlog::sink_ptr sink;
  if (file.empty()) {
    sink = std::make_shared<spdlog::sinks::stdout_sink_mt>();
  } else {
    auto file_sink = std::make_shared<FileSink>(std::string(file));
    if (!file_sink->valid()) {
      return Status::WithText(Code::kIo,
                              fmt::format("cannot open the log file {}: {}", file, std::strerror(errno)));
    }
    sink = std::move(file_sink);
  }
  auto logger = std::make_shared<spdlog::logger>("moonshard", std::move(sink));
  logger->set_formatter(MakeFormatter(format));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  SetLogLevel(level);
  return Status::Ok();
}

void ReopenLog() {
  for (const spdlog::sink_ptr& sink : Logger().sinks()) {
    if (auto* file = dynamic_cast<FileSink*>(sink.get())) file->Reopen();
  }
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
