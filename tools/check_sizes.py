#!/usr/bin/env python3
"""No source file is longer than 1,000 lines (at 700 it is time to look for the seam), and no C++ function is longer than 70."""

import re
import sys

import check_lib

LINES_MAX = 1000
LINES_TO_MENTION = 700
FUNCTION_LINES_MAX = 70
FOLDERS = ("src", "tests", "bench", "tools", "cmake", "web")
SUFFIXES = (".h", ".cc", ".c", ".py", ".sh", ".cmake", ".lua", ".js", ".html", ".css")

# Tables of data and generated files may be longer, and so may their functions. Path -> reason.
EXCEPTIONS = {}


def check(root, exceptions=None):
    exceptions = EXCEPTIONS if exceptions is None else exceptions
    violations = [f"{path}: listed as an exception in tools/check_sizes.py, but there is no such file"
                  for path in exceptions if not (root / path).is_file()]
    violations += [f"{path}: an exception needs its reason" for path, reason in exceptions.items() if not reason.strip()]
    for path in check_lib.files(root):
        if str(path) in exceptions or path.parts[0] not in FOLDERS or (path.suffix and path.suffix not in SUFFIXES):
            continue
        text = check_lib.read(root, path)
        if text is None:
            continue
        lines = len(text.splitlines())
        if lines > LINES_MAX:
            violations.append(f"{path}: {lines} lines, and the limit is {LINES_MAX}")
        elif lines > LINES_TO_MENTION:
            print(f"note: {path}: {lines} lines; look for the seam", file=sys.stderr)
        if path.suffix in check_lib.CXX_SUFFIXES:
            violations += [f"{path}:{line}: a function of {length} lines, and the limit is {FUNCTION_LINES_MAX}"
                           for line, length in functions(text)
                           if length > FUNCTION_LINES_MAX]
    return violations


# What opens a brace and is no function.
_NOT_A_FUNCTION = re.compile(r"(?:namespace|class|struct|enum|union|extern|if|for|while|switch|do|else|try|case)\b|}")


def functions(text):
    """(line, length) of every function of a file that clang-format has seen, by indentation: all lines between a closing
    brace and the line that opened the block are indented further. A lambda counts with the function around it."""
    found = []
    last_at = {}  # indentation -> the last line that begins there
    lines = check_lib.strip_cxx(text).split("\n")
    for number, line in enumerate(lines):
        stripped = line.lstrip()
        if not stripped or stripped.startswith("#"):
            continue
        indent = len(line) - len(stripped)
        head = last_at.get(indent)
        if stripped.startswith("}") and head is not None and _is_function(lines, head):
            while found and found[-1][0] >= head:
                found.pop()
            found.append((head, number))
        last_at[indent] = number
    return [(head + 1, end - head + 1) for head, end in found]


def _is_function(lines, head):
    if _NOT_A_FUNCTION.match(lines[head].lstrip()):
        return False
    signature = ""
    for line in lines[head:head + 20]:
        signature += line.strip() + " "
        if line.rstrip().endswith("{"):
            break
    # `= {` and `({` open the value of a table.
    return "(" in signature and not re.search(r"(?:=|\(|,) ?{ $", signature)


if __name__ == "__main__":
    check_lib.main(check)
