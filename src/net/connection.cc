#include "net/connection.h"

#include <utility>

#include "command/server_control.h"
#include "command/shard_state.h"
#include "net/listener.h"

namespace moonshard::net {

Connection::Connection(Listener& listener, command::ShardState& state) : listener_(listener), state_(state) {}

Connection::~Connection() = default;

void Connection::Attach(shard::AcceptedSocket socket) {
  session.peer = socket.peer();
  stream_ = state_.shard->io().Attach(std::move(socket), *this);
}

// ---- input

void Connection::OnData(std::span<char> data) {
  if (closing_ || broken_) return;
  state_.stats.bytes_in += data.size();
  ++state_.stats.reads;
  if (waiting_ || output_full() || input_begin_ != input_.size()) {
    KeepRest(data);
    if (!waiting_ && !output_full()) RunInput();
  } else {
    size_t used = RunCommands(data);
    if (used < data.size() && !closing_) KeepRest(data.subspan(used));
  }
  UpdateReading();
}

void Connection::KeepRest(std::span<char> rest) {
  if (broken_) return;
  if (input_begin_ != 0 && input_begin_ == input_.size()) {
    input_.Clear();
    input_begin_ = 0;
  }
  size_t wanted = parser_.wanted_bytes();
  size_t have = input_.size() - input_begin_;
  // A large bulk that is on its way: make room for all of it, but never for more than a few times what has
  // come, so that announcing costs the client something.
  size_t room = rest.size();
  if (wanted > have + room) room = std::min(wanted - have, 4 * (have + room));
  input_.Reserve(room);
  input_.Append({rest.data(), rest.size()});
}

void Connection::RunInput() {
  size_t used = RunCommands({input_.data() + input_begin_, input_.size() - input_begin_});
  input_begin_ += used;
  if (input_begin_ == input_.size()) {
    input_.Free();
    input_begin_ = 0;
  } else if (input_begin_ > input_.size() / 2) {
    input_.Consume(input_begin_);
    input_begin_ = 0;
  }
}

size_t Connection::RunCommands(std::span<char> data) {
  command::Engine& engine = *state_.engine;
  size_t used = 0;
  running_ = true;
  while (used < data.size() && !closing_ && !session.close_after_reply && !output_full()) {
    bool trusted = !command::MustAuthenticate(session, state_.server->live());
    if (trusted != parser_trusts_) [[unlikely]] {
      // AUTH and HELLO end their batch, so whatever follows is parsed under the new limits.
      parser_trusts_ = trusted;
      parser_.set_limits(parser_trusts_ ? resp::ParserLimits() : resp::kUnauthenticatedLimits);
    }
    command::Batch* batch = engine.Take();
    std::span<char> rest = data.subspan(used);
    engine.Frame(*batch, *this, parser_, rest);
    used += batch->consumed;
    command::BatchEnd end = batch->end;
    std::string protocol_error;
    if (end == command::BatchEnd::kProtocolError) protocol_error = parser_.error();
    if (batch->calls.empty()) {
      engine.Release(batch);
    } else {
      waiting_ = true;
      pending_error_ = std::move(protocol_error);
      away_ = batch;
      if (engine.Run(batch, *this, rest) == command::RunResult::kAnswered) {
        engine.Release(batch);
        waiting_ = false;
        away_ = nullptr;
      }
      protocol_error = waiting_ ? std::string() : std::move(pending_error_);
    }
    if (end == command::BatchEnd::kProtocolError) {
      broken_ = true;
      used = data.size();
      if (!waiting_) FailProtocol(protocol_error);
    }
    if (waiting_ || end == command::BatchEnd::kNeedMore || broken_) break;
  }
  running_ = false;
  MarkDirty();
  return used;
}

void Connection::FailProtocol(std::string_view error) {
  if (error.empty()) return;
  resp::Reply(out, session.protocol).ErrorLine(error);
  session.close_after_reply = true;
}

void Connection::OnBatchAnswered() {
  waiting_ = false;
  away_ = nullptr;
  if (running_) return;  // answered before Run returned: RunCommands goes on by itself
  if (broken_) FailProtocol(pending_error_);
  MarkDirty();
  MayProceed();
}

void Connection::OnBatchParked() {
  MarkDirty();
  if (ended_) GiveUpWaiting();
}

void Connection::OnBatchStopped(command::Batch*) {
  stopped_ = true;
  MarkDirty();
}

void Connection::ContinueStopped() {
  if (!stopped_ || closing_ || output_full()) return;
  stopped_ = false;
  state_.engine->Continue(away_);
}

// Nobody is there any more for what the waiting command might get; what was answered before it still leaves.
void Connection::GiveUpWaiting() {
  command::Engine::Abandon(std::exchange(away_, nullptr));
  waiting_ = false;
  session.close_after_reply = true;
  MarkDirty();
}

void Connection::MayProceed() {
  if (waiting_ || closing_ || running_) return;
  if (!broken_ && input_begin_ != input_.size() && !output_full() && !session.close_after_reply) RunInput();
  UpdateReading();
}

void Connection::UpdateReading() {
  if (closing_ || ended_) return;
  size_t waiting_bytes = input_.size() - input_begin_;
  // While a bulk is being received its bytes are wanted, however many.
  bool blocked = waiting_ || output_full();
  bool pause = (blocked && waiting_bytes > kInputSoftMax) || session.close_after_reply;
  if (pause == reading_paused_) return;
  reading_paused_ = pause;
  if (pause) {
    state_.shard->io().PauseReading(stream_);
  } else {
    state_.shard->io().ResumeReading(stream_);
  }
}

// ---- output

void Connection::MarkDirty() {
  if (dirty_ || closing_) return;
  dirty_ = true;
  listener_.AddDirty(*this);
}

void Connection::Flush() {
  dirty_ = false;
  if (closing_) return;
  if (session.hang_up) return Close();
  if (send_in_flight_) return;
  ContinueStopped();
  if (!out.empty()) {
    sending_.Swap(out);
    send_in_flight_ = true;
    state_.shard->io().Send(stream_, {sending_.data(), sending_.size()});
    return;
  }
  bool nothing_to_come = !waiting_ && (session.close_after_reply || ended_);
  if (nothing_to_come) Close();
}

void Connection::OnSent() {
  send_in_flight_ = false;
  state_.stats.bytes_out += sending_.size();
  ++state_.stats.writes;
  if (out.empty() || sending_.capacity() > kOutputSoftMax) {
    sending_.Free();
  } else {
    sending_.Clear();
  }
  if (closing_) return;
  ContinueStopped();
  MayProceed();
  if (!out.empty() || session.close_after_reply || ended_) MarkDirty();
}

// ---- end

// Commands that came before the peer's end are answered first.
void Connection::OnEnd() {
  ended_ = true;
  if (waiting_ && command::Engine::IsParked(*away_)) GiveUpWaiting();
  MarkDirty();
}

void Connection::OnError(int) {
  Close();
}

void Connection::Close() {
  if (closing_) return;
  closing_ = true;
  stopped_ = false;
  if (waiting_) {
    command::Engine::Abandon(away_);
    waiting_ = false;
    away_ = nullptr;
  }
  state_.shard->io().Close(stream_);
}

void Connection::OnClosed() {
  listener_.Remove(*this);
}

}  // namespace moonshard::net
