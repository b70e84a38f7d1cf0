#include "shard/epoll_io.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "shard/env.h"
#include "shard/socket.h"
#include "shard/stream_slots.h"

namespace moonshard::shard {

namespace {

constexpr int kEventsMax = 256;
constexpr int kAcceptsPerPollMax = 64;
// One turn receives at most this much; who does not fit is reported ready again in the next turn.
constexpr size_t kReceiveBytes = 256 * 1024;
// Less room than this is not worth a system call.
constexpr size_t kReceiveBytesMin = 2 * 1024;

class EpollIo final : public Io {
 public:
  static base::Result<std::unique_ptr<Io>> Make(const IoOptions& options);
  ~EpollIo() override;

  std::string_view name() const override { return "epoll"; }
  base::Result<ListenerId> Listen(const ListenAddress& address, AcceptHandler& handler) override;
  uint16_t PortOf(ListenerId listener) const override { return listeners_[listener.value()].port; }
  void CloseListener(ListenerId listener) override;
  StreamId Attach(AcceptedSocket socket, StreamHandler& handler) override;
  void PauseReading(StreamId stream) override;
  void ResumeReading(StreamId stream) override;
  void Send(StreamId stream, std::span<const char> data) override;
  void Close(StreamId stream) override;
  void Abort(StreamId stream) override;

  bool Poll() override;
  void Dispatch() override;
  void Submit() override;
  void Wait(TimeNs timeout_ns) override;
  void Wake() override;

 private:
  struct Stream {
    Fd fd;
    StreamHandler* handler = nullptr;  // null: the slot is free
    const char* send_data = nullptr;
    size_t send_left = 0;
    StreamInput input;
    uint32_t interest = 0;  // what epoll watches; 0: not in its set
    bool sending = false;
    bool end_seen = false;  // nothing more to read
    bool dead = false;      // OnError was or will be called
    bool closing = false;   // OnClosed will be called
  };
  struct Listener {
    Fd fd;
    AcceptHandler* handler = nullptr;
    uint16_t port = 0;
    std::string path;
  };
  struct Event {
    enum class Kind : uint8_t { kHeld, kData, kEnd, kSent, kError };
    Kind kind;
    uint32_t stream_idx;
    uint32_t offset = 0;  // kData: within received_
    uint32_t length = 0;
    int error = 0;
  };
  struct Accepted {
    uint32_t listener_idx;
    int fd;
  };
  enum class Source : uint32_t { kStream, kListener, kWake };

  EpollIo(const IoOptions& options, Fd epoll, Fd wake);
  static uint64_t Tag(Source source, uint32_t index) { return (static_cast<uint64_t>(source) << 32) | index; }

  void PollReady();
  void PollStream(uint32_t index, uint32_t mask);
  void PollListener(uint32_t index);
  void Receive(uint32_t index);
  void TrySend(uint32_t index);
  void Fail(uint32_t index, int error);
  void SetInterest(uint32_t index, uint32_t mask);
  void Run(const Event& event);
  void RunHeld(Stream& stream);
  void RunAccepted();
  void RunClosed();

  const size_t receive_once_bytes_;
  Fd epoll_;
  Fd wake_;
  DescriptorReserve reserve_;
  StreamSlots<Stream> streams_;
  std::deque<Listener> listeners_;
  std::unique_ptr<char[]> received_;
  size_t received_bytes_ = 0;
  std::vector<epoll_event> ready_;
  int ready_count_ = 0;  // found by Wait, not yet looked at

