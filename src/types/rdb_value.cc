#include "types/rdb_value.h"

#include <cstring>

#include "base/check.h"
#include "base/crc64.h"
#include "base/number.h"
#include "types/rdb_coding.h"
#include "types/string_value.h"

namespace moonshard::types {

namespace {

enum RdbType : uint8_t { kRdbString = 0 };

constexpr size_t kChecksumBytes = 8;
constexpr size_t kFooterBytes = 2 + kChecksumBytes;

bool FooterIsGood(std::string_view payload) {
  if (payload.size() < kFooterBytes) return false;
  std::string_view footer = payload.substr(payload.size() - kFooterBytes);
  uint16_t version;
  uint64_t checksum;
  std::memcpy(&version, footer.data(), sizeof version);
  std::memcpy(&checksum, footer.data() + sizeof version, sizeof checksum);
  return version <= kRdbVersionMax &&
         checksum == base::Crc64(0, payload.substr(0, payload.size() - kChecksumBytes));
}

}  // namespace

void AppendRdbValue(base::Buffer& out, const dash::Entry& entry) {
  MS_CHECK(entry.type() == dash::Type::kString);
  char scratch[base::kMaxInt64Chars];
  out.push_back(static_cast<char>(kRdbString));
  AppendRdbString(out, StringBytes(entry, scratch));
}

void AppendDump(base::Buffer& out, const dash::Entry& entry) {
  MS_DCHECK(out.empty());
  AppendRdbValue(out, entry);
  out.Append({reinterpret_cast<const char*>(&kRdbVersion), sizeof kRdbVersion});
  const uint64_t checksum = base::Crc64(0, out.view());
  out.Append({reinterpret_cast<const char*>(&checksum), sizeof checksum});
}

base::Result<DetachedValue> RestoreDump(std::string_view payload) {
  if (!FooterIsGood(payload)) return kBadDumpFooter;
  // As in Redis the footer may serve as the end of a value that is cut short, and what follows a value is
  // not looked at.
  RdbReader reader(payload);
  auto type = reader.Byte();
  if (!type || *type != kRdbString) return kBadDumpData;
  auto bytes = reader.String();
  if (!bytes) return kBadDumpData;
  DetachedValue value = DetachedValue::OfString(*bytes);
  if (!value) return kBadDumpData;
  return value;
}

}  // namespace moonshard::types
