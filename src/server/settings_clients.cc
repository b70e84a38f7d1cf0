// What clients may do and take.

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/bytes.h"
#include "base/number.h"
#include "command/server_control.h"
#include "server/setting.h"

namespace moonshard::server {

namespace {

using base::Status;

constexpr int64_t kIntMax = std::numeric_limits<int32_t>::max();
constexpr uint64_t kMebibyte = uint64_t{1} << 20;

// A share of maxmemory is never less than this, so that with a small maxmemory one large reply does not cost
// its client the connection (docs/decisions/0010).
constexpr uint64_t kClientShareMin = 32 * kMebibyte;
// Redis' own least value: less would lock everybody out.
constexpr uint64_t kClientBytesMin = uint64_t{128} << 10;

constexpr std::string_view kClassNames[] = {"normal", "slave", "pubsub"};

// The words of a value, however they came: apart (on the command line) or as one with single spaces between.
std::vector<std::string> SplitWords(Words words) {
  std::string text = fmt::format("{}", fmt::join(words, " "));
  std::vector<std::string> split;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find(' ', begin), text.size());
    split.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return split;
}

Status SetOutputLimits(Settings& settings, Words words) {
  std::vector<std::string> all = SplitWords(words);
  if (all.size() % 4 != 0) return BadSetting("Wrong number of arguments in buffer limit configuration.");
  auto changed = settings.client_output_buffer_limit;
  for (size_t i = 0; i < all.size(); i += 4) {
    std::string name = base::ToLower(all[i]) == "replica" ? "slave" : base::ToLower(all[i]);
    auto named = std::ranges::find(kClassNames, name);
    if (named == std::end(kClassNames))
      return BadSetting("Invalid client class specified in buffer limit configuration.");
    auto hard = ParseMemory(all[i + 1]);
    auto soft = ParseMemory(all[i + 2]);
    auto seconds = base::ParseInt64(all[i + 3]);
    if (!hard.ok() || !soft.ok() || !seconds || *seconds < 0)
      return BadSetting("Error in hard, soft or soft_seconds setting in buffer limit configuration.");
    // Redis keeps seconds in 32 bits and cuts them off.
    changed[static_cast<size_t>(named - kClassNames)] = {hard.value(), soft.value(),
                                                         static_cast<int32_t>(*seconds)};
  }
  settings.client_output_buffer_limit = changed;
  return {};
}

std::string ShowOutputLimits(const Settings& settings) {
  std::string text;
  for (size_t i = 0; i < std::size(kClassNames); ++i) {
    const OutputLimitSetting& limit = settings.client_output_buffer_limit[i];
    text += fmt::format("{}{} {} {} {}", i == 0 ? "" : " ", kClassNames[i], limit.hard, limit.soft,
                        limit.soft_seconds);
  }
  return text;
}

Status SetClientMemory(Settings& settings, Words words) {
  const Status bad = BadSetting("argument must be a memory or percent value");
  if (words.size() != 1) return bad;
  if (words[0].ends_with('%')) {
    auto percent = base::ParseInt64(std::string_view(words[0]).substr(0, words[0].size() - 1));
    if (!percent || *percent < 0) return bad;
    if (*percent > 100) return BadSetting("percentage argument must be less or equal to 100");
    settings.maxmemory_clients_percent = static_cast<uint32_t>(*percent);
    settings.maxmemory_clients = 0;
    return {};
  }
  auto bytes = ParseMemory(words[0]);
  if (!bytes.ok()) return bad;
  settings.maxmemory_clients = bytes.value();
  settings.maxmemory_clients_percent = 0;
  return {};
}

std::string ShowClientMemory(const Settings& settings) {
  if (settings.maxmemory_clients_percent != 0) return fmt::format("{}%", settings.maxmemory_clients_percent);
  return std::to_string(settings.maxmemory_clients);
}

// A number of bytes, at least a mebibyte.
Setting LargeMemory(std::string_view name, uint64_t Settings::* field, std::string_view help) {
  return {name, Change::kAnyTime, help,
          [=](Settings& settings, Words words) -> Status {
            if (words.size() != 1) return BadSetting("argument must be a memory value");
            MS_ASSIGN_OR_RETURN(uint64_t bytes, ParseMemory(words[0]));
            if (bytes < kMebibyte || bytes > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
              return BadSetting(fmt::format("argument must be between {} and {} inclusive", kMebibyte,
                                            std::numeric_limits<int64_t>::max()));
            }
            settings.*field = bytes;
            return {};
          },
          [=](const Settings& settings) { return std::to_string(settings.*field); }};
}

}  // namespace

std::vector<Setting> ClientSettings() {
  using enum Change;
  return {
      Repeated({"client-output-buffer-limit", kAnyTime,
                "per class: bytes that end a connection, bytes that end it in time", SetOutputLimits,
                ShowOutputLimits},
               4),
      LargeMemory("client-query-buffer-limit", &Settings::client_query_buffer_limit,
                  "most bytes of requests that may wait for one client"),
      Integer("maxclients", kAnyTime, &Settings::maxclients, 1, std::numeric_limits<uint32_t>::max(),
              "most connections at a time"),
      {"maxmemory-clients", kAnyTime,
       "limit of clients' buffers: bytes, or a share of maxmemory as in 5%; 0: none", SetClientMemory,
       ShowClientMemory},
      LargeMemory("proto-max-bulk-len", &Settings::proto_max_bulk_len, "most bytes of one argument"),
      YesNo("protected-mode", kAnyTime, &Settings::protected_mode,
            "without a password, serve only clients of this machine"),
      Text("requirepass", kAnyTime, &Settings::requirepass, "password of the default user"),
      Integer("tcp-keepalive", kAnyTime, &Settings::tcp_keepalive, 0, kIntMax,
              "seconds of silence after which a peer is asked whether it lives; 0: never"),
      Integer("timeout", kAnyTime, &Settings::timeout, 0, kIntMax,
              "seconds after which an idle client is closed; 0: never"),
  };
}

void ApplyClientSettings(const Settings& settings, command::LiveSettings& live) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  live.password_required.store(!settings.requirepass.empty(), kRelaxed);
  live.protected_mode.store(settings.protected_mode, kRelaxed);
  live.idle_timeout_s.store(settings.timeout, kRelaxed);
  live.tcp_keepalive_s.store(settings.tcp_keepalive, kRelaxed);
  live.query_buffer_limit.store(settings.client_query_buffer_limit, kRelaxed);
  live.bulk_bytes_max.store(static_cast<int64_t>(settings.proto_max_bulk_len), kRelaxed);
  for (size_t i = 0; i < command::kClientClassCount; ++i) {
    const OutputLimitSetting& limit = settings.client_output_buffer_limit[i];
    live.output_limits[i].hard.store(limit.hard, kRelaxed);
    live.output_limits[i].soft.store(limit.soft, kRelaxed);
    live.output_limits[i].soft_seconds.store(limit.soft_seconds, kRelaxed);
  }
  uint64_t client_bytes_max = 0;
  if (settings.maxmemory_clients != 0) {
    client_bytes_max = std::max(settings.maxmemory_clients, kClientBytesMin);
  } else if (settings.DataBudget() != 0 && settings.maxmemory_clients_percent != 0) {
    client_bytes_max =
        std::max(settings.DataBudget() / 100 * settings.maxmemory_clients_percent, kClientShareMin);
  }
  live.client_bytes_max.store(client_bytes_max, kRelaxed);
}

}  // namespace moonshard::server
