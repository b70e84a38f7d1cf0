#pragma once
// Simulated clients for tests of the whole server: they pipeline, cut connections in the middle, stop
// reading, half close, and write down what they saw (sim_history.h).
//
// What they work on:
//   v0..v5   one register: written by MSET of all with one value, read by MGET of all or GET of one
//   t0..t5   one token among them, moved by RENAME
//   c0..c3   counters
//   e<n>     keys with deadlines, written by client n
//   f0..f5   in database 1: set together or flushed
//   p<n>:..  keys of one connection alone, whose replies are therefore known exactly

#include <fmt/format.h>

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "resp/reader.h"
#include "server/sim_history.h"
#include "shard/sim_network.h"

namespace moonshard::server {

inline constexpr size_t kTogether = 6;  // keys of the register, of the token, of the flushed group
inline constexpr size_t kCounters = 4;
using Words = std::vector<std::string>;

inline std::string Encode(const Words& words) {
  std::string out = fmt::format("*{}\r\n", words.size());
  for (const std::string& word : words) out += fmt::format("${}\r\n{}\r\n", word.size(), word);
  return out;
}

inline Words Keys(char letter) {
  Words keys;
  for (size_t i = 0; i < kTogether; ++i) keys.push_back(letter + std::to_string(i));
  return keys;
}

inline Words With(std::string_view command, const Words& keys) {
  Words words = {std::string(command)};
  words.insert(words.end(), keys.begin(), keys.end());
  return words;
}

inline Words MsetAll(char letter, uint64_t value) {
  Words words = {"MSET"};
  for (const std::string& key : Keys(letter)) {
    words.push_back(key);
    words.push_back(std::to_string(value));
  }
  return words;
}

// Shared by all clients of one run.
struct SimRecord {
  RegisterCheck value;
  std::array<CounterCheck, kCounters> counters;
  std::map<size_t, ExpiryCheck> expiring;
  std::vector<std::string> violations;
  uint64_t clock = 0;       // of events
  uint64_t last_value = 0;  // of unique values
  uint64_t answered = 0;
  uint64_t replies_hash = 14695981039346656037ull;
  bool flushes_all = false;  // FLUSHALL happens: only what is set together is checked

  void Violate(std::string text) {
    if (violations.size() < 20) violations.push_back(std::move(text));
  }
  std::optional<std::string> Verdict() {
    if (!violations.empty()) return violations.front();
    if (flushes_all) return std::nullopt;
    if (auto found = value.Violation()) return "register: " + *found;
    for (const CounterCheck& counter : counters) {
      if (auto found = counter.Violation()) return found;
    }
    for (const auto& [client, check] : expiring) {
      if (auto found = check.Violation()) return fmt::format("e{}: {}", client, *found);
    }
    return std::nullopt;
  }
};

// Commands on keys that nobody else uses, and what they answer.
class PrivateKeys {
 public:
  PrivateKeys(base::Random& random, uint64_t connection)
      : random_(random), prefix_(fmt::format("p{}:", connection)) {}

  struct Command {
    Words words;
    std::string expected;  // as Value::ToString
  };
  Command Next() {
    std::string a = Key();
    std::string b = Key();
    switch (random_.Below(14)) {
      case 0:
        return Set(a, Value(), {"SET", a, ""});
      case 1:
        return {{"GET", a}, Get(a)};
      case 2:
        return Increment(a);
      case 3: {
        size_t count = values_.erase(a);
        count += values_.erase(b);
        return {{"DEL", a, b}, std::to_string(count)};
      }
      case 4:
        return {{"EXISTS", a, b, a}, std::to_string(2 * values_.count(a) + values_.count(b))};
      case 5: {
        std::string x = Value();
        std::string y = Value();
        values_[a] = x;
        values_[b] = y;
        return {{"MSET", a, x, b, y}, "(simple) \"OK\""};
      }
      case 6:
        return {{"MGET", a, b, a}, fmt::format("[{}, {}, {}]", Get(a), Get(b), Get(a))};
      case 7:
        return Rename(a, b);
      case 8:
        return {{"type", a}, values_.contains(a) ? "(simple) \"string\"" : "(simple) \"none\""};
      case 9: {
        std::string value = Value();
        std::string old = Get(a);
        if (!values_.contains(a)) values_[a] = value;
        return {{"SET", a, value, "NX", "GET"}, old};
      }
      case 10:
        return {{"SELECT", "0"}, "(simple) \"OK\""};
      case 11:
        return {{"GET"}, "(error) \"ERR wrong number of arguments for 'get' command\""};
      case 12:
        return {{"PEXPIRE", a, "100000000"}, values_.contains(a) ? "1" : "0"};
      default: {
        std::string word = Value();
        return {{"ECHO", word}, fmt::format("\"{}\"", word)};
      }
    }
  }

