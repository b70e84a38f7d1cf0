// LATENCY: what was slow, and how the times of calls are distributed.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "command/engine.h"
#include "command/server_control.h"
#include "commands/args.h"
#include "commands/help.h"
#include "commands/info_figures.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::Command;
using command::CommandRow;
using command::kLatencyEventCount;
using command::LatencyEvent;
using command::LatencyHistory;
using command::LatencySample;
using command::ShardState;

using Histories = std::array<LatencyHistory, kLatencyEventCount>;

std::vector<ShardId> AllShards(Context& context) {
  std::vector<ShardId> ids;
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) ids.push_back(ShardId(i));
  return ids;
}

shard::Task<Histories> Collect(Context& context) {
  command::StateShards shards;
  std::vector<ShardId> ids = AllShards(context);
  std::vector<Histories> shares(ids.size());
  co_await shards.OnEach(ids, [&](ShardState& state, size_t index) {
    state.engine->observation().NoticeStall();
    for (size_t i = 0; i < kLatencyEventCount; ++i) {
      shares[index][i] = state.engine->observation().latency().history(static_cast<LatencyEvent>(i));
    }
  });
  Histories all;
  for (const Histories& share : shares) {
    for (size_t i = 0; i < kLatencyEventCount; ++i) all[i].Merge(share[i]);
  }
  co_return all;
}

// Event names are case-sensitive in Redis.
std::optional<size_t> EventIndex(std::string_view name) {
  for (size_t i = 0; i < kLatencyEventCount; ++i) {
    if (command::LatencyEventName(static_cast<LatencyEvent>(i)) == name) return i;
  }
  return std::nullopt;
}

shard::Task<void> LatencyLatest(Context& context) {
  Histories histories = co_await Collect(context);
  context.reply.Array(static_cast<size_t>(
      std::ranges::count_if(histories, [](const LatencyHistory& history) { return !history.empty(); })));
  for (size_t i = 0; i < kLatencyEventCount; ++i) {
    if (histories[i].empty()) continue;
    context.reply.Array(4);
    context.reply.Bulk(command::LatencyEventName(static_cast<LatencyEvent>(i)));
    context.reply.Integer(histories[i].last().time_s);
    context.reply.Integer(static_cast<int64_t>(histories[i].last().latency_ms));
    context.reply.Integer(static_cast<int64_t>(histories[i].max_ms()));
  }
}

shard::Task<void> LatencyHistoryOf(Context& context) {
  auto event = EventIndex(context.arg(2));
  if (!event) {
    context.reply.Array(0);
    co_return;
  }
  Histories histories = co_await Collect(context);
  std::span<const LatencySample> samples = histories[*event].samples();
  context.reply.Array(samples.size());
  for (const LatencySample& sample : samples) {
    context.reply.Array(2);
    context.reply.Integer(sample.time_s);
    context.reply.Integer(static_cast<int64_t>(sample.latency_ms));
  }
}

shard::Task<void> LatencyReset(Context& context) {
  std::array<bool, kLatencyEventCount> chosen{};
  if (context.args.size() == 2) chosen.fill(true);
  for (std::string_view name : context.args.subspan(2)) {
    if (auto event = EventIndex(name)) chosen[*event] = true;
  }
  command::StateShards shards;
  std::vector<ShardId> ids = AllShards(context);
  std::vector<std::array<bool, kLatencyEventCount>> had(ids.size());
  co_await shards.OnEach(ids, [&](ShardState& state, size_t index) {
    for (size_t i = 0; i < kLatencyEventCount; ++i) {
      LatencyHistory& history = state.engine->observation().latency().history(static_cast<LatencyEvent>(i));
      had[index][i] = chosen[i] && !history.empty();
      if (chosen[i]) history.Clear();
    }
  });
  int64_t count = 0;
  for (size_t i = 0; i < kLatencyEventCount; ++i) {
    count += std::ranges::any_of(had, [i](const auto& share) { return share[i]; }) ? 1 : 0;
  }
  context.reply.Integer(count);
}

// ---- GRAPH: one column a second, oldest first, four rows

constexpr size_t kGraphColumns = 80;
constexpr size_t kGraphRows = 4;

// "12s", "3m", "5h", "2d"
std::string Age(int64_t seconds) {
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m", seconds / 60);
  if (seconds < 86400) return fmt::format("{}h", seconds / 3600);
  return fmt::format("{}d", seconds / 86400);
}

