#pragma once
// The simulation that judges this folder: all shards in one thread from one seed, clients that send random
// operations, a log per shard that becomes durable at random, a reader of the floors that is slow at the
// worst moments, and crashes.
//
// Every cell keeps the list of its versions and every operation what it read and wrote, so that the checks
// need no knowledge of the protocol: a cycle in "must come before" is a violation of strict serializability,
// and a record that a crash cuts off although somebody was answered because of it is a loss. Test code.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "shard/runtime.h"
#include "shard/sim_driver.h"
#include "shard/sim_env.h"
#include "shard/task.h"
#include "tx/manager.h"

namespace moonshard::tx::sim {

struct Config {
  uint16_t shards = 3;
  int clients = 6;
  int operations = 40;
  int cells = 3;  // per shard
  uint32_t ring_slots = 16;
  bool log = true;
  bool crash = true;
  bool poll_gate = true;      // off: answers are looked at only when the manager says so
  bool cap_watermark = true;  // rule 4's cap by the counter; off: the mistake "no-cap"
  // How often (of 100) an operation is of this kind; the rest are commands of one shard.
  int shorts = 35;
  int reads = 15;
  int longs = 20;
  int whole = 4;    // of 100: a part locks its whole shard
  int renames = 6;  // moves of the one token, and reads that look for it
  ManagerOptions manager;
};
// A random mix of the above.
Config RandomConfig(uint64_t seed);

enum class OpType : uint8_t { kLocal, kShort, kRead, kLong, kRename, kTokenRead };

struct Op;
class World;

struct Use {
  int cell;
  LockMode mode;
};
struct Seen {  // a version read or written
  uint16_t shard;
  int cell;
  int version;
  bool write;
};
struct OpPart {
  Op* op = nullptr;
  uint16_t shard = 0;
  std::vector<Use> uses;
  std::vector<KeyLock> locks;
  std::vector<Seen> seen;
  uint64_t position = 0;  // of its record
  uint64_t number = 0;    // the timestamp under which it was logged
};
struct Op : shard::ExternalWork {
  World* world = nullptr;
  int id = 0;
  int client = 0;
  OpType type = OpType::kLocal;
  bool writes = false;
  bool abort = false;
  bool in_place = false;  // a body that changes cells while it holds them, not at its commit
  int hops = 0;
  uint16_t home = 0;
  std::deque<OpPart> infos;
  std::vector<Part> parts;
  Transaction tx;
  uint64_t invoked = 0;
  uint64_t responded = 0;
  bool finished = false;  // storage is ours again
  bool crosses = false;   // has a place in the total order
};

struct Version {
  int writer = -1;
  uint64_t position =
      0;  // of the writer's record here; 0 for the first version and while the writer still holds
  bool token = false;
};
struct Record {
  int op;
  bool crosses;
  uint64_t number;
};

// What a shard holds.
struct Store {
  std::vector<std::vector<Version>> cells;
  std::vector<Record> log;  // position 1 is log[0]
  uint64_t durable = 0;
  uint64_t opened = 0;  // what Manager::IsOpen has let pass
  World* world = nullptr;
  Manager* manager = nullptr;
  uint16_t id = 0;
};

// Rule 4 in slow motion: the counter first, then one floor at a time, other things in between.
inline constexpr size_t kReaders = 6;

class FloorReader {
 public:
  // One load. `here` is the shard in whose turn it happens: a fresh reader looks at its floor at once, so
  // that every moment of a turn meets a reader that has just seen the counter and this floor and will see the
  // others much later.
  void Step(shard::ShardSet& set, uint16_t here, bool cap, base::Random& random);
  uint64_t watermark() const { return watermark_; }

 private:
  std::vector<uint16_t> left_;
  uint64_t least_ = 0;
  uint64_t watermark_ = 0;
};

class World {
 public:
  World(const Config& config, uint64_t seed);
  ~World();

  // Empty: everything that must hold held.
  std::string Run();

  // Called wherever another thread, the disk or a power cut could strike.
  void Observe(uint16_t shard);
  void RunPart(Part& part, shard::Shard& shard);
  void Fail(std::string what);
  void Respond(Op& op);
  void ReadOpened(uint16_t shard);
  void OnPosted(Op& op, shard::Shard& here);
  const Config& config() const { return config_; }
  base::Random& random() { return random_; }
  Store& store(uint16_t shard) { return *stores_[shard]; }

  ManagerStats Totals() const;
  uint64_t crash_count() const { return crash_count_; }

 private:
  class Hooks;
  Op& MakeOp(int client);
  void FillUses(Op& op);
  void FillToken(Op& op);
  void FillParts(Op& op);
  void Issue(int client);
  shard::Task<void> Body(Op& op, Manager& manager);
  shard::Task<void> RenameBody(Op& op, Manager& manager);
  void Touch(OpPart& info, int cell, bool write, uint64_t position, bool token);
  void AppendRecord(OpPart& info, Part& part);

  // sim_check_test.cc
  void CheckOrder();
  void CheckSerializable();
  void CheckCrash();
  uint64_t Watermark() const;
  uint64_t AnswerLimit(uint16_t shard, uint64_t watermark) const;
  bool Answered(const Op& op, const std::vector<uint64_t>& limits) const;
  std::vector<uint64_t> Recover(std::vector<uint64_t> on_disk) const;
  void CheckRecovered(const std::vector<uint64_t>& cut, const std::vector<uint64_t>& limits);

  Config config_;
  base::Random random_;
  shard::SimEnv env_;
  std::unique_ptr<shard::Runtime> runtime_;
  std::unique_ptr<shard::SimDriver> driver_;
  std::vector<std::unique_ptr<Store>> stores_;
  std::deque<Op> ops_;
  FloorReader readers_[kReaders];
  uint64_t clock_ = 0;
  int issued_ = 0;
  size_t finished_ = 0;
  uint64_t crash_count_ = 0;
  std::string failure_;
};

}  // namespace moonshard::tx::sim
