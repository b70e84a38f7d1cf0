#pragma once
// Errors of the data model, in Redis' words.

#include "base/status.h"

namespace moonshard::db {

inline constexpr base::StaticError kWrongType{base::Code::kWrongType,
                                              "Operation against a key holding the wrong kind of value"};
inline constexpr base::StaticError kNotAnInteger{base::Code::kErr, "value is not an integer or out of range"};
inline constexpr base::StaticError kIncrementOverflow{base::Code::kErr,
                                                      "increment or decrement would overflow"};
inline constexpr base::StaticError kNoSuchKey{base::Code::kErr, "no such key"};
inline constexpr base::StaticError kMsetArity{base::Code::kErr,
                                              "wrong number of arguments for 'mset' command"};
inline constexpr base::StaticError kSyntax{base::Code::kErr, "syntax error"};
// The allocator refused: the shard's entry range is exhausted or the system has no memory left.
inline constexpr base::StaticError kOutOfMemory{base::Code::kOutOfMemory,
                                                "command not allowed when used memory > 'maxmemory'."};

}  // namespace moonshard::db
