#!/usr/bin/env python3
"""Every header under src/ and bench/ compiles alone. What passed is remembered in build/check/headers.json by a hash of the
flags, the header and all project headers it reaches, so a second run compiles only what a change can have broken."""

import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import time

import check_layers
import check_lib

FLAGS = ["-std=c++23", "-march=x86-64-v3", "-fexceptions", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror",
         "-DSPDLOG_COMPILED_LIB", "-DSPDLOG_FMT_EXTERNAL", "-Isrc", "-fsyntax-only"]
COMPILER = "clang++-19"
CACHE = "build/check/headers.json"


def fingerprint(root, header, texts):
    """A hash over everything of ours that compiling `header` reads."""
    reached, pending = set(), [header]
    while pending:
        name = pending.pop()
        if name in reached or name not in texts:
            continue
        reached.add(name)
        pending += [target for _, target in check_layers.includes(texts[name])]
    digest = hashlib.sha256(" ".join([COMPILER, *FLAGS]).encode())
    for name in sorted(reached):
        digest.update(f"{name}\0{texts[name]}\0".encode())
    return digest.hexdigest()


def compile_alone(root, header):
    """The compiler's complaint, or None."""
    result = subprocess.run([COMPILER, *FLAGS, "-x", "c++", "-"], cwd=root, input=f'#include "{header}"\n', text=True,
                            capture_output=True)
    return None if result.returncode == 0 else result.stderr.strip()


def load_cache(root):
    try:
        return set(json.loads((root / CACHE).read_text()))
    except (OSError, ValueError):
        return set()


def save_cache(root, passed):
    (root / CACHE).parent.mkdir(parents=True, exist_ok=True)
    temporary = root / (CACHE + f".{os.getpid()}")
    temporary.write_text(json.dumps(sorted(passed)))
    temporary.replace(root / CACHE)


def check(root, budget_s=None):
    texts = {str(path.relative_to("src")): check_lib.read(root, path) for path in check_lib.cxx_files(root)}
    headers = {name: fingerprint(root, name, texts) for name in texts if name.endswith(".h")}
    passed = load_cache(root)
    due = sorted(name for name in headers if headers[name] not in passed)
    deadline = None if budget_s is None else time.monotonic() + budget_s
    violations, left_out = [], []

    def one(name):
        if deadline is not None and time.monotonic() > deadline:
            return name, None, False
        return name, compile_alone(root, name), True

    # Two at a time: one per core of the smallest machine we build on.
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for name, complaint, ran in pool.map(one, due):
            if not ran:
                left_out.append(name)
            elif complaint is None:
                passed.add(headers[name])
            else:
                violations.append(f"src/{name} does not compile alone:\n{complaint}")
    save_cache(root, passed & set(headers.values()))
    if left_out:
        print(f"note: {len(left_out)} changed headers did not fit into the time and were not compiled; "
              "run tools/check headers", file=sys.stderr)
    return violations


if __name__ == "__main__":
    options = check_lib.arguments(__doc__, budget_s={"type": float, "default": None})
    sys.exit(check_lib.report(check(options.root, options.budget_s)))
