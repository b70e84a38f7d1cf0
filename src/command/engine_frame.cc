// Framing: from bytes to calls with hashed, routed keys.

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "command/engine.h"
#include "command/errors.h"
#include "command/scan_cursor.h"
#include "command/server_control.h"

namespace moonshard::command {

namespace {
// What carries more than this may take long, whatever its row says.
constexpr size_t kCheapCallBytes = 1024;
}  // namespace

void Engine::Frame(Batch& batch, Client& client, resp::CommandParser& parser, std::span<char> input) {
  batch.db = client.session.db;
  const Session& session = client.session;
  const size_t limit = session.reply_mode == ReplyMode::kSkipNext ? 1 : client.batch_limit;
  const bool paused = live_.pause.load(std::memory_order_relaxed) != 0 && !session.monitor;
  while (true) {
    size_t begin = batch.args.size();
    size_t consumed = 0;
    auto outcome = parser.Next(input.subspan(batch.consumed), batch.args, &consumed);
    batch.consumed += consumed;
    if (outcome != resp::CommandParser::Outcome::kCommand) {
      batch.end =
          outcome == resp::CommandParser::Outcome::kError ? BatchEnd::kProtocolError : BatchEnd::kNeedMore;
      return;
    }
    Call& call = batch.calls.emplace_back();
    call.arg_begin = static_cast<uint32_t>(begin);
    call.arg_count = static_cast<uint32_t>(batch.args.size() - begin);
    Prepare(batch, client, call);
    call.timed_alone = call.error != CallError::kNone || !call.command->cheap || consumed > kCheapCallBytes;
    batch.timed_together &= !call.timed_alone;
    if (paused && Holds(call)) [[unlikely]]
      batch.barrier = batch.holds_last = true;
    if (batch.barrier) {
      batch.end = BatchEnd::kBarrier;
      return;
    }
    if (batch.calls.size() >= (call.spread ? std::min<size_t>(limit, client.spread_limit) : limit)) {
      batch.end = BatchEnd::kFull;
      return;
    }
  }
}

void Engine::Prepare(Batch& batch, Client& client, Call& call) {
  std::span<const std::string_view> args = batch.ArgsOf(call);
  call.shard = home_;
  call.key_begin = static_cast<uint32_t>(batch.keys.size());
  const Command* command = registry_.Find(args[0]);
  if (command == nullptr) [[unlikely]] {
    UnknownCommand(batch, call, args);
    return;
  }
  call.command = command;
  Gate(batch, client.session, call, args);
  if (call.error != CallError::kNone) [[unlikely]]
    return;
  command = call.command;  // a subcommand perhaps
  if (command->single_key) [[likely]] {
    AddKey(batch, call, args[1], 1, batch.db);
  } else {
    RouteKeys(batch, call, args);
    if (call.error != CallError::kNone) return;
  }
  const CommandRow& row = *command->row;
  if (row.is(kDenyOom) && state_.budget != nullptr && state_.budget->limited()) NoteGrowth(batch, call);
  batch.remote |= call.spread || call.shard != home_;
  if (row.is(kSession | kWakes | kBlocking) ||
      (row.body != nullptr && (row.handler == nullptr || call.spread))) [[unlikely]] {
    batch.barrier = true;
  }
}

void Engine::Gate(Batch& batch, const Session& session, Call& call, std::span<const std::string_view> args) {
  const Command* command = call.command;
  auto fail = [&](const base::StaticError& error) {
    call.error = CallError::kStatic;
    call.static_error = &error;
  };
  if (!command->subcommands.empty() && args.size() > 1) {
    const Command* sub = Registry::FindSubcommand(*command, args[1]);
    if (sub == nullptr) {
      FailText(batch, call, UnknownSubcommandText(args[1], command->row->name));
      call.command = nullptr;  // no command's fault in the statistics
      return;
    }
    call.command = command = sub;
  }
  const CommandRow& row = *command->row;
  auto count = static_cast<int64_t>(args.size());
  bool arity_ok = row.arity > 0 ? count == row.arity : count >= -row.arity;
  if (!arity_ok || (row.handler == nullptr && row.body == nullptr)) [[unlikely]] {
    FailText(batch, call, WrongArityText(command->full_name));
    return;
  }
  if (row.is(kProtected) && !MayDebug(session)) [[unlikely]] {
    fail(kDebugNotAllowed);
    return;
  }
  if (!row.is(kNoAuth) && MustAuthenticate(session, live_)) [[unlikely]] {
    fail(kNoAuthError);
    return;
  }
  if (session.monitor && row.is(kWrite | kReadonly)) [[unlikely]] {
    fail(kMonitorError);
    return;
  }
}

// Whether a pause holds the call back.
bool Engine::Holds(const Call& call) const {
  uint64_t pause = live_.pause.load(std::memory_order_relaxed);
  if (static_cast<TimeMs>(pause >> 1) <= state_.shard->now_ms() || call.error != CallError::kNone)
    return false;
  // Redis calls these "may replicate": commands that are no writes but have effects on replicas.
  constexpr std::string_view kAlsoHeld[] = {"eval", "evalsha", "fcall", "pfcount", "publish", "spublish"};
  const CommandRow& row = *call.command->row;
  return (pause & 1) != 0 || row.is(kWrite) || std::ranges::find(kAlsoHeld, row.name) != std::end(kAlsoHeld);
}

bool Engine::MayDebug(const Session& session) const {
  for (const auto& [name, value] : state_.server->GetConfig("enable-debug-command")) {
    return value == "yes" || (value == "local" && IsLocalPeer(session.peer));
  }
  return false;
}

void Engine::AddKey(Batch& batch, Call& call, std::string_view key, uint32_t arg, DbIndex db) {
  uint64_t hash = HashKey(key);
  ShardId shard = home_;
  if (shard_count_ > 1) {
    shard = ShardOf(key, hash);
    if (call.key_count == 0) {
      call.shard = shard;
    } else if (shard != call.shard) {
      call.spread = true;
    }
  }
  if (shard == home_) state_.keyspace->database(db).PrefetchSegment(hash);
  batch.keys.push_back({hash, arg, shard, db});
  ++call.key_count;
}

void Engine::RouteKeys(Batch& batch, Call& call, std::span<const std::string_view> args) {
  const CommandRow& row = *call.command->row;
  if (row.route == Route::kAllShards) {
    call.spread = shard_count_ > 1;
    return;
  }
  if (row.route == Route::kCursor) {
    RouteCursor(call, args);
    return;
  }
  if (row.keys.empty() && row.routing.find_keys == nullptr && row.routing.whole == nullptr) return;
  batch.scratch_positions.clear();
  if (!FindKeys(row, args, batch.scratch_positions)) {
    // The handler says what is wrong with the arguments, in the command's own words.
    batch.scratch_positions.clear();
  }
  for (uint32_t position : batch.scratch_positions) AddKey(batch, call, args[position], position, batch.db);
  const CallRouting& routing = row.routing;
  if (routing.other_db != nullptr) {
    auto other = routing.other_db(args);
    if (other && *other < db::kDatabaseCount && DbIndex(*other) != batch.db) {
      for (uint32_t position : batch.scratch_positions)
        AddKey(batch, call, args[position], position, DbIndex(*other));
    }
  }
  if (routing.whole != nullptr && routing.whole(args)) {
    call.whole = true;
    call.spread = shard_count_ > 1;
  }
}

void Engine::RouteCursor(Call& call, std::span<const std::string_view> args) {
  auto cursor = ScanCursor::Parse(args[1]);
  // A cursor that no server of this size gave out ends the scan at once, on the home shard.
  if (cursor && cursor->shard < shard_count_) call.shard = ShardId(static_cast<uint16_t>(cursor->shard));
}

ShardId Engine::ShardOf(std::string_view key, uint64_t hash) const {
  uint64_t route = hash;
  const void* open = std::memchr(key.data(), '{', key.size());
  if (open != nullptr) [[unlikely]] {
    std::string_view rest = key.substr(static_cast<size_t>(static_cast<const char*>(open) - key.data()) + 1);
    size_t close = rest.find('}');
    if (close != std::string_view::npos && close != 0) route = HashKey(rest.substr(0, close));
  }
  // Bits 16..31: the table uses the others (base/hash.h).
  return ShardId(static_cast<uint16_t>(((route >> 16 & 0xFFFF) * shard_count_) >> 16));
}

void Engine::FailText(Batch& batch, Call& call, std::string text) {
  call.error = CallError::kText;
  call.text_error = static_cast<uint32_t>(batch.error_texts.size());
  batch.error_texts.push_back(std::move(text));
}

void Engine::UnknownCommand(Batch& batch, Call& call, std::span<const std::string_view> args) {
  if (base::EqualsIgnoreCase(args[0], "post") || base::EqualsIgnoreCase(args[0], "host:")) {
    // A browser talks: a web page must not run commands through its form fields. Redis' defence.
    call.error = CallError::kHangUp;
    batch.barrier = true;
    return;
  }
  FailText(batch, call, UnknownCommandText(args));
}

}  // namespace moonshard::command
