// Real threads: money moves between accounts of all shards by every kind of transaction, and every read of
// all accounts must see the same sum. Small enough for every run; ThreadSanitizer judges the hand-over of the
// parts' memory.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "base/random.h"
#include "shard/hop.h"
#include "shard/runtime.h"
#include "shard/task.h"
#include "tx/manager.h"

namespace moonshard::tx {
namespace {

constexpr int kAccounts = 4;  // per shard
constexpr int64_t kDeposit = 1000;

uint64_t Fingerprint(uint16_t shard, int account) {
  return (uint64_t{shard} * 100 + static_cast<uint64_t>(account) + 1) * 0x9E3779B97F4A7C15ull;
}

struct Bank {
  int64_t accounts[kAccounts] = {kDeposit, kDeposit, kDeposit, kDeposit};
  uint64_t log_end = 0;
  uint64_t opened = 0;
  Manager* manager = nullptr;

  void Log(Part& part) {
    part.lsn = Lsn(++log_end);
    manager->WakeWhenOpen(part.lsn);
  }
  static void OnGate(void* self) {
    Bank& bank = *static_cast<Bank*>(self);
    while (bank.opened < bank.log_end && bank.manager->IsOpen(Lsn(bank.opened + 1))) ++bank.opened;
  }
};

struct Shared {
  explicit Shared(uint16_t shards_in, int clients, int operations)
      : shards(shards_in), operations_per_client(operations), clients_left(clients * shards_in) {}
  const uint16_t shards;
  const int operations_per_client;
  std::atomic<int> clients_left;
  std::atomic<int> wrong_sums{0};
};

// One command after the other, each posted to the own shard, as a connection would.
struct Client : shard::ExternalWork {
  Shared* shared = nullptr;
  shard::Shard* home = nullptr;
  base::Random random{0};
  int left = 0;

  struct Share {
    Client* client;
    int64_t amount[kAccounts];
    int64_t sum;
  };
  std::vector<Part> parts;
  std::vector<Share> shares;
  std::vector<std::vector<KeyLock>> locks;
  Transaction tx;
  std::vector<uint16_t> chosen;

  void Post() {
    run = [](shard::Shard&, shard::ExternalWork& work) { static_cast<Client&>(work).Next(); };
    home->Post(*this);
  }
  void Finished() {
    if (--left > 0) return Post();
    shared->clients_left.fetch_sub(1, std::memory_order_release);
  }
  void Prepare(size_t count, Access access) {
    parts.assign(count, Part{});
    shares.assign(count, Share{});
    locks.assign(count, {});
    for (size_t i = 0; i < count; ++i) {
      shares[i].client = this;
      parts[i].user = &shares[i];
      parts[i].run = access == Access::kWrite ? &Move : &Sum;
      parts[i].shard = ShardId(chosen[i]);
    }
    tx = Transaction{};
    tx.access = access;
    tx.parts = parts;
    tx.user = this;
    tx.done = [](Transaction& t) { static_cast<Client*>(t.user)->TxDone(); };
  }
  void Lock(size_t part, int account, LockMode mode) {
    locks[part].push_back({.fingerprint = Fingerprint(chosen[part], account), .mode = mode});
    parts[part].locks = locks[part];
  }
  static void Move(Part& part, shard::Shard& shard) {
    Share& share = *static_cast<Share*>(part.user);
    Bank& bank = shard.local<Bank>();
    bank.Log(part);
    for (int account = 0; account < kAccounts; ++account) bank.accounts[account] += share.amount[account];
  }
  static void Sum(Part& part, shard::Shard& shard) {
    Share& share = *static_cast<Share*>(part.user);
    share.sum = 0;
    for (int64_t amount : shard.local<Bank>().accounts) share.sum += amount;
  }
  void TxDone() {
    if (tx.access == Access::kReadOnly) {
      int64_t sum = 0;
      for (const Share& share : shares) sum += share.sum;
      if (sum != kDeposit * kAccounts * shared->shards) shared->wrong_sums.fetch_add(1);
    }
    Finished();
  }
  void ChooseAll() {
    chosen.clear();
    for (uint16_t s = 0; s < shared->shards; ++s) chosen.push_back(s);
  }
  void Next();
  void StartTransfer(Manager& manager);
  void StartRead(Manager& manager, bool whole);
  void RunLocalMove(Manager& manager);
  static shard::Task<void> Body(Client& client, Manager& manager);
};

void Client::StartTransfer(Manager& manager) {
  uint16_t from = static_cast<uint16_t>(random.Below(shared->shards));
  chosen = {from, static_cast<uint16_t>((from + 1 + random.Below(shared->shards - 1u)) % shared->shards)};
  Prepare(2, Access::kWrite);
  int64_t amount = static_cast<int64_t>(random.Below(50));
  for (size_t i = 0; i < 2; ++i) {
    int account = static_cast<int>(random.Below(kAccounts));
    Lock(i, account, LockMode::kExclusive);
    shares[i].amount[account] = i == 0 ? -amount : amount;
  }
  tx.kind = random.OneIn(10) ? Kind::kLong : Kind::kShort;
  manager.Start(tx);
}

void Client::StartRead(Manager& manager, bool whole) {
  ChooseAll();
  Prepare(chosen.size(), Access::kReadOnly);
  for (size_t i = 0; i < chosen.size(); ++i) {
    if (whole) {
      parts[i].whole_shard = true;
      parts[i].whole_shard_mode = LockMode::kShared;
    } else {
      for (int account = 0; account < kAccounts; ++account) Lock(i, account, LockMode::kShared);
    }
  }
  manager.Start(tx);
}

// Between two accounts of the own shard.
void Client::RunLocalMove(Manager& manager) {
  chosen = {home->id().value()};
  Prepare(1, Access::kWrite);
  int from = static_cast<int>(random.Below(kAccounts));
  int to = (from + 1) % kAccounts;
  Lock(0, from, LockMode::kExclusive);
  Lock(0, to, LockMode::kExclusive);
  shares[0].amount[from] = -7;
  shares[0].amount[to] = 7;
  bool now = true;
  for (const KeyLock& lock : locks[0]) now = now && manager.MayRunNow(lock.fingerprint, lock.mode);
  if (now) {
    Move(parts[0], *home);
    return Finished();
  }
  manager.RunLocal(parts[0], [](Part& part) { static_cast<Share*>(part.user)->client->Finished(); });
}

// Looks at both accounts by hops, moves the whole of the first one in place, gives up if there is nothing.
shard::Task<void> Client::Body(Client& client, Manager& manager) {
  shard::Shards<Bank> shards;
  co_await manager.Acquire(client.tx);
  int64_t found = 0;
  co_await shards.On(ShardId(client.chosen[0]), [&](Bank& bank) { found = bank.accounts[0]; });
  if (found <= 0) {
    co_await manager.Abort(client.tx);
  } else {
    co_await shards.On(ShardId(client.chosen[0]), [&](Bank& bank) { bank.accounts[0] -= found; });
    co_await shards.On(ShardId(client.chosen[1]), [&](Bank& bank) { bank.accounts[0] += found; });
    co_await manager.Commit(client.tx);
  }
  client.Finished();
}

void Client::Next() {
  Manager& manager = home->local<Manager>();
  uint64_t dice = random.Below(100);
  if (dice < 40) return StartTransfer(manager);
  if (dice < 60) return StartRead(manager, dice < 45);
  if (dice < 75) return RunLocalMove(manager);
  uint16_t from = static_cast<uint16_t>(random.Below(shared->shards));
  chosen = {from, static_cast<uint16_t>((from + 1) % shared->shards)};
  Prepare(2, Access::kWrite);
  for (size_t i = 0; i < 2; ++i) Lock(i, 0, LockMode::kExclusive);
  home->local<shard::TaskScope>().Spawn(Body(*this, manager));
}

class StressHooks final : public shard::TurnHooks {
 public:
  StressHooks(shard::Shard& shard, Shared& shared, int clients) : manager_(shard) {
    shard.set_local(&bank_);
    bank_.manager = &manager_;
    manager_.AttachLog();
    manager_.SetGateListener(&Bank::OnGate, &bank_);
    shard.set_local(&scope_);
    for (int i = 0; i < clients; ++i) {
      clients_.push_back(std::make_unique<Client>());
      Client& client = *clients_.back();
      client.shared = &shared;
      client.home = &shard;
      client.random =
          base::Random(static_cast<uint64_t>(shard.id().value()) * 1000 + static_cast<uint64_t>(i));
      client.left = shared.operations_per_client;
      client.Post();
    }
  }
  void BeforeStamp() override { manager_.BeforeStamp(); }
  // The disk is one turn behind.
  void EndTurn() override {
    durable_ = written_;
    manager_.SetLogDurable(Lsn(durable_));
    manager_.EndTurn();
    written_ = bank_.log_end;
  }
  bool HasWork() const override { return manager_.HasWork() || durable_ != bank_.log_end; }
  TimeNs NextDeadline() const override { return shard::kNever; }
  Manager& manager() { return manager_; }
  Bank& bank() { return bank_; }

