#pragma once
// Connection: one client's socket on its home shard. Bytes in -> the engine's batches -> bytes out.
//
//   input    parsed in place in the receive buffer; what is left of it (an unfinished command, or everything
//   while a
//            batch is away) is kept in `input_`
//   output   replies gather in Client::out during a turn; the listener flushes every dirty connection once at
//   the
//            turn's end, and while one send is in flight the next replies gather behind it
//
// Backpressure: while more than kOutputSoftMax bytes wait to be sent no further command of this client runs,
// and while its unparsed input exceeds kInputSoftMax it is not read either. So a client that does not read
// its replies holds up only itself, with bounded memory.
//
// Owned by one shard. Destroyed by the listener after OnClosed.

#include <cstdint>
#include <span>
#include <string>

#include "command/engine.h"
#include "net/client_memory.h"
#include "resp/parser.h"
#include "shard/io.h"

namespace moonshard::net {

class Listener;

inline constexpr size_t kOutputSoftMax = size_t{1} << 20;
inline constexpr size_t kInputSoftMax = size_t{64} << 10;

class Connection final : public shard::StreamHandler, public command::Client {
 public:
  Connection(Listener& listener, command::ShardState& state);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override;

  void Attach(shard::AcceptedSocket socket);
  // At the end of a turn: sends what has gathered.
  void Flush();
  // Ends the connection now; the object goes after OnClosed.
  void Close();
  // The same to a client that did not ask for it and may be in the middle of sending.
  void CloseByForce();

  // shard::StreamHandler
  void OnData(std::span<char> data) override;
  void OnSent() override;
  void OnEnd() override;
  void OnError(int error) override;
  void OnClosed() override;
  // command::Client
  void OnBatchAnswered() override;
  void OnBatchParked() override;
  void OnBatchStopped(command::Batch* batch) override;
  void OnPushed() override;
  void OnEvicted() override;
  command::ClientFacts Describe() const override;
  void Kill() override { CloseByForce(); }
  bool Unblock(command::UnblockReason reason) override;

  // Idle for longer than `timeout`, or over its soft output limit for too long.
  void CloseIfOverdue();

  Connection* previous = nullptr;  // the listener's list of all connections
  Connection* next = nullptr;
  Connection* next_dirty = nullptr;  // the listener's list of connections to flush
  ClientAccount account;             // ClientMemory's

 private:
  friend class Listener;
  // Runs commands from the front of `data` until it is used up or something has to be waited for; returns the
  // number of bytes that are done with.
  size_t RunCommands(std::span<char> data);
  void RunInput();
  void KeepRest(std::span<char> rest);
  void GiveUpWaiting();
  void ContinueStopped();
  void FailProtocol(std::string_view error);
  void MayProceed();
  void UpdateReading();
  void MarkDirty();
  bool output_full() const { return out.size() + sending_.size() > kOutputSoftMax; }
  // The buffers have changed: counts them, and sees to the limits. This connection may be closed afterwards.
  void CountLarge();
  void CountNow();
  size_t MemoryBytes() const;
  bool QueryTooLarge(size_t more) const;
  bool OutputOverLimit();

  Listener& listener_;
  command::ShardState& state_;
  shard::StreamId stream_;
  resp::CommandParser parser_;
  base::Buffer input_;  // unparsed bytes from input_begin_ on
  size_t input_begin_ = 0;
  base::Buffer sending_;  // in flight
  command::Batch* away_ = nullptr;
  std::string pending_error_;  // protocol error behind the commands of the batch that is away
  std::string local_;
  int descriptor_ = -1;
  bool unix_socket_ = false;
  TimeMs connected_ms_ = 0;
  TimeMs active_ms_ = 0;
  TimeMs over_soft_limit_ms_ = 0;  // since when; 0: it is not
  size_t reply_peak_ = 0;          // most bytes sent at once
  size_t running_bytes_ = 0;       // what RunCommands was given, while it runs
  bool parser_trusts_ = true;      // the parser has the limits of an authenticated client
  bool running_ = false;           // RunCommands is on the stack
  bool waiting_ = false;           // a launched batch has not answered
  bool stopped_ = false;           // it waits for the output to shrink
  bool dirty_ = false;
  bool send_in_flight_ = false;
  bool reading_paused_ = false;
  bool ended_ = false;    // the peer sends no more
  bool closing_ = false;  // Close was called
  bool by_force_ = false;
  bool broken_ = false;  // protocol error: nothing more is parsed
};

}  // namespace moonshard::net
