// COMMAND: the server's own account of its rows.

#include "commands/command_commands.h"

#include <algorithm>
#include <bit>
#include <string>

#include "base/glob.h"
#include "command/server_control.h"
#include "command/shard_state.h"
#include "commands/args.h"
#include "commands/help.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::Command;
using command::CommandRow;
using command::KeySpec;

struct FlagName {
  uint32_t flag;
  std::string_view name;
};

constexpr FlagName kFlagNames[] = {
    {command::kWrite, "write"},
    {command::kReadonly, "readonly"},
    {command::kDenyOom, "denyoom"},
    {command::kAdmin, "admin"},
    {command::kPubsub, "pubsub"},
    {command::kNoScript, "noscript"},
    {command::kBlocking, "blocking"},
    {command::kLoading, "loading"},
    {command::kStale, "stale"},
    {command::kSkipMonitor, "skip_monitor"},
    {command::kSkipSlowlog, "skip_slowlog"},
    {command::kAsking, "asking"},
    {command::kFast, "fast"},
    {command::kNoAuth, "no_auth"},
    {command::kMovableKeys, "movablekeys"},
    {command::kNoAsyncLoading, "no_async_loading"},
    {command::kNoMulti, "no_multi"},
    {command::kNoMandatoryKeys, "no_mandatory_keys"},
    {command::kAllowBusy, "allow_busy"},
};

constexpr FlagName kCategoryNames[] = {
    {command::kCatKeyspace, "@keyspace"},
    {command::kCatRead, "@read"},
    {command::kCatWrite, "@write"},
    {command::kCatSet, "@set"},
    {command::kCatSortedSet, "@sortedset"},
    {command::kCatList, "@list"},
    {command::kCatHash, "@hash"},
    {command::kCatString, "@string"},
    {command::kCatBitmap, "@bitmap"},
    {command::kCatHyperloglog, "@hyperloglog"},
    {command::kCatGeo, "@geo"},
    {command::kCatStream, "@stream"},
    {command::kCatPubsub, "@pubsub"},
    {command::kCatAdmin, "@admin"},
    {command::kCatFast, "@fast"},
    {command::kCatSlow, "@slow"},
    {command::kCatBlocking, "@blocking"},
    {command::kCatDangerous, "@dangerous"},
    {command::kCatConnection, "@connection"},
    {command::kCatTransaction, "@transaction"},
    {command::kCatScripting, "@scripting"},
};

constexpr FlagName kKeyFlagNames[] = {
    {command::kKeyRo, "RO"},
    {command::kKeyRw, "RW"},
    {command::kKeyOw, "OW"},
    {command::kKeyRm, "RM"},
    {command::kKeyAccess, "access"},
    {command::kKeyUpdate, "update"},
    {command::kKeyInsert, "insert"},
    {command::kKeyDelete, "delete"},
    {command::kKeyNotKey, "not_key"},
    {command::kKeyIncomplete, "incomplete"},
    {command::kKeyVariable, "variable_flags"},
};

constexpr FlagName kDocFlagNames[] = {{command::kDocDeprecated, "deprecated"},
                                      {command::kDocSyscmd, "syscmd"}};

constexpr FlagName kArgFlagNames[] = {{command::kOptional, "optional"},
                                      {command::kMultiple, "multiple"},
                                      {command::kMultipleToken, "multiple_token"}};

void ReplyFlags(resp::Reply& reply, std::span<const FlagName> names, uint32_t flags) {
  uint32_t known = 0;
  for (const FlagName& name : names) known |= name.flag;
  reply.Set(static_cast<size_t>(std::popcount(flags & known)));
  for (const FlagName& name : names) {
    if ((flags & name.flag) != 0) reply.Simple(name.name);
  }
}

