#include "commands/generic.h"

#include <limits>

namespace moonshard::commands {

std::string_view TypeName(dash::Type type) {
  switch (type) {
    case dash::Type::kString:
      return "string";
    case dash::Type::kList:
      return "list";
    case dash::Type::kSet:
      return "set";
    case dash::Type::kZset:
      return "zset";
    case dash::Type::kHash:
      return "hash";
    case dash::Type::kStream:
      return "stream";
    default:
      return "unknown";
  }
}

std::optional<int64_t> ParseInt32(Context& context, std::string_view text, const base::StaticError* error) {
  auto value = ParseInt64(text);
  bool fits =
      value && *value >= std::numeric_limits<int32_t>::min() && *value <= std::numeric_limits<int32_t>::max();
  if (fits) return value;
  if (error != nullptr) {
    context.reply.Error(*error);
  } else if (!value) {
    context.reply.Error(db::kNotAnInteger);
  } else {
    context.reply.ErrorLine("ERR value is out of range, value must between -2147483648 and 2147483647");
  }
  return std::nullopt;
}

}  // namespace moonshard::commands