 private:
  std::string Key() { return prefix_ + std::to_string(random_.Below(6)); }
  std::string Value() {
    if (random_.OneIn(2)) return std::to_string(random_.Below(1000));
    return std::string(random_.Below(40), static_cast<char>('a' + random_.Below(26)));
  }
  std::string Get(const std::string& key) const {
    auto found = values_.find(key);
    return found == values_.end() ? "null" : fmt::format("\"{}\"", found->second);
  }
  Command Set(const std::string& key, const std::string& value, Words words) {
    values_[key] = value;
    words.back() = value;
    return {std::move(words), "(simple) \"OK\""};
  }
  Command Increment(const std::string& key) {
    auto found = values_.find(key);
    bool is_integer = found == values_.end() ||
                      (!found->second.empty() && found->second[0] >= '0' && found->second[0] <= '9');
    if (!is_integer) return {{"INCR", key}, "(error) \"ERR value is not an integer or out of range\""};
    int64_t next = found == values_.end() ? 1 : std::stoll(found->second) + 1;
    values_[key] = std::to_string(next);
    return {{"INCR", key}, std::to_string(next)};
  }
  Command Rename(const std::string& from, const std::string& to) {
    if (!values_.contains(from)) return {{"RENAME", from, to}, "(error) \"ERR no such key\""};
    if (from != to) {
      values_[to] = values_[from];
      values_.erase(from);
    }
    return {{"RENAME", from, to}, "(simple) \"OK\""};
  }

  base::Random& random_;
  std::string prefix_;
  std::map<std::string, std::string> values_;
};

class SimActor {
 public:
  // What an actor does; the others only look on.
  enum class Role : uint8_t { kMixed, kFlusher };

  SimActor(size_t index, Role role, SimRecord& record, base::Random& random)
      : index_(index), role_(role), record_(record), random_(random) {}

  bool connected() const { return client_.has_value(); }
  size_t outstanding() const { return pending_.size(); }
  void Connect(shard::SimNetwork& network, uint16_t port);
  // Does something: sends, stalls, goes away. `wall` is the time.
  void Act(TimeMs wall);
  // Reads what came.
  void Poll(TimeMs wall);
  // No new commands: reads what is owed.
  void Quiet() {
    stalled_ = false;
    if (client_) client_->ResumeReading();
  }
  void Close() { Drop(); }
  // One command; for the end of a run.
  void SendFinalReads(TimeMs wall);

 private:
  enum class Kind : uint8_t {
    kExact,
    kWriteAll,
    kReadAll,
    kReadOne,
    kMoveToken,
    kReadToken,
    kCountToken,
    kIncrement,
    kReadCounter,
    kReadCounters,
    kSetTimed,
    kReadTimed,
    kSetGroup,
    kReadGroup,
    kCountGroup,
    kFlush,
    kOk,
    kBig,
  };
  struct Pending {
    Kind kind;
    uint64_t value = 0;
    size_t object = 0;
    std::string expected;
    ExpiryCheck::Timed when;
  };

  void Send(TimeMs wall);
  Words Choose(Pending& op);
  Words ChooseFlusher(Pending& op);
  Words ChooseTimed(Pending& op);
  void Answer(Pending& op, const resp::Value& reply);
  void AnswerTogether(const Pending& op, const resp::Value& reply);
  void AnswerCounters(const Pending& op, const resp::Value& reply);
  void NeverAnswered(const Pending& op);
  void Drop();
  bool Expect(bool condition, const Pending& op, const resp::Value& reply);
  static std::optional<int64_t> NumberOf(const resp::Value& reply);

