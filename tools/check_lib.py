"""What the checkers share: the list of files, C++ without its comments and literals, and how to report."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

CXX_SUFFIXES = (".h", ".cc")


def arguments(description, **extra):
    """Parses the command line every checker takes. `extra` maps option names to keyword arguments of add_argument."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    for name, options in extra.items():
        parser.add_argument("--" + name.replace("_", "-"), **options)
    return parser.parse_args()


def files(root):
    """Every file of the project as a path relative to `root`: what git tracks or would track. Without git (an unpacked
    archive), everything but the build tree and hidden folders."""
    try:
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True).stdout.decode()
        names = [name for name in listed.split("\0") if name]
    except (subprocess.CalledProcessError, FileNotFoundError):
        names = []
        for folder, subfolders, here in os.walk(root):
            subfolders[:] = [s for s in subfolders if s not in ("build", "data", "__pycache__", ".git")]
            names += [str((Path(folder) / name).relative_to(root)) for name in here]
    return sorted(Path(name) for name in set(names) if (root / name).is_file())


def cxx_files(root, under="src"):
    return [path for path in files(root) if path.suffix in CXX_SUFFIXES and path.parts[0] == under]


def read(root, path):
    """The text of a file, or None for a binary one."""
    data = (root / path).read_bytes()
    if b"\0" in data[:8192]:
        return None
    return data.decode("utf-8", errors="replace")


_TOKEN = re.compile(
    r"""//(?:\\\n|[^\n])*                                  # line comment, perhaps continued
      | /\*.*?\*/                                          # block comment
      | (?:u8|u|U|L)?R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"  # raw string
      | "(?:\\.|[^"\\\n])*"                                # string
      | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'                # character; after a digit ' separates digits
    """,
    re.DOTALL | re.VERBOSE)


def strip_cxx(text, keep_comments=False):
    """`text` with comments and literals blanked out; line and column numbers stay."""
    def blank(match):
        token = match.group(0)
        if keep_comments and token.startswith("/"):
            return token
        if token.startswith("/"):
            return re.sub(r"[^\n]", " ", token)
        opening = token[0] if token[0] in "\"'" else '"'
        return opening + re.sub(r"[^\n]", " ", token[1:-1]) + opening
    return _TOKEN.sub(blank, text)


def report(violations):
    """Prints the violations and returns the process' exit status."""
    for violation in violations:
        print(violation)
    return 1 if violations else 0


def main(check, **extra):
    options = arguments(sys.modules["__main__"].__doc__, **extra)
    sys.exit(report(check(options.root)))
