#pragma once
// The operating system's files behind FileSystem. Safe from any thread.

#include <memory>

#include "shard/env.h"

namespace moonshard::shard {

std::unique_ptr<FileSystem> MakeRealFileSystem();

}  // namespace moonshard::shard
