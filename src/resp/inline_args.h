#pragma once
// Splitting a line of text into arguments by the quoting rules of Redis' inline commands and configuration
// lines.
//
//   plain words are separated by white space           "..." takes \n \r \t \b \a \xHH, and \c stands for c
//   a quote may open inside a word: a"b c"d is an error, a"b c" is one word           '...' takes only \'
//   after a closing quote white space or the end must follow
//
// Safe from any thread.

#include <span>
#include <string_view>
#include <vector>

namespace moonshard::resp {

using ArgVector = std::vector<std::string_view>;

// Appends the words of `line` to `args` as views into `line`, whose bytes are overwritten where a quote or an
// escape makes a word shorter than its source. A zero byte ends the line, as it does in Redis. False: a quote
// is not closed or is followed by something other than white space; then `args` is as before and `line` is
// spoiled. O(line).
[[nodiscard]] bool SplitArgsInPlace(std::span<char> line, ArgVector& args);

}  // namespace moonshard::resp