 private:
  Manager manager_;
  Bank bank_;
  uint64_t written_ = 0;
  uint64_t durable_ = 0;
  std::vector<std::unique_ptr<Client>> clients_;
  shard::TaskScope scope_;
};

void RunStress(uint16_t shards, int clients, int operations) {
  Shared shared(shards, clients, operations);
  shard::RealEnv env;
  shard::RuntimeOptions options;
  options.shard_count = shards;
  options.io.kind = shard::IoKind::kEpoll;
  options.ring_slots = 8;  // full rings as well
  std::vector<StressHooks*> hooks;
  shard::Runtime runtime(env, options, [&](shard::Shard& shard) {
    auto made = std::make_unique<StressHooks>(shard, shared, clients);
    hooks.push_back(made.get());
    return made;
  });
  ASSERT_TRUE(runtime.Start().ok());
  while (shared.clients_left.load(std::memory_order_acquire) > 0) std::this_thread::yield();
  int64_t sum = 0;
  for (uint16_t s = 0; s < shards; ++s) {
    bool at_rest = false;
    while (!at_rest) {  // the last record may still be on its way to the disk, and the last answer held
      runtime.RunOn(ShardId(s), [&](shard::Shard& shard) {
        Bank& bank = shard.local<Bank>();
        at_rest = shard.local<Manager>().drained() && bank.opened == bank.log_end;
      });
    }
    runtime.RunOn(ShardId(s), [&](shard::Shard& shard) {
      for (int64_t amount : shard.local<Bank>().accounts) sum += amount;
    });
  }
  EXPECT_EQ(sum, kDeposit * kAccounts * shards);
  EXPECT_EQ(shared.wrong_sums.load(), 0);
  for (uint16_t s = 0; s < shards; ++s) EXPECT_EQ(runtime.floor(ShardId(s)).value.load(), kNoFloor);
  runtime.RequestStop();
  runtime.Join();
}

TEST(Stress, TwoShards) {
  RunStress(2, 8, 400);
}
TEST(Stress, FourShards) {
  RunStress(4, 8, 300);
}

}  // namespace
}  // namespace moonshard::tx
