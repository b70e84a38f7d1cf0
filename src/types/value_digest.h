#pragma once
// Redis' digests of values and data sets, as DEBUG DIGEST shows them: equal data gives equal digests on every
// server, whatever the encoding, the order in the table and the number of shards. A digest is taken by mixing
// (in order) and by exclusive or (in no order) of SHA-1 sums:
//
//     Mix(bytes)   digest = SHA1(digest ^ SHA1(bytes))
//     Xor(bytes)   digest = digest ^ SHA1(bytes)
//
// A new type of value adds its case to MixValue. Owned by the caller.

#include <cstdint>
#include <string_view>

#include "base/sha1.h"
#include "dash/entry.h"

namespace moonshard::types {

class Digest {
 public:
  void Mix(std::string_view bytes);
  void Xor(std::string_view bytes) { XorDigest(base::Sha1(bytes)); }
  void XorDigest(const base::Sha1Digest& other);
  // A number as four bytes, the highest first.
  void MixNumber(uint32_t number);

  const base::Sha1Digest& bytes() const { return bytes_; }

 private:
  base::Sha1Digest bytes_{};
};

// The value and whether it has a deadline; not which.
void MixValue(Digest& digest, const dash::Entry& entry);

// What one key adds, by exclusive or, to the digest of its database.
base::Sha1Digest KeyDigest(const dash::Entry& entry);

}  // namespace moonshard::types
