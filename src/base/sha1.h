#pragma once
// SHA-1 (FIPS 180-4), for what Redis defines by it: the digests of DEBUG DIGEST and the names of scripts. Not
// for secrets. Safe from any thread.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace moonshard::base {

using Sha1Digest = std::array<uint8_t, 20>;

Sha1Digest Sha1(std::string_view bytes);

// Forty lower-case hex digits.
std::string HexOf(const Sha1Digest& digest);

}  // namespace moonshard::base
