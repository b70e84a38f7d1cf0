#include "server/signals.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <utility>

#include "shard/socket.h"

namespace moonshard::server {

Signals::Signals() {
  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&set_);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set_, number);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
}

void Signals::Watch(Actions actions) {
  actions_ = std::move(actions);
  end_fd_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { Loop(); });
}

void Signals::End() {
  if (!thread_.joinable()) return;
  eventfd_write(end_fd_, 1);
  thread_.join();
  close(end_fd_);
}

void Signals::Loop() {
  shard::Fd signals(signalfd(-1, &set_, SFD_CLOEXEC));
  int stops = 0;
  for (;;) {
    pollfd wait[] = {{signals.get(), POLLIN, 0}, {end_fd_, POLLIN, 0}};
    int ready = poll(wait, 2, stops >= 2 ? kHurryMs : -1);
    if (ready == 0) {
      actions_.give_up();
      return;
    }
    if ((wait[1].revents & POLLIN) != 0) return;
    signalfd_siginfo came;
    if ((wait[0].revents & POLLIN) == 0 || read(signals.get(), &came, sizeof came) != sizeof came) continue;
    if (came.ssi_signo == SIGHUP) {
      actions_.reopen_log();
    } else if (++stops == 1) {
      actions_.stop(static_cast<int>(came.ssi_signo));
    }
  }
}

}  // namespace moonshard::server
