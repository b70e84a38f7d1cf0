#!/usr/bin/env python3
"""No source file is longer than 1,000 lines. At 700 it is time to look for the seam."""

import sys

import check_lib

LINES_MAX = 1000
LINES_TO_MENTION = 700
FOLDERS = ("src", "tests", "bench", "tools", "cmake", "web")
SUFFIXES = (".h", ".cc", ".c", ".py", ".sh", ".cmake", ".lua", ".js", ".html", ".css")

# Tables of data and generated files may be longer. Path -> reason.
EXCEPTIONS = {}


def check(root, exceptions=None):
    exceptions = EXCEPTIONS if exceptions is None else exceptions
    violations = [f"{path}: listed as an exception in tools/check_sizes.py, but there is no such file"
                  for path in exceptions if not (root / path).is_file()]
    violations += [f"{path}: an exception needs its reason" for path, reason in exceptions.items() if not reason.strip()]
    for path in check_lib.files(root):
        if path.parts[0] not in FOLDERS or (path.suffix and path.suffix not in SUFFIXES):
            continue
        text = check_lib.read(root, path)
        if text is None:
            continue
        lines = len(text.splitlines())
        if lines > LINES_MAX and str(path) not in exceptions:
            violations.append(f"{path}: {lines} lines, and the limit is {LINES_MAX}")
        elif lines > LINES_TO_MENTION and str(path) not in exceptions:
            print(f"note: {path}: {lines} lines; look for the seam", file=sys.stderr)
    return violations


if __name__ == "__main__":
    check_lib.main(check)
