#include "bench/load_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <thread>

#include "base/number.h"

namespace moonshard::bench {

namespace {

base::Status Bad(std::string text) {
  return base::Status::WithText(base::Code::kErr, std::move(text));
}

// The words as given, before they are taken apart.
struct Words {
  std::string command = "get";
  std::string distribution = "uniform";
  std::string ttl;
  std::string cpus;
  std::string spin;
  std::vector<std::string> custom;
  bool escapes = false;
  bool quiet = false;
  bool json = false;
};

void Declare(CLI::App& app, Options& options, Words& words) {
  // The last of two equal options counts, so that a script can append to a common set.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option("--host", options.address.host, "server address")->capture_default_str();
  app.add_option("--port", options.address.port, "server port")->capture_default_str();
  app.add_option("--unix", options.address.unix_path, "unix socket instead of host and port");
  app.add_option("--clients", options.clients, "connections, in all")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--pipeline", options.pipeline, "requests in flight on each connection")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--requests", options.requests, "how many requests (default 1,000,000 without --seconds)");
  app.add_option("--seconds", options.seconds, "for how long")->check(CLI::NonNegativeNumber);
  app.add_option("--threads", options.threads, "generator threads")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  app.add_option("--keyspace", options.keyspace, "number of different keys")
      ->check(CLI::Range(uint64_t{1}, kMaxKeyspace))
      ->capture_default_str();
  app.add_option("--key-prefix", options.plan.key_prefix, "key = prefix and 12 digits")
      ->capture_default_str();
  app.add_option("--dist", words.distribution, "uniform | zipf[:theta] | seq")->capture_default_str();
  app.add_option("--value-bytes", options.plan.value_bytes, "length of values")
      ->check(CLI::Range(0, 512 * 1024 * 1024))
      ->capture_default_str();
  app.add_option("--command", words.command,
                 "get | set | mix:GETSHARE | mix:GETS:SETS | incr | ping | mget:K | mset:K | del:K")
      ->capture_default_str();
  app.add_option(
         "custom", words.custom,
         "after --: a command of your own; __key__ becomes a key, __rand__ its 12 digits, __data__ a value")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--escapes", words.escapes, "in a command of your own \\xHH stands for the byte HH");
  app.add_flag("--preload", options.preload, "first SET every key of the keyspace");
  app.add_flag("--preload-only", options.preload_only, "only SET every key of the keyspace");
  app.add_option("--ttl-ms", words.ttl, "A or A:B: time to live of keys that are SET, random in the range");
  app.add_option("--expire-at-ms", options.plan.ttl.at_ms, "keys that are SET expire at this Unix time");
  app.add_option("--rate", options.rate, "open loop: requests a second, sent on schedule")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--patience", options.patience_s, "fail after so many seconds without a reply")
      ->capture_default_str();
  app.add_option("--cpu", words.cpus, "pin the threads: N, N-M, N,M");
  app.add_option("--spin", words.spin, "poll instead of sleeping: yes | no (default: yes with one thread)")
      ->check(CLI::IsMember({"yes", "no"}));
  app.add_option("--seed", options.plan.seed, "of keys and values")->capture_default_str();
  app.add_flag("--verify", options.verify, "check that values belong to their keys (get, mix)");
  app.add_flag("--allow-errors", options.allow_errors, "error replies do not fail the run");
  app.add_option("--server-pid", options.server_pid, "report the CPU time of this process too");
  app.add_flag("--quiet", words.quiet, "one line, no progress");
  app.add_flag("--json", words.json, "one JSON object, no progress");
}

// "\x00" becomes one byte.
base::Result<std::string> DecodeEscapes(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!text.substr(i).starts_with("\\x")) {
      bytes += text[i];
      continue;
    }
    unsigned value = 0;
    std::string_view digits = text.substr(i + 2, 2);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() != 2 || error != std::errc() || end != digits.data() + 2)
      return Bad("--escapes: \\x takes two hexadecimal digits");
    bytes += static_cast<char>(value);
    i += 3;
  }
  return bytes;
}

