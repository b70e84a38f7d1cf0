#pragma once
// Settings: the values of all settings, plain data with their defaults.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace moonshard::server {

// Where a value came from, weakest first: each beats those before it.
enum class Origin : uint8_t { kDefault, kFile, kEnvironment, kFlag, kCommand };
// client-output-buffer-limit, one class.
struct OutputLimitSetting {
  uint64_t hard = 0;
  uint64_t soft = 0;
  int32_t soft_seconds = 0;
};

struct Settings {
  std::vector<std::string> bind = {"127.0.0.1"};  // "-::1": skipped if it is not available here
  uint16_t port = 6379;
  std::string unixsocket;
  uint32_t unixsocketperm = 0;
  uint32_t tcp_backlog = 511;
  uint32_t maxclients = 10000;
  bool protected_mode = true;
  int32_t timeout = 0;
  int32_t tcp_keepalive = 300;
  uint64_t client_query_buffer_limit = uint64_t{1} << 30;
  uint64_t proto_max_bulk_len = uint64_t{512} << 20;
  // Normal clients, replicas, subscribers; Redis' values.
  std::array<OutputLimitSetting, 3> client_output_buffer_limit = {
      {{0, 0, 0},
       {uint64_t{256} << 20, uint64_t{64} << 20, 60},
       {uint64_t{32} << 20, uint64_t{8} << 20, 60}}};
  uint64_t maxmemory_clients = 0;          // bytes; 0: the share counts
  uint32_t maxmemory_clients_percent = 5;  // of maxmemory; 0: no limit
  std::string dir = ".";
  uint16_t shards = 0;  // 0: one per core that this process may use
  std::vector<int> cpus;
  std::string io = "auto";
  std::string busy_poll = "auto";
  std::string requirepass;
  uint64_t maxmemory = 0;  // bytes; 0: no limit
  std::string maxmemory_policy = "noeviction";
  uint32_t maxmemory_samples = 5;
  uint32_t maxmemory_eviction_tenacity = 10;
  uint32_t lfu_log_factor = 10;
  uint32_t lfu_decay_time = 1;
  std::string enable_debug_command = "no";
  std::string appendfsync = "everysec";
  std::string loglevel = "notice";
  std::string logfile;
  int64_t slowlog_log_slower_than = 10000;  // us; negative: no slow log
  uint64_t slowlog_max_len = 128;
  bool latency_tracking = true;
  std::vector<double> latency_tracking_info_percentiles = {50, 99, 99.9};
  uint64_t latency_monitor_threshold = 0;  // ms; 0: no latency events
  std::string log_format = "text";
  bool daemonize = false;
  std::string pidfile;
  std::string supervised = "no";
  std::string enable_protected_configs = "no";

  // The limit of keys and values while maxmemory has not been set: a share of the machine, found at start.
  uint64_t default_budget = 0;
  // Values of settings that nothing reads yet, in Redis' canonical form; absent: the default.
  std::map<std::string, std::string, std::less<>> kept;
  // Who gave a value; absent: nobody.
  std::map<std::string, Origin, std::less<>> origins;

  Origin OriginOf(std::string_view name) const {
    auto found = origins.find(name);
    return found == origins.end() ? Origin::kDefault : found->second;
  }
  // The limit of keys and values in force; 0: none.
  uint64_t DataBudget() const {
    return OriginOf("maxmemory") == Origin::kDefault && maxmemory == 0 ? default_budget : maxmemory;
  }
};

}  // namespace moonshard::server
