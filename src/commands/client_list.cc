#include "commands/client_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "command/client.h"
#include "command/errors.h"
#include "command/registry.h"
#include "command/shard_state.h"
#include "commands/args.h"

namespace moonshard::commands {

namespace {

using command::Client;
using command::ClientFacts;
using command::Session;
using command::ShardState;

// Clients looked at in one turn of a shard: some 100 us when each gets a line.
constexpr size_t kClientsAtOnce = 128;

enum class ClientType : uint8_t { kNormal, kReplica, kMaster, kPubsub };

std::optional<ClientType> TypeNamed(std::string_view name) {
  if (EqualsIgnoreCase(name, "normal")) return ClientType::kNormal;
  if (EqualsIgnoreCase(name, "replica") || EqualsIgnoreCase(name, "slave")) return ClientType::kReplica;
  if (EqualsIgnoreCase(name, "master")) return ClientType::kMaster;
  if (EqualsIgnoreCase(name, "pubsub")) return ClientType::kPubsub;
  return std::nullopt;
}

// As in Redis a monitor is a normal client. TODO(pubsub): subscribers and replicas are of other types.
ClientType TypeOf(const Session&) {
  return ClientType::kNormal;
}

std::string UnknownType(std::string_view name) {
  return fmt::format("ERR Unknown client type '{}'", command::UpToZero(name));
}

std::string FlagsOf(const Session& session, const ClientFacts& facts) {
  std::string flags;
  if (session.monitor) flags += 'O';
  if (facts.blocked) flags += 'b';
  if (session.close_after_reply) flags += 'c';
  if (facts.unix_socket) flags += 'U';
  if (session.no_evict) flags += 'e';
  if (session.no_touch) flags += 'T';
  return flags.empty() ? "N" : flags;
}

// One line of CLIENT LIST. The fields of features that do not exist yet say what is true without them: no
// subscriptions, no MULTI, the default user, no tracking.
void AppendLine(std::string& to, const Client& client, TimeMs now) {
  const Session& session = client.session;
  ClientFacts facts = client.Describe();
  fmt::format_to(
      std::back_inserter(to),
      "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 multi=-1 "
      "qbuf={} "
      "qbuf-free={} argv-mem={} multi-mem=0 rbs={} rbp={} obl={} oll={} omem={} tot-mem={} events={} cmd={} "
      "user=default redir=-1 resp={} lib-name={} lib-ver={}\n",
      session.id, session.peer, facts.local, facts.descriptor, session.name,
      std::max<TimeMs>(now - facts.connected_ms, 0) / 1000, std::max<TimeMs>(now - facts.active_ms, 0) / 1000,
      FlagsOf(session, facts), session.db.value(), facts.query_bytes, facts.query_free_bytes,
      facts.argument_bytes, facts.reply_capacity, facts.reply_peak, facts.reply_bytes, facts.sending ? 1 : 0,
      facts.sending_bytes, facts.total_bytes, facts.sending ? "rw" : "r",
      session.last_command != nullptr ? std::string_view(session.last_command->full_name) : "NULL",
      static_cast<int>(session.protocol), session.library_name, session.library_version);
}

// The walk over all clients of all shards, some at a time.
class Walk {
 public:
  explicit Walk(Context& context) {
    for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) left_.push_back(ShardId(i));
    next_id_.resize(left_.size());
  }
  bool AtEnd() const { return left_.empty(); }
  std::span<const ShardId> shards() const { return left_; }
  size_t shard_count() const { return next_id_.size(); }
  // On one of the shards.
  template <typename Fn>
  void VisitSome(ShardState& here, Fn&& fn) {
    uint64_t& next = next_id_[here.shard->id().value()];
    next = here.clients.Visit(next, kClientsAtOnce, fn);
  }
  // After a round over shards().
  void EndRound() {
    std::erase_if(left_, [this](ShardId id) { return next_id_[id.value()] == 0; });
  }

