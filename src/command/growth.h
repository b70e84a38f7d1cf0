#pragma once
// How many bytes a write may add to the accounted bytes: what has to be free before it runs. Estimated from
// its arguments alone, from above: the owner of the key may be another shard.

#include <cstdint>
#include <span>
#include <string_view>

namespace moonshard::command {

// A new key may split a full segment of the table, which adds a segment. It does so for one key in 32 or
// less, so that many keys together need far less than one segment each.
enum class IndexGrowth : uint8_t {
  kWorst,    // nothing may go to make up for a surprise
  kAverage,  // eviction will
};

// One key with the arguments that belong to it.
uint64_t GrowthOf(std::span<const std::string_view> args, IndexGrowth index);

}  // namespace moonshard::command
