#include "command/monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/bytes.h"
#include "command/shard_state.h"

namespace moonshard::command {

namespace {

constexpr std::string_view kRedacted = "(redacted)";

// The arguments with passwords hidden. Commands that hold other secrets are kAdmin and not shown at all.
std::vector<std::string_view> Redacted(const Command& command, std::span<const std::string_view> args) {
  std::vector<std::string_view> shown(args.begin(), args.end());
  if (command.row->name == "auth") {
    std::fill(shown.begin() + 1, shown.end(), kRedacted);
  } else if (command.row->name == "hello") {
    for (size_t i = 2; i < shown.size(); ++i) {
      if (base::EqualsIgnoreCase(shown[i], "AUTH") && shown.size() - i > 2) {
        shown[i + 1] = shown[i + 2] = kRedacted;
        i += 2;
      } else if (base::EqualsIgnoreCase(shown[i], "SETNAME")) {
        ++i;
      }
    }
  }
  return shown;
}

}  // namespace

void AppendQuoted(std::string& to, std::string_view bytes) {
  to += '"';
  for (char c : bytes) {
    switch (c) {
      case '\\':
      case '"':
        to += '\\';
        to += c;
        break;
      case '\n':
        to += "\\n";
        break;
      case '\r':
        to += "\\r";
        break;
      case '\t':
        to += "\\t";
        break;
      case '\a':
        to += "\\a";
        break;
      case '\b':
        to += "\\b";
        break;
      default:
        if (c >= ' ' && c <= '~') {
          to += c;
        } else {
          fmt::format_to(std::back_inserter(to), "\\x{:02x}", static_cast<unsigned char>(c));
        }
    }
  }
  to += '"';
}

MonitorFeed::MonitorFeed(shard::Shard& shard, LiveSettings& live) : shard_(shard), live_(live) {
  for (uint16_t i = 0; i < shard.shard_count(); ++i) channels_.push_back(std::make_unique<Channel>());
}

void MonitorFeed::Add(Client& client) {
  client.session.monitor = true;
  monitors_.push_back(&client);
  uint16_t here = shard_.id().value();
  live_.monitor_shards[here / 64].fetch_or(uint64_t{1} << here % 64, std::memory_order_relaxed);
  live_.monitors.fetch_add(1, std::memory_order_release);
}

void MonitorFeed::Remove(Client& client) {
  if (!std::exchange(client.session.monitor, false)) return;
  std::erase(monitors_, &client);
  live_.monitors.fetch_sub(1, std::memory_order_relaxed);
  if (!monitors_.empty()) return;
  uint16_t here = shard_.id().value();
  live_.monitor_shards[here / 64].fetch_and(~(uint64_t{1} << here % 64), std::memory_order_relaxed);
}

bool MonitorFeed::HasMonitors(ShardId shard) const {
  uint64_t bits = live_.monitor_shards[shard.value() / 64].load(std::memory_order_relaxed);
  return (bits >> shard.value() % 64 & 1) != 0;
}

void MonitorFeed::Feed(std::string_view source, DbIndex db, const Command& command,
                       std::span<const std::string_view> args) {
  if (command.row->is(kAdmin | kSkipMonitor)) return;
  TimeNs now = shard_.env().WallNowNs();
  line_.clear();
  std::string unix_source;
  if (source.starts_with('/')) {
    // The path of a unix socket comes with a port of 0.
    unix_source = fmt::format("unix:{}", source.substr(0, source.rfind(':')));
    source = unix_source;
  }
  fmt::format_to(std::back_inserter(line_), "+{}.{:06} [{} {}]", now / 1'000'000'000,
                 now % 1'000'000'000 / 1000, db.value(), source);
  for (std::string_view arg : Redacted(command, args)) {
    line_ += ' ';
    AppendQuoted(line_, arg);
  }
  line_ += "\r\n";
  Deliver(line_);
  for (uint16_t i = 0; i < shard_.shard_count(); ++i) {
    if (ShardId(i) == shard_.id() || !HasMonitors(ShardId(i))) continue;
    Channel& channel = *channels_[i];
    channel.next_overrun = channel.next_overrun || channel.next_text.size() + line_.size() > kMonitorLagMax;
    if (!channel.next_overrun) channel.next_text += line_;
    dirty_ = true;
  }
}

void MonitorFeed::Deliver(std::string_view text) {
  for (Client* monitor : monitors_) {
    if (monitor->session.muted()) continue;
    monitor->out.Append(text);
    monitor->OnPushed();
  }
}

void MonitorFeed::EndTurn() {
  if (!std::exchange(dirty_, false)) return;
  for (uint16_t i = 0; i < shard_.shard_count(); ++i) {
    Channel& channel = *channels_[i];
    if (!channel.away && (!channel.next_text.empty() || channel.next_overrun)) Send(ShardId(i), channel);
  }
}

void MonitorFeed::Send(ShardId to, Channel& channel) {
  channel.away = true;
  channel.text.swap(channel.next_text);
  channel.next_text.clear();
  channel.overrun = std::exchange(channel.next_overrun, false);
  channel.message.message.word[0] = reinterpret_cast<uint64_t>(&channel);
  channel.message.message.run = [](shard::Shard& there, const shard::Message& message) {
    auto& arrived = *reinterpret_cast<Channel*>(message.word[0]);
    there.local<MonitorFeed>().Arrived(arrived);
    arrived.message.message.run = [](shard::Shard& home, const shard::Message& back) {
      auto& returned = *reinterpret_cast<Channel*>(back.word[0]);
      returned.away = false;
      MonitorFeed& feed = home.local<MonitorFeed>();
      feed.dirty_ = feed.dirty_ || !returned.next_text.empty() || returned.next_overrun;
    };
    there.Send(message.from, arrived.message);
  };
  shard_.Send(to, channel.message);
}

void MonitorFeed::Arrived(const Channel& channel) {
  if (channel.overrun) {
    CloseAll();
  } else {
    Deliver(channel.text);
  }
}

// Copied, because an ending connection leaves the list.
void MonitorFeed::CloseAll() {
  for (Client* monitor : std::vector<Client*>(monitors_)) monitor->Kill();
}

}  // namespace moonshard::command