base::Status Complete(const Words& words, Options* options) {
  if (!words.custom.empty()) {
    options->plan.command.kind = CommandKind::kCustom;
    options->plan.custom = words.custom;
    if (words.escapes) {
      for (std::string& word : options->plan.custom) {
        MS_ASSIGN_OR_RETURN(word, DecodeEscapes(word));
      }
    }
  } else {
    MS_ASSIGN_OR_RETURN(options->plan.command, ParseCommand(words.command));
  }
  MS_RETURN_IF_ERROR(ParseDistribution(words.distribution, options));
  if (!words.ttl.empty()) MS_RETURN_IF_ERROR(ParseTtl(words.ttl, &options->plan.ttl));
  if (options->plan.ttl.max_ms != 0 && options->plan.ttl.at_ms != 0)
    return Bad("--ttl-ms and --expire-at-ms exclude each other");
  if (!words.cpus.empty()) MS_RETURN_IF_ERROR(ParseCpus(words.cpus, &options->cpus));
  if (options->threads > options->clients) return Bad("more threads than clients");
  if (options->threads > options->keyspace) return Bad("more threads than keys");
  if (options->requests == 0 && options->seconds == 0) options->requests = 1'000'000;
  if (options->requests != 0 && options->requests < options->threads)
    return Bad("fewer requests than threads");
  bool spin = words.spin.empty() ? options->threads == 1 : words.spin == "yes";
  options->waiting = spin ? Waiting::kSpin : Waiting::kSleep;
  options->output = words.json ? Output::kJson : words.quiet ? Output::kQuiet : Output::kText;
  return {};
}

}  // namespace

base::Status ParseDistribution(std::string_view text, Options* options) {
  if (text == "uniform") {
    options->distribution = Distribution::kUniform;
  } else if (text == "seq") {
    options->distribution = Distribution::kSequential;
  } else if (text == "zipf" || text.starts_with("zipf:")) {
    options->distribution = Distribution::kZipf;
    if (text.size() > 4) {
      std::string_view theta = text.substr(5);
      auto [end, error] = std::from_chars(theta.data(), theta.data() + theta.size(), options->zipf_theta);
      if (error != std::errc() || end != theta.data() + theta.size() || !(options->zipf_theta > 0) ||
          options->zipf_theta > 10) {
        return Bad(fmt::format("--dist {}: theta lies above 0 and at most at 10", text));
      }
    }
  } else {
    return Bad(fmt::format("unknown distribution '{}'", text));
  }
  return {};
}

base::Status ParseTtl(std::string_view text, TimeToLive* ttl) {
  size_t colon = text.find(':');
  auto low = base::ParseInt64(text.substr(0, colon));
  auto high = colon == std::string_view::npos ? low : base::ParseInt64(text.substr(colon + 1));
  if (!low || !high || *low < 1 || *high < *low || *high > int64_t{1} << 50) {
    return Bad(fmt::format("--ttl-ms {}: expected A or A:B with 1 <= A <= B", text));
  }
  ttl->min_ms = *low;
  ttl->max_ms = *high;
  return {};
}

base::Status ParseCpus(std::string_view text, std::vector<int>* cpus) {
  constexpr int64_t kMaxCpu = 1023;
  while (true) {
    size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    size_t dash = part.find('-');
    auto low = base::ParseInt64(part.substr(0, dash));
    auto high = dash == std::string_view::npos ? low : base::ParseInt64(part.substr(dash + 1));
    if (!low || !high || *low < 0 || *high < *low || *high > kMaxCpu)
      return Bad(fmt::format("--cpu: '{}'", part));
    for (int64_t cpu = *low; cpu <= *high; ++cpu) cpus->push_back(static_cast<int>(cpu));
    if (comma == std::string_view::npos) return {};
    text.remove_prefix(comma + 1);
  }
}

Options ParseOptionsOrExit(int argc, char** argv) {
  Options options;
  Words words;
  CLI::App app("ms-load: a cheap load generator for servers that speak RESP");
  Declare(app, options, words);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    int code = app.exit(error);
    std::exit(code == 0 ? 0 : 1);
  }
  if (base::Status status = Complete(words, &options); !status.ok()) {
    fmt::print(stderr, "ms-load: {}\n", status.text());
    std::exit(1);
  }
  return options;
}

}  // namespace moonshard::bench
