// moonshard: the server's entry point.

#include <unistd.h>

#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "command/version.h"
#include "server/config_load.h"
#include "server/healthcheck.h"
#include "server/machine.h"
#include "server/process.h"
#include "server/server.h"
#include "server/signals.h"

namespace moonshard {
namespace {

using server::Loaded;
using server::Settings;

int Fail(const base::Status& status) {
  std::fprintf(stderr, "moonshard: %.*s\n", static_cast<int>(status.text().size()), status.text().data());
  return 1;
}

void Print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
}

base::Result<Loaded> Load(server::CommandLine line) {
  server::Sources sources;
  sources.command_line = std::move(line);
  for (char** entry = environ; *entry != nullptr; ++entry) sources.environment.emplace_back(*entry);
  sources.standard_input = [] { return server::ReadStandardInput(server::kConfigBytesMax); };
  if (char folder[4096]; getcwd(folder, sizeof folder) != nullptr) sources.folder = folder;
  return server::LoadConfig(sources);
}

// What can be wrong with settings that are right by themselves.
base::Status Enter(Settings& settings) {
  auto error = [](std::string text) { return base::Status::WithText(base::Code::kErr, std::move(text)); };
  if ((settings.port == 0 || settings.bind.empty()) && settings.unixsocket.empty()) {
    return error("bind, port and unixsocket leave nothing to listen on");
  }
  const std::string dir = settings.dir;
  base::Status status = server::EnterDirectory(settings);
  return status.ok() ? status : error(fmt::format("cannot change to dir '{}': {}", dir, status.text()));
}

// What the settings leave to the machine. Says in one line each what it found.
std::vector<std::string> FitToMachine(Settings& settings) {
  const server::Machine machine = server::ReadMachine();
  std::vector<std::string> lines;
  if (settings.shards == 0) settings.shards = machine.cores;
  settings.default_budget = server::DefaultBudget(machine);
  if (settings.OriginOf("maxmemory") == server::Origin::kDefault) {
    lines.push_back(fmt::format("data budget {} MiB: {} % of this {}'s memory; maxmemory sets another",
                                settings.default_budget >> 20, server::kBudgetPercent,
                                machine.limited ? "control group" : "machine"));
  }
  const uint32_t clients = server::RaiseDescriptorLimit(settings.maxclients);
  if (clients != settings.maxclients) {
    lines.push_back(fmt::format("maxclients is lowered from {} to {}: the limit of open files allows no more",
                                settings.maxclients, clients));
    settings.maxclients = clients;
  }
  return lines;
}

void SayWhatStarted(const server::Server& server, const Settings& settings, const Loaded& loaded,
                    const std::vector<std::string>& found) {
  base::LogInfo("moonshard {}, {} shard{}, io {}, no persistence", command::kMoonshardVersion,
                settings.shards, settings.shards == 1 ? "" : "s", server.facts().io_backend);
  base::LogInfo("PID: {}", getpid());
  if (!loaded.file.empty()) base::LogInfo("configuration file {}", loaded.file);
  for (const std::string& line : found) base::LogInfo("{}", line);
  for (const std::string& line : loaded.warnings) base::LogWarning("{}", line);
  if (!loaded.without_effect.empty()) {
    base::LogWarning("settings without effect here: {}", loaded.without_effect);
  }
  base::LogInfo("listening on {}", server.listening_on());
  base::LogInfo("Server initialized");
}

void TellStopping() {
  server::NotifyManager("STOPPING=1\nSTATUS=Stopping");
}

int Run(Loaded loaded) {
  server::Signals signals;
  Settings settings = std::move(loaded.settings);
  if (base::Status status = Enter(settings); !status.ok()) return Fail(status);
  server::Background background;
  if (server::WantsBackground(settings)) {
    if (base::Status status = background.Enter(); !status.ok()) return Fail(status);
  }
  auto format = settings.log_format == "json" ? base::LogFormat::kJson : base::LogFormat::kText;
  base::Status log_status = base::InitLog(base::LogLevel::kInfo, settings.logfile, format);
  if (!log_status.ok()) return Fail(log_status);
  const std::vector<std::string> found = FitToMachine(settings);

  shard::RealEnv env;
  server::Server server(env, settings, {}, {loaded.file, loaded.folder});
  server.set_on_shutdown(TellStopping);
  if (base::Status status = server.Start(); !status.ok()) {
    base::LogError("{}", status.text());
    return Fail(status);
  }
  server::PidFile pid_file(settings);
  SayWhatStarted(server, settings, loaded, found);
  background.Report(true);
  server::NotifyManager(
      fmt::format("READY=1\nMAINPID={}\nSTATUS=Ready: {}", getpid(), server.listening_on()));
  signals.Watch({
      .stop =
          [&](int signal) {
            base::LogInfo("{} came: stopping", signal == SIGINT ? "SIGINT" : "SIGTERM");
            TellStopping();
            server.RequestStop();
          },
      .give_up =
          [&] {
            base::LogError("asked twice to stop: leaving before the end of what is under way");
            pid_file.Remove();
            if (!settings.unixsocket.empty()) unlink(settings.unixsocket.c_str());
            _exit(1);
          },
      .reopen_log = base::ReopenLog,
  });
  server.Join();
  signals.End();
  base::LogInfo("stopped");
  return 0;
}

int Main(std::span<char*> arguments) {
  std::vector<std::string> args(arguments.begin() + 1, arguments.end());
  if (args.size() == 1 && (args[0] == "--version" || args[0] == "-v")) {
    std::printf("moonshard %s\n", command::kMoonshardVersion.data());
    return 0;
  }
  if (args.size() == 1 && (args[0] == "--help" || args[0] == "-h")) {
    Print(server::HelpText());
    return 0;
  }
  auto line = server::ParseCommandLine(args);
  if (!line.ok()) return Fail(line.status());
  const bool check = line->check_config;
  const bool healthcheck = line->healthcheck;
  auto loaded = Load(std::move(line).value());
  if (!loaded.ok()) return Fail(loaded.status());
  if (healthcheck) {
    base::Status status = server::CheckHealth(loaded->settings);
    return status.ok() ? 0 : Fail(status);
  }
  if (check) {
    Settings settings = loaded->settings;
    if (base::Status status = Enter(settings); !status.ok()) return Fail(status);
    Print(server::DescribeSettings(*loaded));
    Print("the configuration is valid\n");
    return 0;
  }
  return Run(std::move(loaded).value());
}

}  // namespace
}  // namespace moonshard

int main(int argc, char** argv) {
  return moonshard::Main({argv, static_cast<size_t>(argc)});
}
