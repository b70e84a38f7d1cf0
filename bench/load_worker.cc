#include "bench/load_worker.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <limits>

namespace moonshard::bench {

namespace {
constexpr size_t kReceiveBytes = 256 * 1024;
// The longest header line of a reply (an error text) that may arrive in pieces.
constexpr size_t kHeadroomBytes = 16 * 1024;
constexpr int kMaxEvents = 128;
constexpr TimeNs kNsPerSecond = 1'000'000'000;

void PinThread(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}
}  // namespace

TimeNs NowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNsPerSecond + now.tv_nsec;
}

void WorkerResult::Merge(const WorkerResult& other) {
  latency.Merge(other.latency);
  sent += other.sent;
  replies += other.replies;
  errors += other.errors;
  hits += other.hits;
  misses += other.misses;
  odd_sizes += other.odd_sizes;
  bytes_in += other.bytes_in;
  idle_ns += other.idle_ns;
  finished_at = std::max(finished_at, other.finished_at);
  if (first_error.empty()) first_error = other.first_error;
  if (failure.empty()) failure = other.failure;
}

// Joins the scanner to the worker for the length of one Scan.
struct ReplySink {
  Worker& worker;
  Connection& connection;
  uint64_t count = 0;
  bool errored = false;
  bool unasked = false;

  MS_ALWAYS_INLINE void OnReply(const Reply& reply) {
    if (connection.awaiting == count) [[unlikely]] {
      unasked = true;
      return;
    }
    static constexpr Slot kPlain{};
    const Slot* slot = &kPlain;
    if (worker.slots_used_) slot = &connection.slots[(connection.first + count) % connection.slots.size()];
    ++count;
    if (errored) [[unlikely]] {
      errored = false;
    } else {
      worker.Judge(reply, *slot);
    }
  }
  void OnError(std::string_view text) {
    errored = true;
    worker.NoteError(text);
  }
};

Worker::Worker(const WorkerOptions& options, const RequestPlan& plan, RequestStream stream)
    : options_(options), plan_(plan), stream_(std::move(stream)), receive_(kHeadroomBytes + kReceiveBytes) {
  options_.verify = options_.verify && plan.verifiable();
  slots_used_ = options_.rate > 0 || options_.verify || plan.shape_count() > 1;
}

Worker::~Worker() {
  if (epoll_ >= 0) close(epoll_);
}

base::Status Worker::Connect() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return base::Status::WithText(base::Code::kIo, std::strerror(errno));
  for (uint32_t i = 0; i < options_.connections; ++i) {
    auto connection = std::make_unique<Connection>(options_.pipeline, plan_.max_bytes());
    MS_RETURN_IF_ERROR(connection->Connect(options_.address));
    epoll_event event{.events = EPOLLIN, .data = {.ptr = connection.get()}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection->fd(), &event) != 0) {
      return base::Status::WithText(base::Code::kIo, std::strerror(errno));
    }
    if (plan_.fixed_length() && options_.rate == 0) {
      for (uint32_t at = 0; at < options_.pipeline; ++at)
        stream_.LayOut(connection->out() + at * plan_.max_bytes());
    }
    connections_.push_back(std::move(connection));
  }
  return {};
}

void Worker::Fail(std::string text) {
  if (result_.failure.empty()) result_.failure = std::move(text);
}

void Worker::Run(TimeNs start_at) {
  if (options_.cpu >= 0) PinThread(options_.cpu);
  start_at_ = now_ = last_reply_at_ = start_at;
  deadline_ = options_.seconds > 0 ? start_at + static_cast<TimeNs>(options_.seconds * 1e9)
                                   : std::numeric_limits<TimeNs>::max();
  to_send_ = options_.requests > 0 ? options_.requests : std::numeric_limits<uint64_t>::max();
  if (options_.rate > 0) {
    RunOpen();
  } else {
    RunClosed();
  }
  result_.finished_at = NowNs();
}

