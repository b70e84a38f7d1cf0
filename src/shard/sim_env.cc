#include "shard/sim_env.h"

#include <algorithm>

namespace moonshard::shard {

class SimEnv::SimWorker final : public Worker {
 public:
  explicit SimWorker(SimEnv& env) : env_(env) { env_.workers_.push_back(this); }
  ~SimWorker() override {
    while (RunOne()) {
    }
    std::erase(env_.workers_, this);
  }

  void Submit(Job& job) override {
    job.next = nullptr;
    (first_ == nullptr ? first_ : last_->next) = &job;
    last_ = &job;
  }
  bool idle() const { return first_ == nullptr; }
  bool RunOne() {
    Job* job = first_;
    if (job == nullptr) return false;
    first_ = job->next;
    job->run(*job);
    return true;
  }

 private:
  SimEnv& env_;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
};

SimEnv::SimEnv(uint64_t seed) : random_(seed), network_(random_.Next()), disk_(random_.Next()) {}
SimEnv::~SimEnv() = default;

base::Result<std::unique_ptr<Io>> SimEnv::MakeIo(ShardId shard, const IoOptions&) {
  return network_.MakeIo(shard);
}

std::unique_ptr<Worker> SimEnv::MakeWorker(std::string_view) {
  return std::make_unique<SimWorker>(*this);
}

bool SimEnv::RunOneJob() {
  size_t busy_count = 0;
  for (SimWorker* worker : workers_) busy_count += worker->idle() ? 0 : 1;
  if (busy_count == 0) return false;
  size_t pick = random_.Below(busy_count);
  for (SimWorker* worker : workers_) {
    if (worker->idle()) continue;
    if (pick-- == 0) return worker->RunOne();
  }
  return false;
}

}  // namespace moonshard::shard
