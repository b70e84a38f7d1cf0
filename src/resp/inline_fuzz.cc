// Splitting any line in place must give what the reference makes of it, and stay inside the line.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "resp/reference_parser.h"

namespace resp = moonshard::resp;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string line(reinterpret_cast<const char*>(data), size);
  std::optional<resp::reference::Command> expected =
      resp::reference::SplitLine(line.substr(0, line.find('\0')));
  // An exactly sized copy, so that a sanitizer sees every step over its end.
  std::vector<char> bytes(line.begin(), line.end());
  bytes.shrink_to_fit();
  resp::ArgVector args = {"kept"};
  bool split = resp::SplitArgsInPlace(bytes, args);
  MS_CHECK(split == expected.has_value());
  MS_CHECK(args[0] == "kept");
  if (!split) {
    MS_CHECK(args.size() == 1);
    return 0;
  }
  MS_CHECK(std::equal(args.begin() + 1, args.end(), expected->begin(), expected->end()));
  const char* end_before = bytes.data();
  for (auto arg = args.begin() + 1; arg != args.end(); ++arg) {
    // In order, without overlap, inside the line.
    MS_CHECK(arg->data() >= end_before);
    end_before = arg->data() + arg->size();
    MS_CHECK(end_before <= bytes.data() + bytes.size());
  }
  return 0;
}
