"""What a running server says of its commands: starts one, asks COMMAND and COMMAND DOCS in RESP3, and returns rows.

Standard library only. The server listens on a unix socket in a temporary folder and is stopped by its process id.
"""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER = ROOT / "build/release/moonshard"
START_S_MAX = 20
REPLY_S_MAX = 30


class Failure(Exception):
    """The server did not start or did not answer as expected."""


# ---- the protocol

def encode(*words):
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
    return b"".join(parts)


def read_reply(stream):
    """One RESP2 or RESP3 value as a Python value: text, int, None, list, set -> list, map -> dict."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise Failure("the server closed the connection inside a reply")
    kind, text = line[:1], line[1:-2].decode()
    if kind in b"+(,":
        return text
    if kind == b":":
        return int(text)
    if kind == b"_":
        return None
    if kind == b"#":
        return text == "t"
    if kind == b"-":
        raise Failure(f"the server answered: {text}")
    count = int(text)
    if count < 0:
        return None
    if kind == b"$":
        return stream.read(count + 2)[:-2].decode()
    if kind in b"*~":
        return [read_reply(stream) for _ in range(count)]
    if kind == b"%":
        return dict([(read_reply(stream), read_reply(stream)) for _ in range(count)])
    raise Failure(f"no reply begins like this: {line!r}")


@contextlib.contextmanager
def running(program):
    """A fresh server; yields a function that sends one command and returns its reply."""
    found = shutil.which(str(program))
    if found is None:
        raise Failure(f"{program} is not there: build it with ./run --build")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/socket"
        with open(f"{folder}/log", "w+") as log:
            server = subprocess.Popen([found, "--port", "0", "--unixsocket", path, "--dir", folder], stdout=log, stderr=log)
            try:
                with connect(path, server) as connection, connection.makefile("rwb") as stream:
                    def call(*words):
                        stream.write(encode(*words))
                        stream.flush()
                        return read_reply(stream)
                    yield call
            finally:
                server.terminate()
                server.wait(timeout=20)


def connect(path, server):
    deadline = time.monotonic() + START_S_MAX
    while True:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(REPLY_S_MAX)
        try:
            connection.connect(path)
            return connection
        except OSError:
            connection.close()
        if server.poll() is not None:
            raise Failure(f"the server ended at start with status {server.returncode}")
        if time.monotonic() > deadline:
            raise Failure(f"the server did not listen within {START_S_MAX} s")
        time.sleep(0.02)


# ---- rows

@dataclass
class Row:
    """One command or subcommand; `name` as clients type it: "GET", "CONFIG SET"."""
    name: str
    arity: int = 0
    flags: frozenset = frozenset()
    key_specs: list = field(default_factory=list)
    tips: list = field(default_factory=list)
    subcommands: list = field(default_factory=list)
    group: str = ""
    since: str = ""
    complexity: str = ""
    summary: str = ""
    arguments: list = field(default_factory=list)


def rows_of(info, docs):
    """Rows by name, subcommands included, from the replies of COMMAND and COMMAND DOCS."""
    rows = {}
    for entry in info:
        add_row(rows, entry, docs.get(entry[0]))
    return rows


def add_row(rows, entry, doc):
    full_name, arity, flags, _, _, _, _, tips, specs, subcommands = entry
    if doc is None:
        raise Failure(f"COMMAND lists {full_name}, and COMMAND DOCS does not")
    row = Row(full_name.replace("|", " ").upper(), arity, frozenset(flags), specs, tips,
              [sub[0].replace("|", " ").upper() for sub in subcommands], doc["group"], doc["since"], doc.get("complexity", ""),
              doc["summary"], doc.get("arguments", []))
    rows[row.name] = row
    for sub in subcommands:
        add_row(rows, sub, doc.get("subcommands", {}).get(sub[0]))


def fetch(program):
    with running(program) as call:
        call("HELLO", "3")
        return rows_of(call("COMMAND"), call("COMMAND", "DOCS"))


def key_spec_text(spec):
    """A key specification in the notation of tests/data/commands.tsv: where the search begins, how the keys are found from
    there (last key, step, limit; or index of the count, first key, step), and the flags in Redis' order."""
    begin, find = spec["begin_search"], spec["find_keys"]
    where, how = begin.get("spec", {}), find.get("spec", {})
    head = {"index": lambda: str(where["index"]),
            "keyword": lambda: f"kw:{where['keyword']}@{where['startfrom']}"}.get(begin["type"], lambda: "?")()
    tail = {"range": lambda: f"range({how['lastkey']},{how['keystep']},{how['limit']})",
            "keynum": lambda: f"keynum({how['keynumidx']},{how['firstkey']},{how['keystep']})"}.get(find["type"], lambda: "?")()
    return f"{head}:{tail}:{'+'.join(spec['flags'])}"


def run_main(main):
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"error: {failure}")
