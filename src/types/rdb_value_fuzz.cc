// Payloads for RESTORE: whatever a client sends is refused or becomes a value that reads back the same.
// The checksum is put right first, or nothing would get past it.

#include <cstdint>
#include <cstring>
#include <string>

#include "base/check.h"
#include "base/crc64.h"
#include "base/number.h"
#include "dash/slab.h"
#include "dash/table.h"
#include "types/rdb_coding.h"
#include "types/rdb_value.h"
#include "types/string_value.h"

namespace {

namespace base = moonshard::base;
namespace dash = moonshard::dash;
namespace types = moonshard::types;

std::string WithFooter(std::string body) {
  body.append(reinterpret_cast<const char*>(&types::kRdbVersion), sizeof types::kRdbVersion);
  const uint64_t checksum = base::Crc64(0, body);
  body.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  return body;
}

// Dumps the value from an entry, as DUMP does.
void CheckRoundTrip(types::DetachedValue& value) {
  char scratch[base::kMaxInt64Chars];
  const std::string bytes(value.StringBytes(scratch));
  dash::Slab slab(dash::SlabOptions{});
  dash::Table table(slab, {});
  dash::Table::Ref ref =
      table.Insert(table.Hash("k"), "k", value.type(), value.encoding(), value.entry_bytes().size());
  MS_CHECK(ref);
  value.MoveInto(*table.entry(ref));
  base::Buffer payload;
  types::AppendDump(payload, *table.entry(ref));
  auto again = types::RestoreDump(payload.view());
  MS_CHECK(again.ok());
  MS_CHECK(again->StringBytes(scratch) == bytes);
  types::ReleaseOutside(*table.entry(ref));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string input(reinterpret_cast<const char*>(data), size);
  auto as_it_is = types::RestoreDump(input);
  auto value = types::RestoreDump(WithFooter(input));
  if (value.ok()) CheckRoundTrip(*value);
  // The input as a string to be written.
  base::Buffer out;
  types::AppendRdbString(out, input);
  types::RdbReader reader(out.view());
  auto text = reader.String();
  MS_CHECK(text && *text == input && reader.rest().empty());
  return 0;
}
