#pragma once
// Configuration files: lines of a name and words, quoted as in redis.conf; '#' begins a comment line;
// `include PATTERN` stands for the lines of other files. What the names mean is not known here.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace moonshard::server {

inline constexpr size_t kConfigBytesMax = size_t{4} << 20;  // of one file
inline constexpr size_t kConfigLinesMax = 100'000;          // that say something, of a file and its includes
inline constexpr size_t kIncludeDepthMax = 16;

struct Directive {
  std::string name;  // lower case
  std::vector<std::string> words;
  std::string where;  // "redis.conf:12", "--port", "MOONSHARD_PORT": for error messages
};

// Splits one line. No name: it is empty or a comment. False: a quote is not closed or is followed by more.
bool ParseConfigLine(std::string_view line, Directive& directive);
// The lines of a text that came from `source`. `include` stays as it is.
base::Result<std::vector<Directive>> ParseConfigText(std::string_view text, std::string_view source);
// Puts the lines of the named files in the place of every `include`. A pattern (*?[) may match nothing; a
// plain name must be there. Relative names start at `folder`: the working directory of the start, as in
// Redis.
base::Result<std::vector<Directive>> ResolveIncludes(std::vector<Directive> directives,
                                                     const std::string& folder);

// At most `bytes_max` bytes, or an error that names `path`.
base::Result<std::string> ReadText(const std::string& path, size_t bytes_max);
// The same of standard input, up to its end.
base::Result<std::string> ReadStandardInput(size_t bytes_max);

}  // namespace moonshard::server
