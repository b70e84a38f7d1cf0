#include "tx/sim_world.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "shard/hop.h"

namespace moonshard::tx::sim {

namespace {
constexpr uint64_t kStepsMax = 400'000;

uint64_t FingerprintOf(uint16_t shard, int cell) {
  return (uint64_t{shard} * 1000 + static_cast<uint64_t>(cell) + 1) * 0x9E3779B97F4A7C15ull;
}
void RunPartOf(Part& part, shard::Shard& shard) {
  static_cast<OpPart*>(part.user)->op->world->RunPart(part, shard);
}
void LocalDone(Part& part) {
  Op& op = *static_cast<OpPart*>(part.user)->op;
  op.finished = true;
  op.world->Respond(op);
}
void TxReady(Transaction& tx) {
  Op& op = *static_cast<Op*>(tx.user);
  op.world->Respond(op);
}
void TxDone(Transaction& tx) {
  Op& op = *static_cast<Op*>(tx.user);
  if (op.responded == 0) op.world->Fail(fmt::format("op {} is done and was never ready", op.id));
  op.finished = true;
}
}  // namespace

Config RandomConfig(uint64_t seed) {
  base::Random random(seed * 7919 + 1);
  Config config;
  config.shards = static_cast<uint16_t>(1 + random.Below(random.OneIn(4) ? 12 : 4));
  config.clients = static_cast<int>(2 + random.Below(8));
  config.operations = static_cast<int>(10 + random.Below(50));
  config.cells = static_cast<int>(1 + random.Below(4));
  config.ring_slots = 1u << (2 + random.Below(5));
  config.shorts = static_cast<int>(random.Below(50));
  config.reads = static_cast<int>(random.Below(30));
  config.longs = random.OneIn(4) ? 0 : static_cast<int>(random.Below(40));
  config.whole = random.OneIn(2) ? 0 : static_cast<int>(random.Below(12));
  config.renames = random.OneIn(2) ? 0 : static_cast<int>(random.Below(20));
  config.log = !random.OneIn(4);
  config.poll_gate = random.OneIn(2);
  config.manager.optimistic_reads = !random.OneIn(3);
  return config;
}

// ---- the floors

void FloorReader::Step(shard::ShardSet& set, uint16_t here, bool cap, base::Random& random) {
  size_t idx = here;
  if (left_.empty()) {
    least_ = cap ? set.counter.load(std::memory_order_acquire) + 1 : kNoFloor;
    for (uint16_t shard = 0; shard < set.count(); ++shard) left_.push_back(shard);
  } else {
    idx = random.Below(left_.size());
  }
  least_ = std::min(least_, set.floors[left_[idx]].value.load(std::memory_order_acquire));
  left_.erase(left_.begin() + static_cast<ptrdiff_t>(idx));
  if (left_.empty()) watermark_ = std::max(watermark_, least_);
}

// ---- the shards

class World::Hooks final : public shard::TurnHooks {
 public:
  Hooks(World& world, shard::Shard& shard)
      : world_(world),
        shard_(shard),
        store_(world.store(shard.id().value())),
        manager_(shard, world.config().manager) {
    store_.manager = &manager_;
    store_.id = shard.id().value();
    if (world.config().log) {
      manager_.AttachLog();
      manager_.SetGateListener(
          [](void* user) {
            Store& store = *static_cast<Store*>(user);
            store.world->ReadOpened(store.id);
          },
          &store_);
    }
    shard.set_local(&store_);
    shard.set_local(&scope_);
  }
  void BeforeStamp() override {
    world_.Observe(shard_.id().value());
    manager_.BeforeStamp();
    world_.Observe(shard_.id().value());
  }
  void EndTurn() override {
    world_.Observe(shard_.id().value());
    if (world_.config().log && store_.durable < store_.log.size() && world_.random().OneIn(3)) {
      store_.durable += 1 + world_.random().Below(store_.log.size() - store_.durable);
      manager_.SetLogDurable(Lsn(store_.durable));
      world_.Observe(shard_.id().value());
    }
    manager_.EndTurn();
    world_.Observe(shard_.id().value());
  }
  bool HasWork() const override {
    return manager_.HasWork() || (world_.config().log && store_.durable < store_.log.size());
  }
  TimeNs NextDeadline() const override { return shard::kNever; }

