// Room for writes: with a limit of memory, a stage starts once what it may add fits below it.
//
//   NoteGrowth (framing)      how much a call may add
//   MayRunHere                room on this shard, evicting here if need be: the usual case
//   AdmitStage                a reservation for the whole stage; else the stage is cut before the first call
//                             that grows, so that what precedes it may free memory; else room for that call
//                             alone; else it asks shard 0
//   Relieve (shard 0)         one asker after the other: rounds in which every shard evicts its part, until
//                             there is room or nothing more that could go
//   RoomAnswered (home)       the stage starts, or the call is refused
//
// A reservation travels in the parts of the batch and becomes part of the share of the shard that runs them.

#include <algorithm>
#include <coroutine>
#include <numeric>
#include <utility>
#include <vector>

#include "command/engine.h"
#include "command/errors.h"
#include "command/growth.h"
#include "command/server_control.h"

namespace moonshard::command {

namespace {
// Lets other work of the shard go first: a round of eviction is what one turn allows.
struct NextTurn {
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const { shard::Shard::Current().ResumeNextTurn(waiter); }
  void await_resume() const {}
};

bool Grows(const Call& call) {
  return call.growth != 0 && call.error == CallError::kNone;
}

constexpr ShardId kReliefShard{0};
// While nothing can be evicted although the limit is passed, it is tried again at most this often.
constexpr TimeMs kReliefRetryMs = 100;
// Rounds without success before the answer is no, although there are keys that may go: transactions that have
// them locked get so many turns to end.
constexpr uint32_t kFruitlessRoundsMax = 64;
}  // namespace

// The arguments from a key up to the next one belong to it.
uint64_t Engine::GrowthOfKey(const Batch& batch, const Call& call, size_t key_idx) const {
  std::span<const std::string_view> args = batch.ArgsOf(call);
  const IndexGrowth index = state_.budget->has_plenty() ? IndexGrowth::kAverage : IndexGrowth::kWorst;
  const KeyRef* keys = batch.keys.data() + call.key_begin;
  const size_t begin = key_idx == 0 ? 1 : keys[key_idx].arg;
  const size_t end = key_idx + 1 < call.key_count ? keys[key_idx + 1].arg : args.size();
  return GrowthOf(args.subspan(begin, end > begin ? end - begin : 0), index);
}

void Engine::NoteGrowth(Batch& batch, Call& call) {
  for (size_t i = 0; i < std::max<size_t>(call.key_count, 1); ++i) call.growth += GrowthOfKey(batch, call, i);
  batch.growth += call.growth;
}

bool Engine::MakeRoomHere(uint64_t bytes) {
  Observation::EventTimer timer(observation_, LatencyEvent::kEvictionCycle);
  return state_.budget->MakeRoom(bytes);
}

// False: the stage waits for room.
bool Engine::AdmitStage(Batch* batch) {
  db::DataBudget& budget = *state_.budget;
  if (!budget.limited()) return true;
  auto begin = batch->calls.begin() + static_cast<ptrdiff_t>(batch->stage_begin);
  auto end = batch->calls.begin() + static_cast<ptrdiff_t>(batch->stage_end);
  auto first = std::find_if(begin, end, Grows);
  if (first == end) return true;
  const uint64_t growth = std::accumulate(first, end, uint64_t{0}, [](uint64_t sum, const Call& call) {
    return sum + (Grows(call) ? call.growth : 0);
  });
  batch->reserved_bytes = growth;
  if (budget.Reserve(growth)) return true;
  batch->reserved_bytes = 0;
  auto cut = first == begin ? std::find_if(first + 1, end, Grows) : first;
  batch->stage_end = static_cast<size_t>(cut - batch->calls.begin());
  if (first != begin) return true;
  if (budget.Reserve(first->growth)) {
    batch->reserved_bytes = first->growth;
    return true;
  }
  if (!budget.may_free_some() || first->growth > budget.usable()) {
    RefuseForRoom(*batch);
    return true;
  }
  batch->room.bytes = first->growth;
  SendRoom(*batch, kReliefShard, [](shard::Shard& here, const shard::Message& message) {
    here.local<ShardState>().engine->RoomAsked(reinterpret_cast<Batch*>(message.word[0]));
  });
  return false;
}

// The stage's first call; the others of the stage do not grow.
void Engine::RefuseForRoom(Batch& batch) {
  Call& call = batch.calls[batch.stage_begin];
  call.error = CallError::kStatic;
  call.static_error = &kOomError;
}

void Engine::SendRoom(Batch& batch, ShardId to, shard::Message::Run run) {
  batch.room.message.message.run = run;
  batch.room.message.message.word[0] = reinterpret_cast<uint64_t>(&batch);
  state_.shard->Send(to, batch.room.message);
}

void Engine::RoomAnswered(Batch* batch) {
  if (batch->room.granted) {
    batch->reserved_bytes = batch->room.bytes;
  } else {
    RefuseForRoom(*batch);
  }
  RunStage(batch);
}

// Deals the stage's reservation out to the parts, by the keys they have.
void Engine::DealRoom(Batch& batch) {
  if (batch.reserved_bytes == 0) return;
  for (size_t p = 0; p < batch.part_count; ++p) {
    Part& part = *batch.parts[p];
    for (const Item& item : part.items) {
      const Call& call = batch.calls[item.call];
      if (!Grows(call)) continue;
      uint64_t bytes = call.growth;
      if (call.spread) {
        bytes = 0;
        for (const KeyRef& key : std::span(part.keys).subspan(item.key_begin, item.key_count)) {
          bytes += GrowthOfKey(batch, call, IndexOfKey(batch, call, key));
        }
      }
      bytes = std::min(bytes, batch.reserved_bytes);
      part.reserved_bytes += bytes;
      batch.reserved_bytes -= bytes;
    }
  }
}

size_t Engine::IndexOfKey(const Batch& batch, const Call& call, const KeyRef& key) {
  auto begin = batch.keys.begin() + call.key_begin;
  auto found = std::lower_bound(begin, begin + call.key_count, key.arg,
                                [](const KeyRef& each, uint32_t arg) { return each.arg < arg; });
  return static_cast<size_t>(found - begin);
}

// What no part has taken.
void Engine::ReturnRoom(Batch& batch) {
  uint64_t bytes = std::exchange(batch.reserved_bytes, 0);
  for (size_t i = 0; i < batch.part_count; ++i) {
    bytes += std::exchange(batch.parts[i]->reserved_bytes, 0);
  }
  if (bytes != 0) state_.budget->GiveBack(bytes);
}

// ---- shard 0

void Engine::RoomAsked(Batch* batch) {
  batch->room.next = nullptr;
  (room_last_ == nullptr ? room_first_ : room_last_->room.next) = batch;
  room_last_ = batch;
  StartRelief();
}

void Engine::StartRelief() {
  if (relieving_) return;
  if (room_first_ == nullptr && state_.shard->now_ms() < relief_retry_ms_) return;
  relieving_ = true;
  tasks_.Spawn(Relieve());
}

shard::Task<void> Engine::Relieve() {
  do {
    Batch* batch = room_first_;
    const uint64_t bytes = batch == nullptr ? 0 : batch->room.bytes;
    const bool granted = co_await RelieveFor(bytes);
    if (batch == nullptr) {
      if (!granted) relief_retry_ms_ = state_.shard->now_ms() + kReliefRetryMs;
      continue;
    }
    room_first_ = batch->room.next;
    if (room_first_ == nullptr) room_last_ = nullptr;
    batch->room.granted = granted;
    SendRoom(*batch, batch->engine->home_, [](shard::Shard& here, const shard::Message& message) {
      here.local<ShardState>().engine->RoomAnswered(reinterpret_cast<Batch*>(message.word[0]));
    });
  } while (room_first_ != nullptr);
  relieving_ = false;
}

// Evicts everywhere until `bytes` can be reserved, and reserves them; 0: until the limit is kept.
shard::Task<bool> Engine::RelieveFor(uint64_t bytes) {
  db::DataBudget& budget = *state_.budget;
  StateShards shards;
  std::vector<ShardId> ids;
  for (uint16_t i = 0; i < shard_count_; ++i) ids.push_back(ShardId(i));
  struct Round {
    uint64_t freed_bytes = 0;
    uint64_t used_bytes = 0;
    bool may_evict = false;
  };
  std::vector<Round> rounds(shard_count_);
  using Insistence = db::DataBudget::Insistence;
  Insistence insistence = Insistence::kMay;
  uint32_t fruitless_count = 0;
  budget.Want(bytes);
  while (true) {
    const uint64_t missing = budget.Missing();
    if (missing == 0 && budget.ClaimWanted()) co_return true;
    co_await shards.OnEach(ids, [&](ShardState& there, size_t i) {
      Observation::EventTimer timer(there.engine->observation(), LatencyEvent::kEvictionCycle);
      rounds[i].freed_bytes = there.budget->EvictPart(missing, insistence);
      rounds[i].used_bytes = there.keyspace->used_bytes();
      rounds[i].may_evict = there.budget->may_evict();
    });
    Round sum;
    for (const Round& round : rounds) {
      sum.freed_bytes += round.freed_bytes;
      sum.used_bytes += round.used_bytes;
      sum.may_evict |= round.may_evict;
    }
    if (sum.freed_bytes != 0) {
      fruitless_count = 0;
      insistence = Insistence::kMay;
    } else if (insistence == Insistence::kMay) {
      insistence = Insistence::kMust;
    } else if (sum.used_bytes + bytes <= budget.usable()) {
      // What others have reserved comes back, or becomes something that can be evicted.
    } else if (!sum.may_evict || ++fruitless_count == kFruitlessRoundsMax) {
      break;
    }
    co_await NextTurn{};
  }
  budget.Want(0);
  co_return false;
}

// At the end of a turn: idle shards have to help too.
void Engine::AskForRelief() {
  const TimeMs now = state_.shard->now_ms();
  if (now == relief_asked_ms_) return;
  if (home_ == kReliefShard) {
    relief_asked_ms_ = now;
    StartRelief();
    return;
  }
  shard::Message message;
  message.run = [](shard::Shard& here, const shard::Message&) {
    here.local<ShardState>().engine->StartRelief();
  };
  if (state_.shard->TrySend(kReliefShard, message)) relief_asked_ms_ = now;
}

}  // namespace moonshard::command
