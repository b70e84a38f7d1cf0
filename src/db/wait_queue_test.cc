#include "db/wait_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"

namespace moonshard::db {
namespace {

struct Client {
  WaitQueue::Waiter node;
  std::vector<Client*>* told = nullptr;
};

class WaitQueueTest : public testing::Test {
 protected:
  Key KeyOf(std::string_view text) { return {text, base::HashBytes(text, keyspace_.seed())}; }
  Database& database(uint16_t db = 0) { return keyspace_.database(DbIndex(db)); }
  void Set(std::string_view key, uint16_t db = 0) {
    ASSERT_TRUE(database(db).SetString(KeyOf(key), "x", kNoDeadline).ok());
  }
  Client& Wait(std::string_view key, uint64_t stamp, uint16_t db = 0) {
    return Wait(key, Arrival{stamp, 0, 0}, db);
  }
  Client& Wait(std::string_view key, const Arrival& arrival, uint16_t db = 0) {
    Client& client = clients_.emplace_back();
    client.node.arrival = arrival;
    client.node.turn = [](WaitQueue::Waiter& waiter) {
      Client* told = static_cast<Client*>(waiter.user);
      told->told->push_back(told);
    };
    client.node.user = &client;
    client.told = &told_;
    queue_.Add(DbIndex(db), KeyOf(key), client.node);
    return client;
  }
  std::vector<Client*> EndTurn() {
    told_.clear();
    queue_.EndTurn();
    return told_;
  }

  Keyspace keyspace_{KeyspaceOptions{}};
  WaitQueue queue_{keyspace_};
  std::deque<Client> clients_;
  std::vector<Client*> told_;
};

using Told = std::vector<Client*>;

TEST_F(WaitQueueTest, ListensOnlyWhileSomebodyWaits) {
  EXPECT_FALSE(keyspace_.events().listening());
  Client& client = Wait("a", 1);
  EXPECT_TRUE(keyspace_.events().listening());
  queue_.Remove(client.node);
  EXPECT_FALSE(keyspace_.events().listening());
  EXPECT_EQ(queue_.key_count(), 0u);
}

TEST_F(WaitQueueTest, AnEventIsTheFirstOnesTurnWheneverItCame) {
  Client& late = Wait("a", 30);
  Client& first = Wait("a", 10);
  Client& second = Wait("a", 20);
  Set("b");
  EXPECT_EQ(EndTurn(), Told());
  Set("a");
  Set("a");
  EXPECT_EQ(EndTurn(), Told{&first});
  EXPECT_EQ(EndTurn(), Told()) << "one at a time";
  queue_.Remove(first.node);
  EXPECT_EQ(EndTurn(), Told{&second});
  queue_.Pass(second.node);
  EXPECT_EQ(EndTurn(), Told{&late}) << "who passes does not block the rest";
  queue_.Pass(late.node);
  EXPECT_EQ(EndTurn(), Told()) << "the pass is over";
  EXPECT_FALSE(queue_.HasWork());
}

TEST_F(WaitQueueTest, AnEventDuringATurnBeginsThePassAnew) {
  Client& first = Wait("a", 10);
  Client& second = Wait("a", 20);
  Set("a");
  EXPECT_EQ(EndTurn(), Told{&first});
  Set("a");
  queue_.Pass(first.node);
  EXPECT_EQ(EndTurn(), Told{&first});
  queue_.Remove(first.node);
  EXPECT_EQ(EndTurn(), Told{&second});
}

TEST_F(WaitQueueTest, AKeyThatIsGoneWakesNobody) {
  Client& first = Wait("a", 10);
  Wait("a", 20);
  Set("a");
  database().Erase(KeyOf("a"), "del");
  EXPECT_EQ(EndTurn(), Told());
  Set("a");
  EXPECT_EQ(EndTurn(), Told{&first});
  database().Erase(KeyOf("a"), "del");
  queue_.Remove(first.node);
  EXPECT_EQ(EndTurn(), Told());
}

TEST_F(WaitQueueTest, DatabasesAreApart) {
  Client& zero = Wait("a", 10, 0);
  Client& one = Wait("a", 20, 1);
  Set("a", 1);
  EXPECT_EQ(EndTurn(), Told{&one});
  Set("a", 0);
  EXPECT_EQ(EndTurn(), Told{&zero});
}

TEST_F(WaitQueueTest, WithheldFromThoseWhoCameLater) {
  Arrival early{15, 0, 0};
  Arrival later{40, 0, 0};
  EXPECT_FALSE(queue_.Withheld(DbIndex(0), KeyOf("a"), later));
  Client& first = Wait("a", 10);
  Client& second = Wait("a", 20);
  EXPECT_FALSE(queue_.Withheld(DbIndex(0), KeyOf("a"), later)) << "nothing to take";
  Set("a");
  EXPECT_TRUE(queue_.Withheld(DbIndex(0), KeyOf("a"), later));
  EXPECT_FALSE(queue_.Withheld(DbIndex(0), KeyOf("a"), first.node.arrival));
  EXPECT_FALSE(queue_.Withheld(DbIndex(0), KeyOf("b"), later));
  EXPECT_EQ(EndTurn(), Told{&first});
  EXPECT_TRUE(queue_.Withheld(DbIndex(0), KeyOf("a"), second.node.arrival));
  queue_.Pass(first.node);
  EXPECT_FALSE(queue_.Withheld(DbIndex(0), KeyOf("a"), early)) << "the turn has gone on to a later one";
  EXPECT_TRUE(queue_.Withheld(DbIndex(0), KeyOf("a"), later));
  EXPECT_EQ(EndTurn(), Told{&second});
  queue_.Pass(second.node);
  EXPECT_FALSE(queue_.Withheld(DbIndex(0), KeyOf("a"), later)) << "nobody before it wanted it";
}

TEST_F(WaitQueueTest, DestroyedWithWaitersItTouchesNone) {
  auto* node = new WaitQueue::Waiter;
  WaitQueue queue(keyspace_);
  queue.Add(DbIndex(0), KeyOf("a"), *node);
  delete node;
}

// The same in plain containers.
class ModelLine {
 public:
  std::set<Arrival> waiting;
  std::optional<Arrival> turn;
  std::optional<Arrival> next;
  bool event = false;

