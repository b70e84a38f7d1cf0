#include "server/config_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/bytes.h"
#include "resp/inline_args.h"
#include "server/setting.h"
#include "shard/socket.h"

namespace moonshard::server {

namespace {

using base::Result;
using base::Status;
using Directives = std::vector<Directive>;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

Result<std::vector<std::string>> FilesOf(const Directive& include, const std::string& folder) {
  if (include.words.size() != 1) {
    return BadSetting(fmt::format("{}: include takes one file name or pattern", include.where));
  }
  std::string pattern = include.words[0];
  if (!pattern.starts_with('/')) pattern = fmt::format("{}/{}", folder, pattern);
  if (pattern.find_first_of("*?[") == std::string::npos) return std::vector<std::string>{pattern};
  glob_t found = {};
  int failed = glob(pattern.c_str(), 0, nullptr, &found);
  std::vector<std::string> files(found.gl_pathv, found.gl_pathv + (failed == 0 ? found.gl_pathc : 0));
  globfree(&found);
  if (failed != 0 && failed != GLOB_NOMATCH) {
    return BadSetting(fmt::format("{}: cannot look for '{}'", include.where, pattern));
  }
  return files;
}

Status Expand(Directives from, const std::string& folder, size_t depth, Directives& to) {
  for (Directive& directive : from) {
    if (directive.name != "include") {
      if (to.size() >= kConfigLinesMax) return BadSetting("the configuration has too many lines");
      to.push_back(std::move(directive));
      continue;
    }
    if (depth >= kIncludeDepthMax) {
      return BadSetting(
          fmt::format("{}: files include each other more than {} deep", directive.where, kIncludeDepthMax));
    }
    MS_ASSIGN_OR_RETURN(std::vector<std::string> files, FilesOf(directive, folder));
    for (const std::string& file : files) {
      auto text = ReadText(file, kConfigBytesMax);
      if (!text.ok()) return BadSetting(fmt::format("{}: {}", directive.where, text.status().text()));
      MS_ASSIGN_OR_RETURN(Directives lines, ParseConfigText(*text, file));
      MS_RETURN_IF_ERROR(Expand(std::move(lines), folder, depth + 1, to));
    }
  }
  return {};
}

Status CannotRead(std::string_view name, int error) {
  return BadSetting(fmt::format("cannot read '{}': {}", name, std::strerror(error)));
}

Result<std::string> ReadToEnd(int fd, std::string_view name, size_t bytes_max) {
  std::string text;
  char chunk[16 * 1024];
  for (;;) {
    ssize_t got = read(fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return CannotRead(name, errno);
    if (got == 0) return text;
    if (text.size() + static_cast<size_t>(got) > bytes_max) return CannotRead(name, EFBIG);
    text.append(chunk, static_cast<size_t>(got));
  }
}

}  // namespace

bool ParseConfigLine(std::string_view line, Directive& directive) {
  std::string bytes(Trim(line));
  directive.name.clear();
  directive.words.clear();
  if (bytes.empty() || bytes[0] == '#') return true;
  resp::ArgVector words;
  if (!resp::SplitArgsInPlace(bytes, words)) return false;
  if (words.empty()) return true;
  directive.name = base::ToLower(words[0]);
  directive.words.assign(words.begin() + 1, words.end());
  return true;
}

Result<Directives> ParseConfigText(std::string_view text, std::string_view source) {
  Directives found;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    Directive directive;
    directive.where = fmt::format("{}:{}", source, ++number);
    if (!ParseConfigLine(text.substr(begin, end - begin), directive)) {
      return BadSetting(fmt::format("{}: unbalanced quotes", directive.where));
    }
    if (!directive.name.empty()) {
      if (found.size() >= kConfigLinesMax) return BadSetting("the configuration has too many lines");
      found.push_back(std::move(directive));
    }
    begin = end + 1;
  }
  return found;
}

Result<Directives> ResolveIncludes(Directives directives, const std::string& folder) {
  Directives resolved;
  MS_RETURN_IF_ERROR(Expand(std::move(directives), folder, 0, resolved));
  return resolved;
}

Result<std::string> ReadText(const std::string& path, size_t bytes_max) {
  shard::Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return CannotRead(path, errno);
  return ReadToEnd(file.get(), path, bytes_max);
}

Result<std::string> ReadStandardInput(size_t bytes_max) {
  return ReadToEnd(STDIN_FILENO, "standard input", bytes_max);
}

}  // namespace moonshard::server
