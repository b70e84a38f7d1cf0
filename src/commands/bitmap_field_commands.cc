// BITFIELD BITFIELD_RO.

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "command/shard_state.h"
#include "commands/bitmap_args.h"
#include "commands/bitmap_field.h"

namespace moonshard::commands {

namespace {

constexpr base::StaticError kFieldTypeError{base::Code::kErr,
                                            "Invalid bitfield type. Use something like i16 u8. Note that u64 "
                                            "is not supported but i64 is."};
constexpr base::StaticError kOverflowTypeError{base::Code::kErr, "Invalid OVERFLOW type specified"};
constexpr base::StaticError kOnlyGetError{base::Code::kErr, "BITFIELD_RO only supports the GET subcommand"};

struct FieldOp {
  enum class Verb : uint8_t { kGet, kSet, kIncrement };
  Verb verb = Verb::kGet;
  Overflow overflow = Overflow::kWrap;
  FieldType type = {};
  uint64_t offset = 0;
  int64_t value = 0;

  bool writes() const { return verb != Verb::kGet; }
};

// The operations of a call, one after the other. They are read twice, to check and to run them, rather than
// kept: so a call needs no memory, however many there are.
class FieldOpReader {
 public:
  explicit FieldOpReader(const Context& context) : args_(context.args), bytes_max_(StringBytesMax(context)) {}

  // False at the end and at an error.
  bool Next(FieldOp& op);
  const base::Status& status() const { return status_; }

 private:
  bool Fail(const base::StaticError& error) {
    status_ = error;
    return false;
  }
  bool ReadOverflow(std::string_view name);

  std::span<const std::string_view> args_;
  const size_t bytes_max_;
  size_t at_ = 2;
  Overflow overflow_ = Overflow::kWrap;
  base::Status status_;
};

bool FieldOpReader::ReadOverflow(std::string_view name) {
  if (IsWord(name, "WRAP")) {
    overflow_ = Overflow::kWrap;
  } else if (IsWord(name, "SAT")) {
    overflow_ = Overflow::kSaturate;
  } else if (IsWord(name, "FAIL")) {
    overflow_ = Overflow::kFail;
  } else {
    return Fail(kOverflowTypeError);
  }
  return true;
}

// "#3" is the fourth field of this width. The product wraps, as it does in Redis.
std::optional<uint64_t> ParseFieldOffset(std::string_view text, FieldType type, size_t bytes_max) {
  const bool counts_fields = text.starts_with('#');
  if (counts_fields) text.remove_prefix(1);
  auto offset = ParseInt64(text);
  if (!offset) return std::nullopt;
  if (!counts_fields) return CheckBitOffset(*offset, bytes_max);
  return CheckBitOffset(static_cast<int64_t>(static_cast<uint64_t>(*offset) * type.bits), bytes_max);
}

bool FieldOpReader::Next(FieldOp& op) {
  using Verb = FieldOp::Verb;
  while (at_ < args_.size()) {
    const size_t rest = args_.size() - at_ - 1;
    const std::string_view word = args_[at_];
    if (IsWord(word, "GET") && rest >= 2) {
      op.verb = Verb::kGet;
    } else if (IsWord(word, "SET") && rest >= 3) {
      op.verb = Verb::kSet;
    } else if (IsWord(word, "INCRBY") && rest >= 3) {
      op.verb = Verb::kIncrement;
    } else if (IsWord(word, "OVERFLOW") && rest >= 1) {
      if (!ReadOverflow(args_[at_ + 1])) return false;
      at_ += 2;
      continue;
    } else {
      return Fail(db::kSyntax);
    }
    auto type = ParseFieldType(args_[at_ + 1]);
    if (!type) return Fail(kFieldTypeError);
    auto offset = ParseFieldOffset(args_[at_ + 2], *type, bytes_max_);
    if (!offset) return Fail(kBitOffsetError);
    op.overflow = overflow_;
    op.type = *type;
    op.offset = *offset;
    if (op.writes()) {
      auto value = ParseInt64(args_[at_ + 3]);
      if (!value) return Fail(db::kNotAnInteger);
      op.value = *value;
    }
    at_ += op.writes() ? 4 : 3;
    return true;
  }
  return false;
}

struct Plan {
  size_t op_count = 0;
  bool writes = false;
  uint64_t last_written_bit = 0;
};

Outcome RunReads(Context& context, const Plan& plan) {
  const dash::Entry* entry = context.db->Find(context.key());
  if (entry != nullptr && entry->type() != dash::Type::kString) return context.Fail(db::kWrongType);
  char scratch[base::kMaxInt64Chars];
  const std::string_view bytes = entry == nullptr ? std::string_view() : types::StringBytes(*entry, scratch);
  context.reply.Array(plan.op_count);
  FieldOpReader reader(context);
  FieldOp op;
  while (reader.Next(op)) context.reply.Integer(GetField(LoadWindow(bytes, op.offset), op.type, op.offset));
  return Outcome::kDone;
}

// Runs the operations of a call that writes. What they change is announced once, at the end.
class FieldWriter {
 public:
  FieldWriter(Context& context, dash::Table::Ref ref) : context_(context), ref_(ref), key_(context.key()) {}

