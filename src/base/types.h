#pragma once
// Strong types for numbers that must not be mixed up.

#include <compare>
#include <cstdint>
#include <limits>

namespace moonshard {

// A number with a meaning: constructs explicitly, compares and orders, hands out its value on request.
template <typename T, typename Tag>
class Named {
 public:
  using Value = T;
  constexpr Named() = default;
  constexpr explicit Named(T value) : value_(value) {}
  constexpr T value() const { return value_; }
  friend constexpr auto operator<=>(Named, Named) = default;

 private:
  T value_{};
};

using ShardId = Named<uint16_t, struct ShardIdTag>;
using DbIndex = Named<uint16_t, struct DbIndexTag>;
// Position in one shard's log; 0 is "before everything".
using Lsn = Named<uint64_t, struct LsnTag>;
// Number drawn from the global turn counter (commit protocol: "stamp").
using Stamp = Named<uint64_t, struct StampTag>;

// Milliseconds since the Unix epoch.
using TimeMs = int64_t;
// Nanoseconds of the monotonic clock.
using TimeNs = int64_t;

inline constexpr TimeMs kNoDeadline = std::numeric_limits<TimeMs>::max();

}  // namespace moonshard