 private:
  World& world_;
  shard::Shard& shard_;
  Store& store_;
  Manager manager_;
  shard::TaskScope scope_;
};

World::World(const Config& config, uint64_t seed) : config_(config), random_(seed), env_(seed) {
  for (uint16_t shard = 0; shard < config_.shards; ++shard) {
    auto store = std::make_unique<Store>();
    store->world = this;
    store->cells.resize(static_cast<size_t>(config_.cells) + 1, {Version{}});
    stores_.push_back(std::move(store));
  }
  stores_[0]->cells[0][0].token = true;
  shard::RuntimeOptions options;
  options.shard_count = config_.shards;
  options.ring_slots = config_.ring_slots;
  runtime_ = std::make_unique<shard::Runtime>(
      env_, options, [this](shard::Shard& shard) { return std::make_unique<Hooks>(*this, shard); });
  MS_CHECK(runtime_->Start().ok());
  driver_ = std::make_unique<shard::SimDriver>(*runtime_, env_, seed);
}

World::~World() {
  driver_.reset();
  runtime_->RequestStop();
  runtime_->Join();
  runtime_.reset();
}

void World::Fail(std::string what) {
  if (failure_.empty()) failure_ = std::move(what);
}

void World::Observe(uint16_t shard) {
  if (random_.OneIn(2)) {
    readers_[random_.Below(kReaders)].Step(runtime_->set(), shard, config_.cap_watermark, random_);
  }
  if (!config_.log) return;
  if (config_.poll_gate && random_.OneIn(8)) ReadOpened(shard);
  if (config_.crash && random_.OneIn(60)) CheckCrash();
}

void World::ReadOpened(uint16_t shard) {
  Store& store = *stores_[shard];
  if (shard::Shard::CurrentOrNull() == nullptr) return;
  if (shard::Shard::Current().id().value() != shard) return;
  while (store.opened < store.log.size() && store.manager->IsOpen(Lsn(store.opened + 1))) ++store.opened;
}

std::string World::Run() {
  for (int client = 0; client < config_.clients; ++client) Issue(client);
  auto all_done = [this] {
    if (random_.OneIn(4)) Observe(static_cast<uint16_t>(random_.Below(config_.shards)));
    return !failure_.empty() || (finished_ == ops_.size() && issued_ >= config_.operations);
  };
  if (!driver_->RunUntil(all_done, kStepsMax) && failure_.empty()) {
    std::string stuck;
    for (Op& op : ops_) {
      if (op.responded != 0) continue;
      stuck += fmt::format("\n  op {} of type {}, stage {}, awaits {}:", op.id, static_cast<int>(op.type),
                           static_cast<int>(op.tx.stage), op.tx.awaited);
      for (const Part& part : op.parts) {
        stuck += fmt::format(" shard {} state {} at {}/{}/{}{}", part.shard.value(),
                             static_cast<int>(part.state), part.order.number, part.order.coordinator,
                             part.order.sequence, part.heap_idx != kNotInHeap ? " pending" : "");
        for (const KeyLock& lock : part.locks)
          stuck += fmt::format(" {:x}{}", lock.fingerprint >> 48, lock.mode == LockMode::kShared ? "s" : "x");
        if (part.whole_shard) stuck += part.whole_shard_mode == LockMode::kShared ? " whole-s" : " whole-x";
      }
    }
    Fail("(d) never answered:" + stuck);
  }
  auto at_rest = [this] {
    for (Op& op : ops_) {
      if (!op.finished) return false;
    }
    for (uint16_t shard = 0; shard < config_.shards; ++shard) {
      if (!stores_[shard]->manager->drained()) return false;
      if (runtime_->floor(ShardId(shard)).value.load() != kNoFloor) return false;
      if (config_.log && stores_[shard]->durable != stores_[shard]->log.size()) return false;
      if (config_.log && stores_[shard]->opened != stores_[shard]->log.size()) return false;
    }
    return true;
  };
  if (failure_.empty() && !driver_->RunUntil(at_rest, kStepsMax))
    Fail("(d) floors, locks, storage or answers never come to rest");
  if (failure_.empty()) CheckOrder();
  if (failure_.empty()) CheckSerializable();
  return failure_;
}

ManagerStats World::Totals() const {
  ManagerStats sum;
  for (auto& store : stores_) {
    const ManagerStats& one = store->manager->stats();
    sum.started += one.started;
    sum.became_long += one.became_long;
    sum.optimistic_ok += one.optimistic_ok;
    sum.optimistic_lost += one.optimistic_lost;
    sum.committed += one.committed;
    sum.aborted += one.aborted;
    sum.local_waits += one.local_waits;
    sum.flagged += one.flagged;
    sum.delayed += one.delayed;
  }
  return sum;
}

// ---- operations

void World::Issue(int client) {
  if (issued_ >= config_.operations) return;
  ++issued_;
  Op& op = MakeOp(client);
  op.invoked = ++clock_;
  op.run = [](shard::Shard& here, shard::ExternalWork& work) {
    Op& posted = static_cast<Op&>(work);
    posted.world->OnPosted(posted, here);
  };
  runtime_->shard(ShardId(op.home)).Post(op);
}

void World::Respond(Op& op) {
  if (op.responded != 0) return Fail(fmt::format("op {} is answered twice", op.id));
  op.responded = ++clock_;
  ++finished_;
  Issue(op.client);
}

Op& World::MakeOp(int client) {
  Op& op = ops_.emplace_back();
  op.world = this;
  op.id = static_cast<int>(ops_.size()) - 1;
  op.client = client;
  op.home = static_cast<uint16_t>(random_.Below(config_.shards));
  int dice = static_cast<int>(random_.Below(100));
  auto falls = [&dice](int share) {
    dice -= share;
    return dice < 0;
  };
  if (falls(config_.shorts)) {
    op.type = OpType::kShort;
  } else if (falls(config_.reads)) {
    op.type = OpType::kRead;
  } else if (falls(config_.longs)) {
    op.type = OpType::kLong;
  } else if (falls(config_.renames)) {
    op.type = random_.OneIn(2) ? OpType::kRename : OpType::kTokenRead;
  }
  op.writes = op.type == OpType::kShort || op.type == OpType::kRename ||
              (op.type == OpType::kLong && !random_.OneIn(4)) ||
              (op.type == OpType::kLocal && random_.OneIn(2));
  op.abort = op.type == OpType::kLong && random_.OneIn(4);
  op.in_place = op.writes && !op.abort && random_.OneIn(2);
  op.hops = static_cast<int>(random_.Below(6));
  op.crosses = op.type != OpType::kLocal;
  if (op.type == OpType::kRename || op.type == OpType::kTokenRead) {
    FillToken(op);
  } else {
    FillUses(op);
  }
  FillParts(op);
  return op;
}

void World::FillUses(Op& op) {
  std::vector<uint16_t> shards;
  if (op.type == OpType::kLocal) {
    shards.push_back(op.home);
  } else {
    uint64_t count = 1 + random_.Below(std::min<uint64_t>(config_.shards, random_.OneIn(5) ? 12 : 3));
    while (shards.size() < count) {
      uint16_t shard = static_cast<uint16_t>(random_.Below(config_.shards));
      if (std::find(shards.begin(), shards.end(), shard) == shards.end()) shards.push_back(shard);
    }
  }
  for (uint16_t shard : shards) {
    OpPart& info = op.infos.emplace_back();
    info.shard = shard;
    uint64_t count = random_.OneIn(2) ? 1 : random_.Below(4);
    for (uint64_t n = 0; n < count; ++n) {
      int cell = 1 + static_cast<int>(random_.Below(static_cast<uint64_t>(config_.cells)));
      bool write = op.writes && !random_.OneIn(3);
      info.uses.push_back({cell, write ? LockMode::kExclusive : LockMode::kShared});
    }
  }
}

// Cell 0 of the first and of the last shard (cell 1 as well, if there is one shard only): the token lies in
// one of them.
void World::FillToken(Op& op) {
  LockMode mode = op.writes ? LockMode::kExclusive : LockMode::kShared;
  uint16_t last = static_cast<uint16_t>(config_.shards - 1);
  OpPart& first = op.infos.emplace_back();
  first.shard = 0;
  first.uses.push_back({0, mode});
  if (last == 0) return;
  OpPart& second = op.infos.emplace_back();
  second.shard = last;
  second.uses.push_back({0, mode});
}

void World::FillParts(Op& op) {
  bool token_op = op.type == OpType::kRename || op.type == OpType::kTokenRead;
  op.parts = std::vector<Part>(op.infos.size());
  for (size_t idx = 0; idx < op.infos.size(); ++idx) {
    OpPart& info = op.infos[idx];
    Part& part = op.parts[idx];
    info.op = &op;
    for (const Use& use : info.uses) {
      info.locks.push_back({.fingerprint = FingerprintOf(info.shard, use.cell), .mode = use.mode});
    }
    part.shard = ShardId(info.shard);
    part.locks = info.locks;
    part.run = &RunPartOf;
    part.user = &info;
    if (static_cast<int>(random_.Below(100)) < config_.whole && !token_op) {
      part.whole_shard = true;
      part.whole_shard_mode = op.writes && random_.OneIn(2) ? LockMode::kExclusive : LockMode::kShared;
    }
  }
  op.tx.access = op.writes ? Access::kWrite : Access::kReadOnly;
  op.tx.parts = op.parts;
  op.tx.user = &op;
  op.tx.ready = &TxReady;
  op.tx.done = &TxDone;
}

void World::OnPosted(Op& op, shard::Shard& here) {
  Manager& manager = here.local<Manager>();
  switch (op.type) {
    case OpType::kLocal: {
      Part& part = op.parts[0];
      bool now = !part.whole_shard || manager.MayRunNowWholeShard(part.whole_shard_mode);
      for (const KeyLock& lock : part.locks) now = now && manager.MayRunNow(lock.fingerprint, lock.mode);
      if (!now) return manager.RunLocal(part, &LocalDone);
      RunPart(part, here);
      return LocalDone(part);
    }
    case OpType::kShort:
    case OpType::kRead:
    case OpType::kTokenRead:
      // Whether it waits for all locks first or not, a transaction without a body is run by the manager.
      op.tx.kind = random_.OneIn(8) ? Kind::kLong : Kind::kShort;
      return manager.Start(op.tx);
    case OpType::kLong:
      return here.local<shard::TaskScope>().Spawn(Body(op, manager));
    case OpType::kRename:
      return here.local<shard::TaskScope>().Spawn(RenameBody(op, manager));
  }
}

// Reads the newest version of a cell, and writes the next one.
void World::Touch(OpPart& info, int cell, bool write, uint64_t position, bool token) {
  std::vector<Version>& versions = stores_[info.shard]->cells[static_cast<size_t>(cell)];
  int newest = static_cast<int>(versions.size()) - 1;
  for (const Seen& seen : info.seen) {
    if (seen.cell != cell || seen.version == newest) continue;
    if (versions.back().writer != info.op->id) {
      Fail(fmt::format("(iso) op {} sees cell {}/{} change under its lock", info.op->id, info.shard, cell));
    }
  }
  info.seen.push_back({info.shard, cell, newest, false});
  if (!write) return;
  versions.push_back({info.op->id, position, token});
  info.seen.push_back({info.shard, cell, newest + 1, true});
}

void World::AppendRecord(OpPart& info, Part& part) {
  Store& store = *stores_[info.shard];
  store.log.push_back({info.op->id, info.op->crosses, part.order.number});
  info.position = store.log.size();
  store.manager->WakeWhenOpen(Lsn(info.position));
  info.number = part.order.number;
  part.lsn = Lsn(info.position);
  for (const Seen& seen : info.seen) {  // what the body changed in place
    if (seen.write)
      store.cells[static_cast<size_t>(seen.cell)][static_cast<size_t>(seen.version)].position = info.position;
  }
}

void World::RunPart(Part& part, shard::Shard& shard) {
  OpPart& info = *static_cast<OpPart*>(part.user);
  Op& op = *info.op;
  Observe(info.shard);
  if (shard.id().value() != info.shard) Fail("a part ran on a foreign shard");
  if (op.type != OpType::kLong && op.type != OpType::kRename) {
    if (!info.seen.empty() && part.attempt == 0) Fail(fmt::format("op {} ran twice", op.id));
    info.seen.clear();
  }
  if (info.position != 0) Fail(fmt::format("op {} is logged twice on shard {}", op.id, info.shard));
  if (op.writes) AppendRecord(info, part);
  if (op.type == OpType::kRename) {
    bool token = stores_[info.shard]->cells[0].back().token;
    if (config_.shards > 1) Touch(info, 0, true, info.position, !token);
    return;
  }
  bool changes = op.writes && !(op.type == OpType::kLong && op.in_place);
  if (part.whole_shard) {
    for (int cell = 1; cell <= config_.cells; ++cell) {
      Touch(info, cell, changes && part.whole_shard_mode == LockMode::kExclusive, info.position, false);
    }
    return;
  }
  for (const Use& use : info.uses) {
    Touch(info, use.cell, changes && use.mode == LockMode::kExclusive, info.position, false);
  }
}

// ---- bodies

shard::Task<void> World::Body(Op& op, Manager& manager) {
  shard::Shards<Store> shards;
  op.tx.kind = Kind::kLong;
  co_await manager.Acquire(op.tx);
  for (int hop = 0; hop < op.hops; ++hop) {
    OpPart& info = op.infos[random_.Below(op.infos.size())];
    if (info.uses.empty()) {
      co_await shard::NextTurn{};
      continue;
    }
    Use use = info.uses[random_.Below(info.uses.size())];
    bool write = op.in_place && use.mode == LockMode::kExclusive;
    co_await shards.On(ShardId(info.shard),
                       [&](Store& store) { store.world->Touch(info, use.cell, write, 0, false); });
  }
  if (op.abort) {
    co_await manager.Abort(op.tx);
  } else {
    co_await manager.Commit(op.tx);
  }
  op.finished = true;
  Respond(op);
}

shard::Task<void> World::RenameBody(Op& op, Manager& manager) {
  shard::Shards<Store> shards;
  co_await manager.Acquire(op.tx);
  int tokens = 0;
  for (OpPart& info : op.infos) {
    co_await shards.On(ShardId(info.shard), [&](Store& store) {
      store.world->Touch(info, 0, false, 0, false);
      tokens += store.cells[0].back().token;
    });
  }
  if (tokens != 1) Fail(fmt::format("op {} sees {} tokens under its locks", op.id, tokens));
  co_await manager.Commit(op.tx);
  op.finished = true;
  Respond(op);
}

}  // namespace moonshard::tx::sim
