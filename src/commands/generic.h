#pragma once
// What the commands on keys of any type share.

#include <optional>
#include <string_view>

#include "commands/args.h"
#include "dash/entry.h"

namespace moonshard::commands {

// As TYPE answers.
std::string_view TypeName(dash::Type type);

// An argument that has to fit Redis' int. Nothing: the error has been replied, `error` or Redis' own words.
std::optional<int64_t> ParseInt32(Context& context, std::string_view text,
                                  const base::StaticError* error = nullptr);

inline constexpr base::StaticError kDbOutOfRange{base::Code::kErr, "DB index is out of range"};
inline constexpr base::StaticError kSameObject{base::Code::kErr,
                                               "source and destination objects are the same"};

}  // namespace moonshard::commands
