#pragma once
// SimEnv: the whole outside world from one seed. The clock stands still unless the driver moves it; jobs of
// workers run when the driver picks them. One thread.

#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"
#include "shard/env.h"
#include "shard/sim_disk.h"
#include "shard/sim_network.h"

namespace moonshard::shard {

class SimEnv final : public Env {
 public:
  explicit SimEnv(uint64_t seed);
  ~SimEnv() override;

  bool simulated() const override { return true; }
  TimeNs MonotonicNow() override { return now_ns_; }
  TimeNs WallNowNs() override { return wall_base_ms_ * 1'000'000 + now_ns_; }
  uint64_t RandomSeed() override { return random_.Next(); }
  base::Result<std::unique_ptr<Io>> MakeIo(ShardId shard, const IoOptions& options) override;
  std::unique_ptr<Worker> MakeWorker(std::string_view name) override;
  FileSystem& files() override { return disk_; }

  SimNetwork& network() { return network_; }
  SimDisk& disk() { return disk_; }

  void AdvanceClock(TimeNs by) { now_ns_ += by; }
  // The wall clock jumps (backwards too); the monotonic one does not.
  void JumpWallClock(TimeMs by) { wall_base_ms_ += by; }
  // Runs one job of one worker, chosen at random; false if there is none.
  bool RunOneJob();

 private:
  class SimWorker;

  base::Random random_;
  SimNetwork network_;
  SimDisk disk_;
  TimeNs now_ns_ = 1'000'000'000;
  TimeMs wall_base_ms_ = 1'700'000'000'000;
  std::vector<SimWorker*> workers_;
};

}  // namespace moonshard::shard
