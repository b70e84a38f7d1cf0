#include "shard/testing.h"

#include <filesystem>
#include <system_error>

namespace moonshard::shard {

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace moonshard::shard