void ReplyKeySpec(resp::Reply& reply, const KeySpec& spec) {
  reply.Map(3 + size_t{!spec.notes.empty()});
  if (!spec.notes.empty()) {
    reply.Bulk("notes");
    reply.Bulk(spec.notes);
  }
  reply.Bulk("flags");
  ReplyFlags(reply, kKeyFlagNames, spec.flags);
  reply.Bulk("begin_search");
  reply.Map(2);
  reply.Bulk("type");
  if (spec.begin == KeySpec::Begin::kUnknown) {
    reply.Bulk("unknown");
    reply.Bulk("spec");
    reply.Map(0);
  } else if (spec.begin == KeySpec::Begin::kIndex) {
    reply.Bulk("index");
    reply.Bulk("spec");
    reply.Map(1);
    reply.Bulk("index");
    reply.Integer(spec.begin_index);
  } else {
    reply.Bulk("keyword");
    reply.Bulk("spec");
    reply.Map(2);
    reply.Bulk("keyword");
    reply.Bulk(spec.keyword);
    reply.Bulk("startfrom");
    reply.Integer(spec.begin_index);
  }
  reply.Bulk("find_keys");
  reply.Map(2);
  reply.Bulk("type");
  if (spec.find == KeySpec::Find::kUnknown) {
    reply.Bulk("unknown");
    reply.Bulk("spec");
    reply.Map(0);
    return;
  }
  bool range = spec.find == KeySpec::Find::kRange;
  reply.Bulk(range ? "range" : "keynum");
  reply.Bulk("spec");
  reply.Map(3);
  reply.Bulk(range ? "lastkey" : "keynumidx");
  reply.Integer(range ? spec.last : spec.keynum_index);
  if (!range) {
    reply.Bulk("firstkey");
    reply.Integer(spec.first_key);
  }
  reply.Bulk("keystep");
  reply.Integer(spec.step);
  if (range) {
    reply.Bulk("limit");
    reply.Integer(spec.limit);
  }
}

// first, last and step of the old form: the first spec, widened over all specs of index type.
struct LegacyRange {
  int64_t first = 0;
  int64_t last = 0;
  int64_t step = 0;
};

LegacyRange LegacyRangeOf(const CommandRow& row) {
  LegacyRange range;
  for (const KeySpec& spec : row.keys) {
    if (spec.begin != KeySpec::Begin::kIndex || spec.find != KeySpec::Find::kRange) continue;
    int64_t last = spec.last >= 0 ? spec.begin_index + spec.last : spec.last;
    if (range.first == 0) {
      range = {spec.begin_index, last, spec.step};
    } else {
      range.first = std::min<int64_t>(range.first, spec.begin_index);
      range.last = range.last < 0 || last < 0 ? -1 : std::max(range.last, last);
      range.step = 1;
    }
  }
  return range;
}

void ReplyInfo(resp::Reply& reply, const Command& command) {
  const CommandRow& row = *command.row;
  LegacyRange range = LegacyRangeOf(row);
  reply.Array(10);
  reply.Bulk(command.full_name);
  reply.Integer(row.arity);
  ReplyFlags(reply, kFlagNames, row.flags);
  reply.Integer(range.first);
  reply.Integer(range.last);
  reply.Integer(range.step);
  ReplyFlags(reply, kCategoryNames, command.categories);
  reply.Set(row.tips.size());
  for (std::string_view tip : row.tips) reply.Bulk(tip);
  reply.Set(row.keys.size());
  for (const KeySpec& spec : row.keys) ReplyKeySpec(reply, spec);
  reply.Set(command.subcommands.size());
  for (const Command& sub : command.subcommands) ReplyInfo(reply, sub);
}

std::string_view GroupName(command::Group group) {
  using command::Group;
  switch (group) {
    case Group::kGeneric:
      return "generic";
    case Group::kString:
      return "string";
    case Group::kList:
      return "list";
    case Group::kSet:
      return "set";
    case Group::kSortedSet:
      return "sorted-set";
    case Group::kHash:
      return "hash";
    case Group::kPubsub:
      return "pubsub";
    case Group::kTransactions:
      return "transactions";
    case Group::kConnection:
      return "connection";
    case Group::kServer:
      return "server";
    case Group::kScripting:
      return "scripting";
    case Group::kHyperloglog:
      return "hyperloglog";
    case Group::kCluster:
      return "cluster";
    case Group::kSentinel:
      return "sentinel";
    case Group::kGeo:
      return "geo";
    case Group::kStream:
      return "stream";
    case Group::kBitmap:
      return "bitmap";
    case Group::kModule:
      return "module";
  }
  return "generic";
}

