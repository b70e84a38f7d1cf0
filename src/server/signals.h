#pragma once
// Signals of a running server, on a thread of its own: SIGTERM and SIGINT stop it, a second one hurries,
// SIGHUP opens the log file again.

#include <csignal>
#include <functional>
#include <thread>

namespace moonshard::server {

class Signals {
 public:
  struct Actions {
    std::function<void(int signal)> stop;  // the first SIGTERM or SIGINT
    std::function<void()> give_up;         // it was asked to hurry and has not ended in kHurryMs
    std::function<void()> reopen_log;
  };
  // How long the end may take after the second signal.
  static constexpr int kHurryMs = 500;

  // Holds the signals back until Watch: none that comes in between is lost. Before any other thread exists,
  // since those inherit it.
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() { End(); }

  void Watch(Actions actions);
  void End();

 private:
  void Loop();

  sigset_t set_;
  int end_fd_ = -1;
  Actions actions_;
  std::thread thread_;
};

}  // namespace moonshard::server
