#include "resp/reader.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <tuple>
#include <utility>

#include "base/number.h"

namespace moonshard::resp {

namespace {

constexpr size_t kCrlfBytes = 2;
constexpr size_t kFormatBytes = 3;
// Consumed bytes at the start of the buffer are dropped when they are at least this many and at least half of
// it.
constexpr size_t kCompactBytes = 64 << 10;

std::string Quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c >= ' ' && c <= '~') {
      out += c;
    } else {
      auto byte = static_cast<unsigned char>(c);
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out += '"';
}

// The protocol allows a '+' where Redis prints none.
std::optional<int64_t> ParseSigned(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  return base::ParseInt64(text);
}

std::optional<double> ParseDouble(std::string_view text) {
  bool negative = text.starts_with('-');
  std::string_view magnitude = text.starts_with('+') || negative ? text.substr(1) : text;
  if (magnitude.empty() || magnitude[0] == '-' || magnitude[0] == '+') return std::nullopt;
  double value = 0;
  auto [end, error] = std::from_chars(magnitude.data(), magnitude.data() + magnitude.size(), value);
  if (end != magnitude.data() + magnitude.size()) return std::nullopt;
  // Out of range is not malformed: it rounds, as strtod does. from_chars leaves the value alone then.
  if (error == std::errc::result_out_of_range) value = std::strtod(std::string(magnitude).c_str(), nullptr);
  return negative ? -value : value;
}

bool IsBigNumber(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string JoinElements(const Value& value) {
  std::string out;
  for (size_t i = 0; i < value.elements.size(); ++i) {
    if (i != 0) out += value.kind == Value::Kind::kMap && i % 2 == 1 ? ": " : ", ";
    out += value.elements[i].ToString();
  }
  return out;
}

}  // namespace

bool operator==(const Value& a, const Value& b) {
  auto scalars = [](const Value& v) { return std::tie(v.kind, v.wire, v.integer, v.text, v.format); };
  return scalars(a) == scalars(b) && a.elements == b.elements && a.attributes == b.attributes;
}

std::string Value::ToString() const {
  std::string out;
  if (!attributes.empty()) {
    Value map;
    map.kind = Kind::kMap;
    map.elements = attributes;
    out = "|" + map.ToString() + "| ";
  }
  switch (kind) {
    case Kind::kNull:
      return out + "null";
    case Kind::kSimple:
      return out + "(simple) " + Quoted(text);
    case Kind::kError:
      return out + "(error) " + Quoted(text);
    case Kind::kInteger:
      return out + std::to_string(integer);
    case Kind::kBulk:
      return out + Quoted(text);
    case Kind::kArray:
      return out + "[" + JoinElements(*this) + "]";
    case Kind::kMap:
      return out + "{" + JoinElements(*this) + "}";
    case Kind::kSet:
      return out + "(set) [" + JoinElements(*this) + "]";
    case Kind::kPush:
      return out + "(push) [" + JoinElements(*this) + "]";
    case Kind::kDouble:
      return out + "(double) " + text;
    case Kind::kBool:
      return out + (integer != 0 ? "true" : "false");
    case Kind::kBigNumber:
      return out + "(big) " + text;
    case Kind::kVerbatim:
      return out + "(" + format + ") " + Quoted(text);
  }
  return out;
}

ReplyReader::Outcome ReplyReader::Next(Value* value) {
  if (!error_.empty()) return Outcome::kError;
  for (;;) {
    Value token;
    switch (ReadToken(&token)) {
      case Step::kGo:
        continue;
      case Step::kNeedMore:
        Compact();
        return Outcome::kNeedMore;
      case Step::kError:
        return Outcome::kError;
      case Step::kValue:
        break;
    }
    if (Complete(&token) == Step::kGo) continue;
    *value = std::move(token);
    elements_ = 0;
    return Outcome::kReply;
  }
}

void ReplyReader::Reset() {
  buffer_.Clear();
  at_ = scan_ = 0;
  payload_bytes_ = kNoPayload;
  elements_ = 0;
  frames_.clear();
  attributes_.clear();
  error_.clear();
}

// One line, or the payload of a bulk whose line was read before. kValue: *value is complete. kGo: an
// aggregate or a bulk has begun.
ReplyReader::Step ReplyReader::ReadToken(Value* value) {
  if (payload_bytes_ != kNoPayload) return ReadPayload(value);
  std::string_view line;
  if (Step step = ReadLine(&line); step != Step::kGo) return step;
  if (line.empty()) return Fail("empty line where a reply should begin");
  char type = line[0];
  std::string_view body = line.substr(1);
  value->wire = type;
  switch (type) {
    case '$':
    case '=':
    case '!':
      return StartBulk(type, body, value);
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
      return StartAggregate(type, body, value);
    default:
      return ReadScalar(type, body, value);
  }
}

// Sets *line to the line at at_ without its CRLF and moves behind it.
ReplyReader::Step ReplyReader::ReadLine(std::string_view* line) {
  std::string_view rest = buffer_.view().substr(at_);
  size_t from = std::max(scan_, at_) - at_;
  size_t end = rest.substr(0, limits_.line_bytes_max + kCrlfBytes).find('\n', from);
  if (end == std::string_view::npos) {
    scan_ = at_ + rest.size();
    return rest.size() >= limits_.line_bytes_max + kCrlfBytes ? Fail("line too long") : Step::kNeedMore;
  }
  if (end == 0 || rest[end - 1] != '\r') return Fail("line feed without carriage return");
  *line = rest.substr(0, end - 1);
  if (line->find('\r') != std::string_view::npos) return Fail("carriage return inside a line");
  at_ += end + 1;
  return Step::kGo;
}

ReplyReader::Step ReplyReader::ReadScalar(char type, std::string_view body, Value* value) {
  using Kind = Value::Kind;
  value->text = body;
  switch (type) {
    case '+':
      value->kind = Kind::kSimple;
      break;
    case '-':
      value->kind = Kind::kError;
      break;
    case ':': {
      std::optional<int64_t> integer = ParseSigned(body);
      if (!integer.has_value()) return Fail("invalid integer");
      value->kind = Kind::kInteger;
      value->integer = *integer;
      value->text.clear();
      break;
    }
    case ',': {
      std::optional<double> number = ParseDouble(body);
      if (!number.has_value()) return Fail("invalid double");
      value->kind = Kind::kDouble;
      value->number = *number;
      break;
    }
    case '#':
      if (body != "t" && body != "f") return Fail("invalid boolean");
      value->kind = Kind::kBool;
      value->integer = body == "t" ? 1 : 0;
      value->text.clear();
      break;
    case '(':
      if (!IsBigNumber(body)) return Fail("invalid big number");
      value->kind = Kind::kBigNumber;
      break;
    case '_':
      if (!body.empty()) return Fail("invalid null");
      value->kind = Kind::kNull;
      break;
    default:
      return Fail("unknown type " + Quoted({&type, 1}));
  }
  return Step::kValue;
}

ReplyReader::Step ReplyReader::StartBulk(char type, std::string_view body, Value* value) {
  if (type == '$' && body == "-1") {
    value->kind = Value::Kind::kNull;
    return Step::kValue;
  }
  std::optional<int64_t> size = base::ParseInt64(body);
  int64_t size_min = type == '=' ? static_cast<int64_t>(kFormatBytes + 1) : 0;
  if (!size.has_value() || *size < size_min) return Fail("invalid bulk length");
  if (*size > limits_.bulk_bytes_max) return Fail("bulk too long");
  payload_bytes_ = *size;
  payload_type_ = type;
  return Step::kGo;
}

ReplyReader::Step ReplyReader::ReadPayload(Value* value) {
  auto size = static_cast<size_t>(payload_bytes_);
  std::string_view rest = buffer_.view().substr(at_);
  if (rest.size() < size + kCrlfBytes) return Step::kNeedMore;
  if (rest.substr(size, kCrlfBytes) != "\r\n") return Fail("bulk without CRLF at its end");
  value->wire = payload_type_;
  std::string_view payload = rest.substr(0, size);
  if (payload_type_ == '=') {
    if (payload[kFormatBytes] != ':') return Fail("verbatim text without a format");
    value->kind = Value::Kind::kVerbatim;
    value->format = payload.substr(0, kFormatBytes);
    payload.remove_prefix(kFormatBytes + 1);
  } else {
    value->kind = payload_type_ == '!' ? Value::Kind::kError : Value::Kind::kBulk;
  }
  value->text = payload;
  at_ += size + kCrlfBytes;
  payload_bytes_ = kNoPayload;
  return Step::kValue;
}

ReplyReader::Step ReplyReader::StartAggregate(char type, std::string_view body, Value* value) {
  using Kind = Value::Kind;
  if (type == '*' && body == "-1") {
    value->kind = Kind::kNull;
    return Step::kValue;
  }
  std::optional<int64_t> count = base::ParseInt64(body);
  if (!count.has_value() || *count < 0) return Fail("invalid aggregate length");
  bool pairs = type == '%' || type == '|';
  if (*count > (limits_.elements_max - elements_) / (pairs ? 2 : 1)) return Fail("too many elements");
  int64_t left = pairs ? *count * 2 : *count;
  elements_ += left;
  if (type == '>' && !frames_.empty()) return Fail("push inside a reply");
  if (frames_.size() >= limits_.depth_max) return Fail("nested too deeply");
  switch (type) {
    case '*':
      value->kind = Kind::kArray;
      break;
    case '~':
      value->kind = Kind::kSet;
      break;
    case '>':
      value->kind = Kind::kPush;
      break;
    default:
      value->kind = Kind::kMap;
      break;
  }
  bool is_attribute = type == '|';
  if (is_attribute && left == 0) return Step::kGo;
  value->attributes = std::exchange(attributes_, {});
  if (left == 0) return Step::kValue;
  frames_.push_back({std::move(*value), left, is_attribute});
  return Step::kGo;
}

// A value is complete: hangs it into the aggregate it belongs to, and this one into its own if it is complete
// with it. kValue: *value is a whole reply.
ReplyReader::Step ReplyReader::Complete(Value* value) {
  if (!attributes_.empty()) value->attributes = std::exchange(attributes_, {});
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    frame.value.elements.push_back(std::move(*value));
    if (--frame.left > 0) return Step::kGo;
    *value = std::move(frame.value);
    bool is_attribute = frame.is_attribute;
    frames_.pop_back();
    if (is_attribute) {
      // An attribute may have attributes of its own or follow another one: they all describe the value to
      // come.
      attributes_ = std::move(value->attributes);
      std::move(value->elements.begin(), value->elements.end(), std::back_inserter(attributes_));
      return Step::kGo;
    }
  }
  return Step::kValue;
}

ReplyReader::Step ReplyReader::Fail(std::string_view what) {
  error_ = "invalid reply: ";
  error_ += what;
  return Step::kError;
}

// Drops what was parsed; amortised O(1) a byte.
void ReplyReader::Compact() {
  if (at_ < buffer_.size() && (at_ < kCompactBytes || at_ < buffer_.size() / 2)) return;
  buffer_.Consume(at_);
  scan_ = scan_ > at_ ? scan_ - at_ : 0;
  at_ = 0;
}

}  // namespace moonshard::resp
