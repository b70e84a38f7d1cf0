#pragma once
// One phase of a run (the preload, the measurement): all threads from start to last reply, with the processor
// time that generator and server spent on it.

#include <string>

#include "base/status.h"
#include "bench/load_options.h"

namespace moonshard::bench {

struct Phase {
  PlanOptions plan;
  Distribution distribution = Distribution::kUniform;
  uint32_t pipeline = 1;
  uint64_t requests = 0;
  double seconds = 0;
  double rate = 0;
  bool verify = false;
  const char* name = "";
};

struct PhaseReport {
  WorkerResult result;
  double wall_s = 0;
  double own_cpu_s = 0;
  double busy_share =
      0;  // part of the generator threads' time that was not waiting; near 1: the generator is the limit
  double work_cpu_s = 0;     // own_cpu_s without what was spent spinning
  double server_cpu_s = -1;  // -1: not asked for
};

// The phases that the options ask for.
Phase PreloadPhase(const Options& options);
Phase MeasuredPhase(const Options& options);

// Connects, runs, reports. An error if it could not begin; what went wrong later is in the report's
// result.failure.
base::Result<PhaseReport> RunPhase(const Options& options, const Phase& phase);

// User and system time of a process, its ended threads included, in seconds; -1 if there is no such process.
double ProcessCpuSeconds(int64_t pid);

std::string FormatReport(const Options& options, const PhaseReport& report, Output output,
                         const PhaseReport* preload);

}  // namespace moonshard::bench
