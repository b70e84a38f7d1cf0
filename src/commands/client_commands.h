#pragma once
// What CLIENT shares with HELLO.

#include <string_view>

#include "base/status.h"

namespace moonshard::commands {

inline constexpr base::StaticError kBadClientName{
    base::Code::kErr, "Client names cannot contain spaces, newlines or special characters."};

// Printable and without spaces; may be empty.
bool IsClientName(std::string_view name);

}  // namespace moonshard::commands
