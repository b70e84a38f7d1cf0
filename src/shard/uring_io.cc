#include "shard/uring_io.h"

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/log.h"
#include "shard/env.h"
#include "shard/socket.h"
#include "shard/stream_slots.h"
#include "shard/uring_constants.h"

namespace moonshard::shard {

namespace {

constexpr uint16_t kBufferGroup = 0;
// Completions may pile up while a turn runs; beyond this the kernel keeps them aside, at a cost.
constexpr uint32_t kCompletionsPerEntry = 4;

// The low byte of user_data says what completed, the rest which stream or listener.
enum class Op : uint8_t { kIgnore, kAccept, kAcceptPoll, kRecv, kSend, kWake, kWakeEventfd };
uint64_t Tag(Op op, uint32_t index) {
  return (uint64_t{index} << 8) | static_cast<uint64_t>(op);
}

// The receive buffers that the kernel picks from, and the ring through which it gets them back.
class ReceiveBuffers {
 public:
  ReceiveBuffers() = default;
  ReceiveBuffers(const ReceiveBuffers&) = delete;
  ReceiveBuffers& operator=(const ReceiveBuffers&) = delete;
  ~ReceiveBuffers() {
    if (memory_ != nullptr) munmap(memory_, memory_bytes_);
  }

  base::Status Register(io_uring* ring, uint32_t count, uint32_t bytes) {
    if (!std::has_single_bit(count) || count > 32768)
      return FileError(EINVAL, "use", "io_uring buffer count");
    count_ = count;
    bytes_ = bytes;
    entries_bytes_ = count * sizeof(io_uring_buf);
    entries_bytes_ = (entries_bytes_ + 4095) & ~size_t{4095};
    memory_bytes_ = entries_bytes_ + size_t{count} * bytes;
    void* memory = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return FileError(errno, "map", "receive buffers");
    memory_ = static_cast<char*>(memory);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uint64_t>(memory_);
    registration.ring_entries = count;
    registration.bgid = kBufferGroup;
    if (int error = io_uring_register_buf_ring(ring, &registration, 0); error < 0) {
      return FileError(-error, "register", "receive buffers");
    }
    for (uint32_t i = 0; i < count; ++i) Recycle(static_cast<uint16_t>(i));
    Publish();
    return {};
  }

  char* At(uint16_t buffer) { return memory_ + entries_bytes_ + size_t{buffer} * bytes_; }
  // Handed back to the kernel by the next Publish.
  void Recycle(uint16_t buffer) {
    io_uring_buf& entry = reinterpret_cast<io_uring_buf*>(memory_)[tail_ & (count_ - 1)];
    entry.addr = reinterpret_cast<uint64_t>(At(buffer));
    entry.len = bytes_;
    entry.bid = buffer;
    ++tail_;
  }
  void Publish() { io_uring_smp_store_release(&reinterpret_cast<io_uring_buf_ring*>(memory_)->tail, tail_); }

 private:
  char* memory_ = nullptr;  // the ring's entries, then the buffers
  size_t memory_bytes_ = 0;
  size_t entries_bytes_ = 0;
  uint32_t count_ = 0;
  uint32_t bytes_ = 0;
  uint16_t tail_ = 0;
};

class UringIo final : public Io {
 public:
  UringIo() = default;
  ~UringIo() override;
  base::Status Init(const IoOptions& options, UringWake wake);

  std::string_view name() const override { return "uring"; }
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
  void WakeOther(Io& sleeper) override;

 private:
  struct Stream {
    Fd fd;
    StreamHandler* handler = nullptr;  // null: the slot is free
    const char* send_data = nullptr;
    size_t send_left = 0;
    StreamInput input;
    bool recv_armed = false;  // the kernel has our receive request
    bool recv_cancelled = false;
    bool send_armed = false;  // the kernel has our send request, and its memory
    bool sending = false;     // between Send and OnSent
    bool end_seen = false;    // nothing more to read
    bool dead = false;        // OnError was called
    bool closing = false;     // OnClosed will be called
  };
  struct Listener {
    Fd fd;
    AcceptHandler* handler = nullptr;  // null: closed
    uint16_t port = 0;
    std::string path;
  };