std::string Graph(std::string_view name, const LatencyHistory& history, int64_t now_s) {
  std::span<const LatencySample> samples = history.samples();
  if (samples.size() > kGraphColumns) samples = samples.last(kGraphColumns);
  auto [low, high] = std::ranges::minmax(samples, {}, &LatencySample::latency_ms);
  std::string text = fmt::format("{} - high {} ms, low {} ms (all time high {} ms)\n", name, high.latency_ms,
                                 low.latency_ms, history.max_ms());
  text.append(kGraphColumns, '-');
  text += '\n';
  const uint64_t range = high.latency_ms - low.latency_ms;
  for (size_t row = kGraphRows; row-- > 0;) {
    for (const LatencySample& sample : samples) {
      const uint64_t above = sample.latency_ms - low.latency_ms;
      const size_t height = range == 0 ? 0 : static_cast<size_t>(above * (kGraphRows - 1) / range);
      text += height == row ? '#' : height > row ? '|' : ' ';
    }
    text += '\n';
  }
  std::vector<std::string> ages;
  for (const LatencySample& sample : samples)
    ages.push_back(Age(std::max<int64_t>(now_s - sample.time_s, 0)));
  text += '\n';
  const size_t tallest = std::ranges::max(ages, {}, &std::string::size).size();
  for (size_t row = 0; row < tallest; ++row) {
    for (const std::string& age : ages) text += row < age.size() ? age[row] : ' ';
    text += '\n';
  }
  return text;
}

shard::Task<void> LatencyGraph(Context& context) {
  auto event = EventIndex(context.arg(2));
  Histories histories = co_await Collect(context);
  if (!event || histories[*event].empty()) {
    std::string_view name = context.arg(2);
    context.reply.ErrorLine(
        fmt::format("ERR No samples available for event '{}'", name.substr(0, name.find('\0'))));
    co_return;
  }
  context.reply.Verbatim("txt",
                         Graph(context.arg(2), histories[*event], context.shard.shard->now_ms() / 1000));
}

// ---- DOCTOR

std::string_view AdviceOn(LatencyEvent event) {
  switch (event) {
    case LatencyEvent::kCommand:
      return "A command that is not of constant time took long. SLOWLOG GET names it, with its arguments: "
             "read "
             "and write in smaller pieces (SCAN, ranges), or split the value.";
    case LatencyEvent::kFastCommand:
      return "A command of constant time took long, so it was held up by something else: large values, too "
             "few cores for the shards, swapping. Compare with loop-stall.";
    case LatencyEvent::kEvictionCycle:
      return "Making room for new keys took long. Raise maxmemory, or store values of like size.";
    case LatencyEvent::kExpireCycle:
      return "Erasing what was due took long. Spread the times to live, or keep large values without one.";
    case LatencyEvent::kLoopStall:
      return "A turn of a shard took long as a whole. INFO shards tells which; if it happens without slow "
             "commands, the cores are shared with other work (see the settings cpus and shards).";
  }
  return "";
}

std::string Report(const Histories& histories) {
  std::string text;
  size_t number = 0;
  for (size_t i = 0; i < kLatencyEventCount; ++i) {
    const LatencyHistory& history = histories[i];
    if (history.empty()) continue;
    uint64_t sum = 0;
    for (const LatencySample& sample : history.samples()) sum += sample.latency_ms;
    const auto count = static_cast<double>(history.samples().size());
    const double mean = static_cast<double>(sum) / count;
    double deviation = 0;
    for (const LatencySample& sample : history.samples()) {
      deviation += std::abs(static_cast<double>(sample.latency_ms) - mean) / count;
    }
    const auto event = static_cast<LatencyEvent>(i);
    text += fmt::format(
        "{}. {}: {} latency spikes (average {:.0f}ms, mean deviation {:.0f}ms). Worst all time event {}ms.\n"
        "   {}\n",
        ++number, command::LatencyEventName(event), history.samples().size(), mean, deviation,
        history.max_ms(), AdviceOn(event));
  }
  return text;
}

shard::Task<void> LatencyDoctor(Context& context) {
  Histories histories = co_await Collect(context);
  std::string text = Report(histories);
  const bool watching = context.shard.server->live().latency_monitor_ms.load(std::memory_order_relaxed) != 0;
  if (!text.empty()) {
    context.reply.Verbatim("txt", "What has been slow since it was last reset:\n\n" + text);
  } else if (watching) {
    context.reply.Verbatim("txt", "Nothing has been slower than latency-monitor-threshold so far.\n");
  } else {
    context.reply.Verbatim("txt",
                           "Nobody is watching: latency events are off. CONFIG SET latency-monitor-threshold "
                           "<milliseconds> turns them on.\n");
  }
}

// ---- HISTOGRAM

// Redis' buckets double from 1,024 ns on, and its histogram of two digits answers with the end of the cell
// that begins there: 1,031, 2,063, ... ns.
constexpr uint64_t kFirstBoundNs = 1024;

void ReplyHistogram(resp::Reply& reply, const CommandTotal& total) {
  const base::Histogram merged = total.MergedLatency();
  std::vector<std::pair<uint64_t, uint64_t>> buckets;
  uint64_t before = 0;
  for (uint64_t bound_ns = kFirstBoundNs; before < merged.count() && bound_ns != 0; bound_ns *= 2) {
    const uint64_t last_ns = bound_ns + bound_ns / 128 - 1;
    const uint64_t count = merged.CountUpTo(last_ns);
    if (count > before) buckets.emplace_back(last_ns / 1000, count);
    before = count;
  }
  reply.Bulk(total.command->full_name);
  reply.Map(2);
  reply.Bulk("calls");
  reply.Integer(static_cast<int64_t>(merged.count()));
  reply.Bulk("histogram_usec");
  reply.Map(buckets.size());
  for (auto [us, count] : buckets) {
    reply.Integer(static_cast<int64_t>(us));
    reply.Integer(static_cast<int64_t>(count));
  }
}

