#pragma once
// The request grammar written down once more, with no eye to speed: whole input at once, every argument
// copied, one branch per rule. Tests and fuzz targets hold CommandParser against it; nothing else includes
// it.

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "resp/parser.h"

namespace moonshard::resp::reference {

using Command = std::vector<std::string>;

struct Parsed {
  std::vector<Command> commands;
  std::string error;    // empty: the input ends inside a command or between two
  size_t consumed = 0;  // by complete and empty commands

  bool operator==(const Parsed&) const = default;
};

inline bool IsHex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// nullopt: unbalanced quotes. `line` holds no zero byte.
inline std::optional<Command> SplitLine(const std::string& line) {
  static const std::string kSpaces = " \t\n\v\f\r";
  static const std::string kWordEnds = " \t\n\r";
  auto in = [](const std::string& set, char c) { return set.find(c) != std::string::npos; };
  Command words;
  size_t i = 0;
  for (;;) {
    while (i < line.size() && in(kSpaces, line[i])) ++i;
    if (i == line.size()) return words;
    std::string word;
    char quote = 0;
    for (;; ++i) {
      if (i == line.size()) {
        if (quote != 0) return std::nullopt;
        break;
      }
      std::string_view rest = std::string_view(line).substr(i);
      if (quote == 0) {
        if (in(kWordEnds, rest[0])) break;
        if (rest[0] == '"' || rest[0] == '\'') {
          quote = rest[0];
        } else {
          word += rest[0];
        }
      } else if (rest[0] == quote) {
        ++i;
        if (i < line.size() && !in(kSpaces, line[i])) return std::nullopt;
        break;
      } else if (quote == '\'' && rest.starts_with("\\'")) {
        word += '\'';
        i += 1;
      } else if (quote == '"' && rest.size() >= 4 && rest.starts_with("\\x") && IsHex(rest[2]) &&
                 IsHex(rest[3])) {
        word += static_cast<char>(std::stoi(std::string(rest.substr(2, 2)), nullptr, 16));
        i += 3;
      } else if (quote == '"' && rest.size() >= 2 && rest[0] == '\\') {
        static const std::string kLetters = "nrtba";
        size_t letter = kLetters.find(rest[1]);
        word += letter == std::string::npos ? rest[1] : "\n\r\t\b\a"[letter];
        i += 1;
      } else {
        word += rest[0];
      }
    }
    words.push_back(word);
  }
}

// What Redis accepts as an integer: what prints back to the same text.
inline std::optional<int64_t> ParseInteger(const std::string& text) {
  if (text.empty() || text.size() > 20 || text.find_first_not_of("-0123456789") != std::string::npos)
    return std::nullopt;
  errno = 0;
  char* end = nullptr;
  int64_t value = std::strtoll(text.c_str(), &end, 10);
  if (errno != 0 || std::to_string(value) != text) return std::nullopt;
  return value;
}

enum class Line { kComplete, kPartial, kTooLong };

// The text of `input` before the first `terminator`. A zero byte before that hides it.
inline Line ReadLine(std::string_view input, char terminator, size_t line_bytes_max, std::string* line) {
  size_t end = input.find(terminator);
  size_t zero = input.find('\0');
  if (end != std::string_view::npos && end <= line_bytes_max &&
      (zero == std::string_view::npos || zero > end)) {
    *line = input.substr(0, end);
    return Line::kComplete;
  }
  return input.size() > line_bytes_max ? Line::kTooLong : Line::kPartial;
}

// One command from the start of `input`. Returns its size in bytes, 0 if it is not complete or *error is set.
inline size_t ParseOne(std::string_view input, const ParserLimits& limits, Command* command,
                       std::string* error) {
  const std::string prefix = "ERR Protocol error: ";
  bool authenticated = limits.phase == ParserPhase::kAuthenticated;
  std::string line;
  if (input.empty()) return 0;
  if (input[0] != '*') {
    Line found = ReadLine(input, '\n', limits.inline_bytes_max, &line);
    if (found == Line::kTooLong) *error = prefix + "too big inline request";
    if (found != Line::kComplete) return 0;
    size_t bytes = line.size() + 1;
    if (line.ends_with('\r')) line.pop_back();
    std::optional<Command> words = SplitLine(line);
    if (!words) {
      *error = prefix + "unbalanced quotes in request";
      return 0;
    }
    *command = *words;
    return bytes;
  }

  Line found = ReadLine(input, '\r', limits.inline_bytes_max, &line);
  if (found == Line::kTooLong) *error = prefix + "too big mbulk count string";
  if (found != Line::kComplete || input.size() < line.size() + 2) return 0;
  std::optional<int64_t> count = ParseInteger(line.substr(1));
  if (!count || *count > (authenticated ? limits.args_max : INT32_MAX)) {
    *error = prefix + "invalid multibulk length";
    return 0;
  }
  if (*count > limits.args_max) {
    *error = prefix + "unauthenticated multibulk length";
    return 0;
  }
  size_t at = line.size() + 2;
  for (int64_t i = 0; i < *count; ++i) {
    found = ReadLine(input.substr(at), '\r', limits.inline_bytes_max, &line);
    if (found == Line::kTooLong) *error = prefix + "too big bulk count string";
    if (found != Line::kComplete || input.size() < at + line.size() + 2) return 0;
    if (line.empty() || line[0] != '$') {
      char got = line.empty() || line[0] == '\n' ? ' ' : line[0];
      *error = prefix + "expected '$', got '" + got + "'";
      return 0;
    }
    std::optional<int64_t> size = ParseInteger(line.substr(1));
    if (!size || *size < 0 || *size > (authenticated ? limits.bulk_bytes_max : 512 << 20)) {
      *error = prefix + "invalid bulk length";
      return 0;
    }
    if (*size > limits.bulk_bytes_max) {
      *error = prefix + "unauthenticated bulk length";
      return 0;
    }
    at += line.size() + 2;
    auto bytes = static_cast<size_t>(*size);
    if (input.size() < at + bytes + 2) return 0;
    command->emplace_back(input.substr(at, bytes));
    at += bytes + 2;
  }
  return at;
}

inline Parsed ParseAll(std::string_view input, const ParserLimits& limits = {}) {
  Parsed parsed;
  for (;;) {
    Command command;
    size_t bytes = ParseOne(input.substr(parsed.consumed), limits, &command, &parsed.error);
    if (bytes == 0) return parsed;
    parsed.consumed += bytes;
    if (!command.empty()) parsed.commands.push_back(command);
  }
}

// The same through CommandParser, which sees the input in pieces that end at `cuts` (ascending) and in a
// fresh, exactly sized allocation each time, so that a sanitizer notices every byte read beyond it and every
// stale pointer.
inline Parsed ParseInPieces(std::string_view input, const std::vector<size_t>& cuts,
                            const ParserLimits& limits = {}) {
  Parsed parsed;
  CommandParser parser(limits);
  std::vector<size_t> ends = cuts;
  ends.push_back(input.size());
  for (size_t end : ends) {
    std::vector<char> piece(input.begin() + static_cast<ptrdiff_t>(parsed.consumed),
                            input.begin() + static_cast<ptrdiff_t>(end));
    piece.shrink_to_fit();
    std::span<char> rest(piece);
    for (;;) {
      ArgVector args = {"kept"};
      size_t consumed = 0;
      CommandParser::Outcome outcome = parser.Next(rest, args, &consumed);
      parsed.consumed += consumed;
      rest = rest.subspan(consumed);
      MS_CHECK(!args.empty() && args[0] == "kept");
      if (outcome == CommandParser::Outcome::kCommand) {
        MS_CHECK(args.size() > 1);
        parsed.commands.emplace_back(args.begin() + 1, args.end());
        continue;
      }
      MS_CHECK(args.size() == 1);
      if (outcome == CommandParser::Outcome::kError) {
        parsed.error = parser.error();
        return parsed;
      }
      break;
    }
  }
  return parsed;
}

}  // namespace moonshard::resp::reference