std::string_view ArgTypeName(ArgType type) {
  switch (type) {
    case ArgType::kString:
      return "string";
    case ArgType::kInteger:
      return "integer";
    case ArgType::kDouble:
      return "double";
    case ArgType::kKey:
      return "key";
    case ArgType::kPattern:
      return "pattern";
    case ArgType::kUnixTime:
      return "unix-time";
    case ArgType::kPureToken:
      return "pure-token";
    case ArgType::kOneOf:
      return "oneof";
    case ArgType::kBlock:
      return "block";
  }
  return "string";
}

void ReplyArguments(resp::Reply& reply, std::span<const ArgSpec> arguments);

void ReplyArgument(resp::Reply& reply, const ArgSpec& argument) {
  size_t fields = 2 + size_t{argument.key_spec >= 0} + size_t{!argument.token.empty()} +
                  size_t{!argument.since.empty()} + size_t{argument.flags != 0} +
                  size_t{!argument.arguments.empty()};
  reply.Map(fields);
  reply.Bulk("name");
  reply.Bulk(argument.name);
  reply.Bulk("type");
  reply.Bulk(ArgTypeName(argument.type));
  if (argument.key_spec >= 0) {
    reply.Bulk("key_spec_index");
    reply.Integer(argument.key_spec);
  }
  if (!argument.token.empty()) {
    reply.Bulk("token");
    reply.Bulk(argument.token);
  }
  if (!argument.since.empty()) {
    reply.Bulk("since");
    reply.Bulk(argument.since);
  }
  if (argument.flags != 0) {
    reply.Bulk("flags");
    ReplyFlags(reply, kArgFlagNames, argument.flags);
  }
  if (!argument.arguments.empty()) {
    reply.Bulk("arguments");
    ReplyArguments(reply, argument.arguments);
  }
}

void ReplyArguments(resp::Reply& reply, std::span<const ArgSpec> arguments) {
  reply.Array(arguments.size());
  for (const ArgSpec& argument : arguments) ReplyArgument(reply, argument);
}

void ReplyDocs(resp::Reply& reply, const Command& command) {
  const CommandRow& row = *command.row;
  reply.Bulk(command.full_name);
  reply.Map(3 + size_t{!row.complexity.empty()} + size_t{row.doc_flags != 0} +
            size_t{!row.deprecated_since.empty()} + size_t{!row.replaced_by.empty()} +
            size_t{!row.arguments.empty()} + size_t{!command.subcommands.empty()});
  reply.Bulk("summary");
  reply.Bulk(row.summary);
  reply.Bulk("since");
  reply.Bulk(row.since);
  reply.Bulk("group");
  reply.Bulk(GroupName(row.group));
  auto text = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    reply.Bulk(name);
    reply.Bulk(value);
  };
  text("complexity", row.complexity);
  if (row.doc_flags != 0) {
    reply.Bulk("doc_flags");
    ReplyFlags(reply, kDocFlagNames, row.doc_flags);
  }
  text("deprecated_since", row.deprecated_since);
  text("replaced_by", row.replaced_by);
  if (!row.arguments.empty()) {
    reply.Bulk("arguments");
    ReplyArguments(reply, row.arguments);
  }
  if (!command.subcommands.empty()) {
    reply.Bulk("subcommands");
    reply.Map(command.subcommands.size());
    for (const Command& sub : command.subcommands) ReplyDocs(reply, sub);
  }
}

// "get" or "config|get".
const Command* FindByFullName(const command::Registry& registry, std::string_view name) {
  size_t bar = name.find('|');
  const Command* found = registry.Find(name.substr(0, bar));
  if (found == nullptr || bar == std::string_view::npos) return found;
  return command::Registry::FindSubcommand(*found, name.substr(bar + 1));
}

const command::Registry& RegistryOf(Context& context) {
  return context.shard.server->registry();
}

