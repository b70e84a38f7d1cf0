// The connection itself: AUTH ECHO HELLO PING QUIT READONLY READWRITE RESET SELECT. CLIENT is in
// client_commands.cc.

#include <string>

#include "command/engine.h"
#include "command/errors.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "command/version.h"
#include "commands/args.h"
#include "commands/client_commands.h"
#include "commands/tables.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;

inline constexpr base::StaticError kWrongPass{base::Code::kWrongPass,
                                              "invalid username-password pair or user is disabled."};
inline constexpr base::StaticError kNoPassword{base::Code::kErr,
                                               "AUTH <password> called without any password configured for "
                                               "the default user. Are you sure your configuration is "
                                               "correct?"};
inline constexpr base::StaticError kNoProto{base::Code::kNoProto, "unsupported protocol version"};
inline constexpr base::StaticError kProtoNotInteger{base::Code::kErr,
                                                    "Protocol version is not an integer or out of range"};
inline constexpr base::StaticError kHelloNoAuth{
    base::Code::kNoAuth,
    "HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> "
    "option can be used to authenticate the client and select the RESP protocol version at the same time"};
inline constexpr base::StaticError kNotAnInt32{
    base::Code::kErr, "value is out of range, value must between -2147483648 and 2147483647"};
inline constexpr base::StaticError kDbRange{base::Code::kErr, "DB index is out of range"};

Outcome Ping(Context& context) {
  if (context.args.size() > 2) {
    context.reply.ErrorLine("ERR wrong number of arguments for 'ping' command");
  } else if (context.args.size() == 2) {
    context.reply.Bulk(context.arg(1));
  } else {
    context.reply.Simple("PONG");
  }
  return Outcome::kDone;
}

Outcome Echo(Context& context) {
  context.reply.Bulk(context.arg(1));
  return Outcome::kDone;
}

Outcome Quit(Context& context) {
  context.reply.Ok();
  context.session->close_after_reply = true;
  return Outcome::kDone;
}

// As if it had just connected; what a monitor has not been sent yet still comes.
Outcome Reset(Context& context) {
  command::Session& session = *context.session;
  context.shard.engine->monitors().Remove(*context.client);
  session.db = DbIndex();
  session.protocol = resp::Protocol::kResp2;
  session.authenticated = !context.shard.server->live().password_required.load(std::memory_order_relaxed);
  // A SKIP just before is for this very command.
  if (session.reply_mode == command::ReplyMode::kOff) session.reply_mode = command::ReplyMode::kOn;
  session.name.clear();
  context.reply.Simple("RESET");
  return Outcome::kDone;
}

Outcome Select(Context& context) {
  auto index = ParseInt64(context.arg(1));
  if (!index) return context.Fail(db::kNotAnInteger);
  if (*index != static_cast<int32_t>(*index)) return context.Fail(kNotAnInt32);
  if (*index < 0 || *index >= static_cast<int64_t>(db::kDatabaseCount)) return context.Fail(kDbRange);
  context.session->db = DbIndex(static_cast<uint16_t>(*index));
  context.reply.Ok();
  return Outcome::kDone;
}

// Only the default user exists until access control lists do.
bool Authenticate(Context& context, std::string_view user, std::string_view password) {
  if (user != "default" || !context.shard.server->PasswordMatches(password)) return false;
  context.session->authenticated = true;
  return true;
}

Outcome Auth(Context& context) {
  if (context.args.size() > 3) return context.Fail(db::kSyntax);
  bool with_user = context.args.size() == 3;
  if (!with_user && !context.shard.server->live().password_required.load(std::memory_order_relaxed)) {
    return context.Fail(kNoPassword);
  }
  std::string_view user = with_user ? context.arg(1) : "default";
  if (!Authenticate(context, user, context.args.back())) return context.Fail(kWrongPass);
  context.reply.Ok();
  return Outcome::kDone;
}

// False: the error has been replied. As in Redis, options take effect one after the other: those before a bad
// one stand.
bool ApplyHelloOptions(Context& context) {
  for (size_t i = 2; i < context.args.size(); ++i) {
    size_t more = context.args.size() - i - 1;
    if (EqualsIgnoreCase(context.arg(i), "AUTH") && more >= 2) {
      if (!Authenticate(context, context.arg(i + 1), context.arg(i + 2))) {
        context.reply.Error(kWrongPass);
        return false;
      }
      i += 2;
    } else if (EqualsIgnoreCase(context.arg(i), "SETNAME") && more >= 1) {
      std::string_view name = context.arg(++i);
      if (!IsClientName(name)) {
        context.reply.Error(kBadClientName);
        return false;
      }
      context.session->name = name;
    } else {
      std::string line = "ERR Syntax error in HELLO option '";
      line += command::UpToZero(context.arg(i));
      context.reply.ErrorLine(line + "'");
      return false;
    }
  }
  return true;
}

