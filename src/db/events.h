#pragma once
// The one notify step: after a change is applied and before its reply, the handler's operation says which
// event happened to which key. Keyspace notifications, tracking and blocked clients listen here. Owned by one
// shard. With no listener a call costs one branch.

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/macros.h"
#include "base/types.h"

namespace moonshard::db {

// Classes as in Redis' notify-keyspace-events.
enum class EventClass : uint32_t {
  kGeneric = 1u << 0,  // g
  kString = 1u << 1,   // $
  kExpired = 1u << 2,  // x
  kEvicted = 1u << 3,  // e
  kNew = 1u << 4,      // n
  kKeyMiss = 1u << 5,  // m
};

struct EventName {
  EventClass event_class;
  std::string_view name;
};
// For one of several changes that the caller announces together.
inline constexpr EventName kEventNone{EventClass::kGeneric, {}};
inline constexpr EventName kEventSet{EventClass::kString, "set"};
inline constexpr EventName kEventIncrement{EventClass::kString, "incrby"};
inline constexpr EventName kEventIncrementFloat{EventClass::kString, "incrbyfloat"};
inline constexpr EventName kEventAppend{EventClass::kString, "append"};
inline constexpr EventName kEventSetRange{EventClass::kString, "setrange"};
inline constexpr EventName kEventNew{EventClass::kNew, "new"};
inline constexpr EventName kEventExpire{EventClass::kGeneric, "expire"};
inline constexpr EventName kEventPersist{EventClass::kGeneric, "persist"};
inline constexpr EventName kEventRenameTo{EventClass::kGeneric, "rename_to"};
inline constexpr EventName kEventMoveTo{EventClass::kGeneric, "move_to"};
inline constexpr EventName kEventCopyTo{EventClass::kGeneric, "copy_to"};
inline constexpr EventName kEventRestore{EventClass::kGeneric, "restore"};

struct Event {
  EventClass event_class;
  std::string_view name;
  DbIndex db;
  std::string_view key;
};

class EventListener {
 public:
  virtual void OnEvent(const Event& event) = 0;
  // Two databases exchanged their keys: any key of theirs may have come or gone. No client is told.
  virtual void OnSwap(DbIndex, DbIndex) {}

 protected:
  ~EventListener() = default;
};

class EventSink {
 public:
  MS_ALWAYS_INLINE void Notify(const Event& event) {
    if (!listeners_.empty()) [[unlikely]]
      Deliver(event);
  }
  void NotifySwap(DbIndex a, DbIndex b) {
    for (EventListener* listener : listeners_) listener->OnSwap(a, b);
  }
  void Attach(EventListener& listener) { listeners_.push_back(&listener); }
  void Detach(EventListener& listener) { std::erase(listeners_, &listener); }
  bool listening() const { return !listeners_.empty(); }

 private:
  MS_NOINLINE void Deliver(const Event& event) {
    for (EventListener* listener : listeners_) listener->OnEvent(event);
  }
  std::vector<EventListener*> listeners_;
};

}  // namespace moonshard::db
