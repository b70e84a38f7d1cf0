#pragma once
// The numbers that BITFIELD sees in a string: 1 to 64 bits wide, signed or not (unsigned up to 63), at any
// bit of the string, the most significant bit first.
//
// A field reaches over at most 9 bytes. Reading and writing work on a copy of those, so that a field may lie
// across the end of the string.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace moonshard::commands {

struct FieldType {
  bool is_signed;
  uint8_t bits;
};

// What happens to a value that the type cannot hold.
enum class Overflow : uint8_t { kWrap, kSaturate, kFail };

// "i16", "u8"; nothing for what is no type.
std::optional<FieldType> ParseFieldType(std::string_view text);

inline constexpr size_t kFieldWindowBytes = 9;
using FieldWindow = std::array<char, kFieldWindowBytes>;

// The bytes from the one that holds bit `offset`; zero where the string has ended.
FieldWindow LoadWindow(std::string_view bytes, uint64_t offset);
// How many of them the field touches.
size_t WindowBytes(FieldType type, uint64_t offset);

int64_t GetField(const FieldWindow& window, FieldType type, uint64_t offset);
// Stores the low bits of `value`.
void SetField(FieldWindow& window, FieldType type, uint64_t offset, int64_t value);

// `value` as SET stores it. Nothing: it overflows and must not be stored.
std::optional<int64_t> FitField(FieldType type, int64_t value, Overflow overflow);
// `old_value` + `increment`, `old_value` being one of the type's.
std::optional<int64_t> AddToField(FieldType type, int64_t old_value, int64_t increment, Overflow overflow);

}  // namespace moonshard::commands
