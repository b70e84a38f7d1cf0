#include "server/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "base/bytes.h"
#include "base/log.h"
#include "base/number.h"
#include "base/random.h"
#include "commands/tables.h"
#include "server/addresses.h"
#include "server/process.h"
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

std::string AddressList(const std::vector<shard::ListenAddress>& addresses) {
  std::string list;
  for (const shard::ListenAddress& address : addresses) list += (list.empty() ? "" : " ") + address.host;
  return list;
}

std::string ExecutablePath() {
  char path[4096];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : std::string();
}

}  // namespace

Server::Server(shard::Env& env, const Settings& settings, const tx::ManagerOptions& transactions,
               ConfigFile file)
    : config_(settings),
      file_(std::move(file)),
      registry_(commands::AllCommands()),
      hash_seed_(env.RandomSeed()),
      transactions_(transactions),
      balance_(settings.shards) {
  facts_.run_id = MakeRunId(env.RandomSeed());
  facts_.executable = ExecutablePath();
  facts_.config_file = file_.path;
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
    listener_ = &made->listener();
    listen_status_ = Listen(*listener_);
  }
  return made;
}

base::Status Server::Listen(net::Listener& listener) {
  const Settings settings = config_.Get();
  MS_ASSIGN_OR_RETURN(auto addresses, TcpAddresses(settings));
  if (addresses.empty() && settings.unixsocket.empty()) {
    return BadSetting("bind, port and unixsocket leave nothing to listen on");
  }
  MS_ASSIGN_OR_RETURN(facts_.tcp_port, listener.ListenOnlyOn(addresses));
  tcp_port_.store(facts_.tcp_port, std::memory_order_relaxed);
  if (!addresses.empty()) listening_on_ = fmt::format("{}, port {}", AddressList(addresses), facts_.tcp_port);
  if (!settings.unixsocket.empty()) {
    shard::ListenAddress address;
    address.kind = shard::ListenAddress::Kind::kUnix;
    address.path = settings.unixsocket;
    address.unix_mode = settings.unixsocketperm;
    address.backlog = static_cast<int>(settings.tcp_backlog);
    MS_ASSIGN_OR_RETURN([[maybe_unused]] uint16_t port, listener.Listen(address));
    listening_on_ += fmt::format("{}{}", listening_on_.empty() ? "" : ", and ", settings.unixsocket);
  }
  return {};
}

base::Status Server::ListenAgain(const Settings& settings) {
  auto addresses = TcpAddresses(settings);
  if (!addresses.ok()) return addresses.status();
  // A port that another server has is refused at once: the shard must not stand still.
  for (shard::ListenAddress& address : *addresses) address.bind_retry_ms = 0;
  if (settings.port == 0) addresses->clear();
  MS_ASSIGN_OR_RETURN(uint16_t port, listener_->ListenOnlyOn(*addresses));
  tcp_port_.store(port, std::memory_order_relaxed);
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
  ApplyClientSettings(settings, live_);
  live_.slowlog_slower_than_us.store(settings.slowlog_log_slower_than, std::memory_order_relaxed);
  live_.slowlog_entries_max.store(settings.slowlog_max_len, std::memory_order_relaxed);
  live_.latency_monitor_ms.store(settings.latency_monitor_threshold, std::memory_order_relaxed);
  live_.latency_tracking.store(settings.latency_tracking, std::memory_order_relaxed);
  balance_.max_clients.store(settings.maxclients, std::memory_order_relaxed);
  base::SetLogLevel(LogLevelOf(settings));
}

std::vector<std::pair<std::string, std::string>> Server::GetConfig(std::string_view pattern) {
  return config_.Match(pattern);
}

Config::Refusal Server::ApplyChanges(const Settings& before, Settings& after) {
  if (after.maxclients > before.maxclients) {
    const uint32_t possible = RaiseDescriptorLimit(after.maxclients);
    if (possible < after.maxclients) {
      return {"maxclients", BadSetting(fmt::format("The operating system is not able to handle the specified "
                                                   "number of clients, try with {}",
                                                   possible))};
    }
  }
  const bool moves = after.dir != before.dir;
  if (moves) {
    base::Status status = EnterDirectory(after);
    if (!status.ok()) return {"dir", status};
  }
  if (after.port != before.port || after.bind != before.bind) {
    base::Status status = ListenAgain(after);
    if (!status.ok()) {
      base::LogWarning("CONFIG SET: {}", status.text());
      if (moves && chdir(before.dir.c_str()) != 0) base::LogError("cannot go back to {}", before.dir);
      if (after.bind != before.bind) return {"bind", BadSetting("Failed to bind to specified addresses.")};
      return {"port", BadSetting("Unable to listen on this port. Check server logs.")};
    }
  }
  ApplyLive(after);
  return {};
}

base::Status Server::SetConfig(const std::vector<std::pair<std::string, std::string>>& settings, bool local) {
  MS_RETURN_IF_ERROR(config_.Set(settings, local, [this](const Settings& before, Settings& after) {
    return ApplyChanges(before, after);
  }));
  for (const auto& [name, value] : settings) {
    const Setting* setting = FindSetting(name);
    if (!setting->without_effect.empty()) {
      base::LogInfo("CONFIG SET {}: without effect here ({})", setting->name, setting->without_effect);
    }
  }
  return {};
}

base::Status Server::RewriteConfig() {
  if (file_.path.empty()) return command::kNoConfigFile;
  base::Status status = RewriteConfigFile(file_, config_.Get());
  if (!status.ok()) {
    base::LogWarning("CONFIG REWRITE failed: {}", status.text());
    return BadSetting(fmt::format("Rewriting config file: {}", status.text()));
  }
  base::LogInfo("CONFIG REWRITE executed with success.");
  return {};
}

bool Server::PasswordMatches(std::string_view password) {
  Settings settings = config_.Get();
  return settings.requirepass.empty() || EqualSecrets(settings.requirepass, password);
}

}  // namespace moonshard::server
