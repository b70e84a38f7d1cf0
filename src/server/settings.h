#pragma once
// Settings: the values of all settings, plain data with their defaults.

#include <cstdint>
#include <string>
#include <vector>

namespace moonshard::server {

struct Settings {
  std::vector<std::string> bind = {"127.0.0.1"};
  uint16_t port = 6379;
  std::string unixsocket;
  uint32_t unixsocketperm = 0;
  uint32_t tcp_backlog = 511;
  uint32_t maxclients = 10000;
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
};

}  // namespace moonshard::server
