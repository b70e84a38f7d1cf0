// Deadlines of keys: EXPIRE EXPIREAT EXPIRETIME PERSIST PEXPIRE PEXPIREAT PEXPIRETIME PTTL TTL.

#include <algorithm>
#include <string>

#include "command/errors.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;

struct ExpireFlags {
  bool if_none = false;     // NX
  bool if_any = false;      // XX
  bool if_greater = false;  // GT
  bool if_less = false;     // LT
};

// False: the error has been replied.
bool ParseExpireFlags(Context& context, ExpireFlags& flags) {
  for (size_t i = 3; i < context.args.size(); ++i) {
    std::string_view word = context.args[i];
    if (EqualsIgnoreCase(word, "NX")) {
      flags.if_none = true;
    } else if (EqualsIgnoreCase(word, "XX")) {
      flags.if_any = true;
    } else if (EqualsIgnoreCase(word, "GT")) {
      flags.if_greater = true;
    } else if (EqualsIgnoreCase(word, "LT")) {
      flags.if_less = true;
    } else {
      context.reply.ErrorLine("ERR Unsupported option " + std::string(command::UpToZero(word)));
      return false;
    }
  }
  if (flags.if_none && (flags.if_any || flags.if_greater || flags.if_less)) {
    context.reply.ErrorLine("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (flags.if_greater && flags.if_less) {
    context.reply.ErrorLine("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

// No deadline counts as infinitely late.
bool ExpireAllowed(const ExpireFlags& flags, TimeMs current, TimeMs wanted) {
  if (flags.if_none && current != kNoDeadline) return false;
  if (flags.if_any && current == kNoDeadline) return false;
  if (flags.if_greater && (current == kNoDeadline || wanted <= current)) return false;
  if (flags.if_less && current != kNoDeadline && wanted >= current) return false;
  return true;
}

Outcome ExpireWith(Context& context, TimeUnit unit, TimeBase time_base) {
  ExpireFlags flags;
  if (!ParseExpireFlags(context, flags)) return Outcome::kDone;
  auto amount = ParseInt64(context.arg(2));
  if (!amount) return context.Fail(db::kNotAnInteger);
  TimeMs now = context.shard.keyspace->now();
  auto deadline = DeadlineOf(*amount, unit, time_base, now);
  if (!deadline) return FailExpireTime(context);
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  if (!ref || !ExpireAllowed(flags, context.db->table().entry(ref)->deadline(), *deadline)) {
    context.reply.Integer(0);
    return Outcome::kDone;
  }
  if (*deadline <= now) {
    context.db->EraseRef(ref, types::MutationReason::kCommand, "del");
  } else {
    base::Status status = context.db->SetDeadline(ref, *deadline);
    if (!status.ok()) return context.Fail(status);
    context.db->Notify(db::kEventExpire, context.key());
  }
  context.reply.Integer(1);
  return Outcome::kDone;
}

Outcome Expire(Context& context) {
  return ExpireWith(context, TimeUnit::kSeconds, TimeBase::kRelative);
}
Outcome Expireat(Context& context) {
  return ExpireWith(context, TimeUnit::kSeconds, TimeBase::kAbsolute);
}
Outcome Pexpire(Context& context) {
  return ExpireWith(context, TimeUnit::kMilliseconds, TimeBase::kRelative);
}
Outcome Pexpireat(Context& context) {
  return ExpireWith(context, TimeUnit::kMilliseconds, TimeBase::kAbsolute);
}

Outcome Persist(Context& context) {
  dash::Table::Ref ref = context.db->FindForWrite(context.key());
  bool had = ref && context.db->table().entry(ref)->has_deadline();
  if (had) {
    base::Status status = context.db->SetDeadline(ref, kNoDeadline);
    if (!status.ok()) return context.Fail(status);
    context.db->Notify(db::kEventPersist, context.key());
  }
  context.reply.Integer(had ? 1 : 0);
  return Outcome::kDone;
}

Outcome TimeOf(Context& context, TimeUnit unit, TimeBase time_base) {
  const dash::Entry* entry = context.db->Peek(context.key());
  if (entry == nullptr) {
    context.reply.Integer(-2);
  } else if (!entry->has_deadline()) {
    context.reply.Integer(-1);
  } else {
    TimeMs zero = time_base == TimeBase::kRelative ? context.shard.keyspace->now() : 0;
    TimeMs time = std::max<TimeMs>(entry->deadline() - zero, 0);
    // Unsigned: the last deadline there is, rounded up, does not fit.
    if (unit == TimeUnit::kSeconds) time = static_cast<TimeMs>((static_cast<uint64_t>(time) + 500) / 1000);
    context.reply.Integer(time);
  }
  return Outcome::kDone;
}

Outcome Ttl(Context& context) {
  return TimeOf(context, TimeUnit::kSeconds, TimeBase::kRelative);
}
Outcome Pttl(Context& context) {
  return TimeOf(context, TimeUnit::kMilliseconds, TimeBase::kRelative);
}
Outcome Expiretime(Context& context) {
  return TimeOf(context, TimeUnit::kSeconds, TimeBase::kAbsolute);
}
Outcome Pexpiretime(Context& context) {
  return TimeOf(context, TimeUnit::kMilliseconds, TimeBase::kAbsolute);
}

// ---- rows

constexpr KeySpec kTimeKey[] = {{.flags = command::kKeyRo | command::kKeyAccess}};
constexpr KeySpec kUpdateKey[] = {{.flags = command::kKeyRw | command::kKeyUpdate}};

constexpr ArgSpec kKeyArgument[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0}};
constexpr ArgSpec kExpireCondition[] = {{.name = "nx", .type = ArgType::kPureToken, .token = "NX"},
                                        {.name = "xx", .type = ArgType::kPureToken, .token = "XX"},
                                        {.name = "gt", .type = ArgType::kPureToken, .token = "GT"},
                                        {.name = "lt", .type = ArgType::kPureToken, .token = "LT"}};
constexpr ArgSpec kCondition = {.name = "condition",
                                .type = ArgType::kOneOf,
                                .flags = command::kOptional,
                                .arguments = kExpireCondition,
                                .since = "7.0.0"};
constexpr ArgSpec kExpireArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                        {.name = "seconds", .type = ArgType::kInteger},
                                        kCondition};
constexpr ArgSpec kExpireatArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                          {.name = "unix-time-seconds", .type = ArgType::kUnixTime},
                                          kCondition};
constexpr ArgSpec kPexpireArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                         {.name = "milliseconds", .type = ArgType::kInteger},
                                         kCondition};
