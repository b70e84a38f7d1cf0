#include "server/process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "server/signals.h"
#include "shard/socket.h"

namespace moonshard::server {
namespace {

// What a service manager at `name` ('@': abstract) gets from one NotifyManager.
std::string Heard(const std::string& name, const char* state) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  shard::Fd fd(socket(AF_UNIX, SOCK_DGRAM, 0));
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
            0);
  setenv("NOTIFY_SOCKET", name.c_str(), 1);
  NotifyManager(state);
  unsetenv("NOTIFY_SOCKET");
  char text[256] = "";
  ssize_t got = recv(fd.get(), text, sizeof text, MSG_DONTWAIT);
  return got < 0 ? "nothing" : std::string(text, static_cast<size_t>(got));
}

TEST(Process, TheServiceManagerIsToldByPathAndByAbstractName) {
  const std::string path = ::testing::TempDir() + "notify." + std::to_string(getpid());
  EXPECT_EQ(Heard(path, "READY=1\nSTATUS=x"), "READY=1\nSTATUS=x");
  EXPECT_EQ(Heard("@moonshard-test." + std::to_string(getpid()), "STOPPING=1"), "STOPPING=1");
  std::filesystem::remove(path);
  for (const char* name : {"", "@", "relative", "/no/such/socket"}) {
    setenv("NOTIFY_SOCKET", name, 1);
    NotifyManager("READY=1");
  }
  unsetenv("NOTIFY_SOCKET");
}

TEST(Process, ThePidFileIsWrittenAndRemoved) {
  Settings settings;
  settings.pidfile = ::testing::TempDir() + "pid." + std::to_string(getpid());
  {
    PidFile file(settings);
    std::string text;
    std::getline(std::ifstream(settings.pidfile), text);
    EXPECT_EQ(text, std::to_string(getpid()));
  }
  EXPECT_FALSE(std::filesystem::exists(settings.pidfile));
  {
    // Of a successor meanwhile: not ours to remove.
    PidFile file(settings);
    std::ofstream(settings.pidfile) << "1\n";
  }
  EXPECT_TRUE(std::filesystem::exists(settings.pidfile));
  std::filesystem::remove(settings.pidfile);
  settings.pidfile = "/no/such/folder/pid";
  PidFile file(settings);
}

TEST(Process, OnlyWithoutASupervisorIntoTheBackground) {
  Settings settings;
  EXPECT_FALSE(WantsBackground(settings));
  settings.daemonize = true;
  EXPECT_TRUE(WantsBackground(settings));
  settings.supervised = "systemd";
  EXPECT_FALSE(WantsBackground(settings));
  settings.supervised = "auto";
  EXPECT_TRUE(WantsBackground(settings));
  setenv("NOTIFY_SOCKET", "/x", 1);
  EXPECT_FALSE(WantsBackground(settings));
  unsetenv("NOTIFY_SOCKET");
}

TEST(Process, DescriptorLimitIsNeverLowered) {
  uint32_t possible = RaiseDescriptorLimit(100);
  EXPECT_EQ(possible, 100u);
  EXPECT_LT(RaiseDescriptorLimit(4'000'000'000u), 4'000'000'000u);
}

// In a process of their own each: signals go to whole processes.
void SignalsToItself(int count, bool stops_in_time) {
  Signals signals;
  for (int i = 0; i < count; ++i) kill(getpid(), i == 0 ? SIGTERM : SIGINT);
  kill(getpid(), SIGHUP);
  static std::atomic<bool> stopped = false;
  static std::atomic<bool> reopened = false;
  signals.Watch({.stop = [](int) { stopped = true; },
                 .give_up = [] { _exit(7); },
                 .reopen_log = [] { reopened = true; }});
  if (!stops_in_time) pause();
  // The watching thread has taken what was pending before it ends: give it one more to be sure of the order.
  for (int i = 0; i < 2000 && !(stopped && reopened); ++i) poll(nullptr, 0, 1);
  signals.End();
  _exit(stopped && reopened ? 0 : 1);
}

TEST(SignalsDeathTest, SignalsBeforeTheWatchAreNotLost) {
  EXPECT_EXIT(SignalsToItself(1, true), ::testing::ExitedWithCode(0), "");
}

TEST(SignalsDeathTest, TheSecondOneHurries) {
  EXPECT_EXIT(SignalsToItself(2, false), ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace moonshard::server
