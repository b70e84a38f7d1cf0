// Running calls on the shard that owns their keys.

#include <algorithm>
#include <utility>

#include "command/call_timer.h"
#include "command/engine.h"
#include "command/server_control.h"

namespace moonshard::command {

namespace {
// Below this many keys the lookups overlap well enough by themselves.
constexpr size_t kPrefetchKeysMin = 4;

tx::LockMode ModeOf(const Call& call) {
  return call.command->row->is(kWrite) ? tx::LockMode::kExclusive : tx::LockMode::kShared;
}

// While a client runs that asked for CLIENT NO-TOUCH.
class TouchScope {
 public:
  TouchScope(db::AccessClock& clock, bool no_touch) : clock_(clock), no_touch_(no_touch) {
    if (no_touch_) [[unlikely]]
      clock_.set_touching(db::AccessClock::Touching::kOff);
  }
  ~TouchScope() {
    if (no_touch_) [[unlikely]]
      clock_.set_touching(db::AccessClock::Touching::kOn);
  }
  TouchScope(const TouchScope&) = delete;
  TouchScope& operator=(const TouchScope&) = delete;

 private:
  db::AccessClock& clock_;
  bool no_touch_;
};

// The replies that the client has already; those that still wait for other shards' stay.
void DropTaken(Part& part) {
  part.arena.Consume(part.taken_bytes);
  for (size_t i = part.next_item; i < part.ran_count; ++i) part.items[i].reply_end -= part.taken_bytes;
  part.taken_bytes = 0;
}
}  // namespace

Engine::Engine(ShardState& state, const Registry& registry)
    : state_(state),
      live_(state.server->live()),
      registry_(registry),
      seed_(state.keyspace->seed()),
      home_(state.shard->id()),
      shard_count_(state.shard->shard_count()),
      waits_(*state.keyspace),
      observation_(state, registry),
      monitors_(*state.shard, live_),
      pause_timer_([](void* engine) { static_cast<Engine*>(engine)->ResumeHeld(); }, this) {
  state_.shard->set_local(&monitors_);
}

Engine::~Engine() {
  for (const auto& batch : batches_) state_.shard->CancelTimer(batch->wait_timer);
  state_.shard->CancelTimer(pause_timer_);
}

Batch* Engine::Take() {
  if (free_ == nullptr) {
    auto batch = std::make_unique<Batch>();
    batch->engine = this;
    batch->part_of_shard.resize(shard_count_);
    batch->next_free = free_;
    free_ = batch.get();
    batches_.push_back(std::move(batch));
  }
  Batch* batch = free_;
  free_ = batch->next_free;
  return batch;
}

void Engine::Release(Batch* batch) {
  batch->Clear();
  batch->next_free = free_;
  free_ = batch;
}

RunResult Engine::Run(Batch* batch, Client& client, std::span<const char> input) {
  state_.stats.commands += batch->calls.size();
  client.session.last_command = batch->calls.back().command;
  if (!client.light && TurnIsFull()) [[unlikely]] {
    LaunchFrom(batch, client, input, 0);
    Defer(batch, nullptr);
    return RunResult::kLaunched;
  }
  if (MayRunHere(*batch)) [[likely]] {
    ++state_.stats.batches_local;
    size_t ran_count = RunHere(*batch, client);
    if (ran_count == batch->calls.size()) [[likely]]
      return RunResult::kAnswered;
    LaunchFrom(batch, client, input, ran_count);
    Stop(batch);
    return RunResult::kLaunched;
  }
  ++state_.stats.batches_hopped;
  Launch(batch, client, input);
  return RunResult::kLaunched;
}

bool Engine::CallMayRun(const Call& call, std::span<const KeyRef> keys) const {
  if (call.error != CallError::kNone) return true;
  tx::LockMode mode = ModeOf(call);
  if (call.whole || call.command->row->route != Route::kKeys) return state_.tx->MayRunNowWholeShard(mode);
  for (const KeyRef& key : keys) {
    if (!state_.tx->MayRunNow(db::LockFingerprint(key.db, key.hash), mode)) return false;
  }
  return true;
}

bool Engine::MayRunHere(const Batch& batch) {
  if (batch.remote) return false;
  if (batch.barrier) {
    const Call& last = batch.calls.back();
    if (last.error == CallError::kNone) {
      const CommandRow& row = *last.command->row;
      // A body, or a call that may have to wait.
      if (row.handler == nullptr || row.is(kBlocking) || batch.holds_last) return false;
    }
  }
  // Replies that may have to wait for the log are held in a batch of their own.
  if (gate_ != nullptr) [[unlikely]]
    return false;
  if (!state_.tx->idle()) [[unlikely]] {
    for (const Call& call : batch.calls) {
      if (!CallMayRun(call, std::span(batch.keys).subspan(call.key_begin, call.key_count))) return false;
    }
  }
  return batch.growth == 0 || MakeRoomHere(batch.growth);
}

// How many calls ran. Not all of them, if their replies are large.
size_t Engine::RunHere(Batch& batch, Client& client) {
  state_.keyspace->SetNow(state_.shard->now_ms());
  TouchScope touch_scope(state_.keyspace->access_clock(), client.session.no_touch);
  Context context(state_, client.out, client.session.protocol);
  context.session = &client.session;
  context.client = &client;
  const bool muted = BeginAnswer(client.session);
  const bool watched = muted || monitors_.active();
  if (batch.keys.size() >= kPrefetchKeysMin) {
    db::Database& db = state_.keyspace->database(client.session.db);
    for (const KeyRef& key : batch.keys) db.PrefetchEntry(key.hash);
  }
  size_t before = client.out.size();
  CallTimer timer(observation_, batch, client.session, client.out);
  const bool together = timer.together();
  size_t ran_count = 0;
  for (const Call& call : batch.calls) {
    context.db = &state_.keyspace->database(client.session.db);
    context.keys = {batch.keys.data() + call.key_begin, call.key_count};
    context.fan.Reset(nullptr);
    const size_t reply_begin = timer.Before(call, together);
    Execute(context, batch, call);
    timer.After(call, reply_begin, together);
    ++ran_count;
    if (watched) [[unlikely]] {
      FeedMonitors(client.session, batch, call);
      if (muted) EndAnswer(client, before);
    }
    if (client.out.size() - before > kBatchReplyBytes) [[unlikely]]
      break;
  }
  timer.End(batch.calls.data() + ran_count);
  size_t reply_bytes = client.out.size() - before;
  NoteReply(reply_bytes);
  AdaptBatchLimit(client, reply_bytes, ran_count);
  return ran_count;
}

void Engine::FeedMonitors(const Session& session, const Batch& batch, const Call& call) {
  if (!monitors_.active() || call.error != CallError::kNone) return;
  monitors_.Feed(session.peer, session.db, *call.command, batch.ArgsOf(call));
}

// Around what answers a client that wants no replies (CLIENT REPLY); true for such a one. The call after a
// SKIP runs alone (Frame).
bool Engine::BeginAnswer(Session& session) {
  if (session.reply_mode == ReplyMode::kSkipNext) [[unlikely]]
    session.reply_mode = ReplyMode::kSkipping;
  return session.muted();
}

// Drops the reply, unless this call has turned replies on.
void Engine::EndAnswer(Client& client, size_t out_before) {
  Session& session = client.session;
  if (session.muted()) client.out.Truncate(out_before);
  if (session.reply_mode == ReplyMode::kSkipping) session.reply_mode = ReplyMode::kOn;
}

void Engine::AdaptBatchLimit(Client& client, size_t reply_bytes, size_t call_count) {
  if (reply_bytes <= kBatchReplyBytes) [[likely]] {
    client.batch_limit = std::min<uint32_t>(client.batch_limit * 2, kBatchCommandsMax);
    client.light = client.batch_limit == kBatchCommandsMax;
  } else {
    size_t average = reply_bytes / call_count;
    client.batch_limit =
        static_cast<uint32_t>(std::clamp<size_t>(kBatchReplyBytes / average, 1, kBatchCommandsMax));
    client.light = false;
  }
}

void Engine::AdaptSpreadLimit(Client& client, size_t reply_bytes) {
  bool small = reply_bytes <= kBatchReplyBytes;
  client.spread_limit = std::min(small ? client.spread_limit * 2 : client.batch_limit, client.batch_limit);
}

// Answers one call into context.reply. A fan-out whose keys are all here is answered at once; a share of one
// (direct false) leaves its figures in context.fan for the merge.
void Engine::Execute(Context& context, const Batch& batch, const Call& call) {
  if (call.error != CallError::kNone) [[unlikely]] {
    if (call.error == CallError::kStatic) {
      context.reply.Error(*call.static_error);
    } else if (call.error == CallError::kHangUp) {
      // A barrier, so it runs at home. The client may be gone all the same.
      if (context.session != nullptr) context.session->hang_up = context.session->close_after_reply = true;
    } else {
      context.reply.ErrorLine(batch.error_texts[call.text_error]);
    }
    return;
  }
  const CommandRow& row = *call.command->row;
  context.command = call.command;
  context.args = batch.ArgsOf(call);
  if (row.merge == Merge::kNone || call.spread) [[likely]] {
    row.handler(context);
    return;
  }
  if (row.merge == Merge::kPerKey) context.reply.Array(context.keys.size());
  row.handler(context);
  ReplyFan(context.reply, row.merge, context.fan.sum(), context.fan.status());
}

void Engine::ReplyFan(resp::Reply& reply, Merge merge, int64_t sum, const base::Status& status) {
  if (merge != Merge::kSum && merge != Merge::kOk) return;
  if (!status.ok()) {
    reply.Error(status);
  } else if (merge == Merge::kSum) {
    reply.Integer(sum);
  } else {
    reply.Ok();
  }
}

void Engine::ExecutePart(Part& part) {
  Batch& batch = *part.batch;
  db::Keyspace& keyspace = *state_.keyspace;
  keyspace.SetNow(batch.now_ms);
  TouchScope touch_scope(keyspace.access_clock(), batch.no_touch);
  db::Database& db = keyspace.database(batch.db);
  if (part.reserved_bytes != 0) state_.budget->Take(std::exchange(part.reserved_bytes, 0));
  if (part.may_stop && part.ran_count != 0) {
    DropTaken(part);
  } else {
    part.ran_count = 0;
    part.arena.Clear();
    part.key_ends.clear();
    for (const KeyRef& key : part.keys) db.PrefetchSegment(key.hash);
    for (const KeyRef& key : part.keys) db.PrefetchEntry(key.hash);
  }
  Context context(state_, part.arena, batch.protocol);
  context.db = &db;
  bool at_home = batch.engine == this;
  context.client = at_home ? batch.client : nullptr;
  context.session = context.client != nullptr ? &context.client->session : nullptr;
  PartTimer timer(observation_, part);
  while (part.ran_count < part.items.size()) {
    Item& item = part.items[part.ran_count++];
    const Call& call = batch.calls[item.call];
    timer.Before(call, item);
    context.keys = {part.keys.data() + item.key_begin, item.key_count};
    context.fan.Reset(call.spread ? &part.key_ends : nullptr);
    Execute(context, batch, call);
    item.reply_end = part.arena.size();
    item.sum = context.fan.sum();
    item.status = context.fan.status();
    timer.After(call, item);
    if (part.may_stop && part.arena.size() > kBatchReplyBytes / batch.part_count) [[unlikely]]
      break;
  }
  timer.End(part.ran_count);
  part.position = keyspace.sink().position();
  if (part.arena.capacity() > kLargeReplyBytes || part.charged_bytes != 0) [[unlikely]]
    CountPart(part);
}

bool Engine::PartMayRun(const Part& part) const {
  if (state_.tx->idle()) [[likely]]
    return true;
  for (const Item& item : std::span(part.items).subspan(part.ran_count)) {
    const Call& call = part.batch->calls[item.call];
    if (!CallMayRun(call, std::span(part.keys).subspan(item.key_begin, item.key_count))) return false;
  }
  return true;
}

void Engine::BuildLocks(Part& part) const {
  part.locks.clear();
  for (const Item& item : std::span(part.items).subspan(part.ran_count)) {
    const Call& call = part.batch->calls[item.call];
    if (call.error != CallError::kNone) continue;
    tx::LockMode mode = ModeOf(call);
    if (call.whole || call.command->row->route != Route::kKeys) {
      if (!part.whole_shard || mode == tx::LockMode::kExclusive) part.whole_mode = mode;
      part.whole_shard = true;
    }
    for (const KeyRef& key : std::span(part.keys).subspan(item.key_begin, item.key_count)) {
      tx::KeyLock& lock = part.locks.emplace_back();
      lock.fingerprint = db::LockFingerprint(key.db, key.hash);
      lock.mode = mode;
    }
  }
}

}  // namespace moonshard::command
