// Strings as arrays of bits: SETBIT GETBIT BITCOUNT BITPOS, and the rows of BITFIELD BITFIELD_RO BITOP.

#include <algorithm>
#include <bit>

#include "command/shard_state.h"
#include "commands/bitmap_args.h"
#include "commands/tables.h"
#include "simd/bits.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

constexpr base::StaticError kBitValueError{base::Code::kErr, "bit is not an integer or out of range"};
constexpr base::StaticError kBitArgumentError{base::Code::kErr, "The bit argument must be 1 or 0."};

// A byte as the number that its bits are.
uint32_t ByteAt(std::string_view bytes, size_t i) {
  return static_cast<uint8_t>(bytes[i]);
}

Outcome Setbit(Context& context) {
  auto offset = ParseBitOffset(context.arg(2), StringBytesMax(context));
  if (!offset) return context.Fail(kBitOffsetError);
  auto bit = ParseInt64(context.arg(3));
  if (!bit || (*bit != 0 && *bit != 1)) return context.Fail(kBitValueError);
  const db::Key key = context.key();
  const dash::Table::Ref ref = context.db->FindForWrite(key);
  char scratch[base::kMaxInt64Chars];
  std::string_view bytes;
  if (ref) {
    const dash::Entry& entry = *context.db->table().entry(ref);
    if (entry.type() != dash::Type::kString) return context.Fail(db::kWrongType);
    bytes = types::StringBytes(entry, scratch);
  }
  const size_t byte_idx = *offset >> 3;
  const auto mask = 0x80u >> (*offset & 7);
  const bool grows = byte_idx >= bytes.size();
  const uint32_t byte = grows ? 0 : ByteAt(bytes, byte_idx);
  const int64_t old_bit = (byte & mask) != 0;
  if (grows || old_bit != *bit) {
    const char patched = static_cast<char>(*bit != 0 ? byte | mask : byte & ~mask);
    auto size = context.db->PatchString(key, ref, byte_idx, {&patched, 1}, kEventSetBit);
    if (!size.ok()) return context.Fail(size.status());
  } else {
    context.db->MakeRaw(ref);
  }
  context.reply.Integer(old_bit);
  return Outcome::kDone;
}

