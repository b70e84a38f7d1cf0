// Batches that wait: for other shards, for locks, for the log.

#include <algorithm>
#include <cstddef>
#include <utility>

#include "command/engine.h"

namespace moonshard::command {

namespace {
// A handler of the form Merge::kNone can still be called with its keys on one foreign shard; a call spread
// over shards without a merge needs its body.
bool NeedsBody(const Call& call) {
  if (call.error != CallError::kNone) return false;
  const CommandRow& row = *call.command->row;
  return row.handler == nullptr || (call.spread && row.body != nullptr);
}

bool MayBlock(const Call& call) {
  return call.error == CallError::kNone && call.command->row->is(kBlocking);
}
}  // namespace

void Engine::Launch(Batch* batch, Client& client, std::span<const char> input) {
  LaunchFrom(batch, client, input, 0);
  StartStage(batch);
}

// Makes the batch one that is away, its next stage beginning at `first_call`.
void Engine::LaunchFrom(Batch* batch, Client& client, std::span<const char> input, size_t first_call) {
  ++away_count_;
  EnterPhase(*batch);
  batch->client = &client;
  batch->light = client.light;
  batch->no_evict = client.session.no_evict;
  batch->bytes.Clear();
  batch->bytes.Append({input.data(), batch->consumed});
  const char* old_base = input.data();
  const char* new_base = batch->bytes.data();
  for (std::string_view& arg : batch->args) {
    // An empty argument may point anywhere.
    if (!arg.empty()) arg = {new_base + (arg.data() - old_base), arg.size()};
  }
  batch->stage_begin = first_call;
  batch->stage_end = StageEnd(*batch);
}

// A barrier is a stage of its own.
size_t Engine::StageEnd(const Batch& batch) {
  const size_t count = batch.calls.size();
  return batch.barrier && batch.stage_begin + 1 < count ? count - 1 : count;
}

// ---- batches that have answered much: the rest runs when their client has taken it

void Client::OnBatchStopped(Batch* batch) {
  batch->engine->Continue(batch);
}

void Engine::Stop(Batch* batch) {
  batch->stopped = true;
  LeavePhase(*batch);
  for (size_t i = 0; i < batch->part_count; ++i) batch->parts[i]->Discharge();  // the client counts them
  batch->client->OnBatchStopped(batch);
}

void Engine::Continue(Batch* batch) {
  MS_DCHECK(batch->stopped);
  batch->stopped = false;
  batch->go_on.message.run = [](shard::Shard& here, const shard::Message& message) {
    here.local<ShardState>().engine->RunStopped(reinterpret_cast<Batch*>(message.word[0]));
  };
  batch->go_on.message.word[0] = reinterpret_cast<uint64_t>(batch);
  state_.shard->Send(home_, batch->go_on);
}

size_t Engine::ArgumentBytes(const Batch& batch) {
  // A batch that is not away has no stages.
  const size_t end = batch.stage_end != 0 ? batch.stage_end : batch.calls.size();
  size_t bytes = 0;
  for (size_t i = batch.stage_begin; i < end; ++i) {
    for (std::string_view arg : batch.ArgsOf(batch.calls[i])) bytes += arg.size();
  }
  return bytes;
}

size_t Engine::StoppedBytes(const Batch& batch) {
  if (!batch.stopped) return 0;
  size_t bytes = 0;
  for (size_t i = 0; i < batch.part_count; ++i) bytes += batch.parts[i]->arena.capacity();
  return bytes;
}

void Engine::RunStopped(Batch* batch) {
  EnterPhase(*batch);
  for (size_t i = 0; i < batch->part_count; ++i) batch->parts[i]->Charge(live_.client_bytes);
  if (batch->client == nullptr) {
    Finish(batch);
  } else if (batch->part_count == 0) {
    StartStage(batch);  // its first calls ran without parts
  } else {
    SendParts(batch);
  }
}

void Engine::Finish(Batch* batch) {
  --away_count_;
  ReturnRoom(*batch);
  LeavePhase(*batch);
  Client* client = batch->client;
  Release(batch);
  if (client != nullptr) client->OnBatchAnswered();
}

void Engine::StartStage(Batch* batch) {
  if (batch->client != nullptr) {
    batch->db = batch->client->session.db;
    batch->protocol = batch->client->session.protocol;
    batch->muted = BeginAnswer(batch->client->session);
    batch->no_touch = batch->client->session.no_touch;
  }
  if (StageHeld(*batch)) [[unlikely]]
    return Hold(batch);
  if (batch->growth != 0 && !AdmitStage(batch)) return;
  RunStage(batch);
}

void Engine::RunStage(Batch* batch) {
  batch->now_ms = state_.shard->now_ms();
  batch->ran_body = batch->answered = false;
  if (NeedsBody(batch->calls[batch->stage_begin])) {
    tasks_.Spawn(RunBody(batch));
    return;
  }
  if (MayBlock(batch->calls[batch->stage_begin])) {
    StartWait(batch);
    return;
  }
  BuildParts(*batch);
  bool spread = std::any_of(batch->calls.begin() + static_cast<ptrdiff_t>(batch->stage_begin),
                            batch->calls.begin() + static_cast<ptrdiff_t>(batch->stage_end),
                            [](const Call& call) { return call.spread && call.error == CallError::kNone; });
  if (spread) {
    StartTransaction(batch);
  } else {
    SendParts(batch);
  }
}

Part& Engine::PartFor(Batch& batch, ShardId shard) {
  uint16_t& index = batch.part_of_shard[shard.value()];
  if (index == 0) {
    if (batch.part_count == batch.parts.size()) batch.parts.push_back(std::make_unique<Part>());
    Part& part = *batch.parts[batch.part_count];
    part.batch = &batch;
    part.shard = shard;
    index = static_cast<uint16_t>(++batch.part_count);
  }
  return *batch.parts[index - 1u];
}

void Engine::BuildParts(Batch& batch) {
  auto add_item = [](Part& part, size_t call_idx) -> Item& {
    Item& item = part.items.emplace_back();
    item.call = static_cast<uint32_t>(call_idx);
    item.key_begin = static_cast<uint32_t>(part.keys.size());
    item.key_count = 0;
    return item;
  };
  for (size_t i = batch.stage_begin; i < batch.stage_end; ++i) {
    const Call& call = batch.calls[i];
    std::span<const KeyRef> keys(batch.keys.data() + call.key_begin, call.key_count);
    if (!call.spread || call.error != CallError::kNone) {
      Part& part = PartFor(batch, call.error == CallError::kNone ? call.shard : home_);
      Item& item = add_item(part, i);
      part.keys.insert(part.keys.end(), keys.begin(), keys.end());
      item.key_count = call.key_count;
    } else if (call.whole || call.command->row->route == Route::kAllShards) {
      for (uint16_t shard = 0; shard < shard_count_; ++shard) add_item(PartFor(batch, ShardId(shard)), i);
    } else {
      for (const KeyRef& key : keys) {
        Part& part = PartFor(batch, key.shard);
        if (part.items.empty() || part.items.back().call != i) add_item(part, i);
        part.keys.push_back(key);
        ++part.items.back().key_count;
      }
    }
  }
  DealRoom(batch);
}

// ---- stages of single-shard calls: one message per shard, no common order

void Engine::SendParts(Batch* batch) {
  auto runs_now = [](const Part& part) {
    return part.ran_count < part.items.size() && part.arena.size() - part.taken_bytes <= kBatchReplyBytes;
  };
  for (size_t i = 0; i < batch->part_count; ++i) {
    batch->parts[i]->may_stop = true;
    if (runs_now(*batch->parts[i])) ++batch->parts_away;
  }
  // Foreign parts first, so that they run while this shard works on its own. Nothing of the batch may be
  // touched after the last part returned: it may be another client's by then.
  Part* own = nullptr;
  size_t part_count = batch->part_count;
  for (size_t i = 0; i < part_count; ++i) {
    Part& part = *batch->parts[i];
    if (!runs_now(part)) continue;
    if (part.shard == home_) {
      own = &part;
      continue;
    }
    part.message.message.run = [](shard::Shard& here, const shard::Message& message) {
      Part& arrived = *reinterpret_cast<Part*>(message.word[0]);
      here.local<ShardState>().engine->RunArrivedPart(arrived);
    };
    part.message.message.word[0] = reinterpret_cast<uint64_t>(&part);
    state_.shard->CountHop();
    state_.shard->Send(part.shard, part.message);
  }
  if (own != nullptr) RunArrivedPart(*own);
}

void Engine::RunArrivedPart(Part& part) {
  if (!part.batch->light && part.may_stop && TurnIsFull()) [[unlikely]]
    return Defer(nullptr, &part);
  if (PartMayRun(part)) [[likely]] {
    ExecutePart(part);
    PartDone(part);
    return;
  }
  auto run = [](tx::Part& due, shard::Shard& here) {
    here.local<ShardState>().engine->ExecutePart(*static_cast<Part*>(due.user));
  };
  RunWhenUnlocked(part, run, [](tx::Part& ran) {
    Part& done = *static_cast<Part*>(ran.user);
    shard::Shard::Current().local<ShardState>().engine->PartDone(done);
  });
}

void Engine::RunWhenUnlocked(Part& part, void (*run)(tx::Part&, shard::Shard&), void (*done)(tx::Part&)) {
  BuildLocks(part);
  part.local = tx::Part();
  part.local.shard = home_;
  part.local.locks = part.locks;
  part.local.whole_shard = part.whole_shard;
  part.local.whole_shard_mode = part.whole_mode;
  part.local.user = &part;
  part.local.run = run;
  state_.tx->RunLocal(part.local, done);
}

// On the part's shard: it ran, its batch wants to know.
void Engine::PartDone(Part& part) {
  Engine& home = *part.batch->engine;
  if (&home == this) {
    PartReturned(part);
    return;
  }
  part.message.message.run = [](shard::Shard& here, const shard::Message& message) {
    Part& returned = *reinterpret_cast<Part*>(message.word[0]);
    here.local<ShardState>().engine->PartReturned(returned);
  };
  part.message.message.word[0] = reinterpret_cast<uint64_t>(&part);
  state_.shard->Send(home.home_, part.message);
}

void Engine::PartReturned(Part& part) {
  Batch* batch = part.batch;
  if (--batch->parts_away == 0) StageRan(batch);
}

// ---- stages with calls that span shards: one transaction for the whole stage

void Engine::StartTransaction(Batch* batch) {
  FillTransaction(*batch, tx::Kind::kShort);
  batch->transaction_open = true;
  tx::Transaction& transaction = batch->transaction;
  transaction.ready = [](tx::Transaction& ran) {
    Batch* ready = static_cast<Batch*>(ran.user);
    ready->engine->StageRan(ready);
  };
  transaction.done = [](tx::Transaction& ended) {
    Batch* done = static_cast<Batch*>(ended.user);
    done->transaction_open = false;
    done->engine->Advance(done);
  };
  state_.tx->Start(transaction);
}

void Engine::FillTransaction(Batch& batch, tx::Kind kind) {
  batch.tx_parts.clear();
  batch.tx_parts.resize(batch.part_count);
  for (size_t i = 0; i < batch.part_count; ++i) {
    Part& part = *batch.parts[i];
    part.may_stop = false;
    BuildLocks(part);
    tx::Part& share = batch.tx_parts[i];
    share.shard = part.shard;
    share.locks = part.locks;
    share.whole_shard = part.whole_shard;
    share.whole_shard_mode = part.whole_mode;
    share.user = &part;
    if (kind == tx::Kind::kShort) {
      share.run = [](tx::Part& due, shard::Shard& here) {
        here.local<ShardState>().engine->ExecutePart(*static_cast<Part*>(due.user));
      };
    } else {
      share.run = [](tx::Part& due, shard::Shard& here) {
        static_cast<Part*>(due.user)->position = here.local<ShardState>().keyspace->sink().position();
      };
    }
  }
  bool writes = std::any_of(
      batch.calls.begin() + static_cast<ptrdiff_t>(batch.stage_begin),
      batch.calls.begin() + static_cast<ptrdiff_t>(batch.stage_end),
      [](const Call& call) { return call.error == CallError::kNone && call.command->row->is(kWrite); });
  batch.transaction = tx::Transaction();
  batch.transaction.kind = kind;
  batch.transaction.access = writes ? tx::Access::kWrite : tx::Access::kReadOnly;
  batch.transaction.parts = batch.tx_parts;
  batch.transaction.user = &batch;
}

// ---- answers

bool Engine::GateOpen(Batch& batch, void (*open)(ReplyGate::Waiter&)) {
  if (gate_ == nullptr) return true;
  batch.gate_waiter.user = &batch;
  batch.gate_waiter.open = open;
  for (size_t i = 0; i < batch.part_count; ++i) {
    const Part& part = *batch.parts[i];
    if (!gate_->OpenOrWait(part.shard, part.position, batch.gate_waiter)) return false;
  }
  return true;
}

void Engine::StageRan(Batch* batch) {
  bool open = GateOpen(*batch, [](ReplyGate::Waiter& waiter) {
    auto* held = static_cast<Batch*>(waiter.user);
    held->engine->StageRan(held);
  });
  if (!open) return;
  if (batch->ran_body) {
    NoteAnswer(*batch, batch->calls[batch->stage_begin], batch->body_ticks, observation_.CurrentLimits(),
               batch->body_reply.view());
  }
  bool given_up =
      std::any_of(batch->parts.begin(), batch->parts.begin() + static_cast<ptrdiff_t>(batch->part_count),
                  [](const auto& part) { return part->given_up; });
  if (given_up && batch->client != nullptr) {
    batch->client->OnEvicted();
    batch->client = nullptr;
  }
  if (batch->client != nullptr) {
    base::Buffer& out = batch->client->out;
    size_t before = out.size();
    size_t begin = batch->stage_begin;
    if (batch->ran_body) {
      out.Append(batch->body_reply.view());
      EndStage(*batch, begin, batch->stage_end, before);
    } else {
      bool complete = MergeReplies(*batch, out);
      size_t end = complete ? batch->stage_end : batch->stage_begin;
      AdaptBatchLimit(*batch->client, out.size() - before, end - begin);
      if (batch->transaction_open) AdaptSpreadLimit(*batch->client, out.size() - before);
      EndStage(*batch, begin, end, before);
      if (!complete) return Stop(batch);
    }
  }
  batch->answered = true;
  Advance(batch);
}

// These calls have answered.
void Engine::EndStage(const Batch& batch, size_t begin, size_t end, size_t out_before) {
  if (monitors_.active()) [[unlikely]] {
    for (size_t i = begin; i < end; ++i) FeedMonitors(batch.client->session, batch, batch.calls[i]);
  }
  if (batch.muted) [[unlikely]]
    EndAnswer(*batch.client, out_before);
}

// Called when the stage has answered and when its transaction's storage came back, in either order.
void Engine::Advance(Batch* batch) {
  if (!batch->answered) return;
  bool more = batch->stage_end < batch->calls.size() && batch->client != nullptr;
  if (batch->transaction_open) {
    // The client need not wait for the storage, unless its next stage does.
    if (!more && batch->client != nullptr) std::exchange(batch->client, nullptr)->OnBatchAnswered();
    return;
  }
  if (more) {
    ReturnRoom(*batch);
    batch->ClearParts();
    batch->body_reply.Clear();
    batch->stage_begin = batch->stage_end;
    batch->stage_end = StageEnd(*batch);
    StartStage(batch);
    return;
  }
  Finish(batch);
}

// ---- bodies

Client* Context::LiveClient() const {
  return batch != nullptr ? batch->client : client;
}

shard::Task<void> Engine::RunBody(Batch* batch) {
  const Call& call = batch->calls[batch->stage_begin];
  const CommandRow& row = *call.command->row;
  Context context(state_, batch->body_reply, batch->protocol);
  context.command = call.command;
  context.args = batch->ArgsOf(call);
  context.keys = {batch->keys.data() + call.key_begin, call.key_count};
  context.db = &state_.keyspace->database(batch->db);
  state_.keyspace->SetNow(batch->now_ms);
  // No session: the client may go while the body waits.
  context.batch = batch;
  bool locked = call.key_count != 0 || call.whole;
  if (locked) {
    BuildParts(*batch);
    FillTransaction(*batch, tx::Kind::kLong);
    co_await state_.tx->Acquire(batch->transaction);
  }
  shard::RunMeter meter;
  state_.shard->StartMeter(meter);
  co_await row.body(context);
  state_.shard->PauseMeter();
  batch->body_ticks = meter.ticks + context.waited_ticks;
  if (locked) {
    if (context.wrote) {
      co_await state_.tx->Commit(batch->transaction);
    } else {
      if (gate_ != nullptr) co_await NotePositions(batch);
      co_await state_.tx->Abort(batch->transaction);
    }
  }
  batch->ran_body = true;
  StageRan(batch);
}

// What a body saw under its locks may not be durable yet either.
shard::Task<void> Engine::NotePositions(Batch* batch) {
  StateShards shards;
  for (size_t i = 0; i < batch->part_count; ++i) {
    Part& part = *batch->parts[i];
    part.position =
        co_await shards.On(part.shard, [](ShardState& state) { return state.keyspace->sink().position(); });
  }
}

// ---- merge

void Engine::TakePiece(Part& part, size_t end, base::Buffer& out) {
  if (end > kLargeReplyBytes && out.empty() && part.taken_bytes == 0 && end == part.arena.size()) {
    // All there is, and much: taken over instead of copied.
    part.Discharge();
    out.Swap(part.arena);
    part.arena.Clear();
    return;
  }
  out.Append(part.arena.view().substr(part.taken_bytes, end - part.taken_bytes));
  part.taken_bytes = end;
}

// Calls fn(Part&, const Item&) for each shard's share of a call. Its item is the next one of that part until
// fn goes on.
template <typename Fn>
void Engine::ForEachItem(Batch& batch, size_t call_idx, Fn&& fn) {
  for (size_t p = 0; p < batch.part_count; ++p) {
    Part& part = *batch.parts[p];
    if (part.next_item < part.items.size() && part.items[part.next_item].call == call_idx)
      fn(part, part.items[part.next_item]);
  }
}

// False: up to a call that has not run yet, which the stage then begins with.
bool Engine::MergeReplies(Batch& batch, base::Buffer& out) {
  for (size_t i = batch.stage_begin; i < batch.stage_end; ++i) {
    const Call& call = batch.calls[i];
    const size_t before = out.size();
    if (call.spread && call.error == CallError::kNone) {
      SlowLimits limits;
      ForEachItem(batch, i, [&](Part&, const Item& item) { limits = item.limits; });
      uint64_t ticks = MergeSpread(batch, call, i, out);
      NoteAnswer(batch, call, ticks, limits, out.view().substr(before));
      continue;
    }
    ShardId shard = call.error == CallError::kNone ? call.shard : home_;
    Part& part = *batch.parts[batch.part_of_shard[shard.value()] - 1u];
    if (part.next_item == part.ran_count) [[unlikely]] {
      batch.stage_begin = i;
      return false;
    }
    const Item& item = part.items[part.next_item++];
    TakePiece(part, item.reply_end, out);
    NoteAnswer(batch, call, item.ticks, item.limits, out.view().substr(before));
  }
  return true;
}

void Engine::NoteAnswer(const Batch& batch, const Call& call, uint64_t ticks, const SlowLimits& limits,
                        std::string_view reply) {
  observation_.Answered(call, reply);
  if (call.error != CallError::kNone) return;
  observation_.Ran(batch, call, ticks, batch.client != nullptr ? &batch.client->session : nullptr, limits);
}

// Returns the time that the call took on all its shards.
uint64_t Engine::MergeSpread(Batch& batch, const Call& call, size_t call_idx, base::Buffer& out) {
  resp::Reply reply(out, batch.protocol);
  Merge merge = call.command->row->merge;
  if (merge == Merge::kPerKey) {
    reply.Array(call.key_count);
    for (const KeyRef& key : std::span(batch.keys).subspan(call.key_begin, call.key_count)) {
      Part& part = *batch.parts[batch.part_of_shard[key.shard.value()] - 1u];
      TakePiece(part, part.key_ends[part.next_piece++], out);
    }
  }
  if (merge == Merge::kConcat || merge == Merge::kDraw) return MergePieces(batch, call_idx, merge, out);
  int64_t sum = 0;
  uint64_t ticks = 0;
  base::Status status;
  ForEachItem(batch, call_idx, [&](Part& part, const Item& item) {
    ++part.next_item;
    sum += item.sum;
    ticks += item.ticks;
    if (status.ok()) status = item.status;
  });
  ReplyFan(reply, merge, sum, status);
  return ticks;
}

// The parts' replies, all of them or one.
uint64_t Engine::MergePieces(Batch& batch, size_t call_idx, Merge merge, base::Buffer& out) {
  resp::Reply reply(out, batch.protocol);
  int64_t sum = 0;
  uint64_t ticks = 0;
  ForEachItem(batch, call_idx, [&](Part&, const Item& item) {
    sum += item.sum;
    ticks += item.ticks;
  });
  if (merge == Merge::kConcat) {
    reply.Array(static_cast<size_t>(sum));
  } else if (sum == 0) {
    reply.Null();
  }
  auto drawn = static_cast<int64_t>(state_.keyspace->random().Below(static_cast<uint64_t>(sum)));
  ForEachItem(batch, call_idx, [&](Part& part, const Item& item) {
    ++part.next_item;
    if (merge == Merge::kConcat || (drawn >= 0 && drawn < item.sum)) {
      TakePiece(part, item.reply_end, out);
    } else {
      part.taken_bytes = item.reply_end;
    }
    drawn -= item.sum;
  });
  return ticks;
}

}  // namespace moonshard::command
