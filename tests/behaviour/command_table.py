#!/usr/bin/env python3
"""What COMMAND says of every command that both servers know, compared whole: COMMAND INFO, COMMAND DOCS, COMMAND GETKEYS.

Differences that are meant stand in the lists below, each with its reason; an entry that no longer differs fails too. Texts
(summary, complexity, history) are our own words and are not compared, but each server must have them for the same commands."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

NEWER = "as in newer versions of Redis, whose table tests/data/commands.tsv is"
OWN_WORDS = {b"summary", b"complexity"}
# Fields of COMMAND DOCS that we do not have, for any command.
NOT_OURS = {b"history": "texts about past versions of another program"}

# Command -> fields of COMMAND INFO that differ.
INFO_DIFFERS = {
    "cluster|shards": {"flags": NEWER},
    "cluster|slots": {"flags": NEWER},
    "wait": {"flags": NEWER, "categories": NEWER},
}
# Command -> fields of COMMAND DOCS that differ.
DOCS_DIFFERS = {
    "bitop": {"arguments": NEWER},
    "client|kill": {"arguments": NEWER},
    "client|pause": {"since": NEWER},
    "command|getkeys": {"arguments": NEWER},
    "config|get": {"arguments": NEWER},
    "config|set": {"arguments": NEWER},
    "flushall": {"arguments": NEWER},
    "flushdb": {"arguments": NEWER},
    "hello": {"arguments": NEWER},
    "monitor": {"complexity": "Redis names none; it is no secret that watching costs"},
    "set": {"arguments": NEWER},
    "shutdown": {"arguments": NEWER},
}

INFO_FIELDS = ("name", "arity", "flags", "first key", "last key", "step", "categories", "tips", "key specs", "subcommands")


def plain_spec(spec):
    """A key specification as nested dicts; its flags are a set."""
    pairs = dict(zip(spec[::2], spec[1::2])) if isinstance(spec, list) else spec
    found = {}
    for key, value in pairs.items():
        if key == b"flags":
            found[key] = sorted(value)
        elif isinstance(value, list) and key in (b"begin_search", b"find_keys", b"spec"):
            found[key] = plain_spec(value)
        else:
            found[key] = value
    found.pop(b"notes", None)
    return found


def info_of(client, names):
    """Name -> fields, in names' order."""
    found = {}
    for name in names:
        entry = client.call("COMMAND", "INFO", name).value[0]
        if entry.value is None:
            continue
        fields = [item.plain() for item in entry.value[:9]]
        fields[8] = [plain_spec(spec) for spec in fields[8]]
        # Nothing is said about order inside flags, categories and subcommands.
        fields[2], fields[6] = sorted(fields[2]), sorted(fields[6])
        found[name] = dict(zip(INFO_FIELDS, fields))
    return found


def docs_of(client, name):
    reply = client.call("COMMAND", "DOCS", name).plain()
    (_, fields), = zip(reply[::2], reply[1::2])
    return dict(zip(fields[::2], fields[1::2]))


def names_of(client):
    return {name.value.decode() for name in client.call("COMMAND", "LIST").value}


def compare(checks, what, name, ours, theirs, excused):
    for field in sorted(set(ours) | set(theirs), key=str):
        label = field.decode() if isinstance(field, bytes) else field
        same = ours.get(field) == theirs.get(field)
        if field == b"subcommands":  # compared under their own names
            same = (field in ours) == (field in theirs)
        if field in OWN_WORDS:
            same = (field in ours) == (field in theirs)
        if field in NOT_OURS:
            checks.expect(field not in ours, f"{what} {name}: {label} is listed as not ours and is there")
            continue
        if label in excused:
            checks.expect(not same, f"{what} {name}: {label} is listed as different and is equal")
        else:
            checks.expect(same, lambda: f"{what} {name}: {label} is {ours.get(field)!r}, and theirs is {theirs.get(field)!r}")


def main():
    checks = Checks("what COMMAND says", least=500)
    with servers.ours(shards=1) as server, servers.judge() as judge:
        with server.connect() as client, judge.connect() as reference:
            shared = sorted(names_of(client) & names_of(reference))
            checks.expect(len(shared) > 100, f"only {len(shared)} commands that both have")
            ours, theirs = info_of(client, shared), info_of(reference, shared)
            for name in shared:
                compare(checks, "INFO", name, ours[name], theirs[name], INFO_DIFFERS.get(name, {}))
                compare(checks, "DOCS", name, docs_of(client, name), docs_of(reference, name), DOCS_DIFFERS.get(name, {}))
            for name in set(INFO_DIFFERS) | set(DOCS_DIFFERS):
                checks.expect(name in shared, f"{name} is listed and not known to both")
            # The replies about all commands are made of the same entries.
            whole = client.call("COMMAND").value
            checks.expect(len(whole) == client.call("COMMAND", "COUNT").value, "COMMAND and COMMAND COUNT disagree")
            for entry in whole:
                name = entry.value[0].value.decode()
                checks.expect(entry.raw == client.call("COMMAND", "INFO", name).value[0].raw, f"COMMAND and COMMAND INFO {name}")
            print(f"{len(shared)} commands that both know, of our {len(names_of(client))} and their {len(names_of(reference))}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