  std::vector<Event> events_;
  std::vector<Accepted> accepted_;
  std::vector<uint32_t> resumed_;
  std::vector<uint32_t> dirty_;  // have a send that was not tried yet
  std::vector<uint32_t> sent_;
  std::vector<Event> failed_;
  std::vector<uint32_t> closed_;      // since the last Poll
  std::vector<uint32_t> closed_now_;  // to be reported by this Dispatch
};

base::Result<std::unique_ptr<Io>> EpollIo::Make(const IoOptions& options) {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return FileError(errno, "create", "epoll");
  Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return FileError(errno, "create", "eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = Tag(Source::kWake, 0);
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0)
    return FileError(errno, "watch", "eventfd");
  return std::unique_ptr<Io>(new EpollIo(options, std::move(epoll), std::move(wake)));
}

EpollIo::EpollIo(const IoOptions& options, Fd epoll, Fd wake)
    : receive_once_bytes_(std::clamp<size_t>(options.buffer_bytes, kReceiveBytesMin, kReceiveBytes)),
      epoll_(std::move(epoll)),
      wake_(std::move(wake)),
      received_(new char[kReceiveBytes]),
      ready_(kEventsMax) {}

EpollIo::~EpollIo() {
  for (uint32_t i = 0; i < listeners_.size(); ++i) CloseListener(ListenerId(i));
  for (const Accepted& accepted : accepted_) close(accepted.fd);
}

base::Result<ListenerId> EpollIo::Listen(const ListenAddress& address, AcceptHandler& handler) {
  MS_ASSIGN_OR_RETURN(ListeningSocket made, OpenListener(address));
  int on = 1;
  ioctl(made.fd.get(), FIONBIO, &on);
  const auto index = static_cast<uint32_t>(listeners_.size());
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = Tag(Source::kListener, index);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, made.fd.get(), &event) != 0)
    return FileError(errno, "watch", "listener");
  Listener& listener = listeners_.emplace_back();
  listener.fd = std::move(made.fd);
  listener.handler = &handler;
  listener.port = made.port;
  listener.path = address.path;
  return ListenerId(index);
}

void EpollIo::CloseListener(ListenerId id) {
  Listener& listener = listeners_[id.value()];
  if (listener.handler == nullptr) return;
  listener.handler = nullptr;
  listener.fd.Reset();
  if (!listener.path.empty()) unlink(listener.path.c_str());
}

StreamId EpollIo::Attach(AcceptedSocket socket, StreamHandler& handler) {
  uint32_t index = streams_.Take();
  Stream& stream = streams_[index];
  stream.fd = std::move(static_cast<RealSocket*>(socket.state())->fd);
  stream.handler = &handler;
  SetInterest(index, EPOLLIN);
  return StreamId(index);
}

void EpollIo::SetInterest(uint32_t index, uint32_t mask) {
  Stream& stream = streams_[index];
  if (stream.interest == mask) return;
  epoll_event event{};
  event.events = mask;
  event.data.u64 = Tag(Source::kStream, index);
  const int operation = mask == 0 ? EPOLL_CTL_DEL : stream.interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  stream.interest = mask;
  if (epoll_ctl(epoll_.get(), operation, stream.fd.get(), &event) != 0 && mask != 0) Fail(index, errno);
}

// Reading stops when something arrives, see PollStream.
void EpollIo::PauseReading(StreamId id) {
  streams_[id].input.Pause();
}

void EpollIo::ResumeReading(StreamId id) {
  Stream& stream = streams_[id];
  if (!stream.input.paused()) return;
  const bool held = stream.input.Resume();
  if (stream.closing || stream.dead) return;
  if (held) resumed_.push_back(id.value());
  if (!stream.end_seen) SetInterest(id.value(), stream.interest | EPOLLIN);
}

void EpollIo::Send(StreamId id, std::span<const char> data) {
  Stream& stream = streams_[id];
  MS_DCHECK(!stream.closing && !stream.sending);
  stream.sending = true;
  stream.send_data = data.data();
  stream.send_left = data.size();
  dirty_.push_back(id.value());
}

void EpollIo::Close(StreamId id) {
  Stream& stream = streams_[id];
  MS_DCHECK(stream.handler != nullptr && !stream.closing);
  stream.closing = true;
  stream.interest = 0;  // closing the descriptor takes it out of the set
  stream.fd.Reset();
  closed_.push_back(id.value());
}

