#pragma once
// Errors of the pipeline itself, in Redis' words.

#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace moonshard::command {

inline constexpr base::StaticError kNoAuthError{base::Code::kNoAuth, "Authentication required."};
inline constexpr base::StaticError kOomError{base::Code::kOutOfMemory,
                                             "command not allowed when used memory > 'maxmemory'."};

// Redis treats a client in MONITOR mode as a kind of replica.
inline constexpr base::StaticError kMonitorError{base::Code::kErr,
                                                 "Replica can't interact with the keyspace"};
inline constexpr base::StaticError kDebugNotAllowed{
    base::Code::kErr,
    "DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from "
    "a "
    "local connection, otherwise you need to set this option in the configuration file, and then restart the "
    "server."};

// What an error line shows of client input: as in Redis, whose texts are C strings, it ends before the first
// zero byte.
std::string_view UpToZero(std::string_view text);

// Full error lines, without the '-'.
std::string UnknownCommandText(std::span<const std::string_view> args);
std::string UnknownSubcommandText(std::string_view subcommand, std::string_view command);
// Of a subcommand whose arguments are too many.
std::string SubcommandSyntaxText(std::string_view subcommand, std::string_view command);
std::string WrongArityText(std::string_view full_name);

}  // namespace moonshard::command
