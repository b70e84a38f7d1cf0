#include "commands/bitmap_field.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <string>
#include <vector>

#include "commands/bitmap_testing.h"

namespace moonshard::commands {
namespace {

// ---- a plain reference: a string is a list of bits, and numbers are exact

using Exact = __int128;

struct PlainString {
  bool exists = false;
  std::vector<bool> bits;

  void Grow(size_t bit_count) {
    bit_count = (bit_count + 7) / 8 * 8;
    if (bits.size() < bit_count) bits.resize(bit_count);
  }
  bool At(uint64_t at) const { return at < bits.size() && bits[at]; }
  std::string bytes() const {
    std::string out(bits.size() / 8, '\0');
    for (size_t i = 0; i < bits.size(); ++i) {
      if (bits[i]) out[i / 8] = static_cast<char>(out[i / 8] | 0x80 >> i % 8);
    }
    return out;
  }
};

Exact TwoTo(unsigned n) {
  Exact power = 1;
  while (n-- > 0) power *= 2;
  return power;
}

Exact PlainGet(const PlainString& string, FieldType type, uint64_t offset) {
  Exact value = 0;
  for (unsigned i = 0; i < type.bits; ++i) value = value * 2 + (string.At(offset + i) ? 1 : 0);
  if (type.is_signed && string.At(offset)) value -= TwoTo(type.bits);
  return value;
}

void PlainSet(PlainString& string, FieldType type, uint64_t offset, Exact value) {
  if (value < 0) value += TwoTo(type.bits);
  for (unsigned i = type.bits; i-- > 0; value /= 2) string.bits[offset + i] = value % 2 != 0;
}

// Nothing: refused. `exact` is what was asked for.
std::optional<Exact> PlainFit(FieldType type, Exact exact, Overflow overflow) {
  const Exact min = type.is_signed ? -TwoTo(type.bits - 1u) : 0;
  const Exact max = type.is_signed ? TwoTo(type.bits - 1u) - 1 : TwoTo(type.bits) - 1;
  if (exact >= min && exact <= max) return exact;
  if (overflow == Overflow::kFail) return std::nullopt;
  if (overflow == Overflow::kSaturate) return exact < min ? min : max;
  const Exact range = TwoTo(type.bits);
  Exact wrapped = (exact - min) % range;
  if (wrapped < 0) wrapped += range;
  return wrapped + min;
}

// ---- random calls

struct PlainOp {
  std::string verb;
  Overflow overflow;
  FieldType type;
  uint64_t offset;
  int64_t value;
};

struct RandomCall {
  std::vector<std::string> words;
  std::vector<PlainOp> ops;
};

int64_t RandomNumber(std::mt19937_64& random, FieldType type) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  const int64_t edge = type.bits >= 64 ? kMax : (int64_t{1} << (type.bits - 1)) - 1;
  switch (random() % 6) {
    case 0:
      return static_cast<int64_t>(random());
    case 1:
      return static_cast<int64_t>(random() % 7) - 3;
    case 2:
      return edge - static_cast<int64_t>(random() % 3);
    case 3:
      return -edge + static_cast<int64_t>(random() % 3) - 1;
    case 4:
      return kMax - static_cast<int64_t>(random() % 3);
    default:
      return kMin + static_cast<int64_t>(random() % 3);
  }
}

FieldType RandomType(std::mt19937_64& random) {
  const bool is_signed = random() % 2 == 0;
  return {is_signed, static_cast<uint8_t>(1 + random() % (is_signed ? 64 : 63))};
}

RandomCall MakeCall(std::mt19937_64& random, uint64_t offset_max) {
  constexpr const char* kOverflows[] = {"WRAP", "SAT", "FAIL"};
  RandomCall call{{"bitfield", "k"}, {}};
  Overflow overflow = Overflow::kWrap;
  for (size_t left = 1 + random() % 5; left > 0; --left) {
    if (random() % 3 == 0) {
      overflow = static_cast<Overflow>(random() % 3);
      call.words.insert(call.words.end(), {"OVERFLOW", kOverflows[static_cast<size_t>(overflow)]});
    }
    const FieldType type = RandomType(random);
    const bool counts_fields = random() % 3 == 0;
    uint64_t offset = random() % offset_max;
    if (counts_fields) offset /= type.bits;
    PlainOp op{"GET", overflow, type, counts_fields ? offset * type.bits : offset, 0};
    const uint64_t verb = random() % 3;
    if (verb != 0) {
      op.verb = verb == 1 ? "SET" : "INCRBY";
      op.value = RandomNumber(random, type);
    }
    call.words.insert(call.words.end(), {op.verb, fmt::format("{}{}", type.is_signed ? 'i' : 'u', type.bits),
                                         fmt::format("{}{}", counts_fields ? "#" : "", offset)});
    if (verb != 0) call.words.push_back(std::to_string(op.value));
    call.ops.push_back(op);
  }
  return call;
}

struct Expected {
  std::string reply;
  bool announced = false;
};

// SET to an unsigned field takes the number for its 64 bits; saturating, Redis takes numbers so low that the
// way to the upper bound does not fit into 64 bits for too high.
std::optional<Exact> PlainNewValue(const PlainOp& op, Exact old_value) {
  if (op.verb == "INCRBY") return PlainFit(op.type, old_value + op.value, op.overflow);
  Exact exact = op.value;
  if (!op.type.is_signed && exact < 0) exact += TwoTo(64);
  if (op.type.is_signed && op.overflow == Overflow::kSaturate) {
    const Exact max = TwoTo(op.type.bits - 1u) - 1;
    if (op.type.bits < 64 && max - exact > std::numeric_limits<int64_t>::max()) return max;
  }
  return PlainFit(op.type, exact, op.overflow);
}

Expected RunPlain(PlainString& string, const RandomCall& call) {
  Expected expected;
  expected.reply = fmt::format("*{}\r\n", call.ops.size());
  const size_t size_before = string.bits.size();
  const bool existed = string.exists;
  for (const PlainOp& op : call.ops) {
    if (op.verb == "GET") continue;
    string.exists = true;
    string.Grow(op.offset + op.type.bits);
  }
  const bool grew = string.bits.size() != size_before || string.exists != existed;
  for (const PlainOp& op : call.ops) {
    const Exact old_value = PlainGet(string, op.type, op.offset);
    if (op.verb == "GET") {
      expected.reply += fmt::format(":{}\r\n", static_cast<int64_t>(old_value));
      continue;
    }
    const std::optional<Exact> new_value = PlainNewValue(op, old_value);
    if (!new_value) {
      expected.reply += "$-1\r\n";
      continue;
    }
    PlainSet(string, op.type, op.offset, *new_value);
    if (grew || *new_value != old_value) expected.announced = true;
    expected.reply += fmt::format(":{}\r\n", static_cast<int64_t>(op.verb == "SET" ? old_value : *new_value));
  }
  return expected;
}

PlainString PlainOf(const std::string& bytes) {
  PlainString string{true, std::vector<bool>(bytes.size() * 8)};
  for (size_t i = 0; i < string.bits.size(); ++i) {
    string.bits[i] = (static_cast<uint8_t>(bytes[i / 8]) >> (7 - i % 8) & 1) != 0;
  }
  return string;
}

// What a key may hold before: nothing, an integer, bytes inside the entry or outside.
std::string RandomValue(std::mt19937_64& random) {
  if (random() % 3 == 0) return std::to_string(static_cast<int64_t>(random()) >> random() % 64);
  std::string bytes(random() % 30 == 0 ? 8000 + random() % 1000 : random() % 40, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TEST(Bitfield, RandomCallsAgreeWithAPlainReference) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 300; ++round) {
    BitmapWorld world;
    PlainString string;
    if (random() % 3 != 0) {
      const std::string value = RandomValue(random);
      world.Set("k", value);
      string = PlainOf(value);
    }
    // Some rounds near the start, where fields overlap, some around the largest size inside the entry.
    const bool is_large = round % 15 == 14;
    const uint64_t offset_max = is_large ? 8300 * 8 : round % 2 == 0 ? 80 : 1000;
    for (int i = 0; i < (is_large ? 8 : 30); ++i) {
      const RandomCall call = MakeCall(random, offset_max);
      const uint64_t changes_before = world.change_count();
      const std::string bytes_before = string.bytes();
      const bool existed = string.exists;
      world.TakeEvents();
      const Expected expected = RunPlain(string, call);
      SCOPED_TRACE(testing::Message() << fmt::format("{}", fmt::join(call.words, " ")));
      ASSERT_EQ(world.Run(call.words), expected.reply);
      ASSERT_EQ(world.Get("k"), string.exists ? string.bytes() : "(none)");
      std::vector<std::string> events;
      if (!existed && string.exists) events.push_back("new k");
      if (expected.announced) events.push_back("setbit k");
      ASSERT_EQ(world.TakeEvents(), events);
      // Every change is reported. (The bytes may be the old ones again after several.)
      if (bytes_before != string.bytes()) ASSERT_GT(world.change_count(), changes_before);
    }
    world.CheckReports();
  }
}

// ---- the parts by themselves

TEST(Bitfield, EveryFieldIsReadAsWrittenAndNothingElseChanges) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  for (uint8_t bits = 1; bits <= 64; ++bits) {
    for (uint64_t offset = 0; offset < 8; ++offset) {
      for (bool is_signed : {false, true}) {
        if (!is_signed && bits == 64) continue;
        const FieldType type{is_signed, bits};
        std::string bytes(9, '\0');
        for (char& byte : bytes) byte = static_cast<char>(random());
        PlainString string = PlainOf(bytes);
        FieldWindow window = LoadWindow(bytes, offset);
        ASSERT_EQ(GetField(window, type, offset), static_cast<int64_t>(PlainGet(string, type, offset)));
        const auto value =
            static_cast<int64_t>(*PlainFit(type, static_cast<int64_t>(random()), Overflow::kWrap));
        SetField(window, type, offset, value);
        PlainSet(string, type, offset, value);
        ASSERT_EQ(std::string(window.data(), window.size()), string.bytes());
        ASSERT_EQ(GetField(window, type, offset), value);
        // What lies behind the bytes it touches is as it was.
        const size_t touched = WindowBytes(type, offset);
        ASSERT_EQ(bytes.substr(touched), std::string(window.data(), window.size()).substr(touched));
        ASSERT_GE(touched * 8, offset + bits);
        ASSERT_LT(touched * 8, offset + bits + 8);
      }
    }
  }
}

TEST(Bitfield, AWindowBehindTheEndIsZero) {
  EXPECT_EQ(LoadWindow("ab", 8), (FieldWindow{'b'}));
  EXPECT_EQ(LoadWindow("ab", 16), FieldWindow{});
  EXPECT_EQ(LoadWindow("", 0), FieldWindow{});
  EXPECT_EQ(LoadWindow("ab", ~uint64_t{0}), FieldWindow{});
}

TEST(Bitfield, TypesFrom1To63And64Bits) {
  for (int bits = -1; bits <= 70; ++bits) {
    EXPECT_EQ(ParseFieldType("u" + std::to_string(bits)).has_value(), bits >= 1 && bits <= 63) << bits;
    EXPECT_EQ(ParseFieldType("i" + std::to_string(bits)).has_value(), bits >= 1 && bits <= 64) << bits;
  }
  for (const char* text : {"", "u", "i", "8", "U8", "u08", "u 8", "u8 ", "x8"}) {
    EXPECT_FALSE(ParseFieldType(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace moonshard::commands
