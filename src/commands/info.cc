#include "commands/info.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <iterator>
#include <string>
#include <vector>

#include "command/server_control.h"
#include "command/version.h"
#include "commands/args.h"
#include "commands/info_figures.h"
#include "commands/info_page.h"

namespace moonshard::commands {

namespace {

using command::ShardState;

class InfoWriter {
 public:
  InfoWriter(InfoPage& page, const std::vector<ShardFigures>& shards, command::ServerControl& server,
             TimeMs now)
      : page_(page), shards_(shards), server_(server), now_(now) {}

  void Write() {
    if (page_.Begin("server", "Server")) Server();
    if (page_.Begin("clients", "Clients")) Clients();
    if (page_.Begin("memory", "Memory")) Memory();
    if (page_.Begin("persistence", "Persistence")) Persistence();
    if (page_.Begin("stats", "Stats")) Stats();
    if (page_.Begin("replication", "Replication")) Replication();
    if (page_.Begin("cpu", "CPU")) Cpu();
    // Nothing to list: what other servers load as modules is built in.
    (void)page_.Begin("modules", "Modules");
    if (page_.Begin("commandstats", "Commandstats")) CommandStats();
    if (page_.Begin("errorstats", "Errorstats")) ErrorStats();
    if (page_.Begin("latencystats", "Latencystats")) LatencyStats();
    if (page_.Begin("cluster", "Cluster")) page_.Field("cluster_enabled", 0);
    if (page_.Begin("keyspace", "Keyspace")) Keyspace();
    if (page_.Begin("shards", "Shards")) Shards();
  }

 private:
  template <typename Member>
  auto Sum(Member member) const {
    decltype(member(shards_[0]) + 0) sum = 0;
    for (const ShardFigures& shard : shards_) sum += member(shard);
    return sum;
  }

  void Server();
  void Clients();
  void Memory();
  void Persistence();
  void Stats();
  void LoopStats();
  void TransactionStats();
  void Replication();
  void Cpu();
  void CommandStats();
  void ErrorStats();
  void LatencyStats();
  void Keyspace();
  void Shards();

