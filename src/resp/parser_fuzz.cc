// Any bytes, cut at places the input itself chooses, must give what the reference parser makes of the whole.
//
// Input: one byte of options, one byte n, n bytes of distances between cuts, the request bytes.

#include <cstddef>
#include <cstdint>

#include "resp/reference_parser.h"

using moonshard::resp::ParserLimits;
namespace reference = moonshard::resp::reference;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto options = static_cast<uint8_t>(bytes[0]);
  size_t cut_count = std::min<size_t>(static_cast<uint8_t>(bytes[1]), bytes.size() - 2);
  std::string_view distances = bytes.substr(2, cut_count);
  std::string_view input = bytes.substr(2 + cut_count);

  ParserLimits limits;
  if ((options & 3) == 1) limits = moonshard::resp::kUnauthenticatedLimits;
  if ((options & 3) == 2) limits = {.bulk_bytes_max = 40, .args_max = 5, .inline_bytes_max = 12};
  std::vector<size_t> cuts;
  size_t at = 0;
  for (char distance : distances) {
    at += static_cast<uint8_t>(distance);
    if (at > input.size()) break;
    cuts.push_back(at);
  }
  reference::Parsed expected = reference::ParseAll(input, limits);
  MS_CHECK(reference::ParseInPieces(input, cuts, limits) == expected);
  MS_CHECK(reference::ParseInPieces(input, {}, limits) == expected);
  return 0;
}
