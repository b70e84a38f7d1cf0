#!/usr/bin/env python3
"""C++ files are as clang-format-19 leaves them. To mend: clang-format-19 -i FILE."""

import subprocess

import check_lib

FOLDERS = ("src", "tests", "bench")


def check(root):
    paths = [str(path) for folder in FOLDERS for path in check_lib.cxx_files(root, folder)]
    violations = []
    # Two processes share the files; clang-format itself uses one core.
    halves = [half for half in (paths[::2], paths[1::2]) if half]
    running = [subprocess.Popen(["clang-format-19", "--style=file", "--dry-run", "-Werror", "--ferror-limit=1", *half],
                                cwd=root, stderr=subprocess.PIPE, text=True) for half in halves]
    for process in running:
        _, output = process.communicate()
        if process.returncode != 0:
            wrong = [line.split(": error:")[0] for line in output.splitlines() if ": error:" in line]
            violations += [f"{place}: not formatted (clang-format-19 -i)" for place in wrong] or [output]
    return sorted(violations)


if __name__ == "__main__":
    check_lib.main(check)
