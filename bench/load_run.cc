#include "bench/load_run.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

namespace moonshard::bench {

namespace {

constexpr uint32_t kPreloadPipeline = 64;
// A batch of large values should not pile up in socket buffers.
constexpr uint64_t kPreloadBatchBytes = 64 * 1024;

double OwnCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Part `index` of `total` cut into `count` nearly equal parts.
struct Part {
  uint64_t begin, end;
};
Part PartOf(uint64_t total, uint64_t index, uint64_t count) {
  auto at = [&](uint64_t i) {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(total) * i / count);
  };
  return {at(index), at(index + 1)};
}

WorkerOptions OptionsOfWorker(const Options& options, const Phase& phase, uint32_t index) {
  auto share = [&](uint64_t total) {
    Part part = PartOf(total, index, options.threads);
    return part.end - part.begin;
  };
  return {
      .address = options.address,
      .connections = static_cast<uint32_t>(share(options.clients)),
      .pipeline = phase.pipeline,
      .requests = share(phase.requests),
      .seconds = phase.seconds,
      .rate = phase.rate / options.threads,
      .patience_s = options.patience_s,
      .waiting = options.waiting,
      .verify = phase.verify,
      .cpu = options.cpus.empty() ? -1 : options.cpus[index % options.cpus.size()],
  };
}

// Runs the workers to their end, with a line of progress each second.
void RunWorkers(std::vector<std::unique_ptr<Worker>>& workers, TimeNs start_at, const char* progress_name) {
  std::mutex mutex;
  std::condition_variable done;
  size_t running = workers.size();
  std::vector<std::jthread> threads;
  threads.reserve(workers.size());
  for (auto& worker : workers) {
    threads.emplace_back([&, target = worker.get()] {
      target->Run(start_at);
      std::lock_guard lock(mutex);
      if (--running == 0) done.notify_one();
    });
  }
  std::unique_lock lock(mutex);
  uint64_t before = 0;
  for (int second = 1; !done.wait_for(lock, std::chrono::seconds(1), [&] { return running == 0; });
       ++second) {
    if (progress_name == nullptr) continue;
    uint64_t replies = 0;
    for (auto& worker : workers) replies += worker->replies_so_far();
    fmt::print(stderr, "{}: {:4d} s  {:12d} replies  {:10d}/s\n", progress_name, second, replies,
               replies - before);
    before = replies;
  }
}

std::string JsonString(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

double Micros(uint64_t ns) {
  return static_cast<double>(ns) / 1e3;
}
double PerSecond(const PhaseReport& report) {
  return report.wall_s > 0 ? static_cast<double>(report.result.replies) / report.wall_s : 0;
}
double MicrosPerRequest(double seconds, uint64_t requests) {
  return requests == 0 ? 0 : seconds * 1e6 / static_cast<double>(requests);
}

std::string FormatJson(const PhaseReport& report) {
  const WorkerResult& result = report.result;
  const Histogram& latency = result.latency;
  std::string out = fmt::format(
      "{{\"requests\":{},\"replies\":{},\"seconds\":{:.6f},\"ops_per_s\":{:.1f},\"p50_us\":{:.2f},\"p90_us\":"
      "{:.2f},"
      "\"p99_us\":{:.2f},\"p999_us\":{:.2f},\"max_us\":{:.2f},\"mean_us\":{:.2f},\"client_cpu\":{:.4f},"
      "\"client_busy\":{:.4f},\"client_us_per_request\":{:.4f},\"hits\":{},\"misses\":{},\"errors\":{},\"odd_"
      "sizes\":{},"
      "\"bytes_in\":{}",
      result.sent, result.replies, report.wall_s, PerSecond(report), Micros(latency.Quantile(0.5)),
      Micros(latency.Quantile(0.9)), Micros(latency.Quantile(0.99)), Micros(latency.Quantile(0.999)),
      Micros(latency.max()), latency.Mean() / 1e3, report.own_cpu_s / report.wall_s, report.busy_share,
      MicrosPerRequest(report.work_cpu_s, result.replies), result.hits, result.misses, result.errors,
      result.odd_sizes, result.bytes_in);
  if (report.server_cpu_s >= 0) {
    out += fmt::format(",\"server_cpu\":{:.4f},\"server_us_per_request\":{:.4f}",
                       report.server_cpu_s / report.wall_s,
                       MicrosPerRequest(report.server_cpu_s, result.replies));
  }
  out += fmt::format(",\"first_error\":{},\"failure\":{}", JsonString(result.first_error),
                     JsonString(result.failure));
  return out;
}

std::string FormatText(const Options& options, const PhaseReport& report) {
  const WorkerResult& result = report.result;
  const Histogram& latency = result.latency;
  std::string out =
      fmt::format("{:.0f} requests/s ({} replies in {:.2f} s, {} clients, pipeline {})\n", PerSecond(report),
                  result.replies, report.wall_s, options.clients, options.pipeline);
  out += fmt::format("latency us: p50 {:.1f}  p90 {:.1f}  p99 {:.1f}  p99.9 {:.1f}  max {:.1f}\n",
                     Micros(latency.Quantile(0.5)), Micros(latency.Quantile(0.9)),
                     Micros(latency.Quantile(0.99)), Micros(latency.Quantile(0.999)), Micros(latency.max()));
  out += fmt::format("generator: cpu {:.2f}, busy {:.2f} of {} thread(s), {:.3f} us/request\n",
                     report.own_cpu_s / report.wall_s, report.busy_share, options.threads,
                     MicrosPerRequest(report.work_cpu_s, result.replies));
  if (report.server_cpu_s >= 0) {
    out += fmt::format("server: cpu {:.2f}, {:.3f} us/request\n", report.server_cpu_s / report.wall_s,
                       MicrosPerRequest(report.server_cpu_s, result.replies));
  }
  out += fmt::format("hits {}  misses {}  errors {}  values of another size {}\n", result.hits, result.misses,
                     result.errors, result.odd_sizes);
  if (report.busy_share > 0.9) out += "note: the generator was the limit; the server may be faster\n";
  return out;
}

}  // namespace

double ProcessCpuSeconds(int64_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  size_t name_end = text.rfind(')');  // the name may hold anything, spaces and parentheses included
  if (name_end == std::string::npos) return -1;
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user_ticks = 0, system_ticks = 0;
  if (!(fields >> user_ticks >> system_ticks)) return -1;
  return (user_ticks + system_ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

Phase PreloadPhase(const Options& options) {
  Phase phase{.plan = options.plan,
              .distribution = Distribution::kSequential,
              .requests = options.keyspace,
              .name = "preload"};
  phase.plan.command = {.kind = CommandKind::kSet};
  uint64_t fitting = kPreloadBatchBytes / (options.plan.value_bytes + 64);
  phase.pipeline = static_cast<uint32_t>(std::clamp<uint64_t>(fitting, 1, kPreloadPipeline));
  return phase;
}

Phase MeasuredPhase(const Options& options) {
  return {.plan = options.plan,
          .distribution = options.distribution,
          .pipeline = options.pipeline,
          .requests = options.requests,
          .seconds = options.seconds,
          .rate = options.rate,
          .verify = options.verify,
          .name = "run"};
}

base::Result<PhaseReport> RunPhase(const Options& options, const Phase& phase) {
  MS_ASSIGN_OR_RETURN(RequestPlan plan, RequestPlan::Make(phase.plan));
  std::vector<std::unique_ptr<Worker>> workers;
  for (uint32_t i = 0; i < options.threads; ++i) {
    Part keys = PartOf(options.keyspace, i, options.threads);
    KeyChooser chooser(phase.distribution, options.zipf_theta, options.keyspace, keys.begin, keys.end);
    RequestStream stream(plan, chooser, phase.plan.seed * 1'000'003 + i);
    workers.push_back(std::make_unique<Worker>(OptionsOfWorker(options, phase, i), plan, std::move(stream)));
    MS_RETURN_IF_ERROR(workers.back()->Connect());
  }
  double own_before = OwnCpuSeconds();
  double server_before = options.server_pid != 0 ? ProcessCpuSeconds(options.server_pid) : -1;
  TimeNs start_at = NowNs();
  RunWorkers(workers, start_at, options.output == Output::kText ? phase.name : nullptr);

  PhaseReport report;
  for (auto& worker : workers) report.result.Merge(worker->result());
  report.wall_s = static_cast<double>(report.result.finished_at - start_at) / 1e9;
  report.own_cpu_s = OwnCpuSeconds() - own_before;
  double server_after = server_before >= 0 ? ProcessCpuSeconds(options.server_pid) : -1;
  if (server_after >= 0) report.server_cpu_s = server_after - server_before;
  report.busy_share =
      1 - static_cast<double>(report.result.idle_ns) / 1e9 / (report.wall_s * options.threads);
  report.work_cpu_s =
      options.waiting == Waiting::kSpin ? report.own_cpu_s * report.busy_share : report.own_cpu_s;
  if (report.result.failure.empty() && report.result.replies != report.result.sent) {
    report.result.failure = fmt::format("{} replies are missing", report.result.sent - report.result.replies);
  }
  return report;
}

std::string FormatReport(const Options& options, const PhaseReport& report, Output output,
                         const PhaseReport* preload) {
  const WorkerResult& result = report.result;
  switch (output) {
    case Output::kJson: {
      std::string out = FormatJson(report);
      if (preload != nullptr) out += fmt::format(",\"preload\":{}}}", FormatJson(*preload));
      return out + "}\n";
    }
    case Output::kQuiet:
      return fmt::format("{:.0f} requests/s, p50 {:.1f} us, p99 {:.1f} us, errors {}\n", PerSecond(report),
                         Micros(result.latency.Quantile(0.5)), Micros(result.latency.Quantile(0.99)),
                         result.errors);
    case Output::kText:
      break;
  }
  return FormatText(options, report);
}

}  // namespace moonshard::bench
