#include "resp/inline_args.h"

#include <cstring>

#include "base/check.h"

namespace moonshard::resp {

namespace {

// isspace() of the C locale; between arguments all six count.
bool IsSpace(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// Outside quotes Redis ends a word at four of the six only: \v and \f belong to the word.
bool EndsWord(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char Unescape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// Reads words from `from_` and writes them back at `to_`, which never passes `from_`: every construct is at
// least as long as what it stands for.
class WordReader {
 public:
  WordReader(char* begin, char* end) : from_(begin), end_(end) {}

  bool SkipSpace() {
    while (from_ != end_ && IsSpace(*from_)) ++from_;
    return from_ != end_;
  }

  bool Read(std::string_view* word) {
    char* begin = to_ = from_;
    while (from_ != end_ && !EndsWord(*from_)) {
      char c = *from_++;
      if (c == '"' || c == '\'') {
        // A closing quote ends the word.
        if (!(c == '"' ? ReadDoubleQuoted() : ReadSingleQuoted())) return false;
        if (from_ != end_ && !IsSpace(*from_)) return false;
        break;
      }
      *to_++ = c;
    }
    MS_DCHECK(to_ <= from_);
    *word = {begin, static_cast<size_t>(to_ - begin)};
    return true;
  }

 private:
  bool ReadDoubleQuoted() {
    while (from_ != end_) {
      char c = *from_++;
      if (c == '"') return true;
      if (c == '\\' && from_ != end_) {
        if (*from_ == 'x' && end_ - from_ >= 3 && HexDigit(from_[1]) >= 0 && HexDigit(from_[2]) >= 0) {
          c = static_cast<char>(HexDigit(from_[1]) * 16 + HexDigit(from_[2]));
          from_ += 3;
        } else {
          c = Unescape(*from_++);
        }
      }
      *to_++ = c;
    }
    return false;
  }

  bool ReadSingleQuoted() {
    while (from_ != end_) {
      char c = *from_++;
      if (c == '\'') return true;
      if (c == '\\' && from_ != end_ && *from_ == '\'') c = *from_++;
      *to_++ = c;
    }
    return false;
  }

  char* from_;
  char* end_;
  char* to_ = nullptr;
};

}  // namespace

bool SplitArgsInPlace(std::span<char> line, ArgVector& args) {
  if (line.empty()) return true;
  char* end = line.data() + line.size();
  if (auto* zero = static_cast<char*>(std::memchr(line.data(), 0, line.size()))) end = zero;
  size_t args_before = args.size();
  WordReader reader(line.data(), end);
  while (reader.SkipSpace()) {
    std::string_view word;
    if (!reader.Read(&word)) {
      args.resize(args_before);
      return false;
    }
    args.push_back(word);
  }
  return true;
}

}  // namespace moonshard::resp
