#pragma once
// The process among others: working directory, background, pid file, descriptors, and the service manager.
// For the main thread, before other threads exist where it says so.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "server/settings.h"

namespace moonshard::server {

// Changes to settings.dir and makes it absolute. The error is the system's word for it.
base::Status EnterDirectory(Settings& settings);

// Tells the service manager (systemd's protocol) at the socket in NOTIFY_SOCKET, if there is one: "READY=1".
// Whether somebody listens makes no difference.
void NotifyManager(std::string_view state);

// Whether the settings ask for the background; a supervisor's child stays in front of it.
bool WantsBackground(const Settings& settings);

// The start of a server in the background. The first process waits until Report, and ends with its status.
// Before any other thread exists.
class Background {
 public:
  // Returns in the new process only.
  base::Status Enter();
  // Any time after Enter; once. Without Enter it does nothing.
  void Report(bool started);

 private:
  int report_fd_ = -1;
};

// Written by the constructor, removed by the destructor if it still names this process.
class PidFile {
 public:
  explicit PidFile(const Settings& settings);
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  ~PidFile() { Remove(); }
  void Remove();

 private:
  std::string path_;
};

// How many clients the limit of open files allows, at most `wanted`; raises the limit as far as it may.
uint32_t RaiseDescriptorLimit(uint32_t wanted);

}  // namespace moonshard::server