void EpollIo::Abort(StreamId id) {
  ResetOnClose(streams_[id].fd.get());
  Close(id);
}

bool EpollIo::Poll() {
  events_.clear();
  received_bytes_ = 0;
  // What a paused stream held comes before what it receives now.
  for (uint32_t index : resumed_) events_.push_back({Event::Kind::kHeld, index});
  resumed_.clear();
  PollReady();
  for (uint32_t index : sent_) events_.push_back({Event::Kind::kSent, index});
  sent_.clear();
  events_.insert(events_.end(), failed_.begin(), failed_.end());
  failed_.clear();
  closed_now_.insert(closed_now_.end(), closed_.begin(), closed_.end());
  closed_.clear();
  return !events_.empty() || !accepted_.empty() || !closed_now_.empty();
}

void EpollIo::PollReady() {
  int count = std::exchange(ready_count_, 0);
  if (count == 0) count = epoll_wait(epoll_.get(), ready_.data(), kEventsMax, 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready_[static_cast<size_t>(i)];
    const auto index = static_cast<uint32_t>(event.data.u64);
    switch (static_cast<Source>(event.data.u64 >> 32)) {
      case Source::kStream:
        PollStream(index, event.events);
        break;
      case Source::kListener:
        PollListener(index);
        break;
      case Source::kWake: {
        uint64_t value;
        [[maybe_unused]] ssize_t n = read(wake_.get(), &value, sizeof(value));
        break;
      }
    }
  }
}

