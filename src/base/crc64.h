#pragma once
// CRC-64 with Jones' polynomial (0xad93d23594c935a9, reflected, no inversion): the checksum at the end of
// Redis' dump payloads and RDB files. Not for anything of our own, which uses crc32c.
//
// Eight bytes a step through eight tables of 2 KiB ("slicing by 8": Kounavis, Berry, ISCC 2005).
// Safe from any thread.

#include <cstdint>
#include <string_view>

namespace moonshard::base {

// The checksum of what `crc` is the checksum of, followed by `bytes`. Begin with 0.
uint64_t Crc64(uint64_t crc, std::string_view bytes);

}  // namespace moonshard::base
