#include "server/server.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.h"
#include "base/number.h"
#include "base/random.h"
#include "commands/tables.h"
#include "server/setting.h"

namespace moonshard::server {

namespace {

shard::RuntimeOptions RuntimeOptionsOf(const Settings& settings) {
  shard::RuntimeOptions options;
  options.shard_count = settings.shards;
  options.cpus = settings.cpus;
  if (settings.io == "uring") options.io.kind = shard::IoKind::kUring;
  if (settings.io == "epoll") options.io.kind = shard::IoKind::kEpoll;
  if (settings.busy_poll == "no") {
    options.busy_poll.mode = shard::BusyPoll::Mode::kNo;
  } else if (auto us = base::ParseInt64(settings.busy_poll)) {
    options.busy_poll = {shard::BusyPoll::Mode::kFixed, static_cast<uint32_t>(*us)};
  }
  return options;
}

base::LogLevel LogLevelOf(const Settings& settings) {
  if (settings.loglevel == "debug" || settings.loglevel == "verbose") return base::LogLevel::kDebug;
  return settings.loglevel == "warning" ? base::LogLevel::kWarning : base::LogLevel::kInfo;
}

std::string MakeRunId(uint64_t seed) {
  base::Random random(seed);
  std::string id;
  while (id.size() < 40) id += fmt::format("{:02x}", random.Next() & 0xFF);
  return id;
}

// Compares in a time that depends on the lengths alone.
bool EqualSecrets(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ unsigned { static_cast<unsigned char>(b[i]) };
  }
  return difference == 0;
}

std::string ExecutablePath() {
  char path[4096];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string();
}

}  // namespace

uint16_t UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<uint16_t>(std::clamp(CPU_COUNT(&set), 1, 255));
}

Server::Server(shard::Env& env, const Settings& settings, const tx::ManagerOptions& transactions)
    : config_(settings),
      registry_(commands::AllCommands()),
      hash_seed_(env.RandomSeed()),
      transactions_(transactions),
      balance_(settings.shards) {
  facts_.run_id = MakeRunId(env.RandomSeed());
  facts_.executable = ExecutablePath();
  facts_.start_time_ms = env.WallNow();
  ApplyLive(settings);
  runtime_ = std::make_unique<shard::Runtime>(env, RuntimeOptionsOf(settings),
                                              [this](shard::Shard& shard) { return MakeShard(shard); });
}

Server::~Server() = default;

std::unique_ptr<shard::TurnHooks> Server::MakeShard(shard::Shard& shard) {
  auto made = std::make_unique<ShardMain>(shard, ShardParts{hash_seed_, *this, balance_, transactions_});
  if (shard.id() == ShardId(0)) {
    facts_.io_backend = shard.io().name();
    listen_status_ = Listen(*made);
  }
  return made;
}

base::Status Server::Listen(ShardMain& shard) {
  Settings settings = config_.Get();
  if (settings.port != 0 || settings.unixsocket.empty()) {
    for (const std::string& host : settings.bind) {
      shard::ListenAddress address;
      address.host = host;
      address.port = settings.port;
      address.backlog = static_cast<int>(settings.tcp_backlog);
      MS_ASSIGN_OR_RETURN(facts_.tcp_port, shard.listener().Listen(address));
    }
  }
  if (!settings.unixsocket.empty()) {
    shard::ListenAddress address;
    address.kind = shard::ListenAddress::Kind::kUnix;
    address.path = settings.unixsocket;
    address.unix_mode = settings.unixsocketperm;
    address.backlog = static_cast<int>(settings.tcp_backlog);
    MS_ASSIGN_OR_RETURN([[maybe_unused]] uint16_t port, shard.listener().Listen(address));
  }
  return {};
}

base::Status Server::Start() {
  MS_RETURN_IF_ERROR(runtime_->Start());
  if (!listen_status_.ok()) {
    runtime_->RequestStop();
    runtime_->Join();
    return listen_status_;
  }
  return {};
}

void Server::Join() {
  runtime_->Join();
}

void Server::ApplyLive(const Settings& settings) {
  ApplyMemorySettings(settings, live_);
  live_.password_required.store(!settings.requirepass.empty(), std::memory_order_relaxed);
  balance_.max_clients.store(settings.maxclients, std::memory_order_relaxed);
  base::SetLogLevel(LogLevelOf(settings));
}

std::vector<std::pair<std::string, std::string>> Server::GetConfig(std::string_view pattern) {
  return config_.Match(pattern);
}

base::Status Server::SetConfig(const std::vector<std::pair<std::string, std::string>>& settings) {
  MS_ASSIGN_OR_RETURN(Settings changed, config_.Set(settings));
  ApplyLive(changed);
  return {};
}

bool Server::PasswordMatches(std::string_view password) {
  Settings settings = config_.Get();
  return settings.requirepass.empty() || EqualSecrets(settings.requirepass, password);
}

}  // namespace moonshard::server
