#pragma once
// WaitQueue: who waits for which key of this shard, and whose turn it is when something happens to one.
//
//   (db, key) -> line:   first <-> ... <-> last      in the order of arrival
//
// A waiter registers in the very execution in which it looked and found nothing, so no event falls between.
// An event on a key (any, from the one notify step) starts a pass over its line: at the end of the turn the
// first waiter is told that it is its turn. It tries again, and while it does the key is reserved for it:
// nobody else is told, and Withheld() asks later ones not to take. Its answer, Remove (it was served, or has
// gone) or Pass (it looked and stays), moves the turn to the next in line, as long as the key exists; a
// further event starts the pass anew. So waiters are served in the order of their arrival, and one that wants
// something else than the key holds does not block the rest.
//
// Nodes are the caller's. Allocates only a line's node and, if it is long, the key's text. Add is O(1) unless
// messages overtook each other; everything else is O(1) per event or answer, however many keys are waited
// for. While nobody waits, the queue does not listen and changes cost nothing. Owned by one shard.

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/types.h"
#include "db/events.h"
#include "db/keyspace.h"

namespace moonshard::db {

// A client's place in line: its home shard's stamp when the call began. Compared member by member, in this
// order.
struct Arrival {
  uint64_t stamp = 0;
  uint16_t home = 0;
  uint64_t sequence = 0;  // of calls that began on one shard
  friend constexpr auto operator<=>(const Arrival&, const Arrival&) = default;
};

class WaitQueue final : private EventListener {
  struct Line;

 public:
  // One key of one waiting client. A client that waits for several keys has as many nodes, with one arrival.
  struct Waiter {
    // Set by the caller, constant while it waits.
    Arrival arrival;
    // Called by EndTurn when it is the waiter's turn; it may not call the queue. Pass or Remove must follow,
    // later.
    void (*turn)(Waiter& waiter) = nullptr;
    void* user = nullptr;

    bool waiting() const { return line != nullptr; }

    // Private to the queue.
    Line* line = nullptr;
    Waiter* previous = nullptr;
    Waiter* next = nullptr;
  };

  explicit WaitQueue(Keyspace& keyspace) : keyspace_(keyspace) {}
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;
  // Waiters that are left are not touched: their memory may be gone.
  ~WaitQueue();

  void Add(DbIndex db, const Key& key, Waiter& waiter);
  void Remove(Waiter& waiter);
  // It looked, found nothing and keeps its place. Nothing happens if it was not its turn.
  void Pass(Waiter& waiter);

  // Is it the turn of somebody who came before `arrival`? Then the caller treats the key as empty and waits.
  bool Withheld(DbIndex db, const Key& key, const Arrival& arrival) const {
    return !lines_.empty() && WithheldInLine(db, key, arrival);
  }

  // Tells the waiters whose turn it has become. After everything else of the turn that may change keys.
  void EndTurn() {
    if (!due_.empty()) [[unlikely]]
      TellDue();
  }
  bool HasWork() const { return !due_.empty(); }

  size_t waiter_count() const { return waiter_count_; }
  size_t key_count() const { return lines_.size(); }

 private:
  struct Name {
    DbIndex db;
    uint64_t hash;
    std::string text;
  };
  struct Probe {
    DbIndex db;
    uint64_t hash;
    std::string_view text;
  };
  struct NameHash {
    using is_transparent = void;
    size_t operator()(const auto& name) const { return LockFingerprint(name.db, name.hash); }
  };
  struct NameEqual {
    using is_transparent = void;
    bool operator()(const auto& a, const auto& b) const { return a.db == b.db && a.text == b.text; }
  };
  struct Line {
    const Name* name = nullptr;  // in the map's node
    Waiter* first = nullptr;
    Waiter* last = nullptr;
    Waiter* turn = nullptr;  // was told, has not answered: the key is reserved for it
    Waiter* next = nullptr;  // goes on with the pass
    bool event = false;      // the pass begins anew
    bool due = false;        // in due_
  };

  void OnEvent(const Event& event) override;
  void OnSwap(DbIndex a, DbIndex b) override;
  void NoteEvent(Line& line);
  bool WithheldInLine(DbIndex db, const Key& key, const Arrival& arrival) const;
  bool KeyExists(const Name& name);
  void EndTurnOf(Waiter& waiter);
  void MakeDue(Line& line);
  void DropIfEmpty(Line& line);
  void TellDue();

  Keyspace& keyspace_;
  std::unordered_map<Name, Line, NameHash, NameEqual> lines_;
  std::vector<Line*> due_;  // in the order in which they became due
  size_t waiter_count_ = 0;
};

}  // namespace moonshard::db
