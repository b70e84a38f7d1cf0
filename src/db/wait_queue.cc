#include "db/wait_queue.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace moonshard::db {

WaitQueue::~WaitQueue() {
  if (waiter_count_ != 0) keyspace_.events().Detach(*this);
}

void WaitQueue::Add(DbIndex db, const Key& key, Waiter& waiter) {
  MS_DCHECK(!waiter.waiting());
  if (waiter_count_++ == 0) keyspace_.events().Attach(*this);
  auto found = lines_.find(Probe{db, key.hash, key.text});
  if (found == lines_.end()) {
    found = lines_.try_emplace(Name{db, key.hash, std::string(key.text)}).first;
    found->second.name = &found->first;
  }
  Line& line = found->second;
  // Stamps come nearly in order, so the place is at the end or a few steps before it.
  Waiter* previous = line.last;
  while (previous != nullptr && waiter.arrival < previous->arrival) previous = previous->previous;
  waiter.line = &line;
  waiter.previous = previous;
  waiter.next = previous == nullptr ? line.first : previous->next;
  (previous == nullptr ? line.first : previous->next) = &waiter;
  (waiter.next == nullptr ? line.last : waiter.next->previous) = &waiter;
}

void WaitQueue::Remove(Waiter& waiter) {
  MS_DCHECK(waiter.waiting());
  Line& line = *waiter.line;
  EndTurnOf(waiter);
  if (line.next == &waiter) line.next = waiter.next;
  (waiter.previous == nullptr ? line.first : waiter.previous->next) = waiter.next;
  (waiter.next == nullptr ? line.last : waiter.next->previous) = waiter.previous;
  waiter.line = nullptr;
  waiter.previous = waiter.next = nullptr;
  if (--waiter_count_ == 0) keyspace_.events().Detach(*this);
  DropIfEmpty(line);
}

void WaitQueue::Pass(Waiter& waiter) {
  MS_DCHECK(waiter.waiting());
  EndTurnOf(waiter);
}

void WaitQueue::EndTurnOf(Waiter& waiter) {
  Line& line = *waiter.line;
  if (line.turn != &waiter) return;
  line.turn = nullptr;
  line.next = waiter.next;
  if (line.next != nullptr || line.event) MakeDue(line);
}

void WaitQueue::OnEvent(const Event& event) {
  auto found = lines_.find(Probe{event.db, base::HashBytes(event.key, keyspace_.seed()), event.key});
  if (found != lines_.end()) NoteEvent(found->second);
}

void WaitQueue::OnSwap(DbIndex a, DbIndex b) {
  std::vector<Line*> appeared;
  for (auto& [name, line] : lines_) {
    if ((name.db == a || name.db == b) && KeyExists(name)) appeared.push_back(&line);
  }
  // Not in the order of the map, which nobody may see.
  std::ranges::sort(appeared, {}, [](const Line* line) {
    return std::pair(line->name->db, std::string_view(line->name->text));
  });
  for (Line* line : appeared) NoteEvent(*line);
}

void WaitQueue::NoteEvent(Line& line) {
  line.event = true;
  if (line.turn == nullptr) MakeDue(line);  // otherwise once the one whose turn it is has answered
}

void WaitQueue::MakeDue(Line& line) {
  if (line.due) return;
  line.due = true;
  due_.push_back(&line);
}

bool WaitQueue::WithheldInLine(DbIndex db, const Key& key, const Arrival& arrival) const {
  auto found = lines_.find(Probe{db, key.hash, key.text});
  if (found == lines_.end()) return false;
  const Line& line = found->second;
  auto before = [&](const Waiter* waiter) { return waiter != nullptr && waiter->arrival < arrival; };
  return before(line.turn) || before(line.next) || (line.event && before(line.first));
}

bool WaitQueue::KeyExists(const Name& name) {
  return static_cast<bool>(keyspace_.database(name.db).table().Find(name.hash, name.text));
}

void WaitQueue::TellDue() {
  for (Line* line : due_) {
    line->due = false;
    MS_DCHECK(line->turn == nullptr);
    if (line->first != nullptr && KeyExists(*line->name)) line->turn = line->event ? line->first : line->next;
    line->event = false;
    line->next = nullptr;
    if (line->turn != nullptr) {
      line->turn->turn(*line->turn);
    } else {
      DropIfEmpty(*line);
    }
  }
  due_.clear();
}

void WaitQueue::DropIfEmpty(Line& line) {
  if (line.first == nullptr && !line.due) lines_.erase(lines_.find(*line.name));
}

}  // namespace moonshard::db