Outcome Hello(Context& context) {
  command::Session& session = *context.session;
  auto protocol = static_cast<int64_t>(session.protocol);
  if (context.args.size() > 1) {
    auto version = ParseInt64(context.arg(1));
    if (!version) return context.Fail(kProtoNotInteger);
    if (*version < 2 || *version > 3) return context.Fail(kNoProto);
    protocol = *version;
  }
  if (!ApplyHelloOptions(context)) return Outcome::kDone;
  if (!session.authenticated) return context.Fail(kHelloNoAuth);
  session.protocol = static_cast<resp::Protocol>(protocol);
  resp::Reply reply(context.reply.buffer(), session.protocol);
  reply.Map(7);
  reply.Bulk("server");
  reply.Bulk("redis");
  reply.Bulk("version");
  reply.Bulk(command::kRedisVersion);
  reply.Bulk("proto");
  reply.Integer(static_cast<int64_t>(session.protocol));
  reply.Bulk("id");
  reply.Integer(static_cast<int64_t>(session.id));
  reply.Bulk("mode");
  reply.Bulk("standalone");
  reply.Bulk("role");
  reply.Bulk("master");
  reply.Bulk("modules");
  reply.Array(0);
  return Outcome::kDone;
}

// ---- rows

constexpr uint32_t kAlways = command::kNoScript | command::kLoading | command::kStale;

constexpr std::string_view kPingTips[] = {"request_policy:all_shards", "response_policy:all_succeeded"};
constexpr ArgSpec kPingArguments[] = {{.name = "message", .flags = command::kOptional}};
constexpr ArgSpec kEchoArguments[] = {{.name = "message"}};
constexpr ArgSpec kSelectArguments[] = {{.name = "index", .type = ArgType::kInteger}};
constexpr ArgSpec kAuthArguments[] = {{.name = "username", .flags = command::kOptional, .since = "6.0.0"},
                                      {.name = "password"}};
constexpr ArgSpec kHelloAuth[] = {{.name = "username"}, {.name = "password"}};
constexpr ArgSpec kHelloOptions[] = {{.name = "protover", .type = ArgType::kInteger},
                                     {.name = "auth",
                                      .type = ArgType::kBlock,
                                      .token = "AUTH",
                                      .flags = command::kOptional,
                                      .arguments = kHelloAuth},
                                     {.name = "clientname", .token = "SETNAME", .flags = command::kOptional}};
constexpr ArgSpec kHelloArguments[] = {
    {.name = "arguments", .type = ArgType::kBlock, .flags = command::kOptional, .arguments = kHelloOptions}};
constexpr CommandRow kRows[] = {
    {.name = "auth",
     .arity = -2,
     .flags = kAlways | command::kFast | command::kNoAuth | command::kSession | command::kAllowBusy,
     .categories = command::kCatConnection,
     .group = command::Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(N) for N passwords of the user",
     .summary = "Authenticates the connection.",
     .arguments = kAuthArguments,
     .handler = Auth},
    {.name = "echo",
     .arity = 2,
     .flags = command::kLoading | command::kStale | command::kFast,
     .categories = command::kCatConnection,
     .group = command::Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Returns its argument.",
     .arguments = kEchoArguments,
     .handler = Echo},
    {.name = "hello",
     .arity = -1,
     .flags = kAlways | command::kFast | command::kNoAuth | command::kSession | command::kAllowBusy,
     .categories = command::kCatConnection,
     .group = command::Group::kConnection,
     .since = "6.0.0",
     .complexity = "O(1)",
     .summary = "Opens the conversation: protocol version, authentication, name.",
     .arguments = kHelloArguments,
     .handler = Hello},
    {.name = "ping",
     .arity = -1,
     .flags = command::kFast,
     .categories = command::kCatConnection,
     .group = command::Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Answers PONG, or its argument.",
     .arguments = kPingArguments,
     .handler = Ping,
     .tips = kPingTips},
    {.name = "quit",
     .arity = -1,
     .flags = kAlways | command::kFast | command::kNoAuth | command::kSession | command::kAllowBusy,
     .categories = command::kCatConnection,
     .group = command::Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Closes the connection.",
     .handler = Quit},
    {.name = "reset",
     .arity = 1,
     .flags = kAlways | command::kFast | command::kNoAuth | command::kSession | command::kAllowBusy,
     .categories = command::kCatConnection,
     .group = command::Group::kConnection,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Puts the connection back into the state of a new one.",
     .handler = Reset},
    {.name = "select",
     .arity = 2,
     .flags = command::kLoading | command::kStale | command::kFast | command::kSession,
     .categories = command::kCatConnection,
     .group = command::Group::kConnection,
     .since = "1.0.0",
     .complexity = "O(1)",
     .summary = "Selects the database of the connection.",
     .arguments = kSelectArguments,
     .handler = Select},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> ConnectionCommands() {
  return kRows;
}

}  // namespace moonshard::commands
