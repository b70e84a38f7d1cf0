// The manifest: any text is refused or prints back as it was. The checksum is put right first, or nothing
// would get past it.

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "wal/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace base = moonshard::base;
  namespace wal = moonshard::wal;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::string sealed = input + fmt::format("crc32c {:08x}\n", base::Crc32c(0, input));
  for (const std::string* text : {&input, &sealed}) {
    const base::Result<wal::Manifest> manifest = wal::ParseManifest(*text);
    if (manifest.ok()) MS_CHECK(wal::PrintManifest(*manifest) == *text);
  }
  return 0;
}