Outcome Getbit(Context& context) {
  auto offset = ParseBitOffset(context.arg(2), StringBytesMax(context));
  if (!offset) return context.Fail(kBitOffsetError);
  const dash::Entry* entry = context.db->Find(context.key());
  if (entry == nullptr) {
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  if (entry->type() != dash::Type::kString) return context.Fail(db::kWrongType);
  char scratch[base::kMaxInt64Chars];
  const std::string_view bytes = types::StringBytes(*entry, scratch);
  const size_t byte_idx = *offset >> 3;
  const bool is_set = byte_idx < bytes.size() && (ByteAt(bytes, byte_idx) & 0x80u >> (*offset & 7)) != 0;
  context.reply.Integer(is_set);
  return Outcome::kDone;
}

// ---- ranges

enum class Unit : uint8_t { kByte, kBit };

std::optional<Unit> ParseUnit(std::string_view text) {
  if (IsWord(text, "BIT")) return Unit::kBit;
  if (IsWord(text, "BYTE")) return Unit::kByte;
  return std::nullopt;
}

// Both ends belong to it; empty if start > end.
struct Range {
  int64_t start;
  int64_t end;
  bool empty() const { return start > end; }
};

// Negative ends count from the end of `total`. What is left lies inside.
Range Clamp(Range range, int64_t total) {
  if (range.start < 0) range.start += total;
  if (range.end < 0) range.end += total;
  return {std::max<int64_t>(range.start, 0), std::min(std::max<int64_t>(range.end, 0), total - 1)};
}

// The bits of bytes, or the bits that a range of either unit names.
Range ClampToBits(Range range, Unit unit, size_t size) {
  const auto total = static_cast<int64_t>(size);
  if (unit == Unit::kBit) return Clamp(range, total * 8);
  range = Clamp(range, total);
  return range.empty() ? range : Range{range.start * 8, range.end * 8 + 7};
}

// The bits of a range's first and last byte that belong to it.
uint32_t HeadMask(const Range& range) {
  return 0xFFu >> (range.start & 7);
}
uint32_t TailMask(const Range& range) {
  return 0xFFu << (7 - (range.end & 7)) & 0xFFu;
}

int64_t CountRange(std::string_view bytes, const Range& range) {
  const auto first = static_cast<size_t>(range.start >> 3);
  const auto last = static_cast<size_t>(range.end >> 3);
  auto count = static_cast<int64_t>(simd::CountOnes(bytes.data() + first, last - first + 1));
  count -= std::popcount(ByteAt(bytes, first) & ~HeadMask(range));
  return count - std::popcount(ByteAt(bytes, last) & ~TailMask(range));
}

// The first bit of the range that is `wanted`; range.end + 1 if there is none.
int64_t FindInRange(std::string_view bytes, const Range& range, simd::Bit wanted) {
  const auto first = static_cast<size_t>(range.start >> 3);
  const auto last = static_cast<size_t>(range.end >> 3);
  // Bits of the first byte that lie before the range are passed over.
  const uint32_t flip = wanted == simd::Bit::kSet ? 0 : 0xFFu;
  const uint32_t head = (ByteAt(bytes, first) ^ flip) & HeadMask(range);
  int64_t found;
  if (head != 0) {
    found = static_cast<int64_t>(first * 8) + std::countl_zero(static_cast<uint8_t>(head));
  } else {
    const size_t begin = first + 1;
    found = static_cast<int64_t>(begin * 8 + simd::FindBit(bytes.data() + begin, last - first, wanted));
  }
  return std::min(found, range.end + 1);
}

// BITCOUNT key [start end [BYTE | BIT]]; an absent key is 0 whatever follows.
Outcome Bitcount(Context& context) {
  const dash::Entry* entry = context.db->Find(context.key());
  if (entry == nullptr) {
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  if (entry->type() != dash::Type::kString) return context.Fail(db::kWrongType);
  char scratch[base::kMaxInt64Chars];
  const std::string_view bytes = types::StringBytes(*entry, scratch);
  const size_t arg_count = context.args.size();
  Range range{0, -1};
  Unit unit = Unit::kByte;
  if (arg_count != 2) {
    if (arg_count != 4 && arg_count != 5) return context.Fail(db::kSyntax);
    auto start = ParseInt64(context.arg(2));
    auto end = start ? ParseInt64(context.arg(3)) : std::nullopt;
    if (!end) return context.Fail(db::kNotAnInteger);
    range = {*start, *end};
    if (range.start < 0 && range.end < 0 && range.empty()) {
      // Redis looks at the unit only afterwards.
      context.reply.Integer(0);
      return Outcome::kDone;
    }
    if (arg_count == 5) {
      auto given = ParseUnit(context.arg(4));
      if (!given) return context.Fail(db::kSyntax);
      unit = *given;
    }
  }
  range = ClampToBits(range, unit, bytes.size());
  context.reply.Integer(range.empty() ? 0 : CountRange(bytes, range));
  return Outcome::kDone;
}

// The range of BITPOS key bit [start [end [BYTE | BIT]]]; an error in the order in which Redis finds it.
base::Status ReadBitposRange(const Context& context, Range& range, Unit& unit) {
  const size_t arg_count = context.args.size();
  if (arg_count == 3) return {};
  if (arg_count > 6) return db::kSyntax;
  auto start = ParseInt64(context.arg(3));
  if (!start) return db::kNotAnInteger;
  range.start = *start;
  if (arg_count == 6) {
    auto given = ParseUnit(context.arg(5));
    if (!given) return db::kSyntax;
    unit = *given;
  }
  if (arg_count == 4) return {};
  auto end = ParseInt64(context.arg(4));
  if (!end) return db::kNotAnInteger;
  range.end = *end;
  return {};
}

Outcome Bitpos(Context& context) {
  auto bit = ParseInt64(context.arg(2));
  if (!bit) return context.Fail(db::kNotAnInteger);
  if (*bit != 0 && *bit != 1) return context.Fail(kBitArgumentError);
  const dash::Entry* entry = context.db->Find(context.key());
  if (entry == nullptr) {
    // Zeros without end, whatever the range.
    context.reply.Integer(*bit == 0 ? 0 : -1);
    return Outcome::kDone;
  }
  if (entry->type() != dash::Type::kString) return context.Fail(db::kWrongType);
  char scratch[base::kMaxInt64Chars];
  const std::string_view bytes = types::StringBytes(*entry, scratch);
  Range range{0, -1};
  Unit unit = Unit::kByte;
  base::Status status = ReadBitposRange(context, range, unit);
  if (!status.ok()) return context.Fail(status);
  range = ClampToBits(range, unit, bytes.size());
  if (range.empty()) {
    context.reply.Integer(-1);
    return Outcome::kDone;
  }
  int64_t found = FindInRange(bytes, range, *bit == 0 ? simd::Bit::kClear : simd::Bit::kSet);
  // The first clear bit may lie behind the string, unless the caller has said where the range ends.
  const bool may_lie_behind = *bit == 0 && context.args.size() < 5;
  if (found > range.end && !may_lie_behind) found = -1;
  context.reply.Integer(found);
  return Outcome::kDone;
}

// ---- rows

constexpr KeySpec kReadKey[] = {{.flags = command::kKeyRo | command::kKeyAccess}};
constexpr KeySpec kUpdateKey[] = {{.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate}};
constexpr KeySpec kFieldKey[] = {
    {.flags = command::kKeyRw | command::kKeyAccess | command::kKeyUpdate | command::kKeyVariable,
     .notes = "This command allows both access and modification of the key"}};
constexpr KeySpec kBitopKeys[] = {
    {.flags = command::kKeyOw | command::kKeyUpdate, .begin_index = 2},
    {.flags = command::kKeyRo | command::kKeyAccess, .begin_index = 3, .last = -1}};

constexpr ArgSpec kUnits[] = {{.name = "byte", .type = ArgType::kPureToken, .token = "BYTE"},
                              {.name = "bit", .type = ArgType::kPureToken, .token = "BIT"}};
constexpr ArgSpec kSetbitArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                        {.name = "offset", .type = ArgType::kInteger},
                                        {.name = "value", .type = ArgType::kInteger}};
constexpr ArgSpec kGetbitArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                        {.name = "offset", .type = ArgType::kInteger}};
constexpr ArgSpec kCountRange[] = {{.name = "start", .type = ArgType::kInteger},
                                   {.name = "end", .type = ArgType::kInteger},
                                   {.name = "index_unit",
                                    .type = ArgType::kOneOf,
                                    .flags = command::kOptional,
                                    .arguments = kUnits,
                                    .since = "7.0.0"}};
