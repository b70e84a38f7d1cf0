#pragma once
// The one pipeline (design section 1, rule 2), one per shard:
//
//   Frame    parse -> look up the row -> gates -> find, hash and route the keys, prefetching their segments
//   Run      everything here and unlocked: execute in order, straight into the client's output; otherwise
//            Launch: one Part per shard, one message each; calls that span shards make the stage one
//            transaction
//   Merge    the parts' pieces, in the order of the calls, into the client's output; next stage or done
//
// A stage is the run of calls before a barrier (a call that must find all earlier ones answered), or the
// barrier alone. Owned by one shard.

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "command/batch.h"
#include "command/client.h"
#include "command/gate.h"
#include "command/monitor.h"
#include "command/observation.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "resp/parser.h"
#include "shard/task.h"

namespace moonshard::command {

// A batch stops once it has written more than this, and goes on in a later turn: some 100 us of copying. The
// client's next batches are shorter.
inline constexpr size_t kBatchReplyBytes = 1 << 20;

// Once a turn has written this much of large replies, further commands of clients that are new or get large
// replies wait for later turns, so that others' commands come between.
inline constexpr size_t kTurnReplyBytes = size_t{1} << 20;
// From here on a reply is large.
inline constexpr size_t kLargeReplyBytes = size_t{64} << 10;

enum class RunResult : uint8_t { kAnswered, kLaunched };

class Engine {
 public:
  Engine(ShardState& state, const Registry& registry);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  // An empty batch from the pool. Goes back through Release, or by itself once a launched batch is finished.
  Batch* Take();
  void Release(Batch* batch);

  // Cuts commands off the front of `input` into the batch. `batch.consumed` bytes are done with once the
  // batch has answered; `batch.end` says why framing stopped.
  void Frame(Batch& batch, Client& client, resp::CommandParser& parser, std::span<char> input);

  // Runs a framed batch. kAnswered: its replies are in client.out and the batch is still the caller's.
  // kLaunched: the engine keeps the batch and will call OnBatchAnswered; the framed bytes have been copied,
  // so the input may go.
  RunResult Run(Batch* batch, Client& client, std::span<const char> input);

  // The arguments of the calls that run or wait.
  static size_t ArgumentBytes(const Batch& batch);
  // What the parts of a stopped batch hold.
  static size_t StoppedBytes(const Batch& batch);
  // Runs more of a stopped batch, in a later turn.
  void Continue(Batch* batch);

  // The client goes while its batch is away; the batch finishes for nobody. A call that waits ends without
  // effect, and what a stopped batch has not begun never runs.
  static void Abandon(Batch* batch) {
    batch->client = nullptr;
    if (batch->wait.state == BatchWait::State::kParked) batch->engine->AbandonWait(batch);
    if (batch->stopped || batch->held) batch->engine->DropStill(batch);
  }
  // It waits for its keys, or for the end of a pause.
  static bool IsParked(const Batch& batch) {
    return batch.wait.state == BatchWait::State::kParked || batch.held;
  }
  // CLIENT UNBLOCK. False: the batch does not wait for its keys.
  bool Unblock(Batch* batch, UnblockReason reason);

  // The pause has ended: what it held back goes on.
  void ResumeHeld();
  // For a pause that has begun: batches that were under way when the phase changed, and may have been framed
  // without knowing of it, are counted down to 0. Batches that stand still do not count; they look again.
  uint8_t ChangePhase() { return std::exchange(phase_, static_cast<uint8_t>(1 - phase_)); }
  size_t running(uint8_t phase) const { return running_[phase]; }
  // The batch of the command that asks does not wait for itself.
  void LeavePhase(Batch& batch);

  // At the end of a turn, when nothing more of it changes keys: tells waiting clients whose turn it is.
  void EndTurn() {
    waits_.EndTurn();
    observation_.EndTurn();
    monitors_.EndTurn();
  }
  MonitorFeed& monitors() { return monitors_; }
  bool HasWork() const { return waits_.HasWork(); }
  const db::WaitQueue& waits() const { return waits_; }
  // At the end of a turn that leaves the limit of memory passed.
  void AskForRelief();
  // Clients of this shard that wait for an event.
  size_t clients_parked() const { return parked_count_; }
  Observation& observation() { return observation_; }

