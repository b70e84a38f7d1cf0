// What Redis 7.0 has and nothing here reads: accepted, checked, kept and shown as Redis does, so that its
// configuration files and the tools that read settings work. Each row says why it has no effect; where to
// accept a value would be to promise something (a replica, encryption, another identity), it is refused.
//
// A row moves to its family's table on the day something reads it; rows of families come first, so one that
// is still here does no harm.

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "server/setting_checks.h"

namespace moonshard::server {

namespace {

using enum Change;

// Why there is no effect, as the start says it.
constexpr std::string_view kDumps = "no dumps yet";
constexpr std::string_view kLog = "no log yet";
constexpr std::string_view kReplication = "no replication yet";
constexpr std::string_view kCluster = "no cluster yet";
constexpr std::string_view kTls = "no TLS yet";
constexpr std::string_view kAccess = "no access lists yet";
constexpr std::string_view kScripts = "no scripts yet";
constexpr std::string_view kModules = "no modules";
constexpr std::string_view kSyslog = "no syslog; systemd's journal takes standard output";
constexpr std::string_view kAllocator = "memory of its own slabs";
constexpr std::string_view kProcess = "one thread per shard, no forks, no timer events";
constexpr std::string_view kNotYet = "not built yet";

struct Row {
  std::string_view name;
  Change change;
  std::string_view initial;
  Check check;
  std::string_view other_name = {};
};

void Add(std::vector<Setting>& to, std::string_view why, std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    to.push_back(WithoutEffect(
        AlsoNamed(Kept(row.name, row.change, row.initial, row.check, "as in Redis"), row.other_name), why));
  }
}

void AddPersistence(std::vector<Setting>& to) {
  Add(to, kDumps,
      {
          {"dbfilename", kProtected, "dump.rdb", PlainName("dbfilename", "filename")},
          {"rdb-del-sync-files", kAnyTime, "no", IsYesNo()},
          {"rdb-save-incremental-fsync", kAnyTime, "yes", IsYesNo()},
          {"rdbchecksum", kAtStart, "yes", IsYesNo()},
          {"rdbcompression", kAnyTime, "yes", IsYesNo()},
          {"sanitize-dump-payload", kAnyTime, "no", Choices("no, yes, clients")},
          {"stop-writes-on-bgsave-error", kAnyTime, "yes", IsYesNo()},
      });
  to.push_back(WithoutEffect(Repeated(Kept("save", kAnyTime, "", SavePoints(), "as in Redis"), 2), kDumps));
  Add(to, kLog,
      {
          {"aof-disable-auto-gc", kAnyTime, "no", IsYesNo()},
          {"aof-load-truncated", kAnyTime, "yes", IsYesNo()},
          {"aof-rewrite-incremental-fsync", kAnyTime, "yes", IsYesNo()},
          {"aof-timestamp-enabled", kAnyTime, "no", IsYesNo()},
          {"aof-use-rdb-preamble", kAnyTime, "yes", IsYesNo()},
          {"appenddirname", kAtStart, "appendonlydir", PlainName("appenddirname", "dirname")},
          {"appendfilename", kAtStart, "appendonly.aof", PlainName("appendfilename", "filename")},
          {"auto-aof-rewrite-min-size", kAnyTime, "67108864", Bytes()},
          {"auto-aof-rewrite-percentage", kAnyTime, "100", Range(0, kInt32Max)},
          {"no-appendfsync-on-rewrite", kAnyTime, "no", IsYesNo()},
      });
}

void AddReplication(std::vector<Setting>& to) {
  constexpr std::string_view kNoReplica = "replication does not exist yet";
  to.push_back(WithoutEffect(
      AlsoNamed(Several(Kept("replicaof", kAtStart, "", Only(ReplicaOf(), "", kNoReplica), "as in Redis")),
                "slaveof"),
      kReplication));
  Add(to, kReplication,
      {
          {"bind-source-addr", kAnyTime, "", AnyText()},
          {"masterauth", kAnyTime, "", AnyText()},
          {"masteruser", kAnyTime, "", AnyText()},
          {"min-replicas-max-lag", kAnyTime, "10", Range(0, kInt32Max), "min-slaves-max-lag"},
          {"min-replicas-to-write", kAnyTime, "0", Only(Range(0, kInt32Max), "0", kNoReplica),
           "min-slaves-to-write"},
          {"propagation-error-behavior", kAnyTime, "ignore", Choices("ignore, panic, panic-on-replicas")},
          {"repl-backlog-size", kAnyTime, "1048576", BytesAtLeast(16384)},
          {"repl-backlog-ttl", kAnyTime, "3600", Range(0, kInt64Max)},
          {"repl-disable-tcp-nodelay", kAnyTime, "no", IsYesNo()},
          {"repl-diskless-load", kAnyTime, "disabled", Choices("disabled, on-empty-db, swapdb")},
          {"repl-diskless-sync", kAnyTime, "yes", IsYesNo()},
          {"repl-diskless-sync-delay", kAnyTime, "5", Range(0, kInt32Max)},
          {"repl-diskless-sync-max-replicas", kAnyTime, "0", Range(0, kInt32Max)},
          {"repl-ping-replica-period", kAnyTime, "10", Range(1, kInt32Max), "repl-ping-slave-period"},
          {"repl-timeout", kAnyTime, "60", Range(1, kInt32Max)},
          {"replica-announce-ip", kAnyTime, "", AnyText(), "slave-announce-ip"},
          {"replica-announce-port", kAnyTime, "0", Range(0, 65535), "slave-announce-port"},
          {"replica-announced", kAnyTime, "yes", IsYesNo()},
          {"replica-ignore-disk-write-errors", kAnyTime, "no", IsYesNo()},
          {"replica-ignore-maxmemory", kAnyTime, "yes", IsYesNo(), "slave-ignore-maxmemory"},
          {"replica-lazy-flush", kAnyTime, "no", IsYesNo(), "slave-lazy-flush"},
          {"replica-priority", kAnyTime, "100", Range(0, kInt32Max), "slave-priority"},
          {"replica-read-only", kAnyTime, "yes", IsYesNo(), "slave-read-only"},
          {"replica-serve-stale-data", kAnyTime, "yes", IsYesNo(), "slave-serve-stale-data"},
          {"shutdown-timeout", kAnyTime, "10", Range(0, kInt32Max)},
      });
}

void AddCluster(std::vector<Setting>& to) {
  Add(to, kCluster,
      {
          {"cluster-allow-pubsubshard-when-down", kAnyTime, "yes", IsYesNo()},
          {"cluster-allow-reads-when-down", kAnyTime, "no", IsYesNo()},
          {"cluster-allow-replica-migration", kAnyTime, "yes", IsYesNo()},
          {"cluster-announce-bus-port", kAnyTime, "0", Range(0, 65535)},
          {"cluster-announce-hostname", kAnyTime, "", HostName()},
          {"cluster-announce-ip", kAnyTime, "", AnyText()},
          {"cluster-announce-port", kAnyTime, "0", Range(0, 65535)},
          {"cluster-announce-tls-port", kAnyTime, "0", Range(0, 65535)},
          {"cluster-config-file", kAtStart, "nodes.conf", AnyText()},
          {"cluster-enabled", kAtStart, "no", Only(IsYesNo(), "no", "cluster mode does not exist yet")},
          {"cluster-link-sendbuf-limit", kAnyTime, "0", Bytes()},
          {"cluster-migration-barrier", kAnyTime, "1", Range(0, kInt32Max)},
          {"cluster-node-timeout", kAnyTime, "15000", Range(0, kInt64Max)},
          {"cluster-port", kAtStart, "0", Range(0, 65535)},
          {"cluster-preferred-endpoint-type", kAnyTime, "ip", Choices("ip, hostname, unknown-endpoint")},
          {"cluster-replica-no-failover", kAnyTime, "no", IsYesNo(), "cluster-slave-no-failover"},
          {"cluster-replica-validity-factor", kAnyTime, "10", Range(0, kInt32Max),
           "cluster-slave-validity-factor"},
          {"cluster-require-full-coverage", kAnyTime, "yes", IsYesNo()},
      });
}

void AddTls(std::vector<Setting>& to) {
  Add(to, kTls,
      {
          {"tls-auth-clients", kAnyTime, "yes", Choices("no, yes, optional")},
          {"tls-ca-cert-dir", kAnyTime, "", AnyText()},
          {"tls-ca-cert-file", kAnyTime, "", AnyText()},
          {"tls-cert-file", kAnyTime, "", AnyText()},
          {"tls-ciphers", kAnyTime, "", AnyText()},
          {"tls-ciphersuites", kAnyTime, "", AnyText()},
          {"tls-client-cert-file", kAnyTime, "", AnyText()},
          {"tls-client-key-file", kAnyTime, "", AnyText()},
          {"tls-client-key-file-pass", kAnyTime, "", AnyText()},
          {"tls-cluster", kAnyTime, "no", IsYesNo()},
          {"tls-dh-params-file", kAnyTime, "", AnyText()},
          {"tls-key-file", kAnyTime, "", AnyText()},
          {"tls-key-file-pass", kAnyTime, "", AnyText()},
          {"tls-port", kAnyTime, "0", Only(Range(0, 65535), "0", "TLS does not exist yet")},
          {"tls-prefer-server-ciphers", kAnyTime, "no", IsYesNo()},
          {"tls-protocols", kAnyTime, "", AnyText()},
          {"tls-replication", kAnyTime, "no", IsYesNo()},
          {"tls-session-cache-size", kAnyTime, "20480", Range(0, kInt32Max)},
          {"tls-session-cache-timeout", kAnyTime, "300", Range(0, kInt32Max)},
          {"tls-session-caching", kAnyTime, "yes", IsYesNo()},
      });
}

void AddProcess(std::vector<Setting>& to) {
  Add(to, kProcess,
      {
          {"active-expire-effort", kAnyTime, "1", Range(1, 10)},
          {"activerehashing", kAnyTime, "yes", IsYesNo()},
          {"always-show-logo", kAtStart, "no", IsYesNo()},
          {"aof_rewrite_cpulist", kAtStart, "", AnyText()},
          {"bgsave_cpulist", kAtStart, "", AnyText()},
          {"bio_cpulist", kAtStart, "", AnyText()},
          {"crash-log-enabled", kAnyTime, "yes", IsYesNo()},
          {"crash-memcheck-enabled", kAnyTime, "yes", IsYesNo()},
          {"disable-thp", kAtStart, "yes", IsYesNo()},
          {"dynamic-hz", kAnyTime, "yes", IsYesNo()},
          {"hz", kAnyTime, "10", ClampedInto(1, 500)},
          {"ignore-warnings", kAnyTime, "", AnyText()},
          {"io-threads", kAtStart, "1", Range(1, 128)},
          {"io-threads-do-reads", kAtStart, "no", IsYesNo()},
          {"oom-score-adj", kAnyTime, "no", Choices("no, yes, relative, absolute")},
          {"proc-title-template", kAnyTime, "{title} {listen-addr} {server-mode}", ProcessTitle()},
          {"server_cpulist", kAtStart, "", AnyText()},
          {"set-proc-title", kAtStart, "yes", IsYesNo()},
          {"socket-mark-id", kAtStart, "0", Only(Range(0, 4294967295), "0", "sockets are not marked here")},
      });
  to.push_back(WithoutEffect(
      Several(Kept("oom-score-adj-values", kAnyTime, "0 200 800", OomScores(), "as in Redis")), kProcess));
  Add(to, kAllocator,
      {
          {"active-defrag-cycle-max", kAnyTime, "25", Range(1, 99)},
          {"active-defrag-cycle-min", kAnyTime, "1", Range(1, 99)},
          {"active-defrag-ignore-bytes", kAnyTime, "104857600", Bytes(1)},
          {"active-defrag-max-scan-fields", kAnyTime, "1000", Range(1, kInt64Max)},
          {"active-defrag-threshold-lower", kAnyTime, "10", Range(0, 1000)},
          {"active-defrag-threshold-upper", kAnyTime, "100", Range(0, 1000)},
          {"activedefrag", kAnyTime, "no",
           Only(IsYesNo(), "no", "Active defragmentation cannot be enabled: there is none here")},
          {"jemalloc-bg-thread", kAnyTime, "yes", IsYesNo()},
      });
}

void AddSurroundings(std::vector<Setting>& to) {
  Add(to, kAccess,
      {
          {"acl-pubsub-default", kAnyTime, "resetchannels", Choices("allchannels, resetchannels")},
          {"aclfile", kAtStart, "", Only(AnyText(), "", "access lists do not exist yet")},
          {"acllog-max-len", kAnyTime, "128", Range(0, kInt64Max)},
      });
  Add(to, kModules, {{"enable-module-command", kAtStart, "no", Choices("no, yes, local")}});
  Add(to, kScripts, {{"busy-reply-threshold", kAnyTime, "5000", Range(0, kInt64Max), "lua-time-limit"}});
  Add(to, kSyslog,
      {
          {"syslog-enabled", kAtStart, "no", Only(IsYesNo(), "no", "there is no output to syslog")},
          {"syslog-facility", kAtStart, "local0",
           Choices("user, local0, local1, local2, local3, local4, local5, local6, local7")},
          {"syslog-ident", kAtStart, "redis", AnyText()},
      });
}

void AddNotYet(std::vector<Setting>& to) {
  Add(to, kNotYet,
      {
          {"lazyfree-lazy-eviction", kAnyTime, "no", IsYesNo()},
          {"lazyfree-lazy-expire", kAnyTime, "no", IsYesNo()},
          {"lazyfree-lazy-server-del", kAnyTime, "no", IsYesNo()},
          {"lazyfree-lazy-user-del", kAnyTime, "no", IsYesNo()},
          {"lazyfree-lazy-user-flush", kAnyTime, "no", IsYesNo()},
          {"notify-keyspace-events", kAnyTime, "", KeyspaceEvents()},
          {"tracking-table-max-keys", kAnyTime, "1000000", Range(0, kInt64Max)},
      });
  for (std::string_view name : {"shutdown-on-sigint", "shutdown-on-sigterm"}) {
    to.push_back(
        WithoutEffect(Several(Kept(name, kAnyTime, "default", ShutdownOptions(), "as in Redis")), kDumps));
  }
}

}  // namespace

std::vector<Setting> RedisSettings() {
  std::vector<Setting> all;
  for (auto add :
       {AddPersistence, AddReplication, AddCluster, AddTls, AddProcess, AddSurroundings, AddNotYet})
    add(all);
  return all;
}

}  // namespace moonshard::server
