#pragma once
// MonitorFeed: MONITOR. One per shard; each feeds the lines of the commands that its clients run to the
// monitors of all shards.
//
// A line is made on the home shard of the client whose command it shows, after the command has answered. This
// shard's monitors get it at once; for the others the lines of a turn gather and leave as one message per
// shard that has monitors. At most one message is under way to each; lines gather behind it, and if a shard
// falls kMonitorLagMax behind, its monitors are closed rather than shown a part.
//
// While nobody monitors a batch costs one load (Engine::Run).

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "command/client.h"
#include "command/registry.h"
#include "command/server_control.h"
#include "shard/shard.h"

namespace moonshard::command {

inline constexpr size_t kMonitorLagMax = size_t{16} << 20;

class MonitorFeed {
 public:
  MonitorFeed(shard::Shard& shard, LiveSettings& live);
  MonitorFeed(const MonitorFeed&) = delete;
  MonitorFeed& operator=(const MonitorFeed&) = delete;

  void Add(Client& client);
  // Nothing if it is no monitor.
  void Remove(Client& client);

  // Somebody monitors, anywhere.
  bool active() const { return live_.monitors.load(std::memory_order_relaxed) != 0; }
  // Shows one command, if it is of those that are shown. `source` is a client's address, or "lua".
  void Feed(std::string_view source, DbIndex db, const Command& command,
            std::span<const std::string_view> args);
  // At the end of a turn: the lines leave for other shards.
  void EndTurn();

 private:
  // Lines on their way to one shard. While `away` the message and its text belong to that shard.
  struct Channel {
    shard::Outgoing message;
    std::string text;
    std::string next_text;
    bool away = false;
    bool overrun = false;  // too many lines gathered behind it
    bool next_overrun = false;
  };

  void Send(ShardId to, Channel& channel);
  void Deliver(std::string_view text);
  void Arrived(const Channel& channel);
  void CloseAll();
  bool HasMonitors(ShardId shard) const;

  shard::Shard& shard_;
  LiveSettings& live_;
  std::vector<Client*> monitors_;  // of this shard
  std::vector<std::unique_ptr<Channel>> channels_;
  std::string line_;
  bool dirty_ = false;
};

// "SET" "a\"b" as MONITOR shows arguments: quoted, with C's escapes.
void AppendQuoted(std::string& to, std::string_view bytes);

}  // namespace moonshard::command