  // Null: always open.
  void set_gate(ReplyGate* gate) { gate_ = gate; }

  // Which shard owns a key. Keys with the same {tag} share a shard.
  ShardId ShardOf(std::string_view key, uint64_t hash) const;
  uint64_t HashKey(std::string_view key) const { return base::HashBytes(key, seed_); }
  size_t batches_away() const { return away_count_; }
  shard::TaskScope& tasks() { return tasks_; }

 private:
  // engine_frame.cc
  void Prepare(Batch& batch, Client& client, Call& call);
  bool Holds(const Call& call) const;
  void Gate(Batch& batch, const Session& session, Call& call, std::span<const std::string_view> args);
  bool MayDebug(const Session& session) const;
  void RouteKeys(Batch& batch, Call& call, std::span<const std::string_view> args);
  void RouteCursor(Call& call, std::span<const std::string_view> args);
  void AddKey(Batch& batch, Call& call, std::string_view key, uint32_t arg, DbIndex db);
  void UnknownCommand(Batch& batch, Call& call, std::span<const std::string_view> args);
  void FailText(Batch& batch, Call& call, std::string text);

  // engine_room.cc
  void NoteGrowth(Batch& batch, Call& call);
  uint64_t GrowthOfKey(const Batch& batch, const Call& call, size_t key_idx) const;
  static size_t IndexOfKey(const Batch& batch, const Call& call, const KeyRef& key);
  bool AdmitStage(Batch* batch);
  static void RefuseForRoom(Batch& batch);
  void SendRoom(Batch& batch, ShardId to, shard::Message::Run run);
  void RoomAnswered(Batch* batch);
  void DealRoom(Batch& batch);
  void ReturnRoom(Batch& batch);
  void RoomAsked(Batch* batch);
  void StartRelief();
  shard::Task<void> Relieve();
  shard::Task<bool> RelieveFor(uint64_t bytes);

  // engine_run.cc
  bool MayRunHere(const Batch& batch);
  bool MakeRoomHere(uint64_t bytes);
  bool CallMayRun(const Call& call, std::span<const KeyRef> keys) const;
  size_t RunHere(Batch& batch, Client& client);
  void FeedMonitors(const Session& session, const Batch& batch, const Call& call);
  static bool BeginAnswer(Session& session);
  static void EndAnswer(Client& client, size_t out_before);
  void Execute(Context& context, const Batch& batch, const Call& call);
  static void ReplyFan(resp::Reply& reply, Merge merge, int64_t sum, const base::Status& status);
  // engine_large.cc
  bool TurnIsFull() const { return turn_bytes_ > kTurnReplyBytes && turn_stamp_ == state_.shard->stamp(); }
  void NoteReply(size_t reply_bytes) {
    if (reply_bytes > kLargeReplyBytes) [[unlikely]]
      NoteLargeReply(reply_bytes);
  }
  void NoteLargeReply(size_t reply_bytes);
  void Defer(Batch* batch, Part* part);
  void RunDeferred();
  void CountPart(Part& part);

  static void AdaptBatchLimit(Client& client, size_t reply_bytes, size_t call_count);
  static void AdaptSpreadLimit(Client& client, size_t reply_bytes);
  void ExecutePart(Part& part);
  bool PartMayRun(const Part& part) const;
  void BuildLocks(Part& part) const;

