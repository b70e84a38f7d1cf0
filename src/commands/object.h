#pragma once
// What OBJECT and DEBUG OBJECT say of a value.

#include <cstdint>
#include <string_view>

#include "command/context.h"
#include "dash/entry.h"

namespace moonshard::commands {

std::string_view EncodingName(const dash::Entry& entry);

// Here no two keys ever share a value. In Redis those with a small integer do, unless the policy needs to
// know when each was used, and their count says so.
int64_t RefcountOf(const command::ShardState& shard, const dash::Entry& entry);

}  // namespace moonshard::commands
