#include "bench/load_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/number.h"

namespace moonshard::bench {

namespace {

constexpr std::string_view kKeyMark = "__key__";
constexpr std::string_view kRandMark = "__rand__";
constexpr std::string_view kDataMark = "__data__";
constexpr std::string_view kTtlMark = "__ttl__";

base::Status Bad(std::string text) {
  return base::Status::WithText(base::Code::kErr, std::move(text));
}

bool ParseDouble(std::string_view text, double* value) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

base::Result<CommandSpec> ParseMix(std::string_view argument) {
  CommandSpec spec{.kind = CommandKind::kMix};
  double gets = 0, sets = 0;
  if (size_t colon = argument.find(':'); colon != std::string_view::npos) {
    if (!ParseDouble(argument.substr(0, colon), &gets) || !ParseDouble(argument.substr(colon + 1), &sets) ||
        gets < 0 || sets < 0 || gets + sets <= 0) {
      return Bad(fmt::format("mix:{}: expected mix:GETS:SETS", argument));
    }
    spec.get_share = gets / (gets + sets);
  } else if (!ParseDouble(argument, &spec.get_share) || spec.get_share < 0 || spec.get_share > 1) {
    return Bad(fmt::format("mix:{}: expected the share of GETs, 0 to 1", argument));
  }
  return spec;
}

// Letters only, so that no server mistakes it for a number; random, so that it does not compress.
std::string MakeValue(uint64_t bytes, uint64_t seed) {
  base::Random random(seed ^ 0x56414C5545ull);
  std::string value(bytes, 'x');
  for (char& c : value) c = static_cast<char>('a' + random.Below(26));
  return value;
}

}  // namespace

base::Result<CommandSpec> ParseCommand(std::string_view text) {
  size_t colon = text.find(':');
  std::string_view name = text.substr(0, colon);
  std::string_view argument = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  if (name == "mix") return ParseMix(argument);

  struct Name {
    std::string_view name;
    CommandKind kind;
    bool counted;
  };
  static constexpr Name kNames[] = {
      {"ping", CommandKind::kPing, false}, {"get", CommandKind::kGet, false},
      {"set", CommandKind::kSet, false},   {"incr", CommandKind::kIncr, false},
      {"mget", CommandKind::kMget, true},  {"mset", CommandKind::kMset, true},
      {"del", CommandKind::kDel, true},
  };
  const Name* row =
      std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return n.name == name; });
  if (row == std::end(kNames)) return Bad(fmt::format("unknown command '{}'", text));
  CommandSpec spec{.kind = row->kind};
  if (!row->counted) {
    if (colon != std::string_view::npos) return Bad(fmt::format("'{}' takes no number", name));
    return spec;
  }
  auto keys = base::ParseInt64(argument);
  if (!keys || *keys < 1 || *keys > 1'000'000) return Bad(fmt::format("'{}': expected {}:KEYS", text, name));
  spec.keys = static_cast<uint32_t>(*keys);
  return spec;
}

void RequestPlan::AppendWord(const PlanOptions& options, const std::string& value, const std::string& word,
                             Shape& shape) {
  // A relative time to live has no fixed width: its whole bulk string, header included, is written by Append.
  if (word == kTtlMark) {
    shape.holes.push_back({shape.bytes.size(), HoleKind::kTtl});
    ++shape.ttl_count;
    return;
  }
  std::string body;
  std::vector<Hole> holes;
  bool carries_key = options.command.kind != CommandKind::kCustom;
  for (size_t at = 0; at < word.size();) {
    std::string_view rest = std::string_view(word).substr(at);
    if (rest.starts_with(kKeyMark) || rest.starts_with(kRandMark)) {
      bool key = rest.starts_with(kKeyMark);
      if (key) body += options.key_prefix;
      holes.push_back({body.size(), HoleKind::kKey});
      body.append(kKeyDigits, '0');
      at += key ? kKeyMark.size() : kRandMark.size();
    } else if (rest.starts_with(kDataMark)) {
      if (carries_key && value.size() > kKeyDigits) holes.push_back({body.size(), HoleKind::kKeyInValue});
      body += value;
      at += kDataMark.size();
    } else {
      body += word[at++];
    }
  }
  shape.bytes += fmt::format("${}\r\n", body.size());
  for (const Hole& hole : holes) shape.holes.push_back({shape.bytes.size() + hole.offset, hole.kind});
  shape.bytes += body;
  shape.bytes += "\r\n";
}