void Worker::Judge(const Reply& reply, const Slot& slot) {
  const Expectation& expected = plan_.expectation(slot.shape);
  if (expected.type == 0) {
    if (reply.type == '$' || reply.nil) ++(reply.nil ? result_.misses : result_.hits);
    return;
  }
  bool fits = reply.type == expected.type || (reply.type == '_' && expected.type == '$');
  if (!fits || (expected.elements >= 0 && reply.number != expected.elements)) [[unlikely]] {
    return NoteError(fmt::format("unexpected reply: type '{}', number {}", reply.type, reply.number));
  }
  if (expected.type == '$') {
    if (reply.nil) {
      ++result_.misses;
      return;
    }
    ++result_.hits;
    if (reply.number != expected.value_bytes) [[unlikely]]
      ++result_.odd_sizes;
    if (!options_.verify || reply.payload == nullptr || reply.number < static_cast<int64_t>(kKeyDigits))
      return;
    char digits[kKeyDigits];
    WriteKeyDigits(digits, slot.key);
    if (std::memcmp(digits, reply.payload, kKeyDigits) != 0) {
      NoteError(fmt::format("key {} answered with the value of another: {}", slot.key,
                            std::string_view(reply.payload, kKeyDigits)));
    }
  } else if (expected.keys > 0) {
    uint64_t hits =
        expected.type == ':' ? static_cast<uint64_t>(reply.number) : expected.keys - reply.inner_nils;
    if (hits > expected.keys) return NoteError(fmt::format("{} of {} keys", reply.number, expected.keys));
    result_.hits += hits;
    result_.misses += expected.keys - hits;
  }
}

void Worker::Flush(Connection& connection) {
  Connection::SendResult sent = connection.Send();
  if (sent == Connection::SendResult::kLost) return Fail("connection lost while sending");
  bool want_write = sent == Connection::SendResult::kSome;
  if (want_write == connection.write_armed) [[likely]]
    return;
  connection.write_armed = want_write;
  epoll_event event{.events = EPOLLIN | (want_write ? static_cast<uint32_t>(EPOLLOUT) : 0u),
                    .data = {.ptr = &connection}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd(), &event);
}

void Worker::StartBatch(Connection& connection) {
  if (!MayStart()) return;
  auto count = static_cast<uint32_t>(std::min<uint64_t>(options_.pipeline, to_send_));
  size_t bytes = 0;
  char* to = connection.out();
  if (plan_.fixed_length() && !slots_used_) {
    size_t length = plan_.max_bytes();
    for (uint32_t i = 0; i < count; ++i) stream_.Patch(to + i * length);
    bytes = count * length;
  } else {
    for (uint32_t i = 0; i < count; ++i) {
      uint8_t shape = 0;
      bytes += stream_.Append(to + bytes, &shape);
      connection.slots[i] = {.intended_at = 0, .key = stream_.last_key(), .shape = shape};
    }
  }
  connection.first = 0;
  connection.awaiting = count;
  connection.SetOutSize(bytes);
  to_send_ -= count;
  outstanding_ += count;
  result_.sent += count;
  connection.batch_sent_at = NowNs();
  Flush(connection);
}

// Replies have been counted into the connection's window; note their latencies and keep the loop going.
void Worker::AfterReplies(Connection& connection, uint64_t count) {
  if (options_.rate > 0) {
    for (uint64_t i = 0; i < count; ++i) {
      const Slot& slot = connection.slots[(connection.first + i) % connection.slots.size()];
      result_.latency.Record(static_cast<uint64_t>(std::max<TimeNs>(now_ - slot.intended_at, 0)));
    }
  } else {
    result_.latency.Record(static_cast<uint64_t>(now_ - connection.batch_sent_at), count);
  }
  connection.first = static_cast<uint32_t>((connection.first + count) % connection.slots.size());
  connection.awaiting -= static_cast<uint32_t>(count);
  outstanding_ -= count;
  result_.replies += count;
  last_reply_at_ = now_;
  progress_.store(result_.replies, std::memory_order_relaxed);
  if (connection.awaiting == 0 && options_.rate == 0) {
    past_deadline_ = now_ >= deadline_;
    StartBatch(connection);
  }
}

void Worker::Receive(Connection& connection) {
  char* data = receive_.data() + kHeadroomBytes;
  ssize_t got = recv(connection.fd(), data, kReceiveBytes, MSG_DONTWAIT);
  if (got <= 0) {
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    return Fail(got == 0 ? std::string("the server closed a connection")
                         : fmt::format("recv: {}", std::strerror(errno)));
  }
  now_ = NowNs();
  result_.bytes_in += static_cast<uint64_t>(got);
  const char* end = data + got;
  const char* from = data;
  if (!connection.carry.empty()) {
    from = data - connection.carry.size();
    connection.carry.copy(data - connection.carry.size(), connection.carry.size());
    connection.carry.clear();
  }
  ReplySink sink{*this, connection};
  const char* rest = connection.scanner.Scan(from, end, sink);
  if (rest == nullptr) return Fail(fmt::format("protocol violated: {}", connection.scanner.problem()));
  if (sink.unasked) return Fail("a reply that nobody asked for");
  if (rest != end) {
    if (static_cast<size_t>(end - rest) > kHeadroomBytes)
      return Fail("protocol violated: an endless header line");
    connection.carry.assign(rest, end);
  }
  if (sink.count > 0) AfterReplies(connection, sink.count);
}