  // The string reaches as far as the farthest operation writes, even if that fails then.
  base::Status Prepare(const Plan& plan);
  base::Status Run(const FieldOp& op);
  void Announce() {
    if (!changed_) return;
    context_.shard.keyspace->events().Notify(
        {kEventSetBit.event_class, kEventSetBit.name, context_.db->index(), key_.text});
  }

 private:
  std::string_view Bytes(char* scratch) const {
    return ref_ ? types::StringBytes(*context_.db->table().entry(ref_), scratch) : std::string_view();
  }
  base::Status Patch(uint64_t offset_bytes, std::string_view bytes);

  Context& context_;
  dash::Table::Ref ref_;
  db::Key key_;
  bool grows_ = false;
  bool changed_ = false;
};

base::Status FieldWriter::Patch(uint64_t offset_bytes, std::string_view bytes) {
  auto size = context_.db->PatchString(key_, ref_, offset_bytes, bytes, db::kEventNone);
  if (!size.ok()) return std::move(size).status();
  if (!ref_) ref_ = context_.db->FindForWrite(key_);
  return {};
}

base::Status FieldWriter::Prepare(const Plan& plan) {
  char scratch[base::kMaxInt64Chars];
  const uint64_t last_byte = plan.last_written_bit >> 3;
  grows_ = last_byte >= Bytes(scratch).size();
  if (ref_ && !grows_) context_.db->MakeRaw(ref_);
  // A single operation grows the string by itself.
  if (!grows_ || plan.op_count == 1) return {};
  return Patch(last_byte, std::string_view("", 1));
}

base::Status FieldWriter::Run(const FieldOp& op) {
  char scratch[base::kMaxInt64Chars];
  const std::string_view bytes = Bytes(scratch);
  FieldWindow window = LoadWindow(bytes, op.offset);
  const int64_t old_value = GetField(window, op.type, op.offset);
  if (!op.writes()) {
    context_.reply.Integer(old_value);
    return {};
  }
  const bool sets = op.verb == FieldOp::Verb::kSet;
  const std::optional<int64_t> new_value =
      sets ? FitField(op.type, op.value, op.overflow) : AddToField(op.type, old_value, op.value, op.overflow);
  const bool differs = new_value && *new_value != old_value;
  const uint64_t begin = op.offset >> 3;
  const size_t window_bytes = WindowBytes(op.type, op.offset);
  if (differs) SetField(window, op.type, op.offset, *new_value);
  if (differs || begin + window_bytes > bytes.size()) {
    MS_RETURN_IF_ERROR(Patch(begin, {window.data(), window_bytes}));
  }
  changed_ = changed_ || differs || (grows_ && new_value);
  if (new_value) {
    context_.reply.Integer(sets ? old_value : *new_value);
  } else {
    context_.reply.Null();
  }
  return {};
}

Outcome RunWrites(Context& context, const Plan& plan) {
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  if (ref && context.db->table().entry(ref)->type() != dash::Type::kString)
    return context.Fail(db::kWrongType);
  // A field may begin at the last bit that a string can have and reach over its end. Redis lets it, and the
  // string become a few bytes longer than any other command would make it.
  if (plan.last_written_bit >> 3 >= types::kStringBytesMax) return context.Fail(kStringTooLong);
  const size_t reply_begin = context.reply.buffer().size();
  context.reply.Array(plan.op_count);
  FieldWriter writer(context, ref);
  base::Status status = writer.Prepare(plan);
  FieldOpReader reader(context);
  FieldOp op;
  while (status.ok() && reader.Next(op)) status = writer.Run(op);
  writer.Announce();
  if (!status.ok()) {
    context.reply.buffer().Truncate(reply_begin);
    return context.Fail(status);
  }
  return Outcome::kDone;
}

enum class Access : uint8_t { kReadOnly, kReadWrite };

Outcome RunFields(Context& context, Access access) {
  Plan plan;
  FieldOpReader reader(context);
  FieldOp op;
  while (reader.Next(op)) {
    ++plan.op_count;
    if (!op.writes()) continue;
    plan.writes = true;
    plan.last_written_bit = std::max(plan.last_written_bit, op.offset + op.type.bits - 1);
  }
  if (!reader.status().ok()) return context.Fail(reader.status());
  if (!plan.writes) return RunReads(context, plan);
  if (access == Access::kReadOnly) return context.Fail(kOnlyGetError);
  return RunWrites(context, plan);
}

}  // namespace

Outcome Bitfield(Context& context) {
  return RunFields(context, Access::kReadWrite);
}
Outcome BitfieldRo(Context& context) {
  return RunFields(context, Access::kReadOnly);
}

}  // namespace moonshard::commands
