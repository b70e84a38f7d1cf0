#pragma once
// Where settings come from at start: flags beat the environment, the environment beats the configuration
// file, the file beats the defaults.
//
//   moonshard [FILE | -] [--name value ...]
//   MOONSHARD_NAME=value            dashes are underscores; MOONSHARD_NAME_FILE=path reads the value from
//   there

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "server/config_file.h"
#include "server/settings.h"

namespace moonshard::server {

// Every argument is a setting but these, which main asks about.
struct CommandLine {
  std::string file;  // "-": standard input; empty: none
  std::vector<Directive> flags;
  bool check_config = false;
  bool healthcheck = false;
};
base::Result<CommandLine> ParseCommandLine(std::span<const std::string> args);

struct Loaded {
  Settings settings;
  std::string file;    // absolute; empty: none that could be rewritten
  std::string folder;  // the working directory, where relative includes start
  // "hz (one thread per shard ...); rdbcompression, save (no dumps yet)": what was given a value that nothing
  // reads. Empty: nothing.
  std::string without_effect;
  std::vector<std::string> warnings;
};

struct Sources {
  CommandLine command_line;
  std::vector<std::string> environment;                       // "NAME=value"
  std::function<base::Result<std::string>()> standard_input;  // for "-"
  std::string folder = ".";
};
// An error is one line that names the file and line, the variable or the flag; no value of a secret is in it.
base::Result<Loaded> LoadConfig(const Sources& sources);

// The settings that this text of a configuration file, with its includes, leads to on its own.
base::Result<Settings> SettingsOfText(std::string_view text, std::string_view source,
                                      const std::string& folder);

// --help: the settings that have an effect, by group.
std::string HelpText();
// --check-config: what was given, and by whom.
std::string DescribeSettings(const Loaded& loaded);

}  // namespace moonshard::server
