#!/usr/bin/env python3
"""redis-cli as a person sees it, in a terminal: hints while typing, help, prompts, figures that roll, a password asked for.

Hints and help come from COMMAND DOCS; they are compared with what the judge makes redis-cli show."""

import re
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.terminal import Terminal  # noqa: E402

SHARDS = (1, 4)
PASSWORD = "opensesame"
PROMPT = r"> $"  # what is typed before it stands there may be thrown away
HINTED = ("SET ", "SET k v ", "get ", "GETEX ", "MSET ", "SETRANGE k ", "BITFIELD k ", "LCS ", "SCAN ", "EXPIRE k ", "COPY a b ",
          "SELECT ", "CONFIG GET ", "CONFIG SET ", "CLIENT KILL ", "CLIENT SETNAME ", "OBJECT ENCODING ", "MEMORY USAGE ", "SLOWLOG GET ",
          "HELLO ", "INFO ", "RESTORE ", "FLUSHALL ")


def words(text):
    return set(re.findall(r"[\w-]+", text))


def interactive(server, *arguments):
    terminal = Terminal(["redis-cli", "-p", str(server.port), *arguments])
    terminal.expect(rf"127\.0\.0\.1:{server.port}> ")
    return terminal


def hint(terminal, typed):
    """What stands in the line once this is typed."""
    terminal.type(typed)
    match = terminal.expect(re.escape(f"> {typed.rstrip()}") + r"[^\r]*\r")
    later = [part for part in terminal.settle().split("\r") if "> " in part]
    terminal.type("\x15")  # clears the line
    terminal.settle()
    return (later[-1] if later else match[0]).split("> ", 1)[1].rstrip("\r")


def help_of(terminal, command):
    """The lines of `help COMMAND`."""
    terminal.line(f"help {command}")
    text = terminal.expect(r"(?s)\n  summary: .*?\n  group: .*?> ")[0]
    return {name: value.strip() for name, value in re.findall(r"^  (\w+): (.*)$", text, flags=re.M)}, text


def hints(checks, ours, judge):
    with interactive(ours) as mine, interactive(judge) as theirs:
        for typed in HINTED:
            shown, wanted = hint(mine, typed), hint(theirs, typed)
            checks.expect(len(wanted) > len(typed), f"the judge shows no hint for {typed!r}: {wanted!r}")
            # Newer arguments than the judge has may stand between its own.
            checks.expect(words(wanted) <= words(shown), f"the hint for {typed!r}: {shown!r} instead of {wanted!r}")
        for command in ("get", "set", "mset", "scan", "config set", "client list", "flushall"):
            (lines, shown), (wanted, _) = help_of(mine, command), help_of(theirs, command)
            checks.expect(lines.get("since") == wanted["since"] and lines.get("group") == wanted["group"] and lines.get("summary"),
                          f"help {command}: {shown!r}")
        mine.line("help @string")
        listed = mine.expect(r"(?s)\r\n  .*STRLEN.*> $")[0]
        for command in ("APPEND", "GET", "LCS", "SET", "STRLEN"):
            checks.expect(re.search(rf"^  {command}\b", listed, flags=re.M), f"help @string lacks {command}")
        mine.type("getr\t")
        mine.expect("> GETRANGE key start end")
        checks.expect(True, "completion by tabulator")


def conversation(checks, server):
    with interactive(server) as terminal:
        def says(line, pattern):
            terminal.line(line)
            try:
                terminal.expect(pattern)
                terminal.expect(PROMPT)
                checks.expect(True, "")
            except AssertionError as error:
                checks.expect(False, f"{line}: {error}")
        says('set greeting "hello, \\x01 moon"', r"\nOK\r\n")
        says("get greeting", r'\n"hello, \\x01 moon"\r\n')
        says("get none", r"\n\(nil\)\r\n")
        says("mget greeting none", r'\n1\) "hello, \\x01 moon"\r\n2\) \(nil\)\r\n')
        says("incr greeting", r"\n\(error\) ERR value is not an integer or out of range\r\n")
        says("3 incr n", r"\n\(integer\) 1\r\n\(integer\) 2\r\n\(integer\) 3\r\n")
        says("select 2", rf"\nOK\r\n127\.0\.0\.1:{server.port}\[2\](?=> )")
        says("dbsize", r"\n\(integer\) 0\r\n")
        says("hello 3", r'1# "server" => "redis"\r\n(?s:.*)3# "proto" => \(integer\) 3\r\n')
        says("config get maxmemory", r'\n1# "maxmemory" => "0"\r\n')
        says("hello 2", r'\n 1\) "server"\r\n 2\) "redis"\r\n')
        terminal.line("quit")
        checks.expect(terminal.wait() == 0, "quit ends redis-cli")
    with interactive(server) as terminal:
        # Its connection is killed: it says so at the next command, and opens another one for the one after.
        with server.connect() as admin:
            admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        terminal.line("ping")
        terminal.expect(r"\nError: Server closed the connection\r\n")
        terminal.expect("not connected> $")
        terminal.line("echo again")
        terminal.expect(r'\n"again"\r\n')
        terminal.expect(PROMPT)
        terminal.line("get greeting")
        terminal.expect("moon")
        terminal.expect(PROMPT)
        terminal.type("\x04")  # the end of input
        checks.expect(terminal.wait() == 0, "the end of input ends redis-cli")


