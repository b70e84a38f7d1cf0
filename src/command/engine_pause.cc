// CLIENT PAUSE: stages that wait for its end, and which batches were under way when it began.
//
// A call that a pause holds back is the last of its batch and a stage of its own (Frame); what comes before
// it is answered. A batch that was framed earlier is looked at again before each of its stages. So once every
// batch that was running when the pause was declared has finished or stands still, nothing that the pause
// holds back has any further effect: CLIENT PAUSE answers then, see ChangePhase.

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "command/engine.h"

namespace moonshard::command {

namespace {
// The timers take nanoseconds of another clock; an end further away than this is looked at again.
constexpr TimeMs kFarMs = 3'600'000;
}  // namespace

bool Engine::StageHeld(const Batch& batch) const {
  if (live_.pause.load(std::memory_order_relaxed) == 0) [[likely]]
    return false;
  if (batch.client == nullptr || batch.client->session.monitor) return false;
  auto begin = batch.calls.begin();
  return std::any_of(begin + static_cast<ptrdiff_t>(batch.stage_begin),
                     begin + static_cast<ptrdiff_t>(batch.stage_end),
                     [this](const Call& call) { return Holds(call); });
}

void Engine::Hold(Batch* batch) {
  LeavePhase(*batch);
  batch->held = true;
  held_.push_back(batch);
  TimeMs until = static_cast<TimeMs>(live_.pause.load(std::memory_order_relaxed) >> 1);
  TimeMs left = std::clamp<TimeMs>(until - state_.shard->now_ms(), 1, kFarMs);
  state_.shard->CancelTimer(pause_timer_);
  state_.shard->AddTimer(pause_timer_, state_.shard->now_ns() + left * 1'000'000);
  batch->client->OnBatchParked();
}

void Engine::ResumeHeld() {
  std::vector<Batch*> due = std::exchange(held_, {});
  // From here on they are running: a client that goes while another's stage runs leaves its batch to this
  // loop.
  for (Batch* batch : due) {
    batch->held = false;
    EnterPhase(*batch);
  }
  for (Batch* batch : due) {
    if (batch->client == nullptr) {
      Finish(batch);
    } else {
      StartStage(batch);  // which holds it again, if the pause has been prolonged
    }
  }
}

// Its client has gone while it stood still.
void Engine::DropStill(Batch* batch) {
  if (batch->held) std::erase(held_, batch);
  Finish(batch);
}

void Engine::EnterPhase(Batch& batch) {
  MS_DCHECK(batch.phase == Batch::kNoPhase);
  batch.phase = phase_;
  ++running_[batch.phase];
}

void Engine::LeavePhase(Batch& batch) {
  if (batch.phase == Batch::kNoPhase) return;
  --running_[std::exchange(batch.phase, Batch::kNoPhase)];
}

}  // namespace moonshard::command