void EpollIo::PollStream(uint32_t index, uint32_t mask) {
  Stream& stream = streams_[index];
  if (stream.sending && (mask & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) TrySend(index);
  if (stream.dead || (mask & (EPOLLIN | EPOLLERR | EPOLLHUP)) == 0) return;
  if (!stream.end_seen && !stream.input.paused()) {
    Receive(index);
    return;
  }
  int error = 0;
  socklen_t error_bytes = sizeof(error);
  if ((mask & EPOLLERR) != 0) getsockopt(stream.fd.get(), SOL_SOCKET, SO_ERROR, &error, &error_bytes);
  if (error != 0) {
    Fail(index, error);
    return;
  }
  // A hang-up is reported for as long as the descriptor is watched, asked for or not. Without an unfinished
  // send there is nothing to learn from it before the stream is read again.
  SetInterest(index, stream.sending ? stream.interest & ~uint32_t{EPOLLIN} : 0);
}

void EpollIo::Receive(uint32_t index) {
  Stream& stream = streams_[index];
  const size_t room = kReceiveBytes - received_bytes_;
  if (room < kReceiveBytesMin) return;
  char* to = received_.get() + received_bytes_;
  const ssize_t n = recv(stream.fd.get(), to, std::min(room, receive_once_bytes_), MSG_DONTWAIT);
  if (n > 0) {
    events_.push_back(
        {Event::Kind::kData, index, static_cast<uint32_t>(received_bytes_), static_cast<uint32_t>(n)});
    received_bytes_ += static_cast<size_t>(n);
  } else if (n == 0) {
    stream.end_seen = true;
    SetInterest(index, stream.interest & ~uint32_t{EPOLLIN});
    events_.push_back({Event::Kind::kEnd, index});
  } else if (errno != EAGAIN && errno != EINTR) {
    Fail(index, errno);
  }
}

void EpollIo::PollListener(uint32_t index) {
  Listener& listener = listeners_[index];
  if (listener.handler == nullptr) return;
  for (int i = 0; i < kAcceptsPerPollMax; ++i) {
    // Not SOCK_NONBLOCK: the descriptor may move to a shard with another backend; we pass MSG_DONTWAIT.
    const int fd = accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) {
      accepted_.push_back({index, fd});
      continue;
    }
    if (OutOfDescriptors(errno)) {
      timespec now{};
      clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
      reserve_.DropWaiting(listener.fd.get(), int64_t{now.tv_sec} * 1'000'000'000);
    }
    return;
  }
}

void EpollIo::TrySend(uint32_t index) {
  Stream& stream = streams_[index];
  while (stream.send_left != 0) {
    const ssize_t n = send(stream.fd.get(), stream.send_data, stream.send_left, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      stream.send_data += n;
      stream.send_left -= static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      SetInterest(index, stream.interest | EPOLLOUT);
      return;
    } else if (errno != EINTR) {
      Fail(index, errno);
      return;
    }
  }
  stream.sending = false;
  SetInterest(index, stream.interest & ~uint32_t{EPOLLOUT});
  sent_.push_back(index);
}

void EpollIo::Fail(uint32_t index, int error) {
  Stream& stream = streams_[index];
  if (stream.dead) return;
  stream.dead = true;
  SetInterest(index, 0);
  failed_.push_back({Event::Kind::kError, index, 0, 0, error});
}

void EpollIo::Dispatch() {
  for (const Event& event : events_) Run(event);
  events_.clear();
  RunAccepted();
  RunClosed();
}

void EpollIo::Run(const Event& event) {
  Stream& stream = streams_[event.stream_idx];
  if (stream.closing) return;
  switch (event.kind) {
    case Event::Kind::kHeld:
      RunHeld(stream);
      break;
    case Event::Kind::kData:
      stream.input.Data(*stream.handler, {received_.get() + event.offset, event.length});
      break;
    case Event::Kind::kEnd:
      stream.input.End(*stream.handler);
      break;
    case Event::Kind::kSent:
      stream.handler->OnSent();
      break;
    case Event::Kind::kError:
      stream.handler->OnError(event.error);
      break;
  }
}

void EpollIo::RunHeld(Stream& stream) {
  stream.input.RunHeld(*stream.handler, [&] { return stream.closing; });
}

void EpollIo::RunAccepted() {
  for (const Accepted& accepted : accepted_) {
    AcceptedSocket socket = WrapAccepted(accepted.fd);
    AcceptHandler* handler = listeners_[accepted.listener_idx].handler;
    if (handler != nullptr && socket.valid()) handler->OnAccept(std::move(socket));
  }
  accepted_.clear();
}

void EpollIo::RunClosed() {
  for (uint32_t index : closed_now_) {
    StreamHandler* handler = std::exchange(streams_[index].handler, nullptr);
    streams_[index].input.Free();
    streams_.Free(index);
    handler->OnClosed();
  }
  closed_now_.clear();
}

void EpollIo::Submit() {
  for (uint32_t index : dirty_) {
    const Stream& stream = streams_[index];
    if (!stream.closing && !stream.dead && stream.sending) TrySend(index);
  }
  dirty_.clear();
}

void EpollIo::Wait(TimeNs timeout_ns) {
  Submit();
  if (!resumed_.empty() || !sent_.empty() || !failed_.empty() || !closed_.empty()) return;
  timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  int count =
      epoll_pwait2(epoll_.get(), ready_.data(), kEventsMax, timeout_ns < 0 ? nullptr : &timeout, nullptr);
  if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
    // Older kernels and filters; rounded up, so that a timer is due when we return.
    const TimeNs timeout_ms =
        timeout_ns < 0 ? -1 : std::min<TimeNs>((timeout_ns + 999'999) / 1'000'000, 60'000);
    count = epoll_wait(epoll_.get(), ready_.data(), kEventsMax, static_cast<int>(timeout_ms));
  }
  ready_count_ = std::max(count, 0);
}

void EpollIo::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(wake_.get(), &one, sizeof(one));
}

}  // namespace

base::Result<std::unique_ptr<Io>> MakeEpollIo(const IoOptions& options) {
  return EpollIo::Make(options);
}

}  // namespace moonshard::shard
