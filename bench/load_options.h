#pragma once
// The command line of ms-load.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "bench/load_worker.h"

namespace moonshard::bench {

enum class Output : uint8_t { kText, kQuiet, kJson };

struct Options {
  Address address;
  uint32_t clients = 50;
  uint32_t pipeline = 16;
  uint64_t requests = 0;
  double seconds = 0;
  double rate = 0;
  double patience_s = 30;
  uint32_t threads = 1;
  uint64_t keyspace = 1'000'000;
  Distribution distribution = Distribution::kUniform;
  double zipf_theta = 0.99;
  PlanOptions plan;
  bool preload = false;
  bool preload_only = false;
  bool verify = false;
  bool allow_errors = false;
  Waiting waiting = Waiting::kSpin;
  std::vector<int> cpus;  // of the threads, round robin; empty: not pinned
  int64_t server_pid = 0;
  Output output = Output::kText;
};

// Exits the process itself for --help and for a malformed command line (code 1).
Options ParseOptionsOrExit(int argc, char** argv);

// The parts with a syntax of their own.
base::Status ParseDistribution(std::string_view text,
                               Options* options);               // "uniform", "seq", "zipf", "zipf:0.99"
base::Status ParseTtl(std::string_view text, TimeToLive* ttl);  // "5000" or "1000:60000"
base::Status ParseCpus(std::string_view text, std::vector<int>* cpus);  // "1", "2-5", "1,3,8-11"

}  // namespace moonshard::bench