 private:
  std::vector<ShardId> left_;
  std::vector<uint64_t> next_id_;
};

// ---- CLIENT LIST

struct ListFilter {
  std::optional<ClientType> type;
  std::optional<std::vector<uint64_t>> ids;  // in the order of the call
};

// False: the error has been replied.
bool ParseListFilter(Context& context, ListFilter& filter) {
  size_t count = context.args.size();
  if (count == 2) return true;
  if (count == 4 && EqualsIgnoreCase(context.arg(2), "TYPE")) {
    filter.type = TypeNamed(context.arg(3));
    if (!filter.type) context.reply.ErrorLine(UnknownType(context.arg(3)));
    return filter.type.has_value();
  }
  if (count > 3 && EqualsIgnoreCase(context.arg(2), "ID")) {
    filter.ids.emplace();
    for (std::string_view word : context.args.subspan(3)) {
      auto id = ParseInt64(word);
      if (!id) {
        context.reply.ErrorLine("ERR Invalid client ID");
        return false;
      }
      filter.ids->push_back(static_cast<uint64_t>(*id));
    }
    return true;
  }
  context.reply.Error(db::kSyntax);
  return false;
}

// ---- CLIENT KILL

struct KillFilter {
  std::optional<std::string_view> address;
  std::optional<std::string_view> local_address;
  std::optional<uint64_t> id;
  std::optional<ClientType> type;
  std::optional<int64_t> age_s;
  bool skip_me = true;

  bool Matches(const Client& client, uint64_t my_id, TimeMs now) const {
    const Session& session = client.session;
    if (skip_me && session.id == my_id) return false;
    if (id && session.id != *id) return false;
    if (type && TypeOf(session) != *type) return false;
    if (address && session.peer != *address) return false;
    if (!local_address && !age_s) return true;
    ClientFacts facts = client.Describe();
    if (local_address && facts.local != *local_address) return false;
    return !age_s || (now - facts.connected_ms) / 1000 >= *age_s;
  }
};

// The error, or nothing.
std::string ReadKillOption(KillFilter& filter, std::string_view name, std::string_view value) {
  if (EqualsIgnoreCase(name, "ID")) {
    auto id = ParseInt64(value);
    if (!id || *id < 1) return "ERR client-id should be greater than 0";
    filter.id = static_cast<uint64_t>(*id);
  } else if (EqualsIgnoreCase(name, "TYPE")) {
    filter.type = TypeNamed(value);
    if (!filter.type) return UnknownType(value);
  } else if (EqualsIgnoreCase(name, "ADDR")) {
    filter.address = value;
  } else if (EqualsIgnoreCase(name, "LADDR")) {
    filter.local_address = value;
  } else if (EqualsIgnoreCase(name, "USER")) {
    // Everybody is the default user until access control lists exist.
    if (value != "default") return fmt::format("ERR No such user '{}'", command::UpToZero(value));
  } else if (EqualsIgnoreCase(name, "SKIPME") && EqualsIgnoreCase(value, "yes")) {
    filter.skip_me = true;
  } else if (EqualsIgnoreCase(name, "SKIPME") && EqualsIgnoreCase(value, "no")) {
    filter.skip_me = false;
  } else if (EqualsIgnoreCase(name, "MAXAGE")) {
    filter.age_s = ParseInt64(value);
    if (!filter.age_s) return "ERR maxage is not an integer or out of range";
    if (*filter.age_s <= 0) return "ERR maxage should be greater than 0";
  } else {
    return "ERR syntax error";
  }
  return {};
}

// False: the error has been replied.
bool ParseKillFilter(Context& context, KillFilter& filter) {
  if (context.args.size() == 3) {
    filter.address = context.arg(2);
    filter.skip_me = false;
    return true;
  }
  for (size_t i = 2; i < context.args.size(); i += 2) {
    bool has_value = i + 1 < context.args.size();
    std::string error =
        has_value ? ReadKillOption(filter, context.arg(i), context.arg(i + 1)) : "ERR syntax error";
    if (error.empty()) continue;
    context.reply.ErrorLine(error);
    return false;
  }
  return true;
}

}  // namespace

Outcome ClientInfo(Context& context) {
  std::string line;
  AppendLine(line, *context.client, context.shard.shard->now_ms());
  context.reply.Verbatim("txt", line);
  return Outcome::kDone;
}