constexpr ArgSpec kPexpireatArguments[] = {{.name = "key", .type = ArgType::kKey, .key_spec = 0},
                                           {.name = "unix-time-milliseconds", .type = ArgType::kUnixTime},
                                           kCondition};
constexpr std::string_view kRandomTips[] = {"nondeterministic_output"};

constexpr CommandRow kRows[] = {
    {.name = "expire",
     .arity = -3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kUpdateKey,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Gives a key a time to live in seconds.",
     .arguments = kExpireArguments,
     .handler = Expire},
    {.name = "expireat",
     .arity = -3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kUpdateKey,
     .since = "1.2.0",
     .complexity = "O(1)",
     .summary = "Lets a key end at a Unix time in seconds.",
     .arguments = kExpireatArguments,
     .handler = Expireat},
    {.name = "expiretime",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kTimeKey,
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Returns the Unix time in seconds at which a key ends.",
     .arguments = kKeyArgument,
     .handler = Expiretime},
    {.name = "persist",
     .arity = 2,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kUpdateKey,
     .since = "2.2.0",
     .complexity = "O(1)",
     .summary = "Takes a key's time to live away.",
     .arguments = kKeyArgument,
     .handler = Persist},
    {.name = "pexpire",
     .arity = -3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kUpdateKey,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Gives a key a time to live in milliseconds.",
     .arguments = kPexpireArguments,
     .handler = Pexpire},
    {.name = "pexpireat",
     .arity = -3,
     .flags = command::kWrite | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kUpdateKey,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Lets a key end at a Unix time in milliseconds.",
     .arguments = kPexpireatArguments,
     .handler = Pexpireat},
    {.name = "pexpiretime",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kTimeKey,
     .since = "7.0.0",
     .complexity = "O(1)",
     .summary = "Returns the Unix time in milliseconds at which a key ends.",
     .arguments = kKeyArgument,
     .handler = Pexpiretime},
    {.name = "pttl",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kTimeKey,
     .since = "2.6.0",
     .complexity = "O(1)",
     .summary = "Returns the time to live of a key in milliseconds.",
     .arguments = kKeyArgument,
     .handler = Pttl,
     .tips = kRandomTips},
    {.name = "ttl",
     .arity = 2,
     .flags = command::kReadonly | command::kFast,
     .categories = command::kCatKeyspace,
     .keys = kTimeKey,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns the time to live of a key in seconds.",
     .arguments = kKeyArgument,
     .handler = Ttl,
     .tips = kRandomTips},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> ExpireCommands() {
  return kRows;
}

}  // namespace moonshard::commands