  io_uring_sqe* NextSqe();
  void ArmAccept(uint32_t index);
  void ArmAcceptPoll(uint32_t index);
  void ArmRecv(uint32_t index);
  void ArmWakeEventfd();
  void Complete(const io_uring_cqe& cqe);
  void CompleteAccept(uint32_t index, int result, uint32_t flags);
  void CompleteAcceptPoll(uint32_t index);
  void RunAccepted(Listener& listener, int fd);
  void DropWaiting(uint32_t index);
  void CompleteRecv(uint32_t index, int result, uint32_t flags);
  void CompleteRecvEnd(uint32_t index, int result);
  void TakeData(uint32_t index, std::span<char> data);
  void CompleteSend(uint32_t index, int result);
  void Fail(Stream& stream, int error);
  void RunHeld(Stream& stream);
  void FinishClose(uint32_t index);
  void RunClosed();

  io_uring ring_{};
  bool ring_made_ = false;
  bool no_iowait_ = false;
  Fd wake_eventfd_;  // only where the kernel cannot take a message from a thread without ring
  DescriptorReserve reserve_;
  ReceiveBuffers buffers_;
  StreamSlots<Stream> streams_;
  std::deque<Listener> listeners_;
  uint32_t polled_count_ = 0;
  std::vector<uint32_t> resumed_;  // have something held to hand out
  std::vector<uint32_t> resumed_now_;
  std::vector<uint32_t> dirty_;   // have a send that was not given to the kernel yet
  std::vector<uint32_t> closed_;  // the kernel is done with them
  std::vector<uint32_t> closed_now_;
};

base::Status UringIo::Init(const IoOptions& options, UringWake wake) {
  io_uring_params params{};
  params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  params.cq_entries = options.queue_entries * kCompletionsPerEntry;
  if (int error = io_uring_queue_init_params(options.queue_entries, &ring_, &params); error < 0) {
    return FileError(-error, "set up", "io_uring");
  }
  ring_made_ = true;
  io_uring_ring_dontfork(&ring_);
  no_iowait_ = (params.features & kFeatureNoIowait) != 0;
  io_uring_register_ring_fd(&ring_);  // a convenience: without it each enter looks the descriptor up
  MS_RETURN_IF_ERROR(buffers_.Register(&ring_, options.buffer_count, options.buffer_bytes));

  if (wake == UringWake::kBest) {
    io_uring_sqe message{};
    io_uring_prep_msg_ring(&message, ring_.ring_fd, 0, Tag(Op::kWake, 0), 0);
    if (io_uring_register(static_cast<unsigned>(-1), kRegisterSendMsgRing, &message, 1) == 0) return {};
  }
  wake_eventfd_ = Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_eventfd_.valid()) return FileError(errno, "create", "eventfd");
  ArmWakeEventfd();
  return {};
}

UringIo::~UringIo() {
  for (uint32_t i = 0; i < listeners_.size(); ++i) CloseListener(ListenerId(i));
  if (!ring_made_) return;
  // The kernel must be done with the buffers and with the memory of sends before either goes away.
  for (Stream& stream : streams_) {
    if (stream.fd.valid()) shutdown(stream.fd.get(), SHUT_RDWR);
  }
  Submit();
  io_uring_sync_cancel_reg cancel{};
  cancel.fd = -1;
  cancel.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  cancel.timeout = {-1, -1};
  io_uring_register_sync_cancel(&ring_, &cancel);
  io_uring_queue_exit(&ring_);
}

io_uring_sqe* UringIo::NextSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) [[unlikely]] {
    io_uring_submit(&ring_);
    sqe = io_uring_get_sqe(&ring_);
    MS_CHECK(sqe != nullptr);
  }
  return sqe;
}

base::Result<ListenerId> UringIo::Listen(const ListenAddress& address, AcceptHandler& handler) {
  MS_ASSIGN_OR_RETURN(ListeningSocket made, OpenListener(address));
  const auto index = static_cast<uint32_t>(listeners_.size());
  Listener& listener = listeners_.emplace_back();
  listener.fd = std::move(made.fd);
  listener.handler = &handler;
  listener.port = made.port;
  listener.path = address.path;
  ArmAccept(index);
  return ListenerId(index);
}

void UringIo::ArmAccept(uint32_t index) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_multishot_accept(sqe, listeners_[index].fd.get(), nullptr, nullptr, SOCK_CLOEXEC);
  io_uring_sqe_set_data64(sqe, Tag(Op::kAccept, index));
}

