#include "types/rdb_coding.h"

#include <liblzf/lzf.h>

#include <bit>
#include <cstring>
#include <limits>

#include "base/number.h"
#include "types/string_value.h"

namespace moonshard::types {

namespace {

enum Form : uint8_t { kInt8 = 0, kInt16 = 1, kInt32 = 2, kLzf = 3 };
constexpr uint8_t kFormBits = 0xC0;
constexpr uint8_t kLength32 = 0x80;
constexpr uint8_t kLength64 = 0x81;
// Redis tries integers up to this many characters ("-2147483648"), and LZF above this many bytes, where it
// must gain at least four.
constexpr size_t kIntegerCharsMax = 11;
constexpr size_t kUncompressedMax = 20;
constexpr size_t kGainMin = 4;
// One LZF reference of three bytes stands for at most this many.
constexpr uint64_t kLzfCopyMax = 264;
// What liblzf's sizes can hold.
constexpr size_t kLzfBytesMax = std::numeric_limits<uint32_t>::max();

template <typename T>
void AppendLittle(base::Buffer& out, T value) {
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(out.Reserve(sizeof value), &value, sizeof value);
  out.Commit(sizeof value);
}

void AppendForm(base::Buffer& out, Form form) {
  out.push_back(static_cast<char>(kFormBits | form));
}

// False: it is no integer of at most 32 bits.
bool AppendInteger(base::Buffer& out, std::string_view bytes) {
  if (bytes.size() > kIntegerCharsMax) return false;
  auto value = base::ParseInt64(bytes);
  if (!value) return false;
  if (*value == static_cast<int8_t>(*value)) {
    AppendForm(out, kInt8);
    AppendLittle(out, static_cast<int8_t>(*value));
  } else if (*value == static_cast<int16_t>(*value)) {
    AppendForm(out, kInt16);
    AppendLittle(out, static_cast<int16_t>(*value));
  } else if (*value == static_cast<int32_t>(*value)) {
    AppendForm(out, kInt32);
    AppendLittle(out, static_cast<int32_t>(*value));
  } else {
    return false;
  }
  return true;
}

// False: it does not shrink.
bool AppendCompressed(base::Buffer& out, std::string_view bytes) {
  if (bytes.size() <= kUncompressedMax || bytes.size() > kLzfBytesMax) return false;
  // Compressed aside: the sizes stand in front of it.
  base::Buffer compressed;
  const size_t room = bytes.size() - kGainMin;
  const unsigned size = lzf_compress(bytes.data(), static_cast<unsigned>(bytes.size()),
                                     compressed.Reserve(room), static_cast<unsigned>(room));
  if (size == 0) return false;
  AppendForm(out, kLzf);
  AppendRdbLength(out, size);
  AppendRdbLength(out, bytes.size());
  out.Append({compressed.data(), size});
  return true;
}

}  // namespace

void AppendRdbLength(base::Buffer& out, uint64_t length) {
  if (length < 1 << 6) {
    out.push_back(static_cast<char>(length));
  } else if (length < 1 << 14) {
    out.push_back(static_cast<char>(0x40 | length >> 8));
    out.push_back(static_cast<char>(length));
  } else if (length <= std::numeric_limits<uint32_t>::max()) {
    out.push_back(static_cast<char>(kLength32));
    AppendLittle(out, std::byteswap(static_cast<uint32_t>(length)));
  } else {
    out.push_back(static_cast<char>(kLength64));
    AppendLittle(out, std::byteswap(length));
  }
}

void AppendRdbString(base::Buffer& out, std::string_view bytes) {
  if (AppendInteger(out, bytes) || AppendCompressed(out, bytes)) return;
  AppendRdbLength(out, bytes.size());
  out.Append(bytes);
}

std::optional<uint8_t> RdbReader::Byte() {
  if (input_.empty()) return std::nullopt;
  auto byte = static_cast<uint8_t>(input_.front());
  input_.remove_prefix(1);
  return byte;
}

std::optional<std::string_view> RdbReader::Bytes(uint64_t count) {
  if (count > input_.size()) return std::nullopt;
  std::string_view bytes = input_.substr(0, count);
  input_.remove_prefix(count);
  return bytes;
}

std::optional<RdbReader::LengthOrForm> RdbReader::ReadLength() {
  auto first = Byte();
  if (!first) return std::nullopt;
  const unsigned low = *first & 0x3Fu;
  switch (*first >> 6) {
    case 0:
      return LengthOrForm{low, false};
    case 1: {
      auto second = Byte();
      if (!second) return std::nullopt;
      return LengthOrForm{low << 8 | *second, false};
    }
    case 3:
      return LengthOrForm{low, true};
    default:
      break;
  }
  if (*first == kLength32) {
    auto bytes = Bytes(sizeof(uint32_t));
    if (!bytes) return std::nullopt;
    uint32_t value;
    std::memcpy(&value, bytes->data(), sizeof value);
    return LengthOrForm{std::byteswap(value), false};
  }
  if (*first == kLength64) {
    auto bytes = Bytes(sizeof(uint64_t));
    if (!bytes) return std::nullopt;
    uint64_t value;
    std::memcpy(&value, bytes->data(), sizeof value);
    return LengthOrForm{std::byteswap(value), false};
  }
  return std::nullopt;
}

std::optional<uint64_t> RdbReader::Length() {
  auto length = ReadLength();
  // Where a length is expected Redis reads the special form's bits as one.
  return length ? std::optional(length->value) : std::nullopt;
}

std::optional<std::string> RdbReader::String() {
  auto length = ReadLength();
  if (!length) return std::nullopt;
  if (length->is_form) {
    switch (length->value) {
      case kInt8:
        return IntegerString(1);
      case kInt16:
        return IntegerString(2);
      case kInt32:
        return IntegerString(4);
      case kLzf:
        return CompressedString();
      default:
        return std::nullopt;
    }
  }
  if (length->value > kStringBytesMax) return std::nullopt;
  auto bytes = Bytes(length->value);
  return bytes ? std::optional<std::string>(*bytes) : std::nullopt;
}

std::optional<std::string> RdbReader::IntegerString(unsigned byte_count) {
  auto bytes = Bytes(byte_count);
  if (!bytes) return std::nullopt;
  uint32_t raw = 0;
  std::memcpy(&raw, bytes->data(), byte_count);
  // Shifting up and down again extends the sign.
  const unsigned unused = 32 - 8 * byte_count;
  const int32_t value = static_cast<int32_t>(raw << unused) >> unused;
  char text[base::kMaxInt64Chars];
  return std::string(text, base::FormatInt64(value, text));
}

std::optional<std::string> RdbReader::CompressedString() {
  auto compressed_bytes = Length();
  if (!compressed_bytes) return std::nullopt;
  auto plain_bytes = Length();
  if (!plain_bytes) return std::nullopt;
  auto compressed = Bytes(*compressed_bytes);
  if (!compressed || compressed->size() > kLzfBytesMax || *plain_bytes > kStringBytesMax) return std::nullopt;
  if (*plain_bytes > compressed->size() * kLzfCopyMax) return std::nullopt;
  std::string plain(*plain_bytes, '\0');
  const unsigned size = lzf_decompress(compressed->data(), static_cast<unsigned>(compressed->size()),
                                       plain.data(), static_cast<unsigned>(plain.size()));
  if (size != plain.size()) return std::nullopt;
  return plain;
}

}  // namespace moonshard::types
