#!/usr/bin/env python3
"""redis-cli's modes that need no terminal: each runs against our server and against the judge, and must print the same.

What may differ is masked, by name, where the mode is called: bytes of memory, the order of keys, times."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import encode  # noqa: E402

SHARDS = (1, 2, 4)
PASSWORD = "opensesame"
KEYS = 300


def cli(server, *arguments, data=None, wait_s=60, env=None):
    """(status, what it printed, what it complained) of one redis-cli; the server's port reads PORT."""
    address = [] if "-s" in arguments or "-u" in arguments else ["-h", "127.0.0.1", "-p", str(server.port)]
    done = subprocess.run(["redis-cli", *address, *arguments], input=data or b"", capture_output=True, timeout=wait_s, cwd=server.dir,
                          env={**os.environ, "HOME": "/nonexistent", **(env or {})})
    texts = [text.decode(errors="surrogateescape").replace(str(server.port), "PORT") for text in (done.stdout, done.stderr)]
    return done.returncode, *texts


# What may differ between two servers that are both right.
def any_order(text):
    return sorted(text.split("\n"))


def bytes_of_memory(text):
    """Each server's own layout: how much a key takes, which one takes most."""
    text = re.sub(r"^(Biggest string found ).*", r"\1", text, flags=re.M)
    return re.sub(r"(\d+ strings with )\d+( bytes \([\d.]+% of keys, avg size )[\d.]+", r"\1N\2N", text).split("summary")[1]


def summary(text):
    """On the way, the biggest so far depends on the order of the keys."""
    return text.split("summary")[1]


def hot_keys(text):
    """Use counts grow by chance: that some were found, and how many keys were looked at."""
    text = text.split("summary")[1]
    found = re.findall(r'^hot key found with counter: (\d+)\tkeyname: "key:\d+"$', text, flags=re.M)
    counts = [int(count) for count in found]
    return re.search(r"Sampled \d+ keys", text)[0], len(counts) == 16 and counts == sorted(counts, reverse=True) and counts[0] > 0


def figures(text):
    return re.sub(r"\d+(\.\d+)?", "N", text)


class Both:
    """Runs redis-cli against our server and the judge and compares status, output and complaints."""

    def __init__(self, checks, ours, judge):
        self.checks = checks
        self.servers = (ours, judge)

    def same(self, *arguments, data=None, mask=str, status=0, env=None):
        """`status`: what both must exit with, so that a mode which does nothing at all is seen. The judge's output."""
        results = [cli(server, *(argument.replace("PORT", str(server.port)) for argument in arguments), data=data, env=env)
                   for server in self.servers]
        masked = []
        for code, out, error in results:
            try:
                masked.append((code, mask(out), error))
            except (IndexError, TypeError, ValueError):
                masked.append((code, f"not understood: {out}", error))
        what = f"redis-cli {' '.join(arguments)[:200]}"
        self.checks.expect(masked[0] == masked[1], f"{what}: {masked[0]} instead of {masked[1]}")
        self.checks.expect(results[1][0] == status, f"{what}: the judge exits with {results[1][0]}: {results[1][1:]}")
        return results[1][1]


def fill(server):
    with server.connect() as client:
        client.call("FLUSHALL")
        client.pipeline([("SET", f"key:{i}", "x" * (i + 1)) for i in range(KEYS)])
        client.call("SETBIT", "bits", 100_000, 1)
        client.call("SET", "ünïcödé ☕", "\r\n\t\"quoted\" \\ \x00\xff")


def formats(both):
    for command in (("PING",), ("GET", "key:3"), ("GET", "none"), ("MGET", "key:1", "none"), ("DBSIZE",), ("INCR", "key:3"), ("NOSUCH",),
                    ("GET",), ("GET", "ünïcödé ☕"), ("CONFIG", "GET", "maxmemory-p*y"), ("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"),
                    ("OBJECT", "HELP"), ("TTL", "none"), ("ECHO", '{"k":"v"}'), ("ECHO", "")):
        for options in ((), ("-3",), ("-2",), ("--no-raw",), ("--no-raw", "-3"), ("--csv",), ("--json",), ("--quoted-json",), ("-2", "--json")):
            both.same(*options, *command)
    both.same("-e", "INCR", "key:3", status=1)
    both.same("-e", "GET", "key:3")
    both.same("-d", ";", "MGET", "key:0", "key:1")
    both.same("-D", "<end>", "GET", "key:0")
    both.same("-r", "5", "APPEND", "repeated", "ab")
    both.same("-r", "3", "-i", "0.05", "PING")
    both.same("-n", "5", "SET", "five", "5")
    both.same("-n", "5", "--scan")
    both.same("-n", "77", "GET", "five")
    both.same("-c", "GET", "key:2")
    both.same("--quoted-input", "SET", '"a\\x00\\xffb"', '"\\n"')
    both.same("--no-raw", "--quoted-input", "GET", '"a\\x00\\xffb"')
    both.same("FLUSHDB", "EVER")