void RequestPlan::AddShape(const PlanOptions& options, const std::vector<std::string>& words,
                           Expectation expectation) {
  std::string value = MakeValue(options.value_bytes, options.seed);
  Shape shape;
  shape.expectation = expectation;
  shape.bytes = fmt::format("*{}\r\n", words.size());
  for (const std::string& word : words) AppendWord(options, value, word, shape);
  constexpr size_t kTtlBytes = base::kMaxInt64Chars + 8;  // "$<2 digits>\r\n<number>\r\n"
  max_bytes_ = std::max(max_bytes_, shape.bytes.size() + shape.ttl_count * kTtlBytes);
  shapes_.push_back(std::move(shape));
}

base::Result<RequestPlan> RequestPlan::Make(const PlanOptions& options) {
  RequestPlan plan;
  plan.ttl_min_ms_ = options.ttl.min_ms;
  plan.ttl_max_ms_ = options.ttl.max_ms;
  auto bytes = static_cast<int64_t>(options.value_bytes);
  uint32_t keys = options.command.keys;
  Expectation get{.type = '$', .keys = 1, .value_bytes = bytes};
  Expectation ok{.type = '+'};
  std::vector<std::string> set = {"SET", std::string(kKeyMark), std::string(kDataMark)};
  if (options.ttl.at_ms != 0) {
    set.insert(set.end(), {"PXAT", fmt::format("{}", options.ttl.at_ms)});
  } else if (options.ttl.max_ms != 0) {
    set.insert(set.end(), {"PX", std::string(kTtlMark)});
  }
  auto many = [keys](std::string name, bool with_value) {
    std::vector<std::string> words = {std::move(name)};
    for (uint32_t i = 0; i < keys; ++i) {
      words.emplace_back(kKeyMark);
      if (with_value) words.emplace_back(kDataMark);
    }
    return words;
  };

  switch (options.command.kind) {
    case CommandKind::kPing:
      plan.AddShape(options, {"PING"}, ok);
      break;
    case CommandKind::kGet:
      plan.AddShape(options, {"GET", std::string(kKeyMark)}, get);
      break;
    case CommandKind::kSet:
      plan.AddShape(options, set, ok);
      break;
    case CommandKind::kMix:
      plan.AddShape(options, {"GET", std::string(kKeyMark)}, get);
      plan.AddShape(options, set, ok);
      plan.first_share_ = options.command.get_share;
      break;
    case CommandKind::kIncr:
      plan.AddShape(options, {"INCR", "counter:" + std::string(kRandMark)}, {.type = ':'});
      break;
    case CommandKind::kMget:
      plan.AddShape(options, many("MGET", false), {.type = '*', .elements = keys, .keys = keys});
      break;
    case CommandKind::kMset:
      plan.AddShape(options, many("MSET", true), ok);
      break;
    case CommandKind::kDel:
      plan.AddShape(options, many("DEL", false), {.type = ':', .keys = keys});
      break;
    case CommandKind::kCustom:
      if (options.custom.empty()) return Bad("no command given");
      plan.AddShape(options, options.custom, {});
      break;
  }
  bool has_get = options.command.kind == CommandKind::kGet || options.command.kind == CommandKind::kMix;
  plan.verifiable_ = has_get && options.value_bytes > kKeyDigits;
  return plan;
}

size_t RequestStream::LayOut(char* to) {
  const std::string& bytes = plan_.shapes_[0].bytes;
  bytes.copy(to, bytes.size());
  Patch(to);
  return bytes.size();
}

size_t RequestStream::Append(char* to, uint8_t* shape_idx) {
  *shape_idx = plan_.shapes_.size() > 1 && random_.NextDouble() >= plan_.first_share_ ? 1 : 0;
  const RequestPlan::Shape& shape = plan_.shapes_[*shape_idx];
  if (shape.ttl_count == 0) {
    shape.bytes.copy(to, shape.bytes.size());
    for (const RequestPlan::Hole& hole : shape.holes) Fill(hole.kind, to + hole.offset);
    return shape.bytes.size();
  }
  char* at = to;
  size_t copied = 0;
  for (const RequestPlan::Hole& hole : shape.holes) {
    at += shape.bytes.copy(at, hole.offset - copied, copied);
    copied = hole.offset;
    if (hole.kind == RequestPlan::HoleKind::kTtl) {
      auto span = static_cast<uint64_t>(plan_.ttl_max_ms_ - plan_.ttl_min_ms_ + 1);
      char digits[base::kMaxInt64Chars];
      size_t length =
          base::FormatInt64(plan_.ttl_min_ms_ + static_cast<int64_t>(random_.Below(span)), digits);
      at = fmt::format_to(at, "${}\r\n{}\r\n", length, std::string_view(digits, length));
    } else {
      Fill(hole.kind, at);
      at += kKeyDigits;
      copied += kKeyDigits;
    }
  }
  at += shape.bytes.copy(at, shape.bytes.size() - copied, copied);
  return static_cast<size_t>(at - to);
}

}  // namespace moonshard::bench
