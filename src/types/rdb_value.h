#pragma once
// DUMP payloads: one value in Redis' serialisation, which RESTORE, MIGRATE and tools that copy keys between
// servers understand.
//
//     type byte | value | RDB version, 2 bytes, little endian | CRC-64 of all before, 8 bytes, little endian
//
// Written are the bytes that redis-server 7.0 writes (RDB version 10); read are versions up to 12. A new type
// of value adds its case to both functions, on top of types/rdb_coding.h.

#include <cstdint>
#include <string_view>

#include "base/buffer.h"
#include "base/status.h"
#include "dash/entry.h"
#include "types/detached_value.h"

namespace moonshard::types {

inline constexpr uint16_t kRdbVersion = 10;
inline constexpr uint16_t kRdbVersionMax = 12;

inline constexpr base::StaticError kBadDumpFooter{base::Code::kErr,
                                                  "DUMP payload version or checksum are wrong"};
inline constexpr base::StaticError kBadDumpData{base::Code::kErr, "Bad data format"};

// Appends type byte and value, without the footer.
void AppendRdbValue(base::Buffer& out, const dash::Entry& entry);
// Appends the whole payload; `out` is empty before.
void AppendDump(base::Buffer& out, const dash::Entry& entry);

// The value has no deadline: that is not part of a payload.
base::Result<DetachedValue> RestoreDump(std::string_view payload);

}  // namespace moonshard::types
