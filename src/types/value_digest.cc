#include "types/value_digest.h"

#include <bit>
#include <cstddef>

#include "base/check.h"
#include "base/number.h"
#include "types/string_value.h"

namespace moonshard::types {

namespace {
std::string_view ViewOf(const base::Sha1Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// Redis' numbers of the types.
constexpr uint32_t kStringNumber = 0;
}  // namespace

void Digest::XorDigest(const base::Sha1Digest& other) {
  for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] ^= other[i];
}

void Digest::Mix(std::string_view bytes) {
  Xor(bytes);
  bytes_ = base::Sha1(ViewOf(bytes_));
}

void Digest::MixNumber(uint32_t number) {
  const uint32_t big_endian = std::byteswap(number);
  Mix({reinterpret_cast<const char*>(&big_endian), sizeof big_endian});
}

void MixValue(Digest& digest, const dash::Entry& entry) {
  MS_CHECK(entry.type() == dash::Type::kString);
  digest.MixNumber(kStringNumber);
  char scratch[base::kMaxInt64Chars];
  digest.Mix(StringBytes(entry, scratch));
  if (entry.has_deadline()) digest.Xor("!!expire!!");
}

base::Sha1Digest KeyDigest(const dash::Entry& entry) {
  Digest digest;
  digest.Mix(entry.key());
  MixValue(digest, entry);
  return base::Sha1(ViewOf(digest.bytes()));
}

}  // namespace moonshard::types