// Waits for events until `until` (spinning: looks once). Time in which there was nothing to do counts as
// idle.
void Worker::Poll(TimeNs until) {
  epoll_event events[kMaxEvents];
  int timeout_ms = 0;
  if (options_.waiting == Waiting::kSleep) {
    // Rounded down: for the last part of a millisecond it looks again and again, since waking up late would
    // be worse.
    timeout_ms = static_cast<int>(std::clamp<TimeNs>((until - now_) / 1'000'000, 0, 1000));
  }
  TimeNs before = now_;
  int count = epoll_wait(epoll_, events, kMaxEvents, timeout_ms);
  bool idle = count <= 0 || timeout_ms > 0;
  if (idle) {
    now_ = NowNs();
    result_.idle_ns += now_ - before;
  }
  if (count < 0 && errno != EINTR) Fail(fmt::format("epoll_wait: {}", std::strerror(errno)));
  for (int i = 0; i < count && result_.failure.empty(); ++i) {
    auto& connection = *static_cast<Connection*>(events[i].data.ptr);
    if ((events[i].events & EPOLLOUT) != 0) Flush(connection);
    if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) Receive(connection);
  }
  if (count > 0) now_ = NowNs();  // the work just done is not idle time of the next look
  CheckPatience();
}

void Worker::CheckPatience() {
  if (outstanding_ == 0 || now_ - last_reply_at_ <= static_cast<TimeNs>(options_.patience_s * 1e9)) return;
  Fail(fmt::format("no reply for {} s, {} replies are missing", options_.patience_s, outstanding_));
}

void Worker::RunClosed() {
  for (auto& connection : connections_) {
    StartBatch(*connection);
    if (!result_.failure.empty()) return;
  }
  now_ = NowNs();
  bool single = connections_.size() == 1 && options_.waiting == Waiting::kSpin;
  while (outstanding_ > 0 && result_.failure.empty()) {
    if (!single || connections_[0]->write_armed) {
      Poll(now_ + kNsPerSecond);
      continue;
    }
    // One connection needs no readiness call: it is polled by receiving.
    ReceiveOnly(*connections_[0]);
  }
}

void Worker::ReceiveOnly(Connection& connection) {
  TimeNs before = now_;
  uint64_t replies = result_.replies;
  Receive(connection);
  now_ = NowNs();
  if (result_.replies != replies) return;
  result_.idle_ns += now_ - before;
  CheckPatience();
}

// Sends the request that was due at `due_at` on the next connection with room; false if all are full.
bool Worker::SendOneDue(TimeNs due_at) {
  auto count = static_cast<uint32_t>(connections_.size());
  for (uint32_t i = 0; i < count; ++i) {
    Connection& connection = *connections_[(rotate_ + i) % count];
    if (connection.awaiting == options_.pipeline) continue;
    rotate_ = (rotate_ + i + 1) % count;
    uint8_t shape = 0;
    connection.Appended(stream_.Append(connection.AppendPoint(plan_.max_bytes()), &shape));
    uint32_t at = (connection.first + connection.awaiting) % static_cast<uint32_t>(connection.slots.size());
    connection.slots[at] = {.intended_at = due_at, .key = stream_.last_key(), .shape = shape};
    ++connection.awaiting;
    --to_send_;
    ++outstanding_;
    ++result_.sent;
    return true;
  }
  return false;
}

void Worker::RunOpen() {
  double gap_ns = 1e9 / options_.rate;
  uint64_t next = 0;
  auto due_at = [&](uint64_t k) { return start_at_ + static_cast<TimeNs>(static_cast<double>(k) * gap_ns); };
  while (result_.failure.empty()) {
    now_ = NowNs();
    bool sent = false, full = false;
    // Requests due before the deadline are sent even if late: leaving them out would hide the worst
    // latencies.
    while (to_send_ > 0 && due_at(next) < deadline_ && due_at(next) <= now_) {
      full = !SendOneDue(due_at(next));
      if (full) break;
      ++next;
      sent = true;
    }
    if (sent) {
      for (auto& connection : connections_) {
        if (connection->HasUnsent() && !connection->write_armed) Flush(*connection);
      }
      now_ = NowNs();
    }
    bool more = to_send_ > 0 && due_at(next) < deadline_;
    if (!more && outstanding_ == 0) return;
    if (outstanding_ == 0) last_reply_at_ = now_;
    Poll(more && !full ? due_at(next) : now_ + kNsPerSecond);
  }
}

}  // namespace moonshard::bench