  InfoPage& page_;
  const std::vector<ShardFigures>& shards_;
  command::ServerControl& server_;
  const TimeMs now_;
};

void InfoWriter::Server() {
  const auto& facts = server_.facts();
  const int64_t uptime_s = (now_ - facts.start_time_ms) / 1000;
  page_.Field("redis_version", command::kRedisVersion);
  page_.Field("server_name", "moonshard");
  page_.Field("moonshard_version", command::kMoonshardVersion);
  page_.Field("redis_git_sha1", "00000000");
  page_.Field("redis_git_dirty", 0);
  page_.Field("redis_build_id", BuildId());
  page_.Field("redis_mode", "standalone");
  page_.Field("os", OsName());
  page_.Field("arch_bits", 64);
  page_.Field("monotonic_clock", "POSIX clock_gettime");
  page_.Field("multiplexing_api", facts.io_backend);
  page_.Field("atomicvar_api", "c11-builtin");
  page_.Field("gcc_version", "0.0.0");
  page_.Field("process_id", getpid());
  page_.Field("process_supervised", "no");
  page_.Field("run_id", facts.run_id);
  page_.Field("tcp_port", server_.tcp_port());
  page_.Field("server_time_usec", now_ * 1000);
  page_.Field("uptime_in_seconds", uptime_s);
  page_.Field("uptime_in_days", uptime_s / 86400);
  page_.Field("hz", 10);
  page_.Field("configured_hz", 10);
  page_.Field("lru_clock", (now_ / 1000) & 0xFFFFFF);
  page_.Field("executable", facts.executable);
  page_.Field("config_file", facts.config_file);
  page_.Field("io_threads_active", 0);
  page_.Field("io_backend", facts.io_backend);
  page_.Field("shards", shards_.size());
}

void InfoWriter::Clients() {
  page_.Field("connected_clients", Sum([](const ShardFigures& s) { return s.stats.connections_open; }));
  page_.Field("cluster_connections", 0);
  page_.Field("maxclients", ConfigValue(server_, "maxclients"));
  page_.Field("client_recent_max_input_buffer", 0);
  page_.Field("client_recent_max_output_buffer", 0);
  page_.Field("blocked_clients", Sum([](const ShardFigures& s) { return s.clients_parked; }));
  page_.Zeros({"tracking_clients", "pubsub_clients", "watching_clients", "clients_in_timeout_table",
               "total_watched_keys", "total_blocking_keys", "total_blocking_keys_on_nokey"});
}

void InfoWriter::Memory() {
  const MemoryFigures memory = MemoryFigures::Of(shards_, server_);
  page_.Bytes("used_memory", memory.used);
  page_.Bytes("used_memory_rss", memory.resident);
  page_.Bytes("used_memory_peak", memory.peak);
  page_.Field("used_memory_peak_perc", Percent(memory.used, memory.peak));
  page_.Field("used_memory_overhead", memory.index);
  page_.Field("used_memory_startup", 0);
  page_.Field("used_memory_dataset", memory.used - memory.index);
  page_.Field("used_memory_dataset_perc", Percent(memory.used - memory.index, memory.used));
  page_.Field("allocator_allocated", memory.used);
  page_.Field("allocator_active", memory.committed);
  page_.Field("allocator_resident", memory.resident);
  page_.Field("allocator_muzzy", 0);
  page_.Bytes("total_system_memory", memory.machine);
  page_.Field("used_memory_lua", 0);
  page_.Field("used_memory_vm_eval", 0);
  page_.Field("used_memory_lua_human", "0B");
  page_.Field("used_memory_scripts_eval", 0);
  page_.Field("number_of_cached_scripts", 0);
  page_.Field("number_of_functions", 0);
  page_.Field("number_of_libraries", 0);
  page_.Field("used_memory_vm_functions", 0);
  page_.Bytes("used_memory_vm_total", 0);
  page_.Field("used_memory_functions", 0);
  page_.Bytes("used_memory_scripts", 0);
  page_.Bytes("maxmemory", memory.limit);
  page_.Field("maxmemory_policy", ConfigValue(server_, "maxmemory-policy"));
  page_.Field("allocator_frag_ratio", Ratio(memory.committed, memory.used));
  page_.Field("allocator_frag_bytes", Difference(memory.committed, memory.used));
  page_.Field("allocator_rss_ratio", Ratio(memory.resident, memory.committed));
  page_.Field("allocator_rss_bytes", Difference(memory.resident, memory.committed));
  page_.Field("rss_overhead_ratio", "1.00");
  page_.Field("rss_overhead_bytes", 0);
  page_.Field("mem_fragmentation_ratio", Ratio(memory.resident, memory.used));
  page_.Field("mem_fragmentation_bytes", Difference(memory.resident, memory.used));
  page_.Zeros({"mem_not_counted_for_evict", "mem_replication_backlog", "mem_total_replication_buffers",
               "mem_clients_slaves"});
  const int64_t client_bytes = server_.live().client_bytes.load(std::memory_order_relaxed);
  page_.Field("mem_clients_normal", std::max<int64_t>(client_bytes, 0));
  page_.Zeros({"mem_cluster_links", "mem_aof_buffer", "mem_overhead_db_hashtable_rehashing"});
  page_.Field("mem_allocator", "slab");
  page_.Field("active_defrag_running", 0);
  // Whether ASYNC or not: a flush answers before its keys are freed.
  page_.Field("lazyfree_pending_objects", Sum([](const ShardFigures& s) { return s.to_be_freed; }));
  page_.Field("lazyfreed_objects", Sum([](const ShardFigures& s) { return s.lazily_freed; }));
  page_.Field("slab_committed_bytes", memory.committed);
}

void InfoWriter::Persistence() {
  page_.Zeros({"loading", "async_loading", "current_cow_peak", "current_cow_size", "current_cow_size_age"});
  page_.Field("current_fork_perc", "0.00");
  page_.Zeros({"current_save_keys_processed", "current_save_keys_total"});
  page_.Field("rdb_changes_since_last_save", Sum([](const ShardFigures& s) { return s.changes; }));
  page_.Field("rdb_bgsave_in_progress", 0);
  page_.Field("rdb_last_save_time", server_.facts().start_time_ms / 1000);
  page_.Field("rdb_last_bgsave_status", "ok");
  page_.Field("rdb_last_bgsave_time_sec", -1);
  page_.Field("rdb_current_bgsave_time_sec", -1);
  page_.Zeros({"rdb_saves", "rdb_last_cow_size", "rdb_last_load_keys_expired", "rdb_last_load_keys_loaded",
               "aof_enabled", "aof_rewrite_in_progress", "aof_rewrite_scheduled"});
  page_.Field("aof_last_rewrite_time_sec", -1);
  page_.Field("aof_current_rewrite_time_sec", -1);
  page_.Field("aof_last_bgrewrite_status", "ok");
  page_.Zeros({"aof_rewrites", "aof_rewrites_consecutive_failures"});
  page_.Field("aof_last_write_status", "ok");
  page_.Zeros({"aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size",
               "aof_current_size", "aof_base_size", "aof_pending_rewrite", "aof_buffer_length",
               "aof_rewrite_buffer_length", "aof_pending_bio_fsync", "aof_delayed_fsync"});
}

void InfoWriter::Stats() {
  auto kilobytes = [](double bytes) { return fmt::format("{:.2f}", bytes / 1024); };
  page_.Field("total_connections_received",
              Sum([](const ShardFigures& s) { return s.stats.connections_accepted; }));
  page_.Field("total_commands_processed", Sum([](const ShardFigures& s) { return s.calls; }));
  page_.Field("instantaneous_ops_per_sec",
              static_cast<uint64_t>(Sum([](const ShardFigures& s) { return s.rates.operations; })));
  page_.Field("total_net_input_bytes", Sum([](const ShardFigures& s) { return s.stats.bytes_in; }));
  page_.Field("total_net_output_bytes", Sum([](const ShardFigures& s) { return s.stats.bytes_out; }));
  page_.Zeros({"total_net_repl_input_bytes", "total_net_repl_output_bytes"});
  page_.Field("instantaneous_input_kbps",
              kilobytes(Sum([](const ShardFigures& s) { return s.rates.bytes_in; })));
  page_.Field("instantaneous_output_kbps",
              kilobytes(Sum([](const ShardFigures& s) { return s.rates.bytes_out; })));
  page_.Field("instantaneous_input_repl_kbps", "0.00");
  page_.Field("instantaneous_output_repl_kbps", "0.00");
  page_.Field("rejected_connections",
              Sum([](const ShardFigures& s) { return s.stats.connections_rejected; }));
  page_.Zeros({"sync_full", "sync_partial_ok", "sync_partial_err"});
  page_.Field("expired_keys", Sum([](const ShardFigures& s) { return s.expired; }));
  page_.Field("expired_subkeys", 0);
  page_.Field("expired_stale_perc", "0.00");
  page_.Field("expired_time_cap_reached_count", 0);
  page_.Field("expire_cycle_cpu_milliseconds", Sum([](const ShardFigures& s) { return s.expire_us; }) / 1000);
  page_.Field("evicted_keys", Sum([](const ShardFigures& s) { return s.evicted; }));
  page_.Field("evicted_clients", Sum([](const ShardFigures& s) { return s.stats.clients_evicted; }));
  page_.Zeros({"evicted_scripts", "total_eviction_exceeded_time", "current_eviction_exceeded_time"});
  page_.Field("keyspace_hits", Sum([](const ShardFigures& s) { return s.hits; }));
  page_.Field("keyspace_misses", Sum([](const ShardFigures& s) { return s.misses; }));
  page_.Zeros({"pubsub_channels", "pubsub_patterns", "pubsubshard_channels", "latest_fork_usec",
               "total_forks", "migrate_cached_sockets", "slave_expires_tracked_keys", "active_defrag_hits",
               "active_defrag_misses", "active_defrag_key_hits", "active_defrag_key_misses",
               "total_active_defrag_time", "current_active_defrag_time", "tracking_total_keys",
               "tracking_total_items", "tracking_total_prefixes", "unexpected_error_replies"});
  page_.Field("total_error_replies", Sum([](const ShardFigures& s) { return s.error_replies; }));
  page_.Field("dump_payload_sanitizations", 0);
  page_.Field("total_reads_processed", Sum([](const ShardFigures& s) { return s.stats.reads; }));
  page_.Field("total_writes_processed", Sum([](const ShardFigures& s) { return s.stats.writes; }));
  page_.Zeros({"io_threaded_reads_processed", "io_threaded_writes_processed",
               "client_query_buffer_limit_disconnections", "client_output_buffer_limit_disconnections",
               "reply_buffer_shrinks", "reply_buffer_expands"});
  LoopStats();
  page_.Zeros({"acl_access_denied_auth", "acl_access_denied_cmd", "acl_access_denied_key",
               "acl_access_denied_channel"});
  TransactionStats();
}

// Redis 7.2's figures of its event loop: here of all shards together.
void InfoWriter::LoopStats() {
  const auto turns = static_cast<double>(Sum([](const ShardFigures& s) { return s.loop.work_turns; }));
  const uint64_t busy_us = Sum([](const ShardFigures& s) { return s.loop.busy_ns; }) / 1000;
  const double turns_per_second = Sum([](const ShardFigures& s) { return s.rates.turns; });
  page_.Field("eventloop_cycles", static_cast<uint64_t>(turns));
  page_.Field("eventloop_duration_sum", busy_us);
  page_.Field("eventloop_duration_cmd_sum",
              static_cast<uint64_t>(Sum([](const ShardFigures& s) { return s.calls_us; })));
  page_.Field("instantaneous_eventloop_cycles_per_sec", static_cast<uint64_t>(turns_per_second));
  page_.Field("instantaneous_eventloop_duration_usec",
              turns == 0 ? 0 : static_cast<uint64_t>(static_cast<double>(busy_us) / turns));
}

void InfoWriter::TransactionStats() {
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

void InfoWriter::Replication() {
  page_.Field("role", "master");
  page_.Field("connected_slaves", 0);
  page_.Field("master_failover_state", "no-failover");
  page_.Field("master_replid", ReplicationId(server_.facts().run_id));
  page_.Field("master_replid2", std::string(40, '0'));
  page_.Field("master_repl_offset", 0);
  page_.Field("second_repl_offset", -1);
  page_.Field("repl_backlog_active", 0);
  page_.Field("repl_backlog_size", 0);
  page_.Zeros({"repl_backlog_first_byte_offset", "repl_backlog_histlen"});
}

void InfoWriter::Cpu() {
  auto seconds = [](uint64_t us) { return fmt::format("{}.{:06}", us / 1'000'000, us % 1'000'000); };
  auto used = [&](int who, timeval rusage::* part) {
    rusage usage{};
    getrusage(who, &usage);
    const timeval& time = usage.*part;
    return seconds(static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_usec));
  };
  page_.Field("used_cpu_sys", used(RUSAGE_SELF, &rusage::ru_stime));
  page_.Field("used_cpu_user", used(RUSAGE_SELF, &rusage::ru_utime));
  page_.Field("used_cpu_sys_children", used(RUSAGE_CHILDREN, &rusage::ru_stime));
  page_.Field("used_cpu_user_children", used(RUSAGE_CHILDREN, &rusage::ru_utime));
  // There is no one main thread: what the shards' threads used together.
  page_.Field("used_cpu_sys_main_thread",
              seconds(Sum([](const ShardFigures& s) { return s.cpu_system_us; })));
  page_.Field("used_cpu_user_main_thread", seconds(Sum([](const ShardFigures& s) { return s.cpu_user_us; })));
}

void InfoWriter::CommandStats() {
  for (const CommandTotal& total : CommandTotals(server_.registry(), shards_)) {
    const double calls = static_cast<double>(total.calls);
    page_.Field(fmt::format("cmdstat_{}", total.command->full_name),
                fmt::format("calls={},usec={},usec_per_call={:.2f},rejected_calls={},failed_calls={}",
                            total.calls, static_cast<uint64_t>(total.usec),
                            total.calls == 0 ? 0.0 : total.usec / calls, total.rejected, total.failed));
  }
}

void InfoWriter::ErrorStats() {
  std::vector<command::ErrorFigures> errors;
  for (const ShardFigures& shard : shards_) {
    for (const command::ErrorFigures& from : shard.errors) {
      auto at = std::ranges::lower_bound(errors, from.prefix, {}, &command::ErrorFigures::prefix);
      if (at != errors.end() && at->prefix == from.prefix) {
        at->count += from.count;
      } else {
        errors.insert(at, from);
      }
    }
  }
  for (const command::ErrorFigures& error : errors) {
    page_.Field(fmt::format("errorstat_{}", SafeName(error.prefix)), fmt::format("count={}", error.count));
  }
}

void InfoWriter::LatencyStats() {
  const std::vector<Percentile> percentiles =
      PercentilesOf(ConfigValue(server_, "latency-tracking-info-percentiles"));
  for (const CommandTotal& total : CommandTotals(server_.registry(), shards_)) {
    if (total.latency.empty()) continue;
    const base::Histogram merged = total.MergedLatency();
    std::string text;
    for (const Percentile& percentile : percentiles) {
      if (!text.empty()) text += ',';
      fmt::format_to(std::back_inserter(text), "p{}={:.3f}", percentile.name,
                     static_cast<double>(merged.ValueAt(percentile.value / 100)) / 1000);
    }
    page_.Field(fmt::format("latency_percentiles_usec_{}", total.command->full_name), text);
  }
}

void InfoWriter::Keyspace() {
  for (size_t i = 0; i < db::kDatabaseCount; ++i) {
    uint64_t keys = 0;
    uint64_t deadlines = 0;
    double left_ms = 0;
    for (const ShardFigures& shard : shards_) {
      const DbFigures& db = shard.dbs[i];
      keys += db.keys;
      deadlines += db.deadlines;
      left_ms += static_cast<double>(db.deadlines) * (db.deadline_mean_ms - static_cast<double>(now_));
    }
    if (keys == 0) continue;
    double mean_ms = deadlines == 0 ? 0 : left_ms / static_cast<double>(deadlines);
    page_.Field(fmt::format("db{}", i), fmt::format("keys={},expires={},avg_ttl={}", keys, deadlines,
                                                    static_cast<int64_t>(std::max(mean_ms, 0.0))));
  }
}

void InfoWriter::Shards() {
  for (size_t i = 0; i < shards_.size(); ++i) {
    const ShardFigures& shard = shards_[i];
    uint64_t keys = 0;
    for (const DbFigures& db : shard.dbs) keys += db.keys;
    page_.Field(
        fmt::format("shard{}", i),
        fmt::format("keys={},used_memory={},clients={},commands={},ops_per_sec={},batches_local={},"
                    "batches_hopped={},hops={},turns={},busy_us={},cpu_us={},sleeps={},wakeups_sent={},"
                    "ring_full={},stalls={},longest_turn_us={}",
                    keys, shard.used_bytes, shard.stats.connections_open, shard.stats.commands,
                    static_cast<uint64_t>(shard.rates.operations), shard.stats.batches_local,
                    shard.stats.batches_hopped, shard.loop.hops, shard.loop.work_turns,
                    shard.loop.busy_ns / 1000, shard.cpu_user_us + shard.cpu_system_us, shard.loop.sleeps,
                    shard.loop.wakeups_sent, shard.loop.ring_full_parks, shard.loop.stalls,
                    shard.loop.longest_turn_ns / 1000));
  }
}

FigureSet FiguresFor(const InfoPage& page) {
  if (page.Wants("latencystats")) return FigureSet::kWithLatency;
  return page.Wants("commandstats") ? FigureSet::kWithCalls : FigureSet::kPlain;
}

}  // namespace

shard::Task<void> Info(Context& context) {
  std::string text;
  InfoPage page(text, context.args.subspan(1));
  std::vector<ShardFigures> figures;
  co_await GatherFigures(context.shard.shard->shard_count(), FiguresFor(page), figures);
  InfoWriter(page, figures, *context.shard.server, context.shard.shard->now_ms()).Write();
  context.reply.Verbatim("txt", text);
}

}  // namespace moonshard::commands