// COMMAND LIST FILTERBY. A module or a category that does not exist has no commands.
struct ListFilter {
  enum class By : uint8_t { kNothing, kModule, kCategory, kPattern };
  By by = By::kNothing;
  uint32_t category = 0;
  std::string_view pattern;

  bool Takes(const Command& command) const {
    switch (by) {
      case By::kNothing:
        return true;
      case By::kModule:
        return false;  // no command comes from a module
      case By::kCategory:
        return (command.categories & category) != 0;
      case By::kPattern:
        return base::GlobMatch(pattern, command.full_name, base::CaseMode::kIgnore);
    }
    return false;
  }
};

// Its name is without the '@'. 0: there is none of this name.
uint32_t CategoryOf(std::string_view name) {
  for (const FlagName& category : kCategoryNames) {
    if (EqualsIgnoreCase(category.name.substr(1), name)) return category.flag;
  }
  return 0;
}

bool ParseListFilter(const Context& context, ListFilter& filter) {
  if (context.args.size() == 2) return true;
  if (context.args.size() != 5 || !EqualsIgnoreCase(context.arg(2), "FILTERBY")) return false;
  if (EqualsIgnoreCase(context.arg(3), "MODULE")) {
    filter.by = ListFilter::By::kModule;
  } else if (EqualsIgnoreCase(context.arg(3), "ACLCAT")) {
    filter.by = ListFilter::By::kCategory;
    filter.category = CategoryOf(context.arg(4));
  } else if (EqualsIgnoreCase(context.arg(3), "PATTERN")) {
    filter.by = ListFilter::By::kPattern;
    filter.pattern = context.arg(4);
  } else {
    return false;
  }
  return true;
}

}  // namespace

Outcome CommandAll(Context& context) {
  auto commands = RegistryOf(context).commands();
  context.reply.Array(commands.size());
  for (const Command& command : commands) ReplyInfo(context.reply, command);
  return Outcome::kDone;
}

Outcome CommandCount(Context& context) {
  context.reply.Integer(static_cast<int64_t>(RegistryOf(context).commands().size()));
  return Outcome::kDone;
}

Outcome CommandInfo(Context& context) {
  if (context.args.size() == 2) return CommandAll(context);
  context.reply.Array(context.args.size() - 2);
  for (std::string_view name : context.args.subspan(2)) {
    const Command* found = FindByFullName(RegistryOf(context), name);
    if (found == nullptr) {
      context.reply.Null();
    } else {
      ReplyInfo(context.reply, *found);
    }
  }
  return Outcome::kDone;
}

Outcome CommandDocs(Context& context) {
  const command::Registry& registry = RegistryOf(context);
  if (context.args.size() == 2) {
    context.reply.Map(registry.commands().size());
    for (const Command& command : registry.commands()) ReplyDocs(context.reply, command);
    return Outcome::kDone;
  }
  std::vector<const Command*> found;
  for (std::string_view name : context.args.subspan(2)) {
    if (const Command* command = FindByFullName(registry, name)) found.push_back(command);
  }
  context.reply.Map(found.size());
  for (const Command* command : found) ReplyDocs(context.reply, *command);
  return Outcome::kDone;
}

Outcome CommandList(Context& context) {
  ListFilter filter;
  if (!ParseListFilter(context, filter)) return context.Fail(db::kSyntax);
  std::vector<std::string_view> names;
  auto add = [&](const Command& command) {
    if (filter.Takes(command)) names.push_back(command.full_name);
  };
  for (const Command& command : RegistryOf(context).commands()) {
    add(command);
    for (const Command& sub : command.subcommands) add(sub);
  }
  context.reply.Array(names.size());
  for (std::string_view name : names) context.reply.Bulk(name);
  return Outcome::kDone;
}