def figures(checks, server):
    """Modes that go on until they are interrupted."""
    address = ["redis-cli", "-p", str(server.port)]
    with server.connect() as client:
        client.pipeline([("SET", f"k:{i}", "v") for i in range(1234)])
        client.call("SELECT", 3)
        client.call("SET", "k", "v")
    with Terminal([*address, "--stat", "-i", "0.1"]) as terminal:
        terminal.expect("keys       mem      clients blocked requests            connections")
        rows = []
        for _ in range(5):
            rows.append(terminal.expect(r"(\d+) +([\d.]+[BKMG]) +(\d+) +(\d+) +(\d+) \(\+(\d+)\) +(\d+) "))
        checks.expect(all(row[1] == "1235" and int(row[3]) >= 1 and row[4] == "0" for row in rows), f"--stat: {[row[0] for row in rows]}")
        requests = [int(row[5]) for row in rows]
        checks.expect(requests == sorted(requests) and requests[0] < requests[-1], f"requests of --stat: {requests}")
        checks.expect([int(row[6]) for row in rows[1:]] == [b - a for a, b in zip(requests, requests[1:])], "its differences")
        terminal.process.send_signal(signal.SIGINT)
        terminal.wait()
    with Terminal([*address, "--latency"]) as terminal:
        for _ in range(3):
            terminal.expect(r"min: \d+, max: \d+, avg: \d+\.\d\d \(\d+ samples\)")
        checks.expect(True, "")
    with Terminal([*address, "--latency-history", "-i", "0.3"]) as terminal:
        for _ in range(2):
            terminal.expect(r"min: \d+, max: \d+, avg: \d+\.\d\d \(\d+ samples\) -- 0\.3\d seconds range")
        checks.expect(True, "")
    with Terminal([*address, "--latency-dist", "-i", "0.3"]) as terminal:
        terminal.expect(r"From 0 to 100%")
        before = len(terminal.text)
        terminal.watch(1)
        checks.expect(len(terminal.text) > before + 20, "--latency-dist draws")
    with Terminal([*address, "MONITOR"]) as terminal:
        terminal.expect(r"OK\r\n")
        with server.connect() as client:
            client.call("ECHO", "seen")
        terminal.expect(r'\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "ECHO" "seen"\r\n')
        checks.expect(True, "")


def passwords(checks, shards):
    with servers.ours("--requirepass", PASSWORD, shards=shards) as server:
        address = ["redis-cli", "-p", str(server.port)]
        for typed, shown in ((PASSWORD, r"\nPONG\r\n"), ("wrong", r"(?s)WRONGPASS.*NOAUTH")):
            with Terminal([*address, "--askpass", "PING"]) as terminal:
                terminal.expect("Please input password: ")
                terminal.line(typed)
                try:
                    terminal.expect(shown)
                    checks.expect(typed not in terminal.text, "the password is not shown")
                except AssertionError as error:
                    checks.expect(False, f"--askpass: {error}")
        with interactive(server) as terminal:
            terminal.line("get a")
            terminal.expect(r"\n\(error\) NOAUTH Authentication required\.\r\n")
            terminal.expect(PROMPT)
            terminal.line(f"auth {PASSWORD}")
            terminal.expect(r"\nOK\r\n")
            terminal.expect(PROMPT)
            terminal.line("get a")
            terminal.expect(r"\n\(nil\)\r\n")
            terminal.expect(PROMPT)
            terminal.line("shutdown")
            terminal.expect("not connected> ")
            checks.expect(server.wait() == 0, "SHUTDOWN at the prompt")


def main():
    checks = Checks("redis-cli in a terminal", least=100)
    for shards in SHARDS:
        with servers.ours(shards=shards) as ours, servers.judge() as judge:
            if shards == SHARDS[0]:
                hints(checks, ours, judge)
            conversation(checks, ours)
        with servers.ours(shards=shards) as ours:
            figures(checks, ours)
        passwords(checks, shards)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
