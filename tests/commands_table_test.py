#!/usr/bin/env python3
"""Compares what the server says of its commands with tests/data/commands.tsv, the table of Redis' and Valkey's commands.

    tests/commands_table_test.py build/release/moonshard

Arity, flags, key specifications and the version that brought it must be equal for every command that both have. What the
server does not have yet is printed, by group, and is no failure.
"""

import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import commands_lib  # noqa: E402
from commands_doc import wrapped  # noqa: E402

TABLE = ROOT / "tests/data/commands.tsv"
# In the table, and no property of a command here: that it comes from a loaded module.
IGNORED_FLAGS = {"module"}
# Commands of our own. A name that is neither here nor in the table is a misspelling.
OWN = set()
# Name -> field -> why the server rightly says something else.
DELIBERATE = {
    "COMMAND GETKEYSANDFLAGS": {"arity": "as that of COMMAND GETKEYS"},
    "COMMAND GETKEYS": {"arity": "-4, as in Redis 7.0.15, the judge of the replies: the command asked about has an argument"},
}


def read_table(path=TABLE):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return {row["name"]: row for row in csv.DictReader(lines, delimiter="\t")}


def words(text, separator=","):
    return set() if text == "-" else set(text.split(separator))


def specs_of(text):
    """Comparable key specifications: the order of the flags in one means nothing, the order of the specifications does."""
    specs = [] if text == "-" else text.split(";")
    return [(spec.rpartition(":")[0], frozenset(spec.rpartition(":")[2].split("+"))) for spec in specs]


def differences(row, expected):
    """(field, ours, theirs) for every field that differs."""
    specs = ";".join(map(commands_lib.key_spec_text, row.key_specs)) or "-"
    fields = [
        ("arity", row.arity, int(expected["arity"])),
        ("flags", ",".join(sorted(row.flags - IGNORED_FLAGS)), ",".join(sorted(words(expected["flags"]) - IGNORED_FLAGS))),
        ("since", row.since, expected["since"]),
    ]
    found = [field for field in fields if field[1] != field[2]]
    if specs_of(specs) != specs_of(expected["key_specs"]):
        found.append(("key specs", specs, expected["key_specs"]))
    return found


def violations(rows, table, own=frozenset(OWN), deliberate=None):
    deliberate = DELIBERATE if deliberate is None else deliberate
    found = []
    for name, row in sorted(rows.items()):
        if name not in table:
            if name not in own:
                found.append(f"{name}: neither in the table nor a command of our own")
            continue
        excused = deliberate.get(name, {})
        differing = differences(row, table[name])
        found += [f"{name}: {field} is {ours!r}, and theirs is {theirs!r}" for field, ours, theirs in differing
                  if field not in excused]
        stale = set(excused) - {field for field, _, _ in differing}
        found += [f"{name}: {field} is listed as deliberately different and is equal" for field in sorted(stale)]
    found += [f"{name}: listed as our own or deliberate, and the server does not have it"
              for name in sorted((set(own) | set(deliberate)) - set(rows))]
    return found


def in_redis(expected):
    return expected["in_redis_8.0.2"] == "1" and "only_sentinel" not in expected["flags"]


def gaps(rows, table):
    """Group -> names that Redis 8.0.2 has and the server does not. Deprecated names are gaps too: clients still send them."""
    missing = {}
    for name, expected in table.items():
        if name not in rows and in_redis(expected):
            missing.setdefault(expected["group"], []).append(name)
    return missing


def main():
    rows = commands_lib.fetch(sys.argv[1] if len(sys.argv) > 1 else commands_lib.SERVER)
    table = read_table()
    missing = gaps(rows, table)
    total = sum(map(in_redis, table.values()))
    print(f"{total - sum(map(len, missing.values()))} of the {total} commands of Redis 8.0.2; not there yet:")
    for group, names in sorted(missing.items()):
        print(wrapped(", ".join(sorted(names)), "    ", f"  {group} ({len(names)}): "))
    found = violations(rows, table)
    for violation in found:
        print(f"DIFFERS {violation}")
    return 1 if found else 0


if __name__ == "__main__":
    commands_lib.run_main(main)
