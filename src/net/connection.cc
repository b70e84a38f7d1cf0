#include "net/connection.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "net/listener.h"

namespace moonshard::net {

Connection::Connection(Listener& listener, command::ShardState& state) : listener_(listener), state_(state) {}

Connection::~Connection() = default;

void Connection::Attach(shard::AcceptedSocket socket) {
  session.peer = socket.peer();
  local_ = socket.local();
  unix_socket_ = socket.kind() == shard::ListenAddress::Kind::kUnix;
  descriptor_ = socket.state()->descriptor();
  connected_ms_ = active_ms_ = state_.shard->now_ms();
  socket.state()->SetKeepAlive(state_.server->live().tcp_keepalive_s.load(std::memory_order_relaxed));
  stream_ = state_.shard->io().Attach(std::move(socket), *this);
}

// ---- input

void Connection::OnData(std::span<char> data) {
  if (closing_ || broken_) return;
  state_.stats.bytes_in += data.size();
  ++state_.stats.reads;
  active_ms_ = state_.shard->now_ms();
  if (waiting_ || output_full() || input_begin_ != input_.size()) {
    KeepRest(data);
    if (!waiting_ && !output_full()) RunInput();
  } else {
    size_t used = RunCommands(data);
    if (used < data.size() && !closing_) KeepRest(data.subspan(used));
  }
  UpdateReading();
  CountLarge();
}

void Connection::KeepRest(std::span<char> rest) {
  if (broken_) return;
  if (QueryTooLarge(rest.size())) {
    base::LogWarning("closing client {} ({}): its requests passed client-query-buffer-limit", session.id,
                     session.peer);
    CloseByForce();
    return;
  }
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
  running_bytes_ = data.size();
  const int64_t bulk_bytes_max = state_.server->live().bulk_bytes_max.load(std::memory_order_relaxed);
  while (used < data.size() && !closing_ && !session.close_after_reply && !output_full()) {
    bool trusted = !command::MustAuthenticate(session, state_.server->live());
    if (trusted != parser_trusts_ || (trusted && parser_.limits().bulk_bytes_max != bulk_bytes_max))
        [[unlikely]] {
      // AUTH and HELLO end their batch, so whatever follows is parsed under the new limits.
      parser_trusts_ = trusted;
      resp::ParserLimits limits;
      limits.bulk_bytes_max = bulk_bytes_max;
      parser_.set_limits(parser_trusts_ ? limits : resp::kUnauthenticatedLimits);
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
  if (!session.muted()) resp::Reply(out, session.protocol).ErrorLine(error);
  session.close_after_reply = true;
}

void Connection::OnBatchAnswered() {
  waiting_ = false;
  away_ = nullptr;
  if (running_) return;  // answered before Run returned: RunCommands goes on by itself
  if (broken_) FailProtocol(pending_error_);
  MarkDirty();
  MayProceed();
  CountLarge();
}

void Connection::OnBatchParked() {
  MarkDirty();
  if (ended_) GiveUpWaiting();
}

void Connection::OnBatchStopped(command::Batch*) {
  stopped_ = true;
  MarkDirty();
  if (!running_) CountNow();
}

void Connection::OnPushed() {
  MarkDirty();
}

void Connection::OnEvicted() {
  ++state_.stats.clients_evicted;
  CloseByForce();
}

bool Connection::Unblock(command::UnblockReason reason) {
  return waiting_ && state_.engine->Unblock(away_, reason);
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
  CountNow();
  if (closing_) return;
  if (OutputOverLimit()) {
    ++state_.stats.clients_over_limit;
    base::LogWarning("closing client {} ({}): its replies passed client-output-buffer-limit", session.id,
                     session.peer);
    return CloseByForce();
  }
  if (send_in_flight_) return;
  ContinueStopped();
  if (!out.empty()) {
    sending_.Swap(out);
    reply_peak_ = std::max(reply_peak_, sending_.size());
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
  active_ms_ = state_.shard->now_ms();
  if (out.empty() || sending_.capacity() > kOutputSoftMax) {
    sending_.Free();
  } else {
    sending_.Clear();
  }
  if (closing_) return;
  ContinueStopped();
  MayProceed();
  if (!out.empty() || session.close_after_reply || ended_ || account.bytes > kCountedAtOnce) MarkDirty();
  CountLarge();
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
  state_.clients.Remove(*this);
  state_.engine->monitors().Remove(*this);
  listener_.memory().Count(*this, 0);
  out.Free();
  if (by_force_ && (input_.size() != input_begin_ || reading_paused_ || running_)) {
    state_.shard->io().Abort(stream_);
  } else {
    state_.shard->io().Close(stream_);
  }
}

void Connection::CloseByForce() {
  by_force_ = true;
  Close();
}

// ---- what it takes, and for how long

size_t Connection::MemoryBytes() const {
  size_t bytes = sizeof(*this) + input_.capacity() + out.capacity() + sending_.capacity();
  if (away_ != nullptr) bytes += away_->bytes.capacity() + command::Engine::StoppedBytes(*away_);
  return bytes;
}

void Connection::CountLarge() {
  if (out.capacity() + input_.capacity() > kCountedAtOnce) [[unlikely]]
    CountNow();
}

void Connection::CountNow() {
  if (closing_) return;
  size_t bytes = MemoryBytes();
  bool more = bytes > account.bytes;
  listener_.memory().Count(*this, bytes);
  if (more) listener_.memory().Enforce();
}

bool Connection::QueryTooLarge(size_t more) const {
  uint64_t limit = state_.server->live().query_buffer_limit.load(std::memory_order_relaxed);
  return input_.size() - input_begin_ + more > limit;
}

bool Connection::OutputOverLimit() {
  // Redis answers into a fixed buffer of this size first, which its limits do not see.
  constexpr size_t kFixedBytes = 16 * 1024;
  size_t bytes = out.size() + sending_.size();
  bytes -= std::min(bytes, kFixedBytes);
  auto client_class = command::ClientClass::kNormal;
  command::LiveSettings& live = state_.server->live();
  const auto& normal = live.output_limits[static_cast<size_t>(client_class)];
  // A monitor is of the normal class, as in Redis, but its output grows without its asking: where that class
  // has no limit, the one of subscribers counts.
  if (session.monitor && normal.hard.load(std::memory_order_relaxed) == 0)
    client_class = command::ClientClass::kPubsub;
  const auto& limit = live.output_limits[static_cast<size_t>(client_class)];
  uint64_t hard = limit.hard.load(std::memory_order_relaxed);
  uint64_t soft = limit.soft.load(std::memory_order_relaxed);
  if (hard != 0 && bytes > hard) return true;
  if (soft == 0 || bytes <= soft) {
    over_soft_limit_ms_ = 0;
    return false;
  }
  TimeMs now = state_.shard->now_ms();
  if (over_soft_limit_ms_ == 0) over_soft_limit_ms_ = now;
  return now - over_soft_limit_ms_ > int64_t{limit.soft_seconds.load(std::memory_order_relaxed)} * 1000;
}

void Connection::CloseIfOverdue() {
  if (closing_) return;
  int64_t timeout_ms = int64_t{state_.server->live().idle_timeout_s.load(std::memory_order_relaxed)} * 1000;
  bool idle =
      timeout_ms != 0 && !waiting_ && !session.monitor && state_.shard->now_ms() - active_ms_ > timeout_ms;
  if (over_soft_limit_ms_ != 0 && OutputOverLimit()) {
    ++state_.stats.clients_over_limit;
    idle = true;
  }
  if (idle) CloseByForce();
}

command::ClientFacts Connection::Describe() const {
  command::ClientFacts facts;
  facts.local = local_;
  facts.descriptor = descriptor_;
  facts.connected_ms = connected_ms_;
  facts.active_ms = active_ms_;
  facts.blocked = waiting_ && command::Engine::IsParked(*away_);
  facts.unix_socket = unix_socket_;
  facts.sending = send_in_flight_;
  // As in Redis the commands that run are still in the query buffer; one that waits for keys has left it.
  facts.query_bytes = running_ ? running_bytes_ : input_.size() - input_begin_;
  if (waiting_ && !running_ && !facts.blocked) facts.query_bytes += away_->bytes.size();
  facts.query_free_bytes = input_.capacity() - input_.size();
  facts.argument_bytes = away_ != nullptr ? command::Engine::ArgumentBytes(*away_) : 0;
  facts.reply_capacity = out.capacity();
  facts.reply_peak = reply_peak_;
  facts.reply_bytes = out.size();
  facts.sending_bytes = sending_.size();
  facts.total_bytes = MemoryBytes();
  return facts;
}

void Connection::OnClosed() {
  listener_.Remove(*this);
}

}  // namespace moonshard::net
