#include "commands/info.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <iterator>
#include <string>
#include <vector>

#include "command/server_control.h"
#include "command/shard_state.h"
#include "command/version.h"
#include "commands/args.h"

namespace moonshard::commands {

namespace {

using command::ShardState;

struct DbFigures {
  uint64_t keys = 0;
  uint64_t deadlines = 0;
};

struct ShardFigures {
  command::ShardStats stats;
  shard::ShardCounters loop;
  tx::ManagerStats tx;
  std::array<DbFigures, db::kDatabaseCount> dbs;
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t expired = 0;
  uint64_t evicted = 0;
  uint64_t used_bytes = 0;
  uint64_t committed_bytes = 0;
  base::Histogram expire_lag_ms;
};

void Gather(ShardState& state, ShardFigures& figures) {
  figures.stats = state.stats;
  figures.loop = state.shard->counters();
  figures.tx = state.tx->stats();
  db::Keyspace& keyspace = *state.keyspace;
  for (uint16_t i = 0; i < db::kDatabaseCount; ++i) {
    const db::Database& database = keyspace.database(DbIndex(i));
    figures.dbs[i] = {database.size(), database.deadline_count()};
  }
  figures.hits = keyspace.stats().hits;
  figures.misses = keyspace.stats().misses;
  figures.expired = keyspace.stats().expired;
  figures.evicted = keyspace.stats().evicted;
  figures.used_bytes = keyspace.used_bytes();
  figures.committed_bytes = keyspace.slab().committed_bytes();
  figures.expire_lag_ms = keyspace.stats().expire_lag_ms;
}

// Text under construction, and which sections were asked for.
class Page {
 public:
  Page(std::string& text, std::span<const std::string_view> sections) : text_(text), sections_(sections) {}

  bool Begin(std::string_view name) {
    bool wanted = sections_.empty();
    for (std::string_view section : sections_) {
      wanted = wanted || EqualsIgnoreCase(section, name) || EqualsIgnoreCase(section, "all") ||
               EqualsIgnoreCase(section, "everything") || EqualsIgnoreCase(section, "default");
    }
    if (!wanted) return false;
    if (!text_.empty()) text_ += "\r\n";
    std::string title(name);
    title[0] = base::ToUpper(title[0]);
    if (name == "cpu") title = "CPU";
    fmt::format_to(std::back_inserter(text_), "# {}\r\n", title);
    return true;
  }
  template <typename T>
  void Field(std::string_view name, const T& value) {
    fmt::format_to(std::back_inserter(text_), "{}:{}\r\n", name, value);
  }

 private:
  std::string& text_;
  std::span<const std::string_view> sections_;
};

uint64_t ResidentBytes() {
  uint64_t total_pages = 0;
  uint64_t resident_pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lu %lu", &total_pages, &resident_pages) != 2) resident_pages = 0;
    std::fclose(file);
  }
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string HumanBytes(uint64_t bytes) {
  auto value = static_cast<double>(bytes);
  if (bytes < 1024) return fmt::format("{}B", bytes);
  for (char unit : {'K', 'M', 'G', 'T'}) {
    value /= 1024;
    if (value < 1024) return fmt::format("{:.2f}{}", value, unit);
  }
  return fmt::format("{:.2f}P", value / 1024);
}

class InfoWriter {
 public:
  InfoWriter(Page& page, std::span<const ShardFigures> shards, command::ServerControl& server, TimeMs now)
      : page_(page), shards_(shards), server_(server), now_(now) {}

  void Write() {
    if (page_.Begin("server")) Server();
    if (page_.Begin("clients")) Clients();
    if (page_.Begin("memory")) Memory();
    if (page_.Begin("persistence")) Persistence();
    if (page_.Begin("stats")) Stats();
    if (page_.Begin("replication")) Replication();
    if (page_.Begin("cpu")) Cpu();
    if (page_.Begin("shards")) Shards();
    if (page_.Begin("cluster")) page_.Field("cluster_enabled", 0);
    if (page_.Begin("keyspace")) Keyspace();
  }

 private:
  template <typename Member>
  uint64_t Sum(Member member) const {
    uint64_t sum = 0;
    for (const ShardFigures& shard : shards_) sum += static_cast<uint64_t>(member(shard));
    return sum;
  }