shard::Task<void> ClientList(Context& context) {
  ListFilter filter;
  if (!ParseListFilter(context, filter)) co_return;
  std::vector<uint64_t> wanted;
  if (filter.ids) {
    wanted = *filter.ids;
    std::ranges::sort(wanted);
  }
  command::StateShards shards;
  Walk walk(context);
  std::vector<std::map<uint64_t, std::string>> found(walk.shard_count());
  while (!walk.AtEnd()) {
    co_await shards.OnEach(walk.shards(), [&](ShardState& here, size_t) {
      auto& lines = found[here.shard->id().value()];
      walk.VisitSome(here, [&](Client& client) {
        const Session& session = client.session;
        if (filter.type && TypeOf(session) != *filter.type) return;
        if (filter.ids && !std::ranges::binary_search(wanted, session.id)) return;
        AppendLine(lines[session.id], client, here.shard->now_ms());
      });
    });
    walk.EndRound();
  }
  for (size_t i = 1; i < found.size(); ++i) found[0].merge(found[i]);
  std::string text;
  if (filter.ids) {
    for (uint64_t id : *filter.ids) {
      if (auto line = found[0].find(id); line != found[0].end()) text += line->second;
    }
  } else {
    for (const auto& [id, line] : found[0]) text += line;
  }
  context.reply.Verbatim("txt", text);
}

shard::Task<void> ClientKill(Context& context) {
  KillFilter filter;
  if (!ParseKillFilter(context, filter)) co_return;
  // Without a client nobody is "me"; who has gone still kills, as it asked to.
  Client* asking = context.LiveClient();
  uint64_t my_id = asking != nullptr ? asking->session.id : 0;
  command::StateShards shards;
  Walk walk(context);
  std::vector<int64_t> killed(walk.shard_count());
  bool kill_me = false;
  ShardId home = context.shard.shard->id();
  while (!walk.AtEnd()) {
    co_await shards.OnEach(walk.shards(), [&](ShardState& here, size_t) {
      walk.VisitSome(here, [&](Client& client) {
        if (!filter.Matches(client, my_id, here.shard->now_ms())) return;
        ++killed[here.shard->id().value()];
        if (here.shard->id() == home && client.session.id == my_id) {
          kill_me = true;
        } else {
          client.Kill();
        }
      });
    });
    walk.EndRound();
  }
  int64_t count = 0;
  for (int64_t n : killed) count += n;
  if (context.args.size() > 3) {
    context.reply.Integer(count);
  } else if (count == 0) {
    context.reply.ErrorLine("ERR No such client");
  } else {
    context.reply.Ok();
  }
  // One's own connection gets the answer first.
  if (Client* me = context.LiveClient(); kill_me && me != nullptr) me->session.close_after_reply = true;
}

shard::Task<void> ClientUnblock(Context& context) {
  auto reason = command::UnblockReason::kTimeout;
  if (context.args.size() > 4) {
    context.reply.ErrorLine(
        command::SubcommandSyntaxText(context.arg(1), context.command->parent->full_name));
    co_return;
  }
  if (context.args.size() == 4) {
    bool error = EqualsIgnoreCase(context.arg(3), "ERROR");
    if (!error && !EqualsIgnoreCase(context.arg(3), "TIMEOUT")) {
      context.reply.ErrorLine("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
      co_return;
    }
    if (error) reason = command::UnblockReason::kError;
  }
  auto id = ParseInt64(context.arg(2));
  if (!id) {
    context.reply.Error(db::kNotAnInteger);
    co_return;
  }
  command::StateShards shards;
  Walk all(context);
  std::vector<char> unblocked(all.shard_count());
  co_await shards.OnEach(all.shards(), [&](ShardState& here, size_t index) {
    Client* client = here.clients.Find(static_cast<uint64_t>(*id));
    unblocked[index] = client != nullptr && client->Unblock(reason);
  });
  context.reply.Integer(std::ranges::count(unblocked, 1));
}

shard::Task<bool> ClientExists(Context& context, uint64_t id) {
  command::StateShards shards;
  Walk all(context);
  std::vector<char> found(all.shard_count());
  co_await shards.OnEach(
      all.shards(), [&](ShardState& here, size_t index) { found[index] = here.clients.Find(id) != nullptr; });
  co_return std::ranges::count(found, 1) != 0;
}

}  // namespace moonshard::commands