void UringIo::CloseListener(ListenerId id) {
  Listener& listener = listeners_[id.value()];
  if (listener.handler == nullptr) return;
  listener.handler = nullptr;
  // Refuses new connections at once and ends the accept request, which closes the descriptor.
  shutdown(listener.fd.get(), SHUT_RDWR);
  if (!listener.path.empty()) unlink(listener.path.c_str());
}

StreamId UringIo::Attach(AcceptedSocket socket, StreamHandler& handler) {
  uint32_t index = streams_.Take();
  Stream& stream = streams_[index];
  stream.fd = std::move(static_cast<RealSocket*>(socket.state())->fd);
  stream.handler = &handler;
  ArmRecv(index);
  return StreamId(index);
}

void UringIo::ArmRecv(uint32_t index) {
  Stream& stream = streams_[index];
  stream.recv_armed = true;
  stream.recv_cancelled = false;
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_recv_multishot(sqe, stream.fd.get(), nullptr, 0, 0);
  sqe->flags |= IOSQE_BUFFER_SELECT;
  sqe->buf_group = kBufferGroup;
  io_uring_sqe_set_data64(sqe, Tag(Op::kRecv, index));
}

// The receive request stays armed: only when data comes nevertheless is it cancelled (TakeData), so that a
// pause which ends before that costs nothing.
void UringIo::PauseReading(StreamId id) {
  streams_[id].input.Pause();
}

void UringIo::ResumeReading(StreamId id) {
  Stream& stream = streams_[id];
  if (!stream.input.paused()) return;
  const bool held = stream.input.Resume();
  if (stream.closing || stream.dead) return;
  if (held) resumed_.push_back(id.value());
  if (!stream.end_seen && !stream.recv_armed) ArmRecv(id.value());
}

void UringIo::Send(StreamId id, std::span<const char> data) {
  Stream& stream = streams_[id];
  MS_DCHECK(!stream.closing && !stream.sending);
  stream.sending = true;
  stream.send_data = data.data();
  stream.send_left = data.size();
  dirty_.push_back(id.value());
}

void UringIo::Close(StreamId id) {
  Stream& stream = streams_[id];
  MS_DCHECK(stream.handler != nullptr && !stream.closing);
  stream.closing = true;
  if (stream.recv_armed || stream.send_armed) {
    shutdown(stream.fd.get(), SHUT_RDWR);  // ends both requests
  } else {
    FinishClose(id.value());
  }
}

void UringIo::Abort(StreamId id) {
  ResetOnClose(streams_[id].fd.get());
  Close(id);
}

void UringIo::FinishClose(uint32_t index) {
  streams_[index].fd.Reset();
  closed_.push_back(index);
}

