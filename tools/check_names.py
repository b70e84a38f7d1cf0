#!/usr/bin/env python3
"""Names and words that do not belong into the tree, each with its reason."""

import re

import check_lib

# A shard's data has one thread, so a lock in these folders is a design error.
SHARD_OWNED = {"dash", "types", "vector", "graph", "search", "db", "tx", "lua", "command", "commands", "pubsub", "acl",
               "resp", "net"}


def outside_shard(folder, name):
    return folder != "shard"


def product_outside_shard(folder, name):
    return folder != "shard" and not name.endswith(("_test.cc", "_bench.cc", "_fuzz.cc"))


def not_a_benchmark_outside_shard(folder, name):
    return folder != "shard" and not name.endswith("_bench.cc")


def shard_owned(folder, name):
    return folder in SHARD_OWNED


# (pattern, reason, applies) over C++ under src/ without its comments and literals. `applies` takes folder and file name.
CODE_RULES = [
    (r"(?<![\w.>])s?rand\s*\(", "use base::Random with a seed that can be replayed", None),
    (r"\b(?:strcpy|strcat|sprintf|vsprintf|gets)\s*\(", "writes without knowing the size; use fmt or Buffer", None),
    (r"\bato(?:i|l|ll|f)\s*\(", "hides errors; use base::ParseInt64", None),
    (r"\bstd::(?:w?regex|basic_regex)\b", "slow and recursive; match by hand", None),
    (r"\busing\s+namespace\s+(?!std::(?:\w+_)?literals\b|std::literals::)", "name what you use", None),
    (r"\bthread_local\b", "per-thread state lives in src/shard only", outside_shard),
    (r"\bthrow\b", "errors are Status and Result", None),
    (r"\bstd::(?:recursive_|timed_|shared_|recursive_timed_|shared_timed_)?mutex\b|\babsl::Mutex\b",
     "a shard's data has one thread; send a message instead", shard_owned),
    (r"\b(?:clock_gettime|gettimeofday|(?:system|steady|high_resolution)_clock)\b|\btime\s*\(\s*(?:nullptr|NULL|0)\s*\)",
     "time comes through shard::Env, or a test cannot set it", product_outside_shard),
    (r"\b(?:random_device|getrandom|getentropy)\b", "randomness comes through shard::Env, or a run cannot be replayed",
     product_outside_shard),
    (r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\b", "nothing waits by sleeping; in tests use the fake clock",
     not_a_benchmark_outside_shard),
]
CODE_RULES = [(re.compile(pattern), reason, applies) for pattern, reason, applies in CODE_RULES]

# (pattern, reason) over every text file, comments included.
TEXT_RULES = [
    (r"(?<![\w.$}-])/(?:root|home/[a-z]\w*|work|farm)/", "a path of one machine"),
    (r"(?i)\bissue\s+#?\d+", "an issue number means nothing to a reader of the tree: say what it is about"),
    (r"(?i)\bhelper\s+sessions?\b|\bsub-?agents?\b|\bco-authored-by\b", "the text speaks of the project alone"),
    (r"^(?:<{7}|>{7}) ", "a merge conflict"),
]
TEXT_RULES = [(re.compile(pattern, re.MULTILINE), reason) for pattern, reason in TEXT_RULES]

MARKER = re.compile(r"\b(?:TO" r"DO(?!\([\w.-]+\): \S)|FIX" r"ME|HA" r"CK)\b")
MARKER_SUFFIXES = {".h", ".cc", ".c", ".py", ".sh", ".cmake", ".lua", ".js", ""}

# Files that quote what they forbid.
QUOTING = {"tools/check_names.py", "tools/tests/test_check_names.py"}


def at(text, match):
    return text.count("\n", 0, match.start()) + 1


def check(root):
    violations = []
    for path in check_lib.files(root):
        text = check_lib.read(root, path)
        if text is None or str(path) in QUOTING:
            continue
        for pattern, reason in TEXT_RULES:
            violations += [f"{path}:{at(text, m)}: '{m.group(0).strip()}': {reason}" for m in pattern.finditer(text)]
        if path.suffix in MARKER_SUFFIXES:
            violations += [f"{path}:{at(text, m)}: write {'TO' 'DO'}(topic): what is missing" for m in MARKER.finditer(text)]
        if path.suffix in check_lib.CXX_SUFFIXES and path.parts[0] == "src":
            code = check_lib.strip_cxx(text)
            for pattern, reason, applies in CODE_RULES:
                if applies is None or applies(path.parts[1], path.name):
                    violations += [f"{path}:{at(code, m)}: '{m.group(0).strip()}': {reason}" for m in pattern.finditer(code)]
    return violations


if __name__ == "__main__":
    check_lib.main(check)