constexpr ArgSpec kBitcountArguments[] = {
    {.name = "key", .type = ArgType::kKey, .key_spec = 0},
    {.name = "index", .type = ArgType::kBlock, .flags = command::kOptional, .arguments = kCountRange}};
constexpr ArgSpec kPosEnd[] = {{.name = "end", .type = ArgType::kInteger},
                               {.name = "index_unit",
                                .type = ArgType::kOneOf,
                                .flags = command::kOptional,
                                .arguments = kUnits,
                                .since = "7.0.0"}};
constexpr ArgSpec kPosRange[] = {
    {.name = "start", .type = ArgType::kInteger},
    {.name = "end_index", .type = ArgType::kBlock, .flags = command::kOptional, .arguments = kPosEnd}};
constexpr ArgSpec kBitposArguments[] = {
    {.name = "key", .type = ArgType::kKey, .key_spec = 0},
    {.name = "bit", .type = ArgType::kInteger},
    {.name = "index", .type = ArgType::kBlock, .flags = command::kOptional, .arguments = kPosRange}};
constexpr ArgSpec kBitopOperations[] = {
    {.name = "and", .type = ArgType::kPureToken, .token = "AND"},
    {.name = "or", .type = ArgType::kPureToken, .token = "OR"},
    {.name = "xor", .type = ArgType::kPureToken, .token = "XOR"},
    {.name = "not", .type = ArgType::kPureToken, .token = "NOT"},
    {.name = "diff", .type = ArgType::kPureToken, .token = "DIFF", .since = "8.2.0"},
    {.name = "diff1", .type = ArgType::kPureToken, .token = "DIFF1", .since = "8.2.0"},
    {.name = "andor", .type = ArgType::kPureToken, .token = "ANDOR", .since = "8.2.0"},
    {.name = "one", .type = ArgType::kPureToken, .token = "ONE", .since = "8.2.0"}};
constexpr ArgSpec kBitopArguments[] = {
    {.name = "operation", .type = ArgType::kOneOf, .arguments = kBitopOperations},
    {.name = "destkey", .type = ArgType::kKey, .key_spec = 0},
    {.name = "key", .type = ArgType::kKey, .flags = command::kMultiple, .key_spec = 1}};
constexpr ArgSpec kFieldPlace[] = {{.name = "encoding"}, {.name = "offset", .type = ArgType::kInteger}};
constexpr ArgSpec kFieldSet[] = {{.name = "encoding"},
                                 {.name = "offset", .type = ArgType::kInteger},
                                 {.name = "value", .type = ArgType::kInteger}};
constexpr ArgSpec kFieldIncrement[] = {{.name = "encoding"},
                                       {.name = "offset", .type = ArgType::kInteger},
                                       {.name = "increment", .type = ArgType::kInteger}};
