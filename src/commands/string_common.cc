#include "commands/string_common.h"

#include "base/hash.h"
#include "command/errors.h"

namespace moonshard::commands {

namespace {

constexpr TimeOption kTimeOptions[] = {{"EX", TimeUnit::kSeconds, TimeBase::kRelative},
                                       {"PX", TimeUnit::kMilliseconds, TimeBase::kRelative},
                                       {"EXAT", TimeUnit::kSeconds, TimeBase::kAbsolute},
                                       {"PXAT", TimeUnit::kMilliseconds, TimeBase::kAbsolute}};

struct PlainOption {
  std::string_view token;
  uint32_t bit;
  uint32_t excluded_by;
};
constexpr PlainOption kPlainOptions[] = {
    {"NX", kOptNx, kOptXx | kOptCompare},
    {"XX", kOptXx, kOptNx | kOptCompare},
    {"GET", kOptGet, 0},
    {"KEEPTTL", kOptKeepTtl, kOptPersist | kOptTime},
    {"PERSIST", kOptPersist, kOptKeepTtl | kOptTime},
};

struct CompareOption {
  std::string_view token;
  uint32_t bit;
};
constexpr CompareOption kCompareOptions[] = {
    {"IFEQ", kOptIfEq}, {"IFNE", kOptIfNe}, {"IFDEQ", kOptIfDeq}, {"IFDNE", kOptIfDne}};

const PlainOption* FindPlainOption(std::string_view word) {
  for (const PlainOption& option : kPlainOptions) {
    if (IsWord(word, option.token)) return &option;
  }
  return nullptr;
}

}  // namespace

bool IsWord(std::string_view arg, std::string_view word) {
  return EqualsIgnoreCase(arg, word) ||
         (arg.size() > word.size() && EqualsIgnoreCase(command::UpToZero(arg), word));
}

const TimeOption* FindTimeOption(std::string_view word) {
  for (const TimeOption& option : kTimeOptions) {
    if (IsWord(word, option.token)) return &option;
  }
  return nullptr;
}

uint32_t FindCompareOption(std::string_view word) {
  for (const CompareOption& option : kCompareOptions) {
    if (IsWord(word, option.token)) return option.bit;
  }
  return 0;
}

bool ParseStringOptions(std::span<const std::string_view> words, uint32_t accepted, StringOptions& options) {
  for (size_t i = 0; i < words.size(); ++i) {
    const bool has_next = i + 1 < words.size();
    if (const TimeOption* time = FindTimeOption(words[i])) {
      // The same one again is fine, the last counts.
      const bool other = options.time != nullptr && options.time != time;
      if ((accepted & kOptTime) == 0 || other || options.has(kOptKeepTtl | kOptPersist) || !has_next) {
        return false;
      }
      options.given |= kOptTime;
      options.time = time;
      options.time_text = words[++i];
    } else if (const PlainOption* plain = FindPlainOption(words[i])) {
      if ((accepted & plain->bit) == 0 || options.has(plain->excluded_by)) return false;
      options.given |= plain->bit;
    } else {
      const uint32_t compare = FindCompareOption(words[i]) & accepted;
      if (compare == 0 || options.has(kOptNx | kOptXx | kOptCompare) || !has_next) return false;
      options.given |= compare;
      options.operand = words[++i];
    }
  }
  return true;
}

std::optional<TimeMs> ResolveDeadline(Context& context, const TimeOption& option, std::string_view text) {
  auto amount = ParseInt64(text);
  if (!amount) {
    context.reply.Error(db::kNotAnInteger);
    return std::nullopt;
  }
  if (*amount > 0) {
    const TimeMs now = context.shard.keyspace->now();
    if (auto deadline = DeadlineOf(*amount, option.unit, option.base, now)) return deadline;
  }
  FailExpireTime(context);
  return std::nullopt;
}

void FormatDigest(std::string_view bytes, char* to) {
  uint64_t digest = base::HashBytes(bytes, 0);
  for (size_t i = kDigestChars; i-- > 0; digest >>= 4) to[i] = "0123456789abcdef"[digest & 15];
}

base::Status CheckOperand(uint32_t option, std::string_view operand) {
  if ((option & (kOptIfDeq | kOptIfDne)) != 0 && operand.size() != kDigestChars) return kDigestForm;
  return {};
}

bool Compares(uint32_t option, std::string_view operand, const dash::Entry& entry) {
  char scratch[base::kMaxInt64Chars];
  const std::string_view bytes = types::StringBytes(entry, scratch);
  if ((option & (kOptIfEq | kOptIfNe)) != 0) {
    return (bytes == operand) == ((option & kOptIfEq) != 0);
  }
  char digest[kDigestChars];
  FormatDigest(bytes, digest);
  return EqualsIgnoreCase({digest, kDigestChars}, operand) == ((option & kOptIfDeq) != 0);
}

}  // namespace moonshard::commands