def inputs(both):
    both.same("-x", "SET", "input", data=b"\x00\xff lines\r\nand more\n")
    both.same("--no-raw", "GET", "input")
    both.same("-X", "tag", "SET", "input", "tag", "EX", "100", data=b"tagged " * 20000)
    both.same("GET", "input")
    both.same(data=b"SET a 1\nSET b 2\n\nGET a\nNOSUCH\nMGET a b none\nINCR a\n")
    both.same(data=b'SET "quo ted" \'sin gle\'\nGET "quo ted"\nGET "unbalanced\nPING\n')
    both.same("--csv", data=b"MGET a b none\nGET none\n")
    both.same(data=b"SELECT 4\nSET x 4\nDBSIZE\nFLUSHDB\nSELECT 99\nDBSIZE\n", mask=str)


def scans(both):
    both.same("--scan", mask=any_order)
    both.same("--scan", "--pattern", "key:1?", mask=any_order)
    both.same("--scan", "--quoted-pattern", '"\\xc3*"', mask=any_order)
    both.same("--scan", "--pattern", "nothing*")
    both.same("--bigkeys", mask=summary)
    both.same("--bigkeys", "--pattern", "key:29*", mask=summary)
    both.same("--memkeys", mask=bytes_of_memory)
    both.same("--memkeys-samples", "5", mask=bytes_of_memory)
    both.same("--hotkeys", status=1)  # its error names the policy
    for server in both.servers:
        with server.connect() as client:
            both.checks.expect(client.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu").value == b"OK", "CONFIG SET maxmemory-policy")
            client.pipeline([("GET", f"key:{i % 20}") for i in range(2000)])
    both.same("--hotkeys", mask=hot_keys)
    for server in both.servers:
        with server.connect() as client:
            client.call("CONFIG", "SET", "maxmemory-policy", "noeviction")


def keystats(both):
    """redis-cli 8 has --keystats, which Debian 12 has not. It sends this: TYPE, MEMORY USAGE, TYPE and STRLEN of what each
    SCAN found, each as a pipeline."""
    found = []
    for server in both.servers:
        with server.connect() as client:
            keys, cursor, replies = [], b"0", [client.call("DBSIZE").raw, client.call("READONLY").raw]
            while True:
                cursor, page = (item.value for item in client.call("SCAN", cursor, "COUNT", "10").value)
                names = [name.value for name in page]
                for words, kind in ((("TYPE",), b"+"), (("MEMORY", "USAGE"), b":"), (("TYPE",), b"+"), (("STRLEN",), b":")):
                    answers = client.pipeline([(*words, name) for name in names])
                    both.checks.expect(all(answer.kind == kind and answer.value != 0 for answer in answers), f"{words} of {names}")
                    if words != ("MEMORY", "USAGE"):
                        keys += [(name, words, answer.raw) for name, answer in zip(names, answers)]
                usages = client.pipeline([("MEMORY", "USAGE", name, "SAMPLES", "5") for name in names])
                both.checks.expect(all(usage.kind == b":" and usage.value > len(name) for usage, name in zip(usages, names)), "MEMORY USAGE counts the key")
                if cursor == b"0":
                    break
            found.append((sorted(keys), replies))
    both.checks.expect(found[0] == found[1], "the sequence of --keystats is answered differently")


def measuring(both):
    both.same("--latency", "-i", "0.2", "--raw", mask=lambda text: re.fullmatch(r"\d+ \d+ \d+\.\d\d \d+\n", text) is not None)
    both.same("--latency", "-i", "0.2", "--csv", mask=figures)
    both.same("--cluster", "check", "127.0.0.1:PORT", status=1)
    both.same("--cluster", "info", "127.0.0.1:PORT", status=1)
    both.same("CLUSTER", "INFO")


def pipes(both, count):
    good = b"".join(encode("SET", f"mass:{i}", f"value {i}") for i in range(count))
    both.same("--pipe", data=good)
    both.same("DBSIZE")
    both.same("GET", f"mass:{count - 1}")
    both.same("--pipe", data=b"SET inline 1\r\nINCR inline\r\n")
    both.same("--pipe", data=encode("SET", "text", "t") + encode("INCR", "text") + encode("NOSUCH", "x") + encode("GET") + encode("INCR", "n"), status=1)
    both.same("--pipe", data=b"")
    both.same("FLUSHALL")


def passwords(checks, shards):
    with servers.ours("--requirepass", PASSWORD, "--unixsocket", "cli.sock", shards=shards) as ours, \
            servers.judge("--unixsocket", "cli.sock") as judge:
        with judge.connect() as client:
            client.call("CONFIG", "SET", "requirepass", PASSWORD)
        both = Both(checks, ours, judge)
        both.same("PING")
        both.same("-a", PASSWORD, "SET", "a", "1")
        both.same("-a", PASSWORD, "--no-auth-warning", "GET", "a")
        both.same("--pass", PASSWORD, "--user", "default", "GET", "a")
        both.same("-a", "wrong", "GET", "a")
        both.same("GET", "a", env={"REDISCLI_AUTH": PASSWORD})
        both.same("GET", "a", env={"REDISCLI_AUTH": "wrong"})
        both.same("-3", "-a", PASSWORD, "GET", "a")
        both.same("-a", PASSWORD, "--no-auth-warning", "--json", "MGET", "a", "b")
        both.same("-u", f"redis://{PASSWORD}@127.0.0.1:PORT/2", "SET", "b", "2")
        both.same("-u", f"redis://default:{PASSWORD}@127.0.0.1:PORT/2", "GET", "b")
        both.same("-u", f"redis://default:{PASSWORD}@127.0.0.1:PORT/2", "--scan")
        both.same("-s", "cli.sock", "PING")
        both.same("-s", "cli.sock", "-a", PASSWORD, "--no-auth-warning", "GET", "a")
        both.same("-s", "none.sock", "PING", status=1)
        both.same("-a", PASSWORD, "--no-auth-warning", "--bigkeys", mask=summary)
        both.same("-a", PASSWORD, "--no-auth-warning", "--pipe", data=encode("SET", "c", "3"))
        both.same(data=f"GET a\nAUTH wrong\nAUTH {PASSWORD}\nGET a\n".encode())


def knows(server, command):
    with server.connect() as client:
        return client.call("COMMAND", "INFO", command).value[0].value is not None


def not_there_yet(both):
    """Modes whose commands may be missing: then they end, soon and with Redis' own error; else they do what the judge does."""
    ours, _ = both.servers
    script = Path(ours.dir) / "script.lua"
    script.write_text("return {KEYS[1], ARGV[1]}\n")
    modes = (("EVAL", ("--eval", str(script), "key", ",", "argument"), b""), ("EVAL", ("--ldb", "--eval", str(script)), b"quit\n"),
             ("SYNC", ("--rdb", "dump.rdb"), None), ("SYNC", ("--functions-rdb", "dump.rdb"), None), ("SYNC", ("--replica",), None),
             ("EVAL", ("EVAL", "return 1", "0"), None), ("SUBSCRIBE", ("PUBLISH", "channel", "text"), None), ("MULTI", ("MULTI",), None))
    for command, arguments, data in modes:
        if knows(ours, command):
            if command != "SYNC":  # its own suite judges what is in the file
                both.same(*arguments, data=data)
            continue
        try:
            _, out, error = cli(ours, *arguments, data=data, wait_s=10)
        except subprocess.TimeoutExpired as late:
            both.checks.expect(False, f"redis-cli {arguments} did not end: {late.stdout} {late.stderr}")
            continue
        both.checks.expect("ERR unknown command" in out + error or "PSYNC" in out + error, f"redis-cli {arguments}: {out} {error}")
        both.checks.expect(not (Path(ours.dir) / "dump.rdb").exists() or not (Path(ours.dir) / "dump.rdb").stat().st_size, "no empty dump is left")


def monitor(both):
    lines = []
    for server in both.servers:
        watcher = subprocess.Popen(["redis-cli", "-p", str(server.port), "MONITOR"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            first = watcher.stdout.readline()
            for arguments in (("SET", "watched", '"q" \\ ☕\r\n'), ("-n", "3", "GET", "none"), ("NOSUCH", "x"), ("CONFIG", "GET", "port"),
                              ("AUTH", "secret"), ("MGET", *(f"key:{i}" for i in range(40)))):
                cli(server, *arguments)
            cli(server, "ECHO", "the end")
            seen = []
            while not seen or "the end" not in seen[-1]:
                seen.append(watcher.stdout.readline().decode(errors="replace"))
                if not seen[-1]:
                    break
        finally:
            watcher.send_signal(signal.SIGINT)
            watcher.wait(20)
            watcher.stdout.close()
        stamps = [float(stamp) for stamp in re.findall(r"^(\d+\.\d{6}) \[", "".join(seen), flags=re.M)]
        both.checks.expect(stamps and stamps == sorted(stamps) and abs(stamps[0] - time.time()) < 60, f"the times of MONITOR: {seen}")
        lines.append((first, [re.sub(r"^\d+\.\d{6} \[(\d+) 127\.0\.0\.1:\d+\]", r"[\1 client]", line) for line in seen]))
    both.checks.expect(lines[0] == lines[1], f"MONITOR shows {lines[0]} instead of {lines[1]}")


def endings(checks, shards):
    for arguments in (("SHUTDOWN",), ("SHUTDOWN", "NOSAVE"), ("-3", "SHUTDOWN", "NOW")):
        with servers.ours(shards=shards) as ours, servers.judge() as judge:
            Both(checks, ours, judge).same(*arguments)
            for server in (ours, judge):
                checks.expect(server.wait() == 0, f"{arguments}: status {server.process.returncode}")
            Both(checks, ours, judge).same("PING", status=1)


def main():
    checks = Checks("redis-cli", least=1500)
    for shards in SHARDS:
        with servers.ours(shards=shards) as ours, servers.judge() as judge:
            both = Both(checks, ours, judge)
            for part in (formats, inputs, scans, keystats, measuring, not_there_yet, monitor):
                fill(ours)
                fill(judge)
                part(both)
            pipes(both, 1_000_000 if shards == SHARDS[-1] else 20_000)
        passwords(checks, shards)
        endings(checks, shards)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
