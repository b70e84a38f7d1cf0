#pragma once
// The building blocks of Redis' RDB format, as in DUMP payloads and snapshot files: lengths and strings.
//
//   length   00xxxxxx                      6 bits
//            01xxxxxx xxxxxxxx             14 bits, big endian
//            10000000 + 4 bytes            32 bits, big endian
//            10000001 + 8 bytes            64 bits, big endian
//            11xxxxxx                      no length: a string in the special form xxxxxx
//   string   length, bytes
//            11000000, 11000001, 11000010  an integer of 1, 2 or 4 bytes, little endian
//            11000011, length, length, bytes   compressed with LZF: compressed and plain size
//
// (https://rdb.fnordig.de documents the format publicly.) What the writer chooses is what redis-server 7.0
// chooses, so that payloads are equal byte for byte. Owned by the caller.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/buffer.h"

namespace moonshard::types {

// Never fail, but for memory.
void AppendRdbLength(base::Buffer& out, uint64_t length);
// A string of any content: as an integer or compressed where that is shorter.
void AppendRdbString(base::Buffer& out, std::string_view bytes);

// Reads from the front of `input`. Nothing is believed: a length takes memory only once it is clear that the
// input can fill it. After a failure the position is undefined.
class RdbReader {
 public:
  explicit RdbReader(std::string_view input) : input_(input) {}

  // What is left.
  std::string_view rest() const { return input_; }

  std::optional<uint8_t> Byte();
  // `count` bytes of the input itself.
  std::optional<std::string_view> Bytes(uint64_t count);
  std::optional<uint64_t> Length();
  // Nothing if it is cut short, malformed, or larger than a value may be.
  std::optional<std::string> String();

 private:
  struct LengthOrForm {
    uint64_t value;
    bool is_form;
  };
  std::optional<LengthOrForm> ReadLength();
  std::optional<std::string> CompressedString();
  std::optional<std::string> IntegerString(unsigned byte_count);

  std::string_view input_;
};

}  // namespace moonshard::types
