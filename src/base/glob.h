#pragma once
// Redis' glob patterns, as KEYS, SCAN MATCH, PSUBSCRIBE, CONFIG GET and ACL use them:
//
//   *       any run of bytes            [abc]   one of these      [^abc]  none of these
//   ?       any byte                    [a-z]   a range           \x      x itself
//
// Corner cases follow Redis to the byte: an empty text matches the empty pattern only ("*" does not match
// it), a class that lacks its ']' ends with the pattern, bytes compare as signed, the ends of a range may be
// swapped, and in a class an escaped byte keeps its case even when case is ignored.
//
// Each element but '*' takes exactly one byte, so a mismatch needs to go back to the last '*' only. The work
// is bounded by pattern times text where Redis' recursion is exponential in the number of stars. Nothing is
// allocated.

#include <string_view>

namespace moonshard::base {

enum class CaseMode { kExact, kIgnore };

bool GlobMatch(std::string_view pattern, std::string_view text, CaseMode mode = CaseMode::kExact);

// Whether `pattern` can match nothing but itself: a key lookup does then.
bool GlobIsLiteral(std::string_view pattern);

}  // namespace moonshard::base
