#!/usr/bin/env python3
"""What clients send when they connect (handshake_scripts.txt), replayed against our server and the judge.

Replies must have the same shape: types, lengths, names of fields, texts of errors. Figures are each server's own. Clients
that have no package here, and the probes of tools, are tested in this way."""

import re
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import encode  # noqa: E402

SHARDS = (1, 2, 4)
PASSWORD = "opensesame"
SCRIPTS = Path(__file__).with_name("handshake_scripts.txt")
SHORT = 16

# Where the replies differ, and why: (beginning of the command, what ours must be, reason). An entry that is not needed fails.
NEWER = "came after the judge, 7.0.15"
MISSING = "not there yet; a plain error is what every client expects of a server without it"
DIFFERENCES = (
    ("CLIENT SETINFO", rb"\+OK\r\n", NEWER),
    ("SUBSCRIBE", rb"-ERR unknown command 'SUBSCRIBE', .*\r\n", MISSING),
    ("SCRIPT LOAD", rb"-ERR unknown command 'SCRIPT', .*\r\n", MISSING),
    ("ACL CAT", rb"-ERR unknown subcommand 'CAT'\. Try ACL HELP\.\r\n", MISSING),
    ("ACL LIST", rb"-ERR unknown subcommand 'LIST'\. Try ACL HELP\.\r\n", MISSING),
)
# Maps, also where RESP2 sends them as arrays, and texts that are lists of fields: ours must have all fields of the judge,
# and may have more, since clients skip what they do not know.
MAPS = ("HELLO", "CONFIG GET", "MEMORY STATS", "MODULE LIST")


def scripts():
    """(name, needs a password, batches of commands) of each connection."""
    found = []
    for line in SCRIPTS.read_text().splitlines():
        if line.startswith("#"):
            continue
        if line.startswith("connection "):
            name = line.removeprefix("connection ")
            found.append((name.removesuffix(" password"), name.endswith(" password"), [[]]))
        elif found and not line:
            found[-1][2].append([])
        elif line:
            found[-1][2][-1].append([word.encode().decode("unicode_escape").encode("latin-1") if "\\x" in word else word.encode()
                                     for word in shlex.split(line)])
    return [(name, password, [batch for batch in batches if batch]) for name, password, batches in found]


def fields(text):
    """The names in the text of INFO (with their sections) or of CLIENT LIST and INFO; None: it is no such text."""
    if text.startswith(b"# "):
        return {name for name in re.findall(rb"^(# \w+|\w+)(?=:|\r)", text, flags=re.M) if not re.match(rb"cmdstat_|errorstat_|latency_perc|db\d", name)}
    if re.match(rb"id=\d+ addr=", text):
        return set(re.findall(rb"(?:^| )([a-z-]+)=", text.splitlines()[0]))
    return None


def shape(reply):
    if reply.is_error() or reply.value is None or reply.kind in b"+#_":
        return reply.raw
    if isinstance(reply.value, list):
        shapes = [shape(item) for item in reply.value]
        return reply.kind, shapes if len(shapes) <= SHORT else sorted({repr(kinds(item)) for item in reply.value})
    return reply.kind


def pairs(reply):
    """The names of a map with the kinds of their values."""
    return {(name.value, kind(value)) for name, value in zip(reply.value[::2], reply.value[1::2])}


def kind(reply):
    return reply.kind if reply.kind != b"-" else reply.raw


def kinds(reply):
    """Of one among many elements, such as a command among all: how many fields of which type."""
    return (reply.kind, [item.kind for item in reply.value][:6]) if isinstance(reply.value, list) else reply.kind


def run(server, batches):
    """The replies of each batch; exactly one reply comes for each command."""
    with server.connect() as client:
        replies = []
        for batch in batches:
            client.send(b"".join(encode(*command) for command in batch))
            replies.append([client.reply() for _ in batch])
        last = batches[-1][-1][0].upper()
        if last == b"QUIT":
            return replies, client.until_closed() == b""
        if last != b"SUBSCRIBE":
            client.send(encode("ECHO", "the end"))
            return replies, client.reply().raw in (b"$7\r\nthe end\r\n", b"-NOAUTH Authentication required.\r\n")
        return replies, True


def compare(checks, where, command, mine, theirs, unused):
    words = b" ".join(command).decode(errors="replace")
    what = f"{where}: {words[:60]}"
    for entry in DIFFERENCES:
        if words.upper().startswith(entry[0]) and (len(words) == len(entry[0]) or words[len(entry[0])] == " "):
            if shape(mine) == shape(theirs):
                return
            unused.discard(entry)
            checks.expect(re.fullmatch(entry[1], mine.raw, flags=re.S), f"{what}: {mine} ({entry[2]})")
            return
    if theirs.kind in b"$=" and theirs.value is not None and fields(theirs.value):
        lacking = fields(theirs.value) - (fields(mine.value) or set())
        checks.expect(mine.kind == theirs.kind and not lacking, f"{what}: {mine.kind}, lacks {sorted(lacking)}")
    elif words.upper().startswith(MAPS) and isinstance(theirs.value, list):
        lacking = pairs(theirs) - (pairs(mine) if isinstance(mine.value, list) else set())
        checks.expect(mine.kind == theirs.kind and not lacking, f"{what}: {mine.kind}, lacks {sorted(lacking)}")
    elif words.upper().startswith("SCAN "):
        checks.expect(kinds(mine) == kinds(theirs), f"{what}: {kinds(mine)} instead of {kinds(theirs)}")
    else:
        checks.expect(shape(mine) == shape(theirs), f"{what}: {shape(mine)} instead of {shape(theirs)}")


def main():
    checks = Checks("handshakes", least=450)
    unused = set(DIFFERENCES)
    connections = scripts()
    checks.expect(len(connections) >= 17, f"{len(connections)} connections in {SCRIPTS.name}")
    for shards in SHARDS:
        # What is slow is a matter of the machine: nothing goes to the slow log.
        quiet = ("--slowlog-log-slower-than", "-1")
        with servers.judge(*quiet) as judge, servers.judge(*quiet) as locked_judge, servers.ours(*quiet, shards=shards) as ours, \
                servers.ours(*quiet, "--requirepass", PASSWORD, shards=shards) as locked_ours:
            with locked_judge.connect() as client:
                client.call("CONFIG", "SET", "requirepass", PASSWORD)
            for name, password, batches in connections:
                where = f"{name}, {shards} shards"
                mine, good = run(locked_ours if password else ours, batches)
                theirs, judge_good = run(locked_judge if password else judge, batches)
                checks.expect(good and judge_good, f"{where}: replies are left over, or the connection is out of step")
                for batch, my_replies, their_replies in zip(batches, mine, theirs):
                    for command, my_reply, their_reply in zip(batch, my_replies, their_replies):
                        compare(checks, where, command, my_reply, their_reply, unused)
    if not servers.is_judge(servers.binary()):
        checks.expect(not unused, f"these differences are no more, strike them from the list: {sorted(entry[0] for entry in unused)}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
