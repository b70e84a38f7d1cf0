// CLUSTER and what belongs to it. There is no cluster mode: all of it says so, in Redis' words, after the
// gates.

#include "command/context.h"
#include "commands/args.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;

inline constexpr base::StaticError kClusterOff{base::Code::kErr,
                                               "This instance has cluster support disabled"};

Outcome ClusterOff(Context& context) {
  return context.Fail(kClusterOff);
}

// ---- rows

constexpr ArgSpec kClusterAddslotsArguments[] = {
    {.name = "slot", .type = ArgType::kInteger, .flags = command::kMultiple}};
constexpr ArgSpec kClusterAddslotsrangeStartSlotEndSlotArguments[] = {
    {.name = "start-slot", .type = ArgType::kInteger}, {.name = "end-slot", .type = ArgType::kInteger}};
constexpr ArgSpec kClusterAddslotsrangeArguments[] = {
    {.name = "start-slot_end-slot",
     .type = ArgType::kBlock,
     .flags = command::kMultiple,
     .arguments = kClusterAddslotsrangeStartSlotEndSlotArguments}};
constexpr std::string_view kClusterBumpepochTips[] = {"nondeterministic_output"};
constexpr ArgSpec kClusterCountFailureReportsArguments[] = {{.name = "node-id"}};
constexpr std::string_view kClusterCountFailureReportsTips[] = {"nondeterministic_output"};
constexpr ArgSpec kClusterCountkeysinslotArguments[] = {{.name = "slot", .type = ArgType::kInteger}};
constexpr ArgSpec kClusterDelslotsArguments[] = {
    {.name = "slot", .type = ArgType::kInteger, .flags = command::kMultiple}};
constexpr ArgSpec kClusterDelslotsrangeStartSlotEndSlotArguments[] = {
    {.name = "start-slot", .type = ArgType::kInteger}, {.name = "end-slot", .type = ArgType::kInteger}};
constexpr ArgSpec kClusterDelslotsrangeArguments[] = {
    {.name = "start-slot_end-slot",
     .type = ArgType::kBlock,
     .flags = command::kMultiple,
     .arguments = kClusterDelslotsrangeStartSlotEndSlotArguments}};
constexpr ArgSpec kClusterFailoverOptionsArguments[] = {
    {.name = "force", .type = ArgType::kPureToken, .token = "FORCE"},
    {.name = "takeover", .type = ArgType::kPureToken, .token = "TAKEOVER"}};
constexpr ArgSpec kClusterFailoverArguments[] = {{.name = "options",
                                                  .type = ArgType::kOneOf,
                                                  .flags = command::kOptional,
                                                  .arguments = kClusterFailoverOptionsArguments}};
constexpr ArgSpec kClusterForgetArguments[] = {{.name = "node-id"}};
constexpr ArgSpec kClusterGetkeysinslotArguments[] = {{.name = "slot", .type = ArgType::kInteger},
                                                      {.name = "count", .type = ArgType::kInteger}};
constexpr std::string_view kClusterGetkeysinslotTips[] = {"nondeterministic_output"};
constexpr std::string_view kClusterInfoTips[] = {"nondeterministic_output"};
constexpr ArgSpec kClusterKeyslotArguments[] = {{.name = "key"}};
constexpr std::string_view kClusterLinksTips[] = {"nondeterministic_output"};
constexpr ArgSpec kClusterMeetArguments[] = {
    {.name = "ip"},
    {.name = "port", .type = ArgType::kInteger},
    {.name = "cluster_bus_port", .type = ArgType::kInteger, .flags = command::kOptional, .since = "4.0.0"}};
constexpr std::string_view kClusterNodesTips[] = {"nondeterministic_output"};
constexpr ArgSpec kClusterReplicasArguments[] = {{.name = "node-id"}};
constexpr std::string_view kClusterReplicasTips[] = {"nondeterministic_output"};
constexpr ArgSpec kClusterReplicateArguments[] = {{.name = "node-id"}};
constexpr ArgSpec kClusterResetHardSoftArguments[] = {
    {.name = "hard", .type = ArgType::kPureToken, .token = "HARD"},
    {.name = "soft", .type = ArgType::kPureToken, .token = "SOFT"}};
constexpr ArgSpec kClusterResetArguments[] = {{.name = "hard_soft",
                                               .type = ArgType::kOneOf,
                                               .flags = command::kOptional,
                                               .arguments = kClusterResetHardSoftArguments}};
constexpr ArgSpec kClusterSetConfigEpochArguments[] = {{.name = "config-epoch", .type = ArgType::kInteger}};
constexpr ArgSpec kClusterSetslotSubcommandArguments[] = {
    {.name = "node-id", .token = "IMPORTING"},
    {.name = "node-id", .token = "MIGRATING"},
    {.name = "node-id", .token = "NODE"},
    {.name = "stable", .type = ArgType::kPureToken, .token = "STABLE"}};
constexpr ArgSpec kClusterSetslotArguments[] = {
    {.name = "slot", .type = ArgType::kInteger},
    {.name = "subcommand", .type = ArgType::kOneOf, .arguments = kClusterSetslotSubcommandArguments}};