constexpr ArgSpec kFieldOverflow[] = {{.name = "wrap", .type = ArgType::kPureToken, .token = "WRAP"},
                                      {.name = "sat", .type = ArgType::kPureToken, .token = "SAT"},
                                      {.name = "fail", .type = ArgType::kPureToken, .token = "FAIL"}};
constexpr ArgSpec kFieldWriteVerbs[] = {
    {.name = "encoding_offset_value", .type = ArgType::kBlock, .token = "SET", .arguments = kFieldSet},
    {.name = "encoding_offset_increment",
     .type = ArgType::kBlock,
     .token = "INCRBY",
     .arguments = kFieldIncrement}};
constexpr ArgSpec kFieldWrite[] = {
    {.name = "wrap_sat_fail",
     .type = ArgType::kOneOf,
     .token = "OVERFLOW",
     .flags = command::kOptional,
     .arguments = kFieldOverflow},
    {.name = "write_operation", .type = ArgType::kOneOf, .arguments = kFieldWriteVerbs}};
constexpr ArgSpec kFieldOperations[] = {
    {.name = "encoding_offset", .type = ArgType::kBlock, .token = "GET", .arguments = kFieldPlace},
    {.name = "write", .type = ArgType::kBlock, .arguments = kFieldWrite}};
constexpr ArgSpec kBitfieldArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                          {.name = "operation",
                                           .type = ArgType::kOneOf,
                                           .flags = command::kOptional | command::kMultiple,
                                           .arguments = kFieldOperations}};
constexpr ArgSpec kBitfieldRoArguments[] = {
    {.name = "key", .type = ArgType::kKey, .key_spec = 0},
    {.name = "encoding_offset",
     .type = ArgType::kBlock,
     .token = "GET",
     .flags = command::kOptional | command::kMultiple | command::kMultipleToken,
     .arguments = kFieldPlace}};

constexpr CommandRow kRows[] = {
    {.name = "bitcount",
     .arity = -2,
     .flags = command::kReadonly,
     .categories = command::kCatBitmap,
     .keys = kReadKey,
     .group = command::Group::kBitmap,
     .since = "2.6.0",
     .complexity = "O(N) for N bytes in the range",
     .summary = "Counts the set bits of a string or of a range of it.",
     .arguments = kBitcountArguments,
     .handler = Bitcount},
    {.name = "bitfield",
     .arity = -2,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatBitmap,
     .keys = kFieldKey,
     .group = command::Group::kBitmap,
     .since = "3.2.0",
     .complexity = "O(1) for each operation",
     .summary = "Reads, sets and increments integers of any width at any bit of a string.",
     .arguments = kBitfieldArguments,
     .handler = Bitfield},
    {.name = "bitfield_ro",
     .arity = -2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatBitmap,
     .keys = kReadKey,
     .group = command::Group::kBitmap,
     .since = "6.0.0",
     .complexity = "O(1) for each operation",
     .summary = "Reads integers of any width at any bit of a string.",
     .arguments = kBitfieldRoArguments,
     .handler = BitfieldRo},
    {.name = "bitop",
     .arity = -4,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatBitmap,
     .keys = kBitopKeys,
     .group = command::Group::kBitmap,
     .since = "2.6.0",
     .complexity = "O(N) for N bytes in all sources",
     .summary = "Combines strings bit by bit and stores the result.",
     .arguments = kBitopArguments,
     .handler = Bitop,
     .body = BitopAcross},
    {.name = "bitpos",
     .arity = -3,
     .flags = command::kReadonly,
     .categories = command::kCatBitmap,
     .keys = kReadKey,
     .group = command::Group::kBitmap,
     .since = "2.8.7",
     .complexity = "O(N) for N bytes in the range",
     .summary = "Finds the first set or clear bit of a string or of a range of it.",
     .arguments = kBitposArguments,
     .handler = Bitpos},
    {.name = "getbit",
     .arity = 3,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatBitmap,
     .keys = kReadKey,
     .group = command::Group::kBitmap,
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Returns one bit of a string.",
     .arguments = kGetbitArguments,
     .handler = Getbit},
    {.name = "setbit",
     .arity = 4,
     .flags = command::kWrite | command::kDenyOom,
     .categories = command::kCatBitmap,
     .keys = kUpdateKey,
     .group = command::Group::kBitmap,
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Sets or clears one bit of a string, which grows if needed, and returns what it was.",
     .arguments = kSetbitArguments,
     .handler = Setbit},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> BitmapCommands() {
  return kRows;
}

}  // namespace moonshard::commands
