#pragma once
// One thread's share of a run: it owns some connections, keeps requests in flight on them and judges the
// replies.
//
// Closed loop: each connection sends a batch of `pipeline` requests, waits for all their replies, sends the
// next; latency is measured from just before the send. Open loop (rate > 0): request k is due at start + k /
// rate whatever the server does; it goes out on the next connection with room, and its latency counts from
// when it was due, so a server that stalls is charged for every request that should have been sent meanwhile.
//
// Built and connected in any thread, then run by one.

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "bench/load_connection.h"
#include "bench/load_histogram.h"
#include "bench/load_request.h"

namespace moonshard::bench {

enum class Waiting : uint8_t { kSpin, kSleep };

struct WorkerOptions {
  Address address;
  uint32_t connections = 1;
  uint32_t pipeline = 1;
  uint64_t requests = 0;   // 0: until the deadline
  double seconds = 0;      // 0: until all requests are answered
  double rate = 0;         // requests a second; 0: closed loop
  double patience_s = 30;  // without any reply for so long, the run has failed
  Waiting waiting = Waiting::kSpin;
  bool verify = false;  // compare the key digits inside values with the key asked for
  int cpu = -1;         // pin the thread
};

struct WorkerResult {
  Histogram latency;
  uint64_t sent = 0;
  uint64_t replies = 0;
  uint64_t errors = 0;  // error replies and replies of the wrong shape
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t odd_sizes = 0;  // values whose length is not the one this run writes
  uint64_t bytes_in = 0;
  TimeNs idle_ns = 0;  // spent waiting for something to do, spinning or asleep
  TimeNs finished_at = 0;
  std::string first_error;
  std::string failure;  // not empty: the run is void (connection lost, protocol violated, replies missing)

  void Merge(const WorkerResult& other);
};

TimeNs NowNs();

class Worker {
 public:
  Worker(const WorkerOptions& options, const RequestPlan& plan, RequestStream stream);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  base::Status Connect();
  void Run(TimeNs start_at);

  const WorkerResult& result() const { return result_; }
  // Safe from any thread.
  uint64_t replies_so_far() const { return progress_.load(std::memory_order_relaxed); }

 private:
  friend struct ReplySink;

  void RunClosed();
  void RunOpen();
  void StartBatch(Connection& connection);
  void Flush(Connection& connection);
  void Receive(Connection& connection);
  void ReceiveOnly(Connection& connection);
  void CheckPatience();
  void AfterReplies(Connection& connection, uint64_t count);
  void Poll(TimeNs until);
  bool SendOneDue(TimeNs due_at);
  void Fail(std::string text);
  bool MayStart() const { return to_send_ > 0 && !past_deadline_; }
  void NoteError(std::string_view text) {
    ++result_.errors;
    if (result_.first_error.empty()) result_.first_error = text;
  }
  void Judge(const Reply& reply, const Slot& slot);

  WorkerOptions options_;
  const RequestPlan& plan_;
  RequestStream stream_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<char> receive_;  // [headroom for a carried header line | data]
  int epoll_ = -1;
  TimeNs start_at_ = 0;
  TimeNs deadline_ = 0;
  TimeNs now_ = 0;  // of the last look at the clock
  TimeNs last_reply_at_ = 0;
  uint64_t to_send_ = 0;
  uint64_t outstanding_ = 0;
  uint32_t rotate_ = 0;  // open loop: the connection that is next in turn
  bool past_deadline_ = false;
  bool slots_used_ = false;  // false: every request is alike and unscheduled, nothing to remember about each
  WorkerResult result_;
  std::atomic<uint64_t> progress_{0};
};

}  // namespace moonshard::bench
