// Blocking calls: a stage that may have to wait for its keys.
//
//   StartWait -> RunWait -> a Visit per shard of its keys -> WaitRan -> served: EndWait, AnswerWait
//                   ^                                           |
//                   +---- HearTurn (a shard says: your turn) -- Park -- DeadlinePassed, AbandonWait: EndWait
//
// A visit runs the handler and, if it parked, stands in the lines of those keys in the same execution. Keys
// of one shard are one visit; spread keys are looked at in the order of the arguments while a long
// transaction holds them all, so that exactly one of them is served, from one moment's state. Places in line
// are kept over the runs of one call and left when its end has been decided on the home shard: by a served
// visit, the deadline or the client's going.

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "command/engine.h"

namespace moonshard::command {

namespace {
using State = BatchWait::State;

Engine& EngineOf(shard::Shard& here) {
  return *here.local<ShardState>().engine;
}
Part& PartIn(const shard::Message& message) {
  return *reinterpret_cast<Part*>(message.word[0]);
}
void Address(shard::Outgoing& outgoing, shard::Message::Run run, Part& part) {
  outgoing.message.run = run;
  outgoing.message.word[0] = reinterpret_cast<uint64_t>(&part);
}

// The timers take nanoseconds of another clock; a deadline further away than this is looked at again.
constexpr TimeMs kFarMs = 3'600'000;
}  // namespace

// ---- on the home shard: a run

void Engine::StartWait(Batch* batch) {
  const Call& call = batch->calls[batch->stage_begin];
  observation_.Began(*call.command);
  if (batch->client != nullptr) FeedMonitors(batch->client->session, *batch, call);
  BuildParts(*batch);
  ReturnRoom(*batch);
  batch->wait.arrival = {state_.shard->stamp().value(), home_.value(), ++wait_sequence_};
  for (size_t i = 0; i < batch->part_count; ++i) {
    Part& part = *batch->parts[i];
    db::WaitQueue::Waiter node;
    node.arrival = batch->wait.arrival;
    node.turn = &TellTurn;
    node.user = &part;
    part.wait.nodes.assign(part.keys.size(), node);
  }
  RunWait(batch);
}

void Engine::RunWait(Batch* batch) {
  BatchWait& wait = batch->wait;
  wait.state = State::kRunning;
  wait.run_again = false;
  batch->now_ms = state_.shard->now_ms();
  for (size_t i = 0; i < batch->part_count; ++i) {
    Part& part = *batch->parts[i];
    part.wait.confirm = std::exchange(part.wait.heard, false);
    part.wait.visited_count = 0;
    part.wait.wrote = false;
  }
  if (batch->calls[batch->stage_begin].spread) {
    tasks_.Spawn(RunSpreadWait(batch));
  } else {
    SendVisit(*batch->parts[0]);
  }
}

void Engine::SendVisit(Part& part) {
  if (part.shard == home_) {
    RunArrivedVisit(part);
    return;
  }
  Address(
      part.message,
      [](shard::Shard& here, const shard::Message& message) {
        EngineOf(here).RunArrivedVisit(PartIn(message));
      },
      part);
  state_.shard->CountHop();
  state_.shard->Send(part.shard, part.message);
}

void Engine::RunArrivedVisit(Part& part) {
  if (PartMayRun(part)) [[likely]] {
    Visit(part, 0, part.keys.size());
    VisitDone(part);
    return;
  }
  auto run = [](tx::Part& due, shard::Shard& here) {
    Part& unlocked = *static_cast<Part*>(due.user);
    EngineOf(here).Visit(unlocked, 0, unlocked.keys.size());
  };
  RunWhenUnlocked(part, run, [](tx::Part& ran) {
    EngineOf(shard::Shard::Current()).VisitDone(*static_cast<Part*>(ran.user));
  });
}

void Engine::VisitDone(Part& part) {
  Engine& home = *part.batch->engine;
  if (&home == this) {
    WaitRan(part.batch);
    return;
  }
  Address(
      part.message,
      [](shard::Shard& here, const shard::Message& message) {
        EngineOf(here).WaitRan(PartIn(message).batch);
      },
      part);
  state_.shard->Send(home.home_, part.message);
}

shard::Task<void> Engine::RunSpreadWait(Batch* batch) {
  const Call& call = batch->calls[batch->stage_begin];
  std::span<const KeyRef> keys(batch->keys.data() + call.key_begin, call.key_count);
  StateShards shards;
  FillTransaction(*batch, tx::Kind::kLong);
  co_await state_.tx->Acquire(batch->transaction);
  bool served = false;
  // A client that went meanwhile takes nothing more.
  for (size_t first = 0; first < keys.size() && !served && batch->client != nullptr;) {
    size_t end = first + 1;
    while (end < keys.size() && keys[end].shard == keys[first].shard) ++end;
    Part& part = PartFor(*batch, keys[first].shard);
    size_t key_count = end - first;
    co_await shards.On(part.shard, [&](ShardState& there) {
      there.engine->Visit(part, part.wait.visited_count, key_count);
    });
    served = !part.items.front().parked;
    first = end;
  }
  bool wrote =
      std::any_of(batch->parts.begin(), batch->parts.begin() + static_cast<ptrdiff_t>(batch->part_count),
                  [](const auto& part) { return part->wait.wrote; });
  if (wrote) {
    co_await state_.tx->Commit(batch->transaction);
  } else {
    co_await state_.tx->Abort(batch->transaction);
  }
  WaitRan(batch);
}

// ---- on the shard of the keys

void Engine::Visit(Part& part, size_t key_begin, size_t key_count) {
  Batch& batch = *part.batch;
  Item& item = part.items.front();
  const Call& call = batch.calls[item.call];
  if (std::exchange(part.wait.confirm, false)) part.wait.told = false;
  db::Keyspace& keyspace = *state_.keyspace;
  keyspace.SetNow(batch.now_ms);
  Lsn before = keyspace.sink().position();

  part.arena.Clear();
  Context context(state_, part.arena, batch.protocol);
  context.command = call.command;
  context.args = batch.ArgsOf(call);
  context.keys = std::span<const KeyRef>(part.keys).subspan(key_begin, key_count);
  context.db = &keyspace.database(batch.db);
  CallWait wait{&waits_, batch.wait.arrival, batch.wait.woken};
  context.wait = &wait;
  const uint64_t begin = observation_.clock().Now();
  item.parked = call.command->row->handler(context) == Outcome::kPark;
  item.ticks += shard::CycleClock::Between(begin, observation_.clock().Now());
  // The shards' clocks may differ by a little; several visits of one run name the earliest.
  if (!batch.wait.woken) item.park_deadline = std::min(item.park_deadline, context.park_deadline);
  item.reply_end = part.arena.size();

  part.wait.visited_count = key_begin + key_count;
  part.position = keyspace.sink().position();
  part.wait.wrote = part.wait.wrote || part.position != before;
  if (item.parked) {
    StandInLine(part, key_begin, key_count);
  } else {
    LeaveLines(part);
  }
}

void Engine::StandInLine(Part& part, size_t key_begin, size_t key_count) {
  const Batch& batch = *part.batch;
  std::span<const std::string_view> args = batch.ArgsOf(batch.calls[part.items.front().call]);
  for (size_t i = key_begin; i < key_begin + key_count; ++i) {
    db::WaitQueue::Waiter& node = part.wait.nodes[i];
    if (node.waiting()) {
      waits_.Pass(node);
    } else {
      waits_.Add(batch.db, {args[part.keys[i].arg], part.keys[i].hash}, node);
    }
  }
  part.wait.registered = true;
}

void Engine::LeaveLines(Part& part) {
  for (db::WaitQueue::Waiter& node : part.wait.nodes) {
    if (node.waiting()) waits_.Remove(node);
  }
  part.wait.registered = false;
}

// The turns of several keys are one message: what answers it visits them all.
void Engine::TellTurn(db::WaitQueue::Waiter& waiter) {
  Part& part = *static_cast<Part*>(waiter.user);
  if (std::exchange(part.wait.told, true)) return;
  Address(
      part.wait.turn,
      [](shard::Shard& here, const shard::Message& message) { EngineOf(here).HearTurn(PartIn(message)); },
      part);
  shard::Shard::Current().Send(part.batch->engine->home_, part.wait.turn);
}

// ---- on the home shard: what a run led to, and who claims the call

void Engine::HearTurn(Part& part) {
  Batch* batch = part.batch;
  part.wait.heard = true;
  switch (batch->wait.state) {
    case State::kParked:
      --parked_count_;
      EnterPhase(*batch);
      state_.shard->CancelTimer(batch->wait_timer);
      RunWait(batch);
      break;
    case State::kRunning:
      batch->wait.run_again = true;  // it may have looked here before the event
      break;
    case State::kLeaving:
      break;
    case State::kNone:
      MS_CHECK(false);
  }
}

void Engine::WaitRan(Batch* batch) {
  BatchWait& wait = batch->wait;
  TimeMs deadline = kNoDeadline;
  for (size_t i = 0; i < batch->part_count; ++i) {
    Part& part = *batch->parts[i];
    if (part.wait.visited_count == 0 && part.keys.size() != 0) continue;
    const Item& item = part.items.front();
    if (!item.parked) wait.served = &part;
    deadline = std::min(deadline, item.park_deadline);
  }
  if (!std::exchange(wait.woken, true)) wait.deadline = deadline;
  if (wait.served != nullptr || batch->client == nullptr) {
    EndWait(batch);
    AnswerWait(batch);
  } else if (wait.deadline <= state_.shard->now_ms()) {
    TimeOut(batch);
  } else if (wait.run_again) {
    RunWait(batch);
  } else {
    Park(batch);
  }
}

void Engine::Park(Batch* batch) {
  batch->wait.state = State::kParked;
  ++parked_count_;
  LeavePhase(*batch);
  if (batch->wait.deadline != kNoDeadline) ArmDeadline(*batch);
  batch->client->OnBatchParked();
}

void Engine::ArmDeadline(Batch& batch) {
  TimeMs left = std::min(batch.wait.deadline - state_.shard->now_ms(), kFarMs);
  state_.shard->AddTimer(batch.wait_timer, state_.shard->now_ns() + left * 1'000'000);
}

void OnWaitDeadline(void* batch) {
  Batch* due = static_cast<Batch*>(batch);
  due->engine->DeadlinePassed(due);
}

void Engine::DeadlinePassed(Batch* batch) {
  if (batch->wait.deadline > state_.shard->now_ms()) {
    ArmDeadline(*batch);
    return;
  }
  --parked_count_;
  EnterPhase(*batch);
  TimeOut(batch);
}

bool Engine::Unblock(Batch* batch, UnblockReason reason) {
  if (batch->wait.state != State::kParked) return false;
  --parked_count_;
  EnterPhase(*batch);
  state_.shard->CancelTimer(batch->wait_timer);
  if (reason == UnblockReason::kTimeout) {
    TimeOut(batch);
    return true;
  }
  EndWait(batch);
  resp::Reply(batch->body_reply, batch->protocol).ErrorLine("UNBLOCKED client unblocked via CLIENT UNBLOCK");
  AnswerWait(batch);
  return true;
}

void Engine::TimeOut(Batch* batch) {
  const Call& call = batch->calls[batch->stage_begin];
  EndWait(batch);
  Context context(state_, batch->body_reply, batch->protocol);
  context.command = call.command;
  context.args = batch->ArgsOf(call);
  context.db = &state_.keyspace->database(batch->db);
  context.timed_out = true;
  MS_CHECK(call.command->row->handler(context) == Outcome::kDone);
  AnswerWait(batch);
}

void Engine::AbandonWait(Batch* batch) {
  --parked_count_;
  EnterPhase(*batch);
  state_.shard->CancelTimer(batch->wait_timer);
  EndWait(batch);
  AnswerWait(batch);
}

// Leaves all lines. A turn that is still on its way has to arrive before the batch may be used again, so its
// shard is asked even if nothing of the call is left there: the answer comes after it.
void Engine::EndWait(Batch* batch) {
  BatchWait& wait = batch->wait;
  wait.state = State::kLeaving;
  for (size_t i = 0; i < batch->part_count; ++i) {
    Part& part = *batch->parts[i];
    bool here = part.shard == home_;
    // While it is registered on another shard `told` is not ours to read.
    if (!part.wait.registered || here) {
      bool turn_on_its_way = part.wait.told && !part.wait.heard;
      if (here) LeaveLines(part);
      if (!turn_on_its_way) continue;
    }
    ++wait.leaving_count;
    Address(
        part.wait.leave,
        [](shard::Shard& there, const shard::Message& message) {
          Part& left = PartIn(message);
          Engine& engine = EngineOf(there);
          engine.LeaveLines(left);
          Engine& home = *left.batch->engine;
          if (&home == &engine) {
            home.PartLeft(left);
            return;
          }
          Address(
              left.wait.leave,
              [](shard::Shard& back, const shard::Message& answer) {
                EngineOf(back).PartLeft(PartIn(answer));
              },
              left);
          there.Send(home.home_, left.wait.leave);
        },
        part);
    state_.shard->Send(part.shard, part.wait.leave);
  }
  batch->transaction_open = wait.leaving_count != 0;
}

void Engine::PartLeft(Part& part) {
  Batch* batch = part.batch;
  if (--batch->wait.leaving_count != 0) return;
  batch->transaction_open = false;
  Advance(batch);
}

void Engine::NoteWait(const Batch& batch, std::string_view reply) {
  const Call& call = batch.calls[batch.stage_begin];
  uint64_t ticks = 0;
  for (size_t i = 0; i < batch.part_count; ++i) {
    if (!batch.parts[i]->items.empty()) ticks += batch.parts[i]->items.front().ticks;
  }
  observation_.Answered(call, reply);
  observation_.Unblocked(batch, call, ticks, batch.client != nullptr ? &batch.client->session : nullptr);
}

void Engine::AnswerWait(Batch* batch) {
  Part* served = batch->wait.served;
  if (served != nullptr) {
    bool open = GateOpen(*batch, [](ReplyGate::Waiter& waiter) {
      auto* held = static_cast<Batch*>(waiter.user);
      held->engine->AnswerWait(held);
    });
    if (!open) return;
  }
  base::Buffer& reply = served != nullptr ? served->arena : batch->body_reply;
  NoteWait(*batch, reply.view());
  if (batch->client != nullptr) {
    size_t before = batch->client->out.size();
    batch->client->out.Append(reply.view());
    if (batch->muted) EndAnswer(*batch->client, before);
    AdaptBatchLimit(*batch->client, reply.size(), 1);
  }
  batch->answered = true;
  Advance(batch);
}

}  // namespace moonshard::command
