// moonshard: the server's entry point.

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "command/version.h"
#include "server/descriptors.h"
#include "server/server.h"

namespace {

using moonshard::server::Server;

Server* running_server = nullptr;

extern "C" void OnStopSignal(int) {
  if (running_server != nullptr) running_server->RequestStop();
}

void InstallSignals() {
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
  sigaction(SIGHUP, &action, nullptr);
}

// Fewer clients, if the system has no room for all of them.
void RaiseDescriptorLimit(moonshard::server::Settings& settings) {
  uint32_t room = moonshard::server::MakeRoomForClients(settings.maxclients);
  if (room == settings.maxclients) return;
  settings.maxclients = room;
  moonshard::base::LogWarning("the system limits the open files: maxclients is lowered to {}", room);
}

int Fail(const moonshard::base::Status& status) {
  std::fprintf(stderr, "moonshard: %.*s\n", static_cast<int>(status.text().size()), status.text().data());
  return 1;
}

}  // namespace

namespace moonshard {
namespace {

int Main(std::span<char*> arguments) {
  std::vector<std::string> args(arguments.begin() + 1, arguments.end());
  if (args.size() == 1 && (args[0] == "--version" || args[0] == "-v")) {
    std::printf("moonshard %s\n", command::kMoonshardVersion.data());
    return 0;
  }
  if (args.size() == 1 && (args[0] == "--help" || args[0] == "-h")) {
    std::fputs(server::Config::Help().c_str(), stdout);
    return 0;
  }
  auto parsed = server::Config::FromArgs(args);
  if (!parsed.ok()) return Fail(parsed.status());
  server::Settings settings = std::move(parsed).value();
  base::Status log_status = base::InitLog(base::LogLevel::kInfo, settings.logfile);
  if (!log_status.ok()) return Fail(log_status);
  if (settings.shards == 0) settings.shards = server::UsableCores();
  RaiseDescriptorLimit(settings);

  shard::RealEnv env;
  Server server(env, settings);
  running_server = &server;
  InstallSignals();
  base::Status status = server.Start();
  if (!status.ok()) {
    base::LogError("{}", status.text());
    return Fail(status);
  }
  base::LogInfo("moonshard {}, {} shard{}, io {}, no persistence", command::kMoonshardVersion,
                settings.shards, settings.shards == 1 ? "" : "s", server.facts().io_backend);
  base::LogInfo("PID: {}", getpid());
  if (server.port() != 0) base::LogInfo("listening on {}, port {}", settings.bind[0], server.port());
  if (!settings.unixsocket.empty()) base::LogInfo("listening on {}", settings.unixsocket);
  base::LogInfo("Server initialized");
  server.Join();
  running_server = nullptr;
  base::LogInfo("stopped");
  return 0;
}

}  // namespace
}  // namespace moonshard

int main(int argc, char** argv) {
  return moonshard::Main({argv, static_cast<size_t>(argc)});
}