constexpr std::string_view kClusterShardsTips[] = {"nondeterministic_output"};
constexpr ArgSpec kClusterSlavesArguments[] = {{.name = "node-id"}};
constexpr std::string_view kClusterSlavesTips[] = {"nondeterministic_output"};
constexpr std::string_view kClusterSlotsTips[] = {"nondeterministic_output"};

constexpr CommandRow kClusterRows[] = {
    {.name = "addslots",
     .arity = -3,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterAddslotsArguments,
     .handler = ClusterOff},
    {.name = "addslotsrange",
     .arity = -4,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "7.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterAddslotsrangeArguments,
     .handler = ClusterOff},
    {.name = "bumpepoch",
     .arity = 2,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff,
     .tips = kClusterBumpepochTips},
    {.name = "count-failure-reports",
     .arity = 3,
     .flags = command::kAdmin | command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterCountFailureReportsArguments,
     .handler = ClusterOff,
     .tips = kClusterCountFailureReportsTips},
    {.name = "countkeysinslot",
     .arity = 3,
     .flags = command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterCountkeysinslotArguments,
     .handler = ClusterOff},
    {.name = "delslots",
     .arity = -3,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterDelslotsArguments,
     .handler = ClusterOff},
    {.name = "delslotsrange",
     .arity = -4,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "7.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterDelslotsrangeArguments,
     .handler = ClusterOff},
    {.name = "failover",
     .arity = -2,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterFailoverArguments,
     .handler = ClusterOff},
    {.name = "flushslots",
     .arity = 2,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff},
    {.name = "forget",
     .arity = 3,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterForgetArguments,
     .handler = ClusterOff},
    {.name = "getkeysinslot",
     .arity = 4,
     .flags = command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterGetkeysinslotArguments,
     .handler = ClusterOff,
     .tips = kClusterGetkeysinslotTips},
    {.name = "help",
     .arity = 2,
     .flags = command::kLoading | command::kStale,
     .group = command::Group::kCluster,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff},
    {.name = "info",
     .arity = 2,
     .flags = command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff,
     .tips = kClusterInfoTips},
    {.name = "keyslot",
     .arity = 3,
     .flags = command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterKeyslotArguments,
     .handler = ClusterOff},
    {.name = "links",
     .arity = 2,
     .flags = command::kStale,
     .group = command::Group::kCluster,
     .since = "7.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff,
     .tips = kClusterLinksTips},
    {.name = "meet",
     .arity = -4,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterMeetArguments,
     .handler = ClusterOff},
    {.name = "myid",
     .arity = 2,
     .flags = command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff},
    {.name = "nodes",
     .arity = 2,
     .flags = command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff,
     .tips = kClusterNodesTips},
    {.name = "replicas",
     .arity = 3,
     .flags = command::kAdmin | command::kStale,
     .group = command::Group::kCluster,
     .since = "5.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterReplicasArguments,
     .handler = ClusterOff,
     .tips = kClusterReplicasTips},
    {.name = "replicate",
     .arity = 3,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterReplicateArguments,
     .handler = ClusterOff},
    {.name = "reset",
     .arity = -2,
     .flags = command::kAdmin | command::kNoScript | command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterResetArguments,
     .handler = ClusterOff},
    {.name = "saveconfig",
     .arity = 2,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff},
    {.name = "set-config-epoch",
     .arity = 3,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterSetConfigEpochArguments,
     .handler = ClusterOff},
    {.name = "setslot",
     .arity = -4,
     .flags = command::kAdmin | command::kStale | command::kNoAsyncLoading,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterSetslotArguments,
     .handler = ClusterOff},
    {.name = "shards",
     .arity = 2,
     .flags = command::kLoading | command::kStale,
     .group = command::Group::kCluster,
     .since = "7.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff,
     .tips = kClusterShardsTips},
    {.name = "slaves",
     .arity = 3,
     .flags = command::kAdmin | command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .arguments = kClusterSlavesArguments,
     .handler = ClusterOff,
     .tips = kClusterSlavesTips,
     .deprecated_since = "5.0.0",
     .replaced_by = "`CLUSTER REPLICAS`",
     .doc_flags = command::kDocDeprecated},
    {.name = "slots",
     .arity = 2,
     .flags = command::kLoading | command::kStale,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(N)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff,
     .tips = kClusterSlotsTips,
     .deprecated_since = "7.0.0",
     .replaced_by = "`CLUSTER SHARDS`",
     .doc_flags = command::kDocDeprecated},
};
static_assert(command::RowsAreSane(kClusterRows));

constexpr CommandRow kRows[] = {
    {.name = "cluster",
     .arity = -2,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about cluster mode, which does not exist here.",
     .subcommands = kClusterRows},
    {.name = "asking",
     .arity = 1,
     .flags = command::kFast,
     .categories = command::kCatConnection,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff},
    {.name = "readonly",
     .arity = 1,
     .flags = command::kLoading | command::kStale | command::kFast,
     .categories = command::kCatConnection,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff},
    {.name = "readwrite",
     .arity = 1,
     .flags = command::kLoading | command::kStale | command::kFast,
     .categories = command::kCatConnection,
     .group = command::Group::kCluster,
     .since = "3.0.0",
     .complexity = "O(1)",
     .summary = "Part of cluster mode, which is off.",
     .handler = ClusterOff},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> ClusterCommands() {
  return kRows;
}

}  // namespace moonshard::commands