  void Server() {
    const auto& facts = server_.facts();
    int64_t uptime = (now_ - facts.start_time_ms) / 1000;
    page_.Field("redis_version", command::kRedisVersion);
    page_.Field("server_name", "moonshard");
    page_.Field("moonshard_version", command::kMoonshardVersion);
    page_.Field("redis_mode", "standalone");
    page_.Field("os", "Linux");
    page_.Field("arch_bits", 64);
    page_.Field("multiplexing_api", facts.io_backend);
    page_.Field("process_id", getpid());
    page_.Field("run_id", facts.run_id);
    page_.Field("tcp_port", server_.tcp_port());
    page_.Field("server_time_usec", now_ * 1000);
    page_.Field("uptime_in_seconds", uptime);
    page_.Field("uptime_in_days", uptime / 86400);
    page_.Field("executable", facts.executable);
    page_.Field("config_file", facts.config_file);
    page_.Field("shards", shards_.size());
  }
  void Clients() {
    page_.Field("connected_clients", Sum([](const ShardFigures& s) { return s.stats.connections_open; }));
    page_.Field("blocked_clients", 0);
  }
  void Memory() {
    uint64_t used = Sum([](const ShardFigures& s) { return s.used_bytes; });
    uint64_t resident = ResidentBytes();
    uint64_t limit = server_.live().maxmemory.load(std::memory_order_relaxed);
    page_.Field("used_memory", used);
    page_.Field("used_memory_human", HumanBytes(used));
    page_.Field("used_memory_rss", resident);
    page_.Field("used_memory_rss_human", HumanBytes(resident));
    page_.Field("slab_committed_bytes", Sum([](const ShardFigures& s) { return s.committed_bytes; }));
    page_.Field("maxmemory", limit);
    page_.Field("maxmemory_human", HumanBytes(limit));
    page_.Field("maxmemory_policy", "noeviction");
  }
  void Persistence() {
    page_.Field("loading", 0);
    page_.Field("aof_enabled", 0);
    page_.Field("rdb_bgsave_in_progress", 0);
    page_.Field("rdb_changes_since_last_save", 0);
  }
  void Stats() {
    page_.Field("total_connections_received",
                Sum([](const ShardFigures& s) { return s.stats.connections_accepted; }));
    page_.Field("total_commands_processed", Sum([](const ShardFigures& s) { return s.stats.commands; }));
    page_.Field("total_net_input_bytes", Sum([](const ShardFigures& s) { return s.stats.bytes_in; }));
    page_.Field("total_net_output_bytes", Sum([](const ShardFigures& s) { return s.stats.bytes_out; }));
    page_.Field("rejected_connections",
                Sum([](const ShardFigures& s) { return s.stats.connections_rejected; }));
    page_.Field("expired_keys", Sum([](const ShardFigures& s) { return s.expired; }));
    page_.Field("evicted_keys", Sum([](const ShardFigures& s) { return s.evicted; }));
    page_.Field("keyspace_hits", Sum([](const ShardFigures& s) { return s.hits; }));
    page_.Field("keyspace_misses", Sum([](const ShardFigures& s) { return s.misses; }));
    page_.Field("total_error_replies", Sum([](const ShardFigures& s) { return s.stats.errors; }));
    base::Histogram lag;
    for (const ShardFigures& shard : shards_) lag.Merge(shard.expire_lag_ms);
    page_.Field("expire_lag_p50", lag.ValueAt(0.5));
    page_.Field("expire_lag_p99", lag.ValueAt(0.99));
    page_.Field("expire_lag_max", lag.max());
    page_.Field("tx_started", Sum([](const ShardFigures& s) { return s.tx.started; }));
    page_.Field("tx_read_only", Sum([](const ShardFigures& s) { return s.tx.started_read_only; }));
    page_.Field("tx_long", Sum([](const ShardFigures& s) { return s.tx.started_long; }));
    page_.Field("tx_local_waits", Sum([](const ShardFigures& s) { return s.tx.local_waits; }));
    page_.Field("tx_aborted", Sum([](const ShardFigures& s) { return s.tx.aborted; }));
  }
  void Replication() {
    page_.Field("role", "master");
    page_.Field("connected_slaves", 0);
  }
  void Cpu() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    page_.Field("used_cpu_sys", fmt::format("{}.{:06}", usage.ru_stime.tv_sec, usage.ru_stime.tv_usec));
    page_.Field("used_cpu_user", fmt::format("{}.{:06}", usage.ru_utime.tv_sec, usage.ru_utime.tv_usec));
  }
  void Shards() {
    for (size_t i = 0; i < shards_.size(); ++i) {
      const ShardFigures& shard = shards_[i];
      page_.Field(
          fmt::format("shard{}", i),
          fmt::format("keys={},clients={},commands={},batches_local={},batches_hopped={},hops={},turns={},"
                      "busy_us={},sleeps={},wakeups_sent={},ring_full={},stalls={},longest_turn_us={}",
                      shard.dbs[0].keys, shard.stats.connections_open, shard.stats.commands,
                      shard.stats.batches_local, shard.stats.batches_hopped, shard.loop.hops,
                      shard.loop.work_turns, shard.loop.busy_ns / 1000, shard.loop.sleeps,
                      shard.loop.wakeups_sent, shard.loop.ring_full_parks, shard.loop.stalls,
                      shard.loop.longest_turn_ns / 1000));
    }
  }
  void Keyspace() {
    for (size_t i = 0; i < db::kDatabaseCount; ++i) {
      uint64_t keys = Sum([i](const ShardFigures& s) { return s.dbs[i].keys; });
      if (keys == 0) continue;
      uint64_t deadlines = Sum([i](const ShardFigures& s) { return s.dbs[i].deadlines; });
      page_.Field(fmt::format("db{}", i), fmt::format("keys={},expires={},avg_ttl=0", keys, deadlines));
    }
  }

  Page& page_;
  std::span<const ShardFigures> shards_;
  command::ServerControl& server_;
  TimeMs now_;
};

}  // namespace

shard::Task<void> Info(Context& context) {
  command::StateShards shards;
  std::vector<ShardId> ids;
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) ids.push_back(ShardId(i));
  std::vector<ShardFigures> figures(ids.size());
  co_await shards.OnEach(ids, [&](ShardState& state, size_t index) { Gather(state, figures[index]); });
  std::string text;
  Page page(text, context.args.subspan(1));
  InfoWriter(page, figures, *context.shard.server, context.shard.shard->now_ms()).Write();
  context.reply.Verbatim("txt", text);
}

}  // namespace moonshard::commands