  size_t index_;
  Role role_;
  SimRecord& record_;
  base::Random& random_;
  std::optional<shard::SimClient> client_;
  std::optional<PrivateKeys> private_;
  resp::ReplyReader reader_;
  std::deque<Pending> pending_;
  bool half_closed_ = false;
  bool stalled_ = false;
  bool set_pending_ = false;
  uint64_t connections_ = 0;
};

// ---- connections

inline void SimActor::Connect(shard::SimNetwork& network, uint16_t port) {
  auto connected = network.Connect(port);
  if (!connected.ok()) return record_.Violate("the server does not listen");
  client_.emplace(std::move(connected).value());
  private_.emplace(random_, index_ * 1'000'000 + ++connections_);
  reader_.Reset();
  half_closed_ = stalled_ = set_pending_ = false;
  if (role_ == Role::kFlusher) {
    pending_.push_back({Kind::kOk, 0, 0, {}, {}});
    client_->Send(Encode({"SELECT", "1"}));
  }
}

inline void SimActor::Drop() {
  for (const Pending& op : pending_) NeverAnswered(op);
  pending_.clear();
  client_.reset();
}

inline void SimActor::Act(TimeMs wall) {
  if (half_closed_) return;
  switch (random_.Below(150)) {
    case 0:
      return Drop();
    case 1:
      client_->Reset();
      return Drop();
    case 2:
      client_->ShutdownWrite();
      half_closed_ = true;
      return;
    case 3:
      client_->StopReading();
      stalled_ = true;
      return;
    default:
      break;
  }
  if (stalled_ && random_.OneIn(20)) {
    client_->ResumeReading();
    stalled_ = false;
  }
  if (pending_.size() < 60) Send(wall);
}

inline void SimActor::Poll(TimeMs wall) {
  if (!client_ || stalled_) return;
  std::string bytes = client_->Take();
  for (char c : bytes) {
    record_.replies_hash = (record_.replies_hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  }
  reader_.Feed(bytes);
  resp::Value reply;
  resp::ReplyReader::Outcome outcome;
  while ((outcome = reader_.Next(&reply)) == resp::ReplyReader::Outcome::kReply) {
    if (pending_.empty()) return record_.Violate("a reply nobody asked for: " + reply.ToString());
    Pending op = std::move(pending_.front());
    pending_.pop_front();
    op.when.answered = ++record_.clock;
    op.when.wall_answered = wall;
    ++record_.answered;
    Answer(op, reply);
  }
  if (outcome == resp::ReplyReader::Outcome::kError)
    record_.Violate(fmt::format("not RESP: {}", reader_.error()));
  if (!client_->ended() || client_->available() != 0) return;
  if (!half_closed_) record_.Violate("the server closed a connection");
  if (!pending_.empty()) {
    record_.Violate(
        fmt::format("{} replies are missing at the end of a half-closed connection", pending_.size()));
  }
  Drop();
}

// ---- commands

inline void SimActor::Send(TimeMs wall) {
  std::string bytes;
  size_t count = random_.OneIn(4) ? 1 + random_.Below(45) : 1 + random_.Below(3);
  for (size_t i = 0; i < count; ++i) {
    Pending op{};
    op.when.invoked = ++record_.clock;
    op.when.wall_invoked = wall;
    Words words = role_ == Role::kFlusher ? ChooseFlusher(op) : Choose(op);
    bytes += Encode(words);
    pending_.push_back(std::move(op));
  }
  client_->Send(bytes);
}

inline Words SimActor::Choose(Pending& op) {
  size_t i = random_.Below(kTogether);
  switch (random_.Below(16)) {
    case 0:
    case 1:
      op.kind = Kind::kWriteAll;
      op.value = ++record_.last_value;
      return MsetAll('v', op.value);
    case 2:
    case 3:
    case 4:
      op.kind = Kind::kReadAll;
      return With("MGET", Keys('v'));
    case 5:
      op.kind = Kind::kReadOne;
      return {"GET", Keys('v')[i]};
    case 6:
    case 7:
      op.kind = Kind::kMoveToken;
      return {"RENAME", Keys('t')[i], Keys('t')[random_.Below(kTogether)]};
    case 8:
      op.kind = Kind::kReadToken;
      return With("MGET", Keys('t'));
    case 9:
      op.kind = Kind::kCountToken;
      return With("EXISTS", Keys('t'));
    case 10:
      op.kind = Kind::kIncrement;
      op.object = random_.Below(kCounters);
      return {"INCR", fmt::format("c{}", op.object)};
    case 11:
      if (random_.OneIn(2)) {
        op.kind = Kind::kReadCounters;
        return {"MGET", "c0", "c1", "c2", "c3"};
      }
      op.kind = Kind::kReadCounter;
      op.object = random_.Below(kCounters);
      return {"GET", fmt::format("c{}", op.object)};
    case 12:
      return ChooseTimed(op);
    case 13:
      if (random_.OneIn(8)) {
        op.kind = Kind::kBig;
        return {"GET", "big"};
      }
      [[fallthrough]];
    default: {
      PrivateKeys::Command command = private_->Next();
      op.kind = Kind::kExact;
      op.expected = std::move(command.expected);
      return std::move(command.words);
    }
  }
}

inline Words SimActor::ChooseTimed(Pending& op) {
  if (!set_pending_ && random_.OneIn(2)) {
    set_pending_ = true;
    op.kind = Kind::kSetTimed;
    op.value = ++record_.last_value;
    op.object = 1 + random_.Below(60);  // milliseconds
    return {"SET", fmt::format("e{}", index_), std::to_string(op.value), "PX", std::to_string(op.object)};
  }
  op.kind = Kind::kReadTimed;
  op.object = random_.Below(4);
  return {"GET", fmt::format("e{}", op.object)};
}

inline Words SimActor::ChooseFlusher(Pending& op) {
  switch (random_.Below(8)) {
    case 0:
      op.kind = Kind::kFlush;
      return {"FLUSHDB"};
    case 1:
      if (record_.flushes_all && random_.OneIn(3)) {
        op.kind = Kind::kFlush;
        return {"FLUSHALL"};
      }
      [[fallthrough]];
    case 2:
      op.kind = Kind::kSetGroup;
      op.value = ++record_.last_value;
      return MsetAll('f', op.value);
    case 3:
      op.kind = Kind::kCountGroup;
      return {"DBSIZE"};
    case 4:
      op.kind = Kind::kCountGroup;
      return With("EXISTS", Keys('f'));
    case 5:
      op.kind = Kind::kOk;
      return {"SELECT", "1"};
    default:
      op.kind = Kind::kReadGroup;
      return With("MGET", Keys('f'));
  }
}

// ---- answers

inline bool SimActor::Expect(bool condition, const Pending& op, const resp::Value& reply) {
  if (!condition) {
    std::string text = reply.ToString();
    record_.Violate(fmt::format("client {} kind {} value {} expected '{}' got {}", index_,
                                static_cast<int>(op.kind), op.value, op.expected, text.substr(0, 200)));
  }
  return condition;
}

inline std::optional<int64_t> SimActor::NumberOf(const resp::Value& reply) {
  if (reply.is_null()) return 0;
  if (reply.kind == resp::Value::Kind::kInteger) return reply.integer;
  if (reply.kind != resp::Value::Kind::kBulk || reply.text.empty()) return std::nullopt;
  return std::stoll(reply.text);
}

inline void SimActor::Answer(Pending& op, const resp::Value& reply) {
  bool is_ok = reply.kind == resp::Value::Kind::kSimple && reply.text == "OK";
  switch (op.kind) {
    case Kind::kExact:
      Expect(record_.flushes_all || reply.ToString() == op.expected, op, reply);
      return;
    case Kind::kWriteAll:
      Expect(is_ok, op, reply);
      record_.value.Write(op.value, op.when);
      return;
    case Kind::kSetGroup:
    case Kind::kFlush:
    case Kind::kOk:
      Expect(is_ok, op, reply);
      return;
    case Kind::kReadAll:
    case Kind::kReadGroup:
    case Kind::kReadToken:
      AnswerTogether(op, reply);
      return;
    case Kind::kReadOne:
      if (Expect(NumberOf(reply).has_value(), op, reply)) {
        record_.value.Read(static_cast<uint64_t>(*NumberOf(reply)), op.when);
      }
      return;
    case Kind::kMoveToken:
      Expect(is_ok || (reply.is_error() && reply.text == "ERR no such key"), op, reply);
      return;
    case Kind::kCountToken:
      Expect(record_.flushes_all || NumberOf(reply) == 1, op, reply);
      return;
    case Kind::kCountGroup:
      Expect(NumberOf(reply) == 0 || NumberOf(reply) == int64_t{kTogether}, op, reply);
      return;
    case Kind::kIncrement:
      if (Expect(NumberOf(reply).has_value(), op, reply)) {
        record_.counters[op.object].Increment(NumberOf(reply), op.when);
      }
      return;
    case Kind::kReadCounter:
      if (Expect(NumberOf(reply).has_value(), op, reply))
        record_.counters[op.object].Read(*NumberOf(reply), op.when);
      return;
    case Kind::kReadCounters:
      AnswerCounters(op, reply);
      return;
    case Kind::kSetTimed:
      Expect(is_ok, op, reply);
      set_pending_ = false;
      record_.expiring[index_].Set(op.value, static_cast<TimeMs>(op.object), op.when);
      return;
    case Kind::kReadTimed:
      if (Expect(NumberOf(reply).has_value(), op, reply)) {
        record_.expiring[op.object].Read(static_cast<uint64_t>(*NumberOf(reply)), op.when);
      }
      return;
    case Kind::kBig:
      Expect(reply.is_null() || reply.text.size() == 100'000, op, reply);
      return;
  }
}

inline void SimActor::AnswerTogether(const Pending& op, const resp::Value& reply) {
  if (!Expect(reply.elements.size() == kTogether, op, reply)) return;
  if (op.kind == Kind::kReadToken) {
    size_t found = 0;
    for (const resp::Value& element : reply.elements) found += element.text == "token";
    Expect(record_.flushes_all || found == 1, op, reply);
    return;
  }
  bool equal = true;
  for (const resp::Value& element : reply.elements) equal &= element == reply.elements[0];
  if (!Expect(equal && NumberOf(reply.elements[0]).has_value(), op, reply)) return;
  if (op.kind == Kind::kReadAll) {
    record_.value.Read(static_cast<uint64_t>(*NumberOf(reply.elements[0])), op.when);
  }
}

inline void SimActor::AnswerCounters(const Pending& op, const resp::Value& reply) {
  if (!Expect(reply.elements.size() == kCounters, op, reply)) return;
  for (size_t i = 0; i < kCounters; ++i) {
    if (Expect(NumberOf(reply.elements[i]).has_value(), op, reply)) {
      record_.counters[i].Read(*NumberOf(reply.elements[i]), op.when);
    }
  }
}

// It may have happened, now or later.
inline void SimActor::NeverAnswered(const Pending& op) {
  if (op.kind == Kind::kWriteAll) record_.value.Write(op.value, op.when);
  if (op.kind == Kind::kIncrement) record_.counters[op.object].Increment(std::nullopt, op.when);
  if (op.kind == Kind::kSetTimed) {
    record_.expiring[index_].Set(op.value, static_cast<TimeMs>(op.object), op.when);
  }
}

inline void SimActor::SendFinalReads(TimeMs wall) {
  auto send = [&](Kind kind, const Words& words) {
    Pending op{};
    op.kind = kind;
    op.when.invoked = ++record_.clock;
    op.when.wall_invoked = wall;
    pending_.push_back(std::move(op));
    client_->Send(Encode(words));
  };
  send(Kind::kReadAll, With("MGET", Keys('v')));
  send(Kind::kReadToken, With("MGET", Keys('t')));
  send(Kind::kReadCounters, {"MGET", "c0", "c1", "c2", "c3"});
}

}  // namespace moonshard::server
