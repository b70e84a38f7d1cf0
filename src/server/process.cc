#include "server/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "base/log.h"
#include "base/number.h"
#include "server/config_file.h"
#include "server/setting.h"
#include "shard/socket.h"

namespace moonshard::server {

namespace {

using base::Status;

// Where Redis puts it when it goes to the background and nobody says where.
constexpr std::string_view kBackgroundPidFile = "/var/run/redis.pid";
// Descriptors besides those of clients: rings, logs, listeners.
constexpr rlim_t kOwnDescriptors = 256;

}  // namespace

Status EnterDirectory(Settings& settings) {
  if (chdir(settings.dir.c_str()) != 0) return BadSetting(std::strerror(errno));
  char absolute[PATH_MAX];
  if (getcwd(absolute, sizeof absolute) != nullptr) settings.dir = absolute;
  return {};
}

void NotifyManager(std::string_view state) {
  const char* name = getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t size = name == nullptr ? 0 : std::strlen(name);
  if (size < 2 || size >= sizeof address.sun_path || (name[0] != '/' && name[0] != '@')) return;
  std::memcpy(address.sun_path, name, size);
  if (name[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  shard::Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  if (!fd.valid() || sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                            reinterpret_cast<const sockaddr*>(&address), bytes) < 0) {
    base::LogWarning("cannot tell the service manager at {}: {}", name, std::strerror(errno));
  }
}

bool WantsBackground(const Settings& settings) {
  bool supervised = settings.supervised == "systemd" ||
                    (settings.supervised == "auto" && getenv("NOTIFY_SOCKET") != nullptr);
  return settings.daemonize && !supervised;
}

Status Background::Enter() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return BadSetting(fmt::format("daemonize: {}", std::strerror(errno)));
  pid_t child = fork();
  if (child < 0) return BadSetting(fmt::format("daemonize: {}", std::strerror(errno)));
  if (child > 0) {
    close(ends[1]);
    char started = 0;
    while (read(ends[0], &started, 1) < 0 && errno == EINTR) {
    }
    _exit(started == 1 ? 0 : 1);
  }
  close(ends[0]);
  report_fd_ = ends[1];
  setsid();
  return {};
}

void Background::Report(bool started) {
  if (report_fd_ < 0) return;
  // Errors of the start went to the standard error output; from here on there is only the log.
  if (started) {
    shard::Fd null(open("/dev/null", O_RDWR));
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      if (null.valid()) dup2(null.get(), fd);
    }
    if (null.get() <= STDERR_FILENO) null.Release();
  }
  const char word = started ? 1 : 0;
  while (write(report_fd_, &word, 1) < 0 && errno == EINTR) {
  }
  close(report_fd_);
  report_fd_ = -1;
}

PidFile::PidFile(const Settings& settings) : path_(settings.pidfile) {
  if (path_.empty() && WantsBackground(settings)) path_ = kBackgroundPidFile;
  if (path_.empty()) return;
  shard::Fd file(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  const std::string text = fmt::format("{}\n", getpid());
  if (!file.valid() || write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    base::LogWarning("cannot write the pid file {}: {}", path_, std::strerror(errno));
    path_.clear();
    return;
  }
  // It has to be found from any working directory.
  char absolute[PATH_MAX];
  if (realpath(path_.c_str(), absolute) != nullptr) path_ = absolute;
}

void PidFile::Remove() {
  if (path_.empty()) return;
  auto text = ReadText(path_, 64);
  if (text.ok() && *text == fmt::format("{}\n", getpid())) unlink(path_.c_str());
  path_.clear();
}

uint32_t RaiseDescriptorLimit(uint32_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t needed = wanted + kOwnDescriptors;
  if (limit.rlim_cur >= needed) return wanted;
  rlimit raised = {needed, std::max(limit.rlim_max, needed)};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
  raised = {std::min(limit.rlim_max, needed), limit.rlim_max};
  if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit.rlim_cur = raised.rlim_cur;
  if (limit.rlim_cur >= needed) return wanted;
  return static_cast<uint32_t>(limit.rlim_cur > 2 * kOwnDescriptors ? limit.rlim_cur - kOwnDescriptors
                                                                    : kOwnDescriptors);
}

}  // namespace moonshard::server