  // engine_launch.cc
  void Launch(Batch* batch, Client& client, std::span<const char> input);
  void LaunchFrom(Batch* batch, Client& client, std::span<const char> input, size_t first_call);
  void Stop(Batch* batch);
  void RunStopped(Batch* batch);
  void Finish(Batch* batch);
  void DropStill(Batch* batch);
  bool StageHeld(const Batch& batch) const;
  void Hold(Batch* batch);
  void EnterPhase(Batch& batch);
  void EndStage(const Batch& batch, size_t begin, size_t end, size_t out_before);
  void StartStage(Batch* batch);
  void RunStage(Batch* batch);
  static size_t StageEnd(const Batch& batch);
  void BuildParts(Batch& batch);
  Part& PartFor(Batch& batch, ShardId shard);
  void StartTransaction(Batch* batch);
  void SendParts(Batch* batch);
  void RunArrivedPart(Part& part);
  void RunWhenUnlocked(Part& part, void (*run)(tx::Part&, shard::Shard&), void (*done)(tx::Part&));
  void PartDone(Part& part);
  void PartReturned(Part& part);
  bool GateOpen(Batch& batch, void (*open)(ReplyGate::Waiter&));
  void StageRan(Batch* batch);
  void Advance(Batch* batch);
  shard::Task<void> RunBody(Batch* batch);
  shard::Task<void> NotePositions(Batch* batch);
  void FillTransaction(Batch& batch, tx::Kind kind);
  bool MergeReplies(Batch& batch, base::Buffer& out);
  uint64_t MergeSpread(Batch& batch, const Call& call, size_t call_idx, base::Buffer& out);
  uint64_t MergePieces(Batch& batch, size_t call_idx, Merge merge, base::Buffer& out);
  template <typename Fn>
  static void ForEachItem(Batch& batch, size_t call_idx, Fn&& fn);
  void NoteAnswer(const Batch& batch, const Call& call, uint64_t ticks, const SlowLimits& limits,
                  std::string_view reply);
  static void TakePiece(Part& part, size_t end, base::Buffer& out);

  // engine_wait.cc
  friend void OnWaitDeadline(void* batch);
  void StartWait(Batch* batch);
  void RunWait(Batch* batch);
  void SendVisit(Part& part);
  void RunArrivedVisit(Part& part);
  void VisitDone(Part& part);
  shard::Task<void> RunSpreadWait(Batch* batch);
  void Visit(Part& part, size_t key_begin, size_t key_count);
  void StandInLine(Part& part, size_t key_begin, size_t key_count);
  void LeaveLines(Part& part);
  static void TellTurn(db::WaitQueue::Waiter& waiter);
  void HearTurn(Part& part);
  void WaitRan(Batch* batch);
  void Park(Batch* batch);
  void ArmDeadline(Batch& batch);
  void DeadlinePassed(Batch* batch);
  void TimeOut(Batch* batch);
  void AbandonWait(Batch* batch);
  void EndWait(Batch* batch);
  void PartLeft(Part& part);
  void NoteWait(const Batch& batch, std::string_view reply);
  void AnswerWait(Batch* batch);

  ShardState& state_;
  LiveSettings& live_;
  const Registry& registry_;
  const base::HashSeed seed_;
  const ShardId home_;
  const uint32_t shard_count_;
  ReplyGate* gate_ = nullptr;  // null: always open
  Batch* free_ = nullptr;
  std::vector<std::unique_ptr<Batch>> batches_;
  size_t away_count_ = 0;
  db::WaitQueue waits_;
  Observation observation_;
  uint64_t wait_sequence_ = 0;
  size_t parked_count_ = 0;
  // Shard 0: who waits for room.
  Batch* room_first_ = nullptr;
  Batch* room_last_ = nullptr;
  bool relieving_ = false;
  TimeMs relief_retry_ms_ = 0;
  TimeMs relief_asked_ms_ = 0;
  MonitorFeed monitors_;
  std::vector<Batch*> held_;  // by a pause
  shard::Timer pause_timer_;
  uint8_t phase_ = 0;
  size_t running_[2] = {};

  // Large replies of this turn, and what waits for the next ones: parts, or batches that have not begun.
  struct Deferred {
    Batch* batch;
    Part* part;
  };
  size_t turn_bytes_ = 0;
  Stamp turn_stamp_;
  std::deque<Deferred> deferred_;
  shard::Outgoing deferred_message_;
  bool deferred_called_ = false;
  shard::TaskScope tasks_;
};

}  // namespace moonshard::command