namespace {

// Finds the keys of a call for GETKEYS; false: the error has been replied.
bool FindKeysOf(Context& context, std::span<const std::string_view> call, const Command*& found,
                std::vector<uint32_t>& positions) {
  auto fail = [&](std::string_view line) {
    context.reply.ErrorLine(line);
    return false;
  };
  found = RegistryOf(context).Find(call[0]);
  if (found != nullptr && !found->subcommands.empty() && call.size() > 1) {
    found = command::Registry::FindSubcommand(*found, call[1]);
  }
  if (found == nullptr) return fail("ERR Invalid command specified");
  if (found->row->keys.empty()) return fail("ERR The command has no key arguments");
  auto count = static_cast<int64_t>(call.size());
  bool arity_ok = found->row->arity > 0 ? count == found->row->arity : count >= -found->row->arity;
  if (!arity_ok) return fail("ERR Invalid number of arguments specified for command");
  if (!command::FindKeys(*found->row, call, positions)) {
    return fail("ERR Invalid arguments specified for command");
  }
  if (positions.empty() && !found->row->is(command::kNoMandatoryKeys)) {
    return fail("ERR Invalid arguments specified for command");
  }
  return true;
}

// Redis looks closer at two commands whose arguments decide what they do with their key.
uint32_t VariableFlags(const CommandRow& row, std::span<const std::string_view> call, uint32_t flags) {
  auto is_get = [](std::string_view word) { return EqualsIgnoreCase(word, "get"); };
  if (row.name == "set") {
    const bool reads = std::ranges::any_of(call.subspan(3), is_get);
    return reads ? flags & ~uint32_t{command::kKeyVariable} : command::kKeyOw | command::kKeyUpdate;
  }
  if (row.name == "bitfield") {
    // Pairs of arguments behind each GET; anything else writes.
    for (size_t i = 2; i < call.size(); i += 3) {
      if (!is_get(call[i]) || i + 2 >= call.size()) return flags & ~uint32_t{command::kKeyVariable};
    }
    return command::kKeyRo | command::kKeyAccess;
  }
  return flags;
}

// What the call does with its key at this position.
uint32_t KeyFlagsAt(const CommandRow& row, std::span<const std::string_view> call, uint32_t position) {
  for (const KeySpec& spec : row.keys) {
    CommandRow only = row;
    only.keys = {&spec, 1};
    std::vector<uint32_t> positions;
    if (!command::FindKeys(only, call, positions)) continue;
    if (std::ranges::find(positions, position) == positions.end()) continue;
    return (spec.flags & command::kKeyVariable) != 0 ? VariableFlags(row, call, spec.flags) : spec.flags;
  }
  return 0;
}

}  // namespace

Outcome CommandGetkeys(Context& context) {
  std::span<const std::string_view> call = context.args.subspan(2);
  const Command* found = nullptr;
  std::vector<uint32_t> positions;
  if (!FindKeysOf(context, call, found, positions)) return Outcome::kDone;
  context.reply.Array(positions.size());
  for (uint32_t position : positions) context.reply.Bulk(call[position]);
  return Outcome::kDone;
}

Outcome CommandGetkeysAndFlags(Context& context) {
  std::span<const std::string_view> call = context.args.subspan(2);
  const Command* found = nullptr;
  std::vector<uint32_t> positions;
  if (!FindKeysOf(context, call, found, positions)) return Outcome::kDone;
  context.reply.Array(positions.size());
  for (uint32_t position : positions) {
    context.reply.Array(2);
    context.reply.Bulk(call[position]);
    ReplyFlags(context.reply, kKeyFlagNames, KeyFlagsAt(*found->row, call, position));
  }
  return Outcome::kDone;
}

Outcome CommandHelp(Context& context) {
  return ReplyHelp(
      context,
      {"(no subcommand)", "    Return details about all Redis commands.", "COUNT",
       "    Return the total number of commands in this Redis server.", "LIST",
       "    Return a list of all commands in this Redis server.", "INFO [<command-name> ...]",
       "    Return details about multiple Redis commands.",
       "    If no command names are given, documentation details for all", "    commands are returned.",
       "DOCS [<command-name> ...]", "    Return documentation details about multiple Redis commands.",
       "    If no command names are given, documentation details for all", "    commands are returned.",
       "GETKEYS <full-command>", "    Return the keys from a full Redis command.",
       "GETKEYSANDFLAGS <full-command>",
       "    Return the keys and the access flags from a full Redis command."});
}

}  // namespace moonshard::commands
