// Which small values of a type are kept compactly. Types to come will read them.

#include "server/setting_checks.h"

namespace moonshard::server {

namespace {
constexpr std::string_view kToCome = "for types to come";

Setting Limit(std::string_view name, std::string_view initial, Check check,
              std::string_view other_name = {}) {
  return WithoutEffect(
      AlsoNamed(Kept(name, Change::kAnyTime, initial, std::move(check), "as in Redis"), other_name), kToCome);
}
}  // namespace

std::vector<Setting> TypeSettings() {
  return {
      Limit("hash-max-listpack-entries", "512", Range(0, kInt64Max), "hash-max-ziplist-entries"),
      Limit("hash-max-listpack-value", "64", Bytes(), "hash-max-ziplist-value"),
      Limit("hll-sparse-max-bytes", "3000", Bytes()),
      Limit("list-compress-depth", "0", Range(0, kInt32Max)),
      Limit("list-max-listpack-size", "-2", Range(kInt32Min, kInt32Max), "list-max-ziplist-size"),
      Limit("set-max-intset-entries", "512", Range(0, kInt64Max)),
      Limit("stream-node-max-bytes", "4096", Bytes()),
      Limit("stream-node-max-entries", "100", Range(0, kInt64Max)),
      Limit("zset-max-listpack-entries", "128", Range(0, kInt64Max), "zset-max-ziplist-entries"),
      Limit("zset-max-listpack-value", "64", Bytes(), "zset-max-ziplist-value"),
  };
}

}  // namespace moonshard::server
