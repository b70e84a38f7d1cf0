// Strings: delete by comparison, and digests. DELEX and DIGEST are Redis 8.4's, DELIFEQ is Valkey 9's; the
// comparisons of SET are in string_commands.cc.

#include "command/errors.h"
#include "commands/string_common.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

constexpr base::StaticError kNoCondition{base::Code::kErr,
                                         "Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"};
constexpr base::StaticError kConditionOnOtherType{base::Code::kErr,
                                                  "Key should be of string type if conditions are specified"};

Outcome EraseAndReply(Context& context, dash::Table::Ref ref) {
  context.db->EraseRef(ref, types::MutationReason::kCommand, "del");
  context.reply.Integer(1);
  return Outcome::kDone;
}

Outcome Delex(Context& context) {
  uint32_t option = 0;
  if (context.args.size() == 4) {
    option = FindCompareOption(context.arg(2));
    if (option == 0) return context.Fail(kNoCondition);
  } else if (context.args.size() != 2) {
    context.reply.ErrorLine(command::WrongArityText(context.command->full_name));
    return Outcome::kDone;
  }
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  if (!ref) {
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  if (option != 0) {
    const dash::Entry& entry = *context.db->table().entry(ref);
    if (!IsString(entry)) return context.Fail(kConditionOnOtherType);
    base::Status status = CheckOperand(option, context.arg(3));
    if (!status.ok()) return context.Fail(status);
    if (!Compares(option, context.arg(3), entry)) {
      context.reply.Integer(0);
      return Outcome::kDone;
    }
  }
  return EraseAndReply(context, ref);
}

Outcome Delifeq(Context& context) {
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  const dash::Entry* entry = EntryOf(context, ref);
  if (entry != nullptr && !IsString(*entry)) return context.Fail(db::kWrongType);
  if (entry != nullptr && Compares(kOptIfEq, context.arg(2), *entry)) return EraseAndReply(context, ref);
  context.reply.Integer(0);
  return Outcome::kDone;
}

Outcome Digest(Context& context) {
  const dash::Entry* entry = context.db->Find(context.key());
  if (entry == nullptr || !IsString(*entry)) {
    ReplyString(context, entry);
    return Outcome::kDone;
  }
  char scratch[base::kMaxInt64Chars];
  FormatDigest(types::StringBytes(*entry, scratch), context.reply.BulkReserve(kDigestChars));
  return Outcome::kDone;
}

// ---- rows

constexpr KeySpec kReadKey[] = {{.flags = command::kKeyRo | command::kKeyAccess}};
constexpr KeySpec kDeleteKey[] = {{.flags = command::kKeyRw | command::kKeyDelete | command::kKeyVariable}};
constexpr KeySpec kDeleteIfKey[] = {{.flags = command::kKeyRw | command::kKeyDelete}};

constexpr ArgSpec kKeyArgument[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0}};
constexpr ArgSpec kKeyValueArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                          {.name = "value"}};
constexpr ArgSpec kCondition[] = {{.name = "ifeq-value", .token = "IFEQ"},
                                  {.name = "ifne-value", .token = "IFNE"},
                                  {.name = "ifdeq-digest", .token = "IFDEQ"},
                                  {.name = "ifdne-digest", .token = "IFDNE"}};
constexpr ArgSpec kDelexArguments[] = {
    {.name = "key", .type = ArgType::kKey, .key_spec = 0},
    {.name = "condition", .type = ArgType::kOneOf, .flags = command::kOptional, .arguments = kCondition}};

constexpr CommandRow kRows[] = {
    {.name = "delex",
     .arity = -2,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatString,
     .keys = kDeleteKey,
     .group = command::Group::kString,
     .since = "8.4.0",
     .complexity = "O(1) with IFEQ and IFNE, O(N) with a digest, for a value of N bytes",
     .summary = "Deletes a key if its value, or the digest of it, equals a given one or differs from it.",
     .arguments = kDelexArguments,
     .handler = Delex},
    {.name = "delifeq",
     .arity = 3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatString,
     .keys = kDeleteIfKey,
     .group = command::Group::kString,
     .since = "9.0.0",
     .complexity = "O(1)",
     .summary = "Deletes a key if it holds the given value.",
     .arguments = kKeyValueArguments,
     .handler = Delifeq},
    {.name = "digest",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatString,
     .keys = kReadKey,
     .group = command::Group::kString,
     .since = "8.4.0",
     .complexity = "O(N) for a value of N bytes",
     .summary = "Returns the XXH3 digest of the string at a key, in hexadecimal.",
     .arguments = kKeyArgument,
     .handler = Digest},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> StringCompareCommands() {
  return kRows;
}

}  // namespace moonshard::commands