bool UringIo::Poll() {
  const unsigned flags = IO_URING_READ_ONCE(*ring_.sq.kflags);
  if ((flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0) io_uring_get_events(&ring_);
  polled_count_ = io_uring_cq_ready(&ring_);
  resumed_now_.swap(resumed_);
  closed_now_.swap(closed_);
  return polled_count_ != 0 || !resumed_now_.empty() || !closed_now_.empty();
}

void UringIo::Dispatch() {
  // What a paused stream held comes before what it receives now.
  for (uint32_t index : resumed_now_) RunHeld(streams_[index]);
  resumed_now_.clear();
  const unsigned head = *ring_.cq.khead;
  for (uint32_t i = 0; i < polled_count_; ++i) Complete(ring_.cq.cqes[(head + i) & *ring_.cq.kring_mask]);
  io_uring_cq_advance(&ring_, polled_count_);
  buffers_.Publish();
  polled_count_ = 0;
  RunClosed();
}

void UringIo::Complete(const io_uring_cqe& cqe) {
  const auto index = static_cast<uint32_t>(cqe.user_data >> 8);
  switch (static_cast<Op>(cqe.user_data & 0xff)) {
    case Op::kIgnore:
    case Op::kWake:
      break;
    case Op::kAcceptPoll:
      CompleteAcceptPoll(index);
      break;
    case Op::kAccept:
      CompleteAccept(index, cqe.res, cqe.flags);
      break;
    case Op::kRecv:
      CompleteRecv(index, cqe.res, cqe.flags);
      break;
    case Op::kSend:
      CompleteSend(index, cqe.res);
      break;
    case Op::kWakeEventfd: {
      uint64_t value;
      [[maybe_unused]] ssize_t n = read(wake_eventfd_.get(), &value, sizeof(value));
      if ((cqe.flags & IORING_CQE_F_MORE) == 0) ArmWakeEventfd();
      break;
    }
  }
}

void UringIo::CompleteAccept(uint32_t index, int result, uint32_t flags) {
  Listener& listener = listeners_[index];
  if (result >= 0) RunAccepted(listener, result);
  if ((flags & IORING_CQE_F_MORE) != 0) return;
  if (listener.handler == nullptr) {
    listener.fd.Reset();
  } else if (OutOfDescriptors(-result)) {
    DropWaiting(index);
  } else if (result == -EINVAL || result == -EBADF || result == -EOPNOTSUPP) {
    base::LogError("a listener on port {} cannot accept: {}", listener.port, std::strerror(-result));
  } else {
    ArmAccept(index);
  }
}

void UringIo::RunAccepted(Listener& listener, int fd) {
  AcceptedSocket socket = WrapAccepted(fd);
  if (listener.handler != nullptr && socket.valid()) listener.handler->OnAccept(std::move(socket));
}

// An accept request takes its descriptor first, so without one it fails at once, connection or not. Until we
// could accept by hand again we wait for connections instead.
void UringIo::DropWaiting(uint32_t index) {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  reserve_.DropWaiting(listeners_[index].fd.get(), int64_t{now.tv_sec} * 1'000'000'000);
  ArmAcceptPoll(index);
}

void UringIo::ArmAcceptPoll(uint32_t index) {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_poll_add(sqe, listeners_[index].fd.get(), POLLIN);
  io_uring_sqe_set_data64(sqe, Tag(Op::kAcceptPoll, index));
}

void UringIo::CompleteAcceptPoll(uint32_t index) {
  Listener& listener = listeners_[index];
  if (listener.handler == nullptr) {
    listener.fd.Reset();
    return;
  }
  const int fd = AcceptWithoutBlocking(listener.fd.get());
  if (fd >= 0) {
    RunAccepted(listener, fd);
    ArmAccept(index);
  } else if (OutOfDescriptors(errno)) {
    DropWaiting(index);
  } else {
    ArmAccept(index);
  }
}

void UringIo::CompleteRecv(uint32_t index, int result, uint32_t flags) {
  // A reference stays good while the callbacks attach streams: the deque never moves its elements.
  Stream& stream = streams_[index];
  const bool more = (flags & IORING_CQE_F_MORE) != 0;
  if (!more) stream.recv_armed = false;
  if (result > 0) {
    const auto buffer = static_cast<uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
    TakeData(index, {buffers_.At(buffer), static_cast<size_t>(result)});
    buffers_.Recycle(buffer);
  } else if ((flags & IORING_CQE_F_BUFFER) != 0) {
    buffers_.Recycle(static_cast<uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT));
  }
  if (!more) CompleteRecvEnd(index, result);
}

void UringIo::TakeData(uint32_t index, std::span<char> data) {
  Stream& stream = streams_[index];
  if (stream.closing || stream.dead) return;
  if (stream.input.Data(*stream.handler, data)) return;
  if (!stream.input.paused() || !stream.recv_armed || stream.recv_cancelled) return;
  stream.recv_cancelled = true;
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_cancel64(sqe, Tag(Op::kRecv, index), 0);
  io_uring_sqe_set_data64(sqe, Tag(Op::kIgnore, 0));
}

// The receive request is over: why, and does it need a new one?
void UringIo::CompleteRecvEnd(uint32_t index, int result) {
  Stream& stream = streams_[index];
  if (stream.closing) {
    if (!stream.send_armed && stream.fd.valid()) FinishClose(index);
    return;
  }
  if (stream.dead) return;
  if (result == 0) {
    stream.end_seen = true;
    stream.input.End(*stream.handler);
    return;
  }
  const bool again =
      result > 0 || result == -ENOBUFS || result == -ECANCELED || result == -EINTR || result == -EAGAIN;
  if (!again) {
    Fail(stream, -result);
  } else if (!stream.input.paused() && !stream.recv_armed) {
    ArmRecv(index);
  }
}

void UringIo::CompleteSend(uint32_t index, int result) {
  Stream& stream = streams_[index];
  stream.send_armed = false;
  if (stream.closing) {
    if (!stream.recv_armed && stream.fd.valid()) FinishClose(index);
    return;
  }
  if (stream.dead) return;
  if (result < 0 && result != -EINTR && result != -EAGAIN) {
    Fail(stream, -result);
    return;
  }
  if (result > 0) {
    stream.send_data += result;
    stream.send_left -= static_cast<size_t>(result);
  }
  if (stream.send_left != 0) {
    dirty_.push_back(index);
    return;
  }
  stream.sending = false;
  stream.handler->OnSent();
}

void UringIo::Fail(Stream& stream, int error) {
  stream.dead = true;
  stream.handler->OnError(error);
}

void UringIo::RunHeld(Stream& stream) {
  stream.input.RunHeld(*stream.handler, [&] { return stream.closing || stream.dead; });
}

void UringIo::RunClosed() {
  for (uint32_t index : closed_now_) {
    StreamHandler* handler = std::exchange(streams_[index].handler, nullptr);
    streams_[index].input.Free();
    streams_.Free(index);
    handler->OnClosed();
  }
  closed_now_.clear();
}

void UringIo::Submit() {
  for (uint32_t index : dirty_) {
    Stream& stream = streams_[index];
    if (stream.closing || stream.dead || !stream.sending || stream.send_armed) continue;
    stream.send_armed = true;
    io_uring_sqe* sqe = NextSqe();
    // MSG_WAITALL: the kernel goes on after a short send by itself.
    io_uring_prep_send(sqe, stream.fd.get(), stream.send_data, stream.send_left, MSG_NOSIGNAL | MSG_WAITALL);
    io_uring_sqe_set_data64(sqe, Tag(Op::kSend, index));
  }
  dirty_.clear();
  // Runs the deferred work too, so that the next Poll mostly finds its completions without a call of its own.
  if (io_uring_sq_ready(&ring_) != 0) io_uring_submit_and_get_events(&ring_);
}

void UringIo::Wait(TimeNs timeout_ns) {
  Submit();
  if (!resumed_.empty() || !closed_.empty() || io_uring_cq_ready(&ring_) != 0) return;
  __kernel_timespec timeout{timeout_ns / 1'000'000'000, timeout_ns % 1'000'000'000};
  io_uring_getevents_arg argument{};
  if (timeout_ns >= 0) argument.ts = reinterpret_cast<uint64_t>(&timeout);
  unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
  if (no_iowait_) flags |= kEnterNoIowait;
  if ((ring_.int_flags & kRingFdRegistered) != 0) flags |= IORING_ENTER_REGISTERED_RING;
  // The return value tells nothing that Poll does not see: an event, a timeout, a signal.
  io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd), 0, 1, flags,
                  reinterpret_cast<sigset_t*>(&argument), sizeof(argument));
}