  std::optional<Arrival> After(const Arrival& arrival) const {
    auto found = waiting.upper_bound(arrival);
    return found == waiting.end() ? std::nullopt : std::optional(*found);
  }
  void Answer(const Arrival& arrival) {
    if (turn != arrival) return;
    turn.reset();
    next = After(arrival);
  }
  void Remove(const Arrival& arrival) {
    Answer(arrival);
    if (next == arrival) next = After(arrival);
    waiting.erase(arrival);
  }
  std::optional<Arrival> EndTurn(bool exists) {
    if (turn) return std::nullopt;
    if (exists && !waiting.empty()) turn = event ? std::optional(*waiting.begin()) : next;
    event = false;
    next.reset();
    return turn;
  }
  bool Withheld(const Arrival& arrival) const {
    return (turn && *turn < arrival) || (next && *next < arrival) ||
           (event && !waiting.empty() && *waiting.begin() < arrival);
  }
};

class WaitQueueModelTest : public WaitQueueTest, public testing::WithParamInterface<uint64_t> {
 protected:
  static constexpr size_t kKeys = 4;
  static std::string NameOf(size_t key) { return "key " + std::to_string(key); }
  struct Standing {
    Client* client;
    size_t key;
  };
  void CheckEndTurn() {
    std::set<Arrival> expected;
    for (size_t key = 0; key < kKeys; ++key) {
      auto told = model_[key].EndTurn(static_cast<bool>(database().FindForWrite(KeyOf(NameOf(key)))));
      if (told) expected.insert(*told);
    }
    std::set<Arrival> actual;
    for (Client* client : EndTurn()) EXPECT_TRUE(actual.insert(client->node.arrival).second);
    EXPECT_EQ(actual, expected);
    EXPECT_FALSE(queue_.HasWork());
  }
  std::array<ModelLine, kKeys> model_;
  std::vector<Standing> standing_;
};

TEST_P(WaitQueueModelTest, AgreesWithTheModel) {
  base::Random random(GetParam());
  uint64_t clock = 100;
  for (int step = 0; step < 3'000; ++step) {
    size_t key = random.Below(kKeys);
    std::string name = NameOf(key);
    switch (random.Below(8)) {
      case 0:
      case 1: {  // comes, sometimes after somebody younger
        uint64_t stamp = 100 * ++clock - (random.OneIn(3) ? random.Below(1'000) : 0);
        Arrival arrival{stamp, static_cast<uint16_t>(random.Below(3)), clock};
        EXPECT_EQ(queue_.Withheld(DbIndex(0), KeyOf(name), arrival), model_[key].Withheld(arrival));
        Client& client = Wait(name, arrival);
        model_[key].waiting.insert(arrival);
        standing_.push_back({&client, key});
        break;
      }
      case 2:
      case 3:
        Set(name);
        if (!model_[key].waiting.empty()) model_[key].event = true;
        break;
      case 4:
        if (database().Erase(KeyOf(name), "del") && !model_[key].waiting.empty()) model_[key].event = true;
        break;
      case 5:
        CheckEndTurn();
        break;
      default: {
        if (standing_.empty()) break;
        size_t pick = random.Below(standing_.size());
        auto [client, at] = standing_[pick];
        if (random.OneIn(2)) {
          queue_.Pass(client->node);
          model_[at].Answer(client->node.arrival);
        } else {
          queue_.Remove(client->node);
          model_[at].Remove(client->node.arrival);
          standing_.erase(standing_.begin() + static_cast<ptrdiff_t>(pick));
        }
      }
    }
    size_t waiting = 0;
    for (const ModelLine& line : model_) waiting += line.waiting.size();
    ASSERT_EQ(queue_.waiter_count(), waiting);
    if (HasFailure()) return;
  }
  for (Standing& standing : standing_) queue_.Remove(standing.client->node);
  EndTurn();
  EXPECT_EQ(queue_.key_count(), 0u);
}
INSTANTIATE_TEST_SUITE_P(Seeds, WaitQueueModelTest, testing::Range<uint64_t>(1, 21));

}  // namespace
}  // namespace moonshard::db
