#include "commands/bitmap_field.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/number.h"
#include "command/errors.h"

namespace moonshard::commands {

namespace {

// Wide enough for the window's 72 bits and for any sum of two values.
using Wide = __int128;
using WideBits = unsigned __int128;

uint64_t LowBits(size_t bits) {
  return bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
}

// The window as one number, its first bit the most significant of 72.
WideBits LoadWide(const FieldWindow& window) {
  uint64_t head;
  std::memcpy(&head, window.data(), sizeof head);
  return WideBits{__builtin_bswap64(head)} << 8 | static_cast<uint8_t>(window[8]);
}

// How far the field lies from the window's end.
size_t ShiftOf(FieldType type, uint64_t offset) {
  return kFieldWindowBytes * 8 - (offset & 7) - type.bits;
}

// The low bits, read as the type reads them.
int64_t ToValue(FieldType type, uint64_t bits) {
  if (!type.is_signed) return static_cast<int64_t>(bits & LowBits(type.bits));
  const int unused = 64 - type.bits;
  return static_cast<int64_t>(bits << unused) >> unused;
}

struct Bounds {
  Wide min;
  Wide max;
};
Bounds BoundsOf(FieldType type) {
  if (!type.is_signed) return {0, static_cast<Wide>(LowBits(type.bits))};
  const auto max = static_cast<Wide>(LowBits(type.bits - 1u));
  return {-max - 1, max};
}

std::optional<int64_t> Overflowed(FieldType type, Wide exact, int64_t nearest, Overflow overflow) {
  switch (overflow) {
    case Overflow::kWrap:
      return ToValue(type, static_cast<uint64_t>(exact));
    case Overflow::kSaturate:
      return nearest;
    case Overflow::kFail:
      break;
  }
  return std::nullopt;
}

}  // namespace

std::optional<FieldType> ParseFieldType(std::string_view text) {
  text = command::UpToZero(text);
  if (text.empty() || (text[0] != 'i' && text[0] != 'u')) return std::nullopt;
  const bool is_signed = text[0] == 'i';
  auto bits = base::ParseInt64(text.substr(1));
  if (!bits || *bits < 1 || *bits > (is_signed ? 64 : 63)) return std::nullopt;
  return FieldType{is_signed, static_cast<uint8_t>(*bits)};
}

FieldWindow LoadWindow(std::string_view bytes, uint64_t offset) {
  FieldWindow window{};
  const uint64_t begin = offset >> 3;
  if (begin < bytes.size()) {
    std::memcpy(window.data(), bytes.data() + begin, std::min(bytes.size() - begin, window.size()));
  }
  return window;
}

size_t WindowBytes(FieldType type, uint64_t offset) {
  return ((offset & 7) + type.bits + 7) / 8;
}

int64_t GetField(const FieldWindow& window, FieldType type, uint64_t offset) {
  return ToValue(type, static_cast<uint64_t>(LoadWide(window) >> ShiftOf(type, offset)));
}

void SetField(FieldWindow& window, FieldType type, uint64_t offset, int64_t value) {
  const size_t shift = ShiftOf(type, offset);
  const uint64_t mask = LowBits(type.bits);
  WideBits wide = LoadWide(window) & ~(WideBits{mask} << shift);
  wide |= WideBits{static_cast<uint64_t>(value) & mask} << shift;
  const uint64_t head = __builtin_bswap64(static_cast<uint64_t>(wide >> 8));
  std::memcpy(window.data(), &head, sizeof head);
  window[8] = static_cast<char>(wide);
}

std::optional<int64_t> FitField(FieldType type, int64_t value, Overflow overflow) {
  const Bounds bounds = BoundsOf(type);
  // An unsigned field takes a negative number for the large one that its bits are.
  const Wide exact =
      type.is_signed ? static_cast<Wide>(value) : static_cast<Wide>(static_cast<uint64_t>(value));
  if (exact >= bounds.min && exact <= bounds.max) return value;
  // Redis 7.0 measures the way to the upper bound in 64 bits and tries that bound first: a number so low that
  // this overflows counts as too high.
  const bool is_high = exact > bounds.max || bounds.max - exact > std::numeric_limits<int64_t>::max();
  return Overflowed(type, exact, static_cast<int64_t>(is_high ? bounds.max : bounds.min), overflow);
}

std::optional<int64_t> AddToField(FieldType type, int64_t old_value, int64_t increment, Overflow overflow) {
  const Bounds bounds = BoundsOf(type);
  const Wide exact = static_cast<Wide>(old_value) + increment;
  if (exact >= bounds.min && exact <= bounds.max) return static_cast<int64_t>(exact);
  return Overflowed(type, exact, static_cast<int64_t>(exact > bounds.max ? bounds.max : bounds.min),
                    overflow);
}

}  // namespace moonshard::commands
