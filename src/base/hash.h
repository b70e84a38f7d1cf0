#pragma once
// The key hash: XXH3 64-bit, seeded with a secret so that clients cannot choose colliding keys.
// Who uses which bits (see dash/table.h and shard routing): 0..15 tag, 16..31 shard, 32..63 directory.

#include <cstdint>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/macros.h"

namespace moonshard::base {

using HashSeed = uint64_t;

MS_ALWAYS_INLINE uint64_t HashBytes(std::string_view bytes, HashSeed seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace moonshard::base
