// Any reply bytes, fed in pieces or whole, must give the same values and the same error, within the limits.
//
// Input: one byte, the size of the pieces; the reply bytes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "resp/reader.h"

using moonshard::resp::ReaderLimits;
using moonshard::resp::ReplyReader;
using moonshard::resp::Value;

namespace {

constexpr ReaderLimits kLimits{
    .depth_max = 16, .bulk_bytes_max = 1 << 20, .elements_max = 10000, .line_bytes_max = 100};

struct Read {
  std::vector<Value> values;
  std::string error;
  bool idle = false;
  bool operator==(const Read&) const = default;
};

Read ReadAll(std::string_view input, size_t piece_bytes) {
  ReplyReader reader(kLimits);
  Read read;
  do {
    std::string_view piece = input.substr(0, piece_bytes);
    input.remove_prefix(piece.size());
    reader.Feed(piece);
    Value value;
    ReplyReader::Outcome outcome;
    while ((outcome = reader.Next(&value)) == ReplyReader::Outcome::kReply)
      read.values.push_back(std::move(value));
    if (outcome == ReplyReader::Outcome::kError) {
      MS_CHECK(!reader.error().empty());
      read.error = reader.error();
      return read;
    }
  } while (!input.empty());
  read.idle = reader.idle();
  return read;
}

size_t Depth(const Value& value) {
  size_t deepest = 0;
  for (const Value& element : value.elements) deepest = std::max(deepest, Depth(element));
  for (const Value& attribute : value.attributes) deepest = std::max(deepest, Depth(attribute));
  return deepest + (value.elements.empty() && value.attributes.empty() ? 0 : 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  Read whole = ReadAll(input, std::string_view::npos);
  MS_CHECK(ReadAll(input, size_t{data[0]} + 1) == whole);
  MS_CHECK(ReadAll(input, 1) == whole);
  for (const Value& value : whole.values) {
    MS_CHECK(Depth(value) <= kLimits.depth_max + 1);
    MS_CHECK(!value.ToString().empty());
  }
  return 0;
}