void UringIo::ArmWakeEventfd() {
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_poll_multishot(sqe, wake_eventfd_.get(), POLLIN);
  io_uring_sqe_set_data64(sqe, Tag(Op::kWakeEventfd, 0));
}

void UringIo::Wake() {
  if (wake_eventfd_.valid()) {
    const uint64_t one = 1;
    [[maybe_unused]] ssize_t n = write(wake_eventfd_.get(), &one, sizeof(one));
    return;
  }
  io_uring_sqe message{};
  io_uring_prep_msg_ring(&message, ring_.ring_fd, 0, Tag(Op::kWake, 0), 0);
  io_uring_register(static_cast<unsigned>(-1), kRegisterSendMsgRing, &message, 1);
}

void UringIo::WakeOther(Io& sleeper) {
  auto* other = dynamic_cast<UringIo*>(&sleeper);
  if (other == nullptr) {
    sleeper.Wake();
    return;
  }
  io_uring_sqe* sqe = NextSqe();
  io_uring_prep_msg_ring(sqe, other->ring_.ring_fd, 0, Tag(Op::kWake, 0), 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(sqe, Tag(Op::kIgnore, 0));
}

}  // namespace

base::Result<std::unique_ptr<Io>> MakeUringIo(const IoOptions& options, UringWake wake) {
  auto io = std::make_unique<UringIo>();
  MS_RETURN_IF_ERROR(io->Init(options, wake));
  return std::unique_ptr<Io>(std::move(io));
}

}  // namespace moonshard::shard
