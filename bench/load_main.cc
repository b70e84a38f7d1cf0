// ms-load: see README.md in this folder. Exit codes: 0 measured, 1 could not begin, 2 replies missing or not
// RESP, 3 error replies (unless --allow-errors).

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "bench/load_options.h"
#include "bench/load_run.h"

namespace {

using moonshard::base::Result;
using moonshard::bench::Options;
using moonshard::bench::Output;
using moonshard::bench::Phase;
using moonshard::bench::PhaseReport;

enum ExitCode { kMeasured = 0, kNotBegun = 1, kVoid = 2, kErrorReplies = 3 };

int Judge(const Options& options, const Phase& phase, const PhaseReport& report) {
  const auto& result = report.result;
  if (result.errors > 0) {
    fmt::print(stderr, "ms-load: {}: {} error(s), the first: {}\n", phase.name, result.errors,
               result.first_error);
  }
  if (!result.failure.empty()) {
    fmt::print(stderr, "ms-load: {}: {} (sent {}, answered {})\n", phase.name, result.failure, result.sent,
               result.replies);
    return kVoid;
  }
  return result.errors > 0 && !options.allow_errors ? kErrorReplies : kMeasured;
}

std::optional<PhaseReport> Run(const Options& options, const Phase& phase, int* code) {
  Result<PhaseReport> report = moonshard::bench::RunPhase(options, phase);
  if (!report.ok()) {
    fmt::print(stderr, "ms-load: {}: {}\n", phase.name, report.status().text());
    *code = kNotBegun;
    return std::nullopt;
  }
  *code = Judge(options, phase, *report);
  return std::move(report).value();
}

}  // namespace

int main(int argc, char** argv) {
  Options options = moonshard::bench::ParseOptionsOrExit(argc, argv);
  int code = kMeasured;
  std::optional<PhaseReport> preload;
  if (options.preload || options.preload_only) {
    preload = Run(options, moonshard::bench::PreloadPhase(options), &code);
    if (!preload || code != kMeasured || options.preload_only) {
      if (preload) fmt::print("{}", FormatReport(options, *preload, options.output, nullptr));
      return code;
    }
    if (options.output == Output::kText) {
      fmt::print("preload: {} keys in {:.2f} s\n", preload->result.replies, preload->wall_s);
    }
  }
  std::optional<PhaseReport> report = Run(options, moonshard::bench::MeasuredPhase(options), &code);
  if (report) fmt::print("{}", FormatReport(options, *report, options.output, preload ? &*preload : nullptr));
  return code;
}
