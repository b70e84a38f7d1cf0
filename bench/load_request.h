#pragma once
// Requests rendered once and patched: a RequestPlan holds the wire bytes of one or two commands with holes
// where the key digits (and a time to live) go; a RequestStream of each thread fills the holes.
//
// A plan whose requests all have the same length (every one without a relative time to live) can be laid out
// in a connection's buffer ahead of time; a request then costs only its digits, whatever the size of its
// value.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/status.h"
#include "bench/load_keys.h"
#include "bench/load_reply.h"

namespace moonshard::bench {

enum class CommandKind : uint8_t { kPing, kGet, kSet, kMix, kIncr, kMget, kMset, kDel, kCustom };

struct CommandSpec {
  CommandKind kind = CommandKind::kGet;
  uint32_t keys = 1;       // of MGET, MSET, DEL
  double get_share = 0.5;  // of kMix
};
// "get", "set", "mix:0.9", "mix:9:1", "mget:10", ...
base::Result<CommandSpec> ParseCommand(std::string_view text);

struct TimeToLive {
  int64_t min_ms = 0;  // 0: none
  int64_t max_ms = 0;
  int64_t at_ms = 0;  // Unix time at which all keys expire; 0: not used
};

struct PlanOptions {
  CommandSpec command;
  std::vector<std::string> custom;  // the words of a kCustom command
  std::string key_prefix = "key:";
  uint64_t value_bytes = 32;
  TimeToLive ttl;  // of SET
  uint64_t seed = 1;
};

// What a correct server may answer to a request. Static properties of the command, not of the data.
struct Expectation {
  char type = 0;          // 0: anything that is not an error
  int64_t elements = -1;  // of an aggregate; -1: any
  uint32_t keys = 0;      // keys that can hit or miss; 0: the command does not tell
  int64_t value_bytes = -1;
};

class RequestPlan {
 public:
  static base::Result<RequestPlan> Make(const PlanOptions& options);

  bool fixed_length() const { return shapes_.size() == 1 && shapes_[0].ttl_count == 0; }
  size_t max_bytes() const { return max_bytes_; }
  size_t shape_count() const { return shapes_.size(); }
  const Expectation& expectation(uint8_t shape) const { return shapes_[shape].expectation; }
  // GET and SET carry one key: it is followed through verification.
  bool verifiable() const { return verifiable_; }

 private:
  friend class RequestStream;
  enum class HoleKind : uint8_t { kKey, kKeyInValue, kTtl };
  struct Hole {
    size_t offset;
    HoleKind kind;
  };
  struct Shape {
    std::string bytes;
    std::vector<Hole> holes;  // ascending
    size_t ttl_count = 0;
    Expectation expectation;
  };

  void AddShape(const PlanOptions& options, const std::vector<std::string>& words, Expectation expectation);
  static void AppendWord(const PlanOptions& options, const std::string& value, const std::string& word,
                         Shape& shape);

  std::vector<Shape> shapes_;
  double first_share_ = 1.0;
  size_t max_bytes_ = 0;
  int64_t ttl_min_ms_ = 0;
  int64_t ttl_max_ms_ = 0;
  bool verifiable_ = false;
};

// One thread's endless run of requests.
class RequestStream {
 public:
  RequestStream(const RequestPlan& plan, const KeyChooser& keys, uint64_t seed)
      : plan_(plan), keys_(keys), random_(seed) {}

  // fixed_length() plans: writes a whole request, digits included. `to` has max_bytes() bytes.
  size_t LayOut(char* to);
  // fixed_length() plans: new digits for a request that LayOut wrote at `to`.
  MS_ALWAYS_INLINE void Patch(char* to) {
    for (const RequestPlan::Hole& hole : plan_.shapes_[0].holes) Fill(hole.kind, to + hole.offset);
  }
  // Any plan: writes a request at `to` (max_bytes() bytes), returns its length and, at `shape`, which command
  // it is.
  size_t Append(char* to, uint8_t* shape);

  uint64_t last_key() const { return last_key_; }

 private:
  MS_ALWAYS_INLINE void Fill(RequestPlan::HoleKind kind, char* to) {
    if (kind == RequestPlan::HoleKind::kKey) last_key_ = keys_.Next(random_);
    WriteKeyDigits(to, last_key_);
  }

  const RequestPlan& plan_;
  KeyChooser keys_;
  base::Random random_;
  uint64_t last_key_ = 0;
};

}  // namespace moonshard::bench