// The command of this name and, if it is a container, its subcommands; in Redis' way also "config|get".
void AddNamed(const command::Registry& registry, std::string_view name, const std::vector<CommandTotal>& all,
              std::vector<const CommandTotal*>& chosen) {
  const size_t bar = name.find('|');
  const Command* command = registry.Find(name.substr(0, bar));
  if (command != nullptr && bar != std::string_view::npos) {
    command = command::Registry::FindSubcommand(*command, name.substr(bar + 1));
  }
  if (command == nullptr) return;
  for (const CommandTotal& total : all) {
    const bool is_it = total.command == command || total.command->parent == command;
    if (is_it && !total.latency.empty()) chosen.push_back(&total);
  }
}

shard::Task<void> LatencyHistogram(Context& context) {
  std::vector<ShardFigures> figures;
  co_await GatherFigures(context.shard.shard->shard_count(), FigureSet::kWithLatency, figures);
  const command::Registry& registry = context.shard.server->registry();
  std::vector<CommandTotal> all = CommandTotals(registry, figures);
  std::vector<const CommandTotal*> chosen;
  for (std::string_view name : context.args.subspan(2)) AddNamed(registry, name, all, chosen);
  if (context.args.size() == 2) {
    for (const CommandTotal& total : all) {
      if (!total.latency.empty()) chosen.push_back(&total);
    }
  }
  context.reply.Map(chosen.size());
  for (const CommandTotal* total : chosen) ReplyHistogram(context.reply, *total);
}

Outcome LatencyHelp(Context& context) {
  return ReplyHelp(
      context,
      {"DOCTOR", "    Return a human readable latency analysis report.", "GRAPH <event>",
       "    Return an ASCII latency graph for the <event> class.", "HISTORY <event>",
       "    Return time-latency samples for the <event> class.", "LATEST",
       "    Return the latest latency samples for all events.", "RESET [<event> ...]",
       "    Reset latency data of one or more <event> classes.",
       "    (default: reset all data for all event classes)", "HISTOGRAM [COMMAND ...]",
       "    Return a cumulative distribution of latencies in the format of a histogram for the specified "
       "command names.",
       "    If no commands are specified then all histograms are replied."});
}

// ---- rows

constexpr uint32_t kFlags = command::kAdmin | command::kNoScript | command::kLoading | command::kStale;
constexpr std::string_view kTips[] = {"nondeterministic_output", "request_policy:all_nodes",
                                      "response_policy:special"};
constexpr std::string_view kResetTips[] = {"request_policy:all_nodes", "response_policy:all_succeeded"};
constexpr ArgSpec kEventArguments[] = {{.name = "event"}};
constexpr ArgSpec kEventsArguments[] = {{.name = "event", .flags = command::kOptional | command::kMultiple}};
constexpr ArgSpec kCommandsArguments[] = {
    {.name = "command", .flags = command::kOptional | command::kMultiple}};

constexpr CommandRow kLatencyRows[] = {
    {.name = "doctor",
     .arity = 2,
     .flags = kFlags,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Says what was slow and what may help.",
     .body = LatencyDoctor,
     .tips = kTips},
    {.name = "graph",
     .arity = 3,
     .flags = kFlags,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Draws the samples of an event.",
     .arguments = kEventArguments,
     .body = LatencyGraph,
     .tips = kTips},
    {.name = "help",
     .arity = 2,
     .flags = command::kLoading | command::kStale,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Explains the subcommands.",
     .handler = LatencyHelp},
    {.name = "histogram",
     .arity = -2,
     .flags = kFlags,
     .group = command::Group::kServer,
     .since = "7.0.0",
     .complexity = "O(N) for N commands",
     .summary = "Returns how the times of commands are distributed.",
     .arguments = kCommandsArguments,
     .body = LatencyHistogram,
     .tips = kTips},
    {.name = "history",
     .arity = 3,
     .flags = kFlags,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Returns the samples of an event.",
     .arguments = kEventArguments,
     .body = LatencyHistoryOf,
     .tips = kTips},
    {.name = "latest",
     .arity = 2,
     .flags = kFlags,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Returns the latest sample of each event.",
     .body = LatencyLatest,
     .tips = kTips},
    {.name = "reset",
     .arity = -2,
     .flags = kFlags,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "O(1)",
     .summary = "Forgets the samples of events.",
     .arguments = kEventsArguments,
     .body = LatencyReset,
     .tips = kResetTips},
};
static_assert(command::RowsAreSane(kLatencyRows));

constexpr CommandRow kRows[] = {
    {.name = "latency",
     .arity = -2,
     .group = command::Group::kServer,
     .since = "2.8.13",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about what was slow.",
     .subcommands = kLatencyRows},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> LatencyCommands() {
  return kRows;
}

}  // namespace moonshard::commands
