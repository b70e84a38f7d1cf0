#include "shard/runtime.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <barrier>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "shard/hop.h"

namespace moonshard::shard {

namespace {

uint32_t UsableCpuCount() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return std::max(1u, std::thread::hardware_concurrency());
  return static_cast<uint32_t>(CPU_COUNT(&set));
}

}  // namespace

ShardSet::ShardSet(Env& env_in, uint16_t shard_count, uint32_t ring_slots)
    : env(env_in), floors(new PublishedFloor[shard_count]), count_(shard_count) {
  MS_CHECK(shard_count > 0 && shard_count <= kMaxShards);
  for (size_t pair = 0; pair < size_t{shard_count} * shard_count; ++pair) {
    mailboxes.push_back(std::make_unique<Mailbox>(ring_slots));
  }
  for (uint16_t id = 0; id < shard_count; ++id) shards.push_back(std::make_unique<Shard>(ShardId(id), *this));
}

ShardSet::~ShardSet() = default;

uint64_t ShardSet::Watermark() const {
  // The counter first: a floor that was lowered for a stamp up to c is then visible below.
  uint64_t watermark = counter.load(std::memory_order_acquire) + 1;
  for (uint16_t id = 0; id < count_; ++id) {
    watermark = std::min(watermark, floors[id].value.load(std::memory_order_acquire));
  }
  return watermark;
}

// What the threads tell each other outside of their turns.
struct Runtime::Threads {
  explicit Threads(uint16_t count) : all(count) {}

  std::mutex mutex;
  std::condition_variable changed;
  uint16_t made_count = 0;
  std::optional<base::Status> last_made;  // the outcome of the shard that is being made
  bool go = false;
  bool abort = false;
  std::barrier<> all;
  std::vector<std::thread> threads;
};

Runtime::Runtime(Env& env, RuntimeOptions options, Factory factory)
    : env_(env),
      options_(std::move(options)),
      factory_(std::move(factory)),
      cpu_count_(UsableCpuCount()),
      set_(std::make_unique<ShardSet>(env, options_.shard_count, options_.ring_slots)) {}

Runtime::~Runtime() {
  RequestStop();
  Join();
}

base::Status Runtime::Start() {
  MS_CHECK(!started_);
  started_ = true;
  return env_.simulated() ? StartSimulated() : StartThreads();
}

base::Status Runtime::StartSimulated() {
  for (uint16_t id = 0; id < shard_count(); ++id) {
    base::Status made = MakeShard(ShardId(id));
    Shard::current_ = nullptr;
    if (!made.ok()) return made;
  }
  return {};
}

base::Status Runtime::StartThreads() {
  threads_ = std::make_unique<Threads>(shard_count());
  base::Status status;
  for (uint16_t id = 0; id < shard_count() && status.ok(); ++id) {
    threads_->threads.emplace_back([this, id] { ThreadMain(ShardId(id)); });
    std::unique_lock lock(threads_->mutex);
    threads_->changed.wait(lock, [&] { return threads_->last_made.has_value(); });
    status = std::move(*threads_->last_made);
    threads_->last_made.reset();
  }
  if (status.ok()) running_.store(true, std::memory_order_seq_cst);
  {
    std::lock_guard lock(threads_->mutex);
    (status.ok() ? threads_->go : threads_->abort) = true;
  }
  threads_->changed.notify_all();
  if (!status.ok()) Join();
  return status;
}

base::Status Runtime::MakeShard(ShardId id) {
  Shard& made = shard(id);
  Shard::current_ = &made;
  MS_ASSIGN_OR_RETURN(made.io_, env_.MakeIo(id, options_.io));
  made.now_ns_ = env_.MonotonicNow();
  made.now_ms_ = std::max(made.now_ms_, env_.WallNow());
  const BusyPoll busy_poll = env_.simulated() ? BusyPoll{BusyPoll::Mode::kNo, 0} : options_.busy_poll;
  made.spin_.Init(busy_poll, cpu_count_, shard_count(), made.now_ns_);
  made.hooks_ = factory_(made);
  MS_CHECK(made.hooks_ != nullptr);
  return {};
}

void Runtime::Pin(ShardId id) {
  if (options_.cpus.empty()) return;
  const int cpu = options_.cpus[id.value() % options_.cpus.size()];
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<size_t>(cpu), &set);
  if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0) {
    base::LogWarning("shard {}: cannot be pinned to cpu {}", id.value(), cpu);
  }
}

void Runtime::ThreadMain(ShardId id) {
  pthread_setname_np(pthread_self(), ("shard-" + std::to_string(id.value())).c_str());
  Pin(id);
  Threads& threads = *threads_;
  base::Status made = MakeShard(id);
  Shard& mine = shard(id);
  const bool ok = made.ok();
  bool go = false;
  {
    std::unique_lock lock(threads.mutex);
    threads.last_made.emplace(std::move(made));
    threads.changed.notify_all();
    threads.changed.wait(lock, [&] { return threads.go || threads.abort; });
    go = threads.go;
  }
  if (go && ok) {
    Loop(mine);
    // Nobody's turn runs any more when the first hooks go, and no hooks (nor their workers, which post) are
    // left when the first Io goes.
    threads.all.arrive_and_wait();
    mine.hooks_.reset();
    threads.all.arrive_and_wait();
    while (stop_calls_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  }
  mine.hooks_.reset();
  mine.io_.reset();
  Shard::current_ = nullptr;
}

void Runtime::Loop(Shard& mine) {
  while (!stop_.load(std::memory_order_acquire)) {
    if (!mine.Turn()) mine.Idle();
  }
}

// Only the first call wakes, and no Io goes away while it does (stop_calls_). Before `running_` no shard is
// in its loop, and each looks at stop_ when it enters.
void Runtime::RequestStop() {
  stop_calls_.fetch_add(1, std::memory_order_seq_cst);
  if (!stop_.exchange(true, std::memory_order_seq_cst) && running_.load(std::memory_order_seq_cst)) {
    for (const auto& each : set_->shards) each->io_->Wake();
  }
  stop_calls_.fetch_sub(1, std::memory_order_release);
}

void Runtime::Join() {
  if (threads_ != nullptr) {
    for (std::thread& thread : threads_->threads) thread.join();
    threads_->threads.clear();
    return;
  }
  for (const auto& each : set_->shards) {
    Shard::current_ = each.get();
    each->hooks_.reset();
  }
  for (const auto& each : set_->shards) each->io_.reset();
  Shard::current_ = nullptr;
}

void Runtime::RunOn(ShardId id, const std::function<void(Shard&)>& fn) {
  if (env_.simulated()) {
    Shard* before = std::exchange(Shard::current_, &shard(id));
    fn(shard(id));
    Shard::current_ = before;
    return;
  }
  MS_CHECK(Shard::CurrentOrNull() == nullptr);
  struct Call : ExternalWork {
    const std::function<void(Shard&)>* fn;
    std::promise<void> done;
  };
  // Freed by the shard, which may still be inside set_value when the caller goes on.
  auto* call = new Call;
  call->fn = &fn;
  call->run = [](Shard& here, ExternalWork& work) {
    std::unique_ptr<Call> owned(static_cast<Call*>(&work));
    (*owned->fn)(here);
    owned->done.set_value();
  };
  std::future<void> done = call->done.get_future();
  shard(id).Post(*call);
  done.wait();
}

}  // namespace moonshard::shard
