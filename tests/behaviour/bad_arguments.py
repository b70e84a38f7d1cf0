#!/usr/bin/env python3
"""What well-formed requests may do wrong: patterns made to be slow, a million arguments, sizes that would cost gigabytes,
zero bytes everywhere, every command with arguments that are none. Each gets an answer, memory is bounded, and nobody else is
held up while it runs."""

import argparse
import os
import random
import socket
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import Connection, ConnectionClosed, encode  # noqa: E402

SHARDS = (1, 4)
MEBIBYTE = 1 << 20
WAIT_S = 60
# The longest that anybody else may wait while one request is served. Two processors for server, clients and neighbours: a
# shorter bound would judge the machine. The longest seen is printed.
HELD_UP_S_MAX = 1.5
HELD_UP_S_MAX_SANITIZED = 15
RSS_BYTES_MAX = 64 * MEBIBYTE
WIDE = 1_000_000
# Names whose call ends something or waits: they have tests of their own.
NOT_FUZZED = {b"shutdown", b"quit", b"monitor", b"subscribe", b"psubscribe", b"ssubscribe", b"sync", b"psync", b"replicaof", b"slaveof",
              b"failover", b"debug", b"blpop", b"brpop", b"blmove", b"brpoplpush", b"blmpop", b"bzpopmin", b"bzpopmax", b"bzmpop",
              b"wait", b"waitaof", b"config", b"client", b"hello", b"auth", b"acl", b"reset", b"migrate", b"eval", b"fcall", b"multi", b"pfselftest", b"unsubscribe", b"punsubscribe",
              b"sunsubscribe", b"replconf"}


class Neighbour:
    """Other clients, one a connection, that set and get while something goes on; how long the slowest answer took."""

    CLIENTS = 4

    def __init__(self, port):
        self.port = port
        self.ending = threading.Event()
        self.longest_s = 0.0
        self.answers = 0
        self.trouble = None
        self.threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(self.CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join(WAIT_S)

    def _work(self, number):
        try:
            with Connection(self.port, wait_s=WAIT_S) as client:
                count = 0
                while not self.ending.is_set():
                    count += 1
                    begin = time.monotonic()
                    client.call("SET", f"neighbour:{number}", count)
                    reply = client.call("GET", f"neighbour:{number}")
                    self.longest_s = max(self.longest_s, time.monotonic() - begin)
                    self.answers += 1
                    if reply.value != b"%d" % count:
                        self.trouble = f"{reply} for {count}"
                    time.sleep(0.005)
        except (ConnectionClosed, OSError) as error:
            self.trouble = repr(error)


class Scene:
    def __init__(self, server, checks, rng):
        self.server = server
        self.checks = checks
        self.rng = rng
        self.sanitized = servers.is_sanitized(servers.binary())
        self.client = server.connect(wait_s=WAIT_S)
        self.longest_s = 0.0

    def alone(self, what, action):
        """Runs the action with neighbours, who are not held up."""
        with Neighbour(self.server.port) as neighbour:
            time.sleep(0.02)
            result = action()
            time.sleep(0.02)
        bound = HELD_UP_S_MAX_SANITIZED if self.sanitized else HELD_UP_S_MAX
        self.longest_s = max(self.longest_s, neighbour.longest_s)
        self.checks.expect(neighbour.trouble is None and neighbour.answers >= Neighbour.CLIENTS, f"{what}: a neighbour: {neighbour.trouble}")
        self.checks.expect(neighbour.longest_s < bound, f"{what}: another client waited {neighbour.longest_s:.2f} s")
        return result

    def refused(self, what, *args):
        reply = self.client.call(*args)
        self.checks.expect(reply.is_error(), lambda: f"{what}: {str(reply)[:100]}")

    def knows(self, name):
        return self.client.call("COMMAND", "INFO", name).value[0].value is not None


def glob_bombs(scene):
    """Backtracking over each star would take longer than anybody lives."""
    client = scene.client
    for name in [b"a" * 3000, b"a" * 30_000] + [b"a" * 500 + b"%d" % i for i in range(300)]:
        client.call("SET", name, 1)
    bombs = [b"a*" * 10 + b"b", b"a*" * 200 + b"b", b"*a" * 1000 + b"*b", b"*" * 5000 + b"b", b"?*" * 300 + b"b", b"[a-z]*" * 200 + b"!",
             b"*[^b]" * 200 + b"b", b"\\a*" * 300 + b"b", b"*" + b"[" * 3000, b"*" + b"[b" * 1000, b"a" * 30_000 + b"*b", b"*\x00" * 500,
             b"[" + b"a-" * 5000 + b"]*b", b"*" + b"\\" * 4001]
    for bomb in bombs:
        for command in ([("KEYS", bomb)] if scene.knows("KEYS") else []) + [("SCAN", 0, "MATCH", bomb, "COUNT", 100_000), ("CONFIG", "GET", bomb)]:
            reply = scene.alone(f"{command[0]} {bomb[:20]!r}", lambda: client.call(*command))
            scene.checks.expect(not reply.is_error(), lambda: f"{command[0]} {bomb[:20]!r}: {reply}")
            found = reply.value if command[0] == "KEYS" else reply.value[1].value if command[0] == "SCAN" else []
            scene.checks.expect(len(found) == 0, lambda: f"{command[0]} {bomb[:20]!r} matched {found[0].value[:50]!r}")


def a_million_arguments(scene):
    client = scene.client
    names = [b"wide:%d" % i for i in range(WIDE // 2)]
    small = [word for name in names for word in (name, b"v")]
    before = scene.server.rss()

    def wide(what, *args):
        data = encode(*args)
        return scene.alone(what, lambda: (client.send(data), client.reply())[1])
    scene.checks.expect(wide("MSET of half a million keys", "MSET", *small).raw == b"+OK\r\n", "MSET of half a million keys")
    scene.checks.expect(wide("EXISTS", "EXISTS", *names, *names).value == WIDE, "EXISTS of a million keys")
    values = wide("MGET", "MGET", *names, *[b"none:%d" % i for i in range(WIDE // 2)]).value
    scene.checks.expect(len(values) == WIDE and values[0].value == b"v" and values[-1].value is None, "MGET of a million keys")
    for args in (["GET", *small], ["NOSUCH", *small], ["SET", "k", "v", *small], ["MSET", *small, b"odd"], ["SCAN", "0", *small],
                 ["OBJECT", *small], [b"\x00" * 10, *small]):
        reply = wide(f"{args[0]} of a million arguments", *args)
        scene.checks.expect(reply.is_error() and len(reply.raw) < 1000, f"{args[0]} of a million arguments: {reply.raw[:100]}")
    scene.checks.expect(wide("DEL", "DEL", *names, *names).value == len(names), "DEL of a million keys")
    scene.checks.expect(client.call("DBSIZE").value <= Neighbour.CLIENTS, "nothing is left")
    grown = scene.server.rss() - before
    # Freed blocks stay with the process; a leak of the arguments of every command would be many times this.
    scene.checks.expect(scene.sanitized or grown < 400 * MEBIBYTE, f"a million arguments: RSS grew by {grown / MEBIBYTE:.0f} MiB")


def a_million_deep(scene):
    """An array inside an array is no request: the first one ends the connection."""
    for data in (b"*1\r\n" * WIDE, b"*2\r\n$4\r\nECHO\r\n" + b"*1\r\n" * WIDE, b"*1\r\n$-1\r\n" * WIDE, b"*1\r\n$*1\r\n" * WIDE):
        def send():
            with scene.server.connect(wait_s=WAIT_S) as client:
                client.send(data)
                return client.until_closed()
        rest = scene.alone(f"{data[:16]!r}...", send)
        # A reset may overtake the error, since most of what was sent is never read.
        scene.checks.expect(rest == b"" or rest.startswith(b"-ERR Protocol error") and len(rest) < 100, f"{data[:16]!r}...: {rest[:100]!r}")


def sizes(scene):
    """Lengths and offsets that would cost gigabytes are refused before memory is taken."""
    client = scene.client
    client.call("SET", "k", "v")
    before = scene.server.rss()
    huge = (536870912, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 63 - 1, -1, -2 ** 63, 2 ** 63, 2 ** 64, 2 ** 64 - 1)
    for size in huge:
        if scene.knows("SETRANGE"):
            scene.refused(f"SETRANGE {size}", "SETRANGE", "k", size, "x")
            scene.checks.expect(size < 0 or client.call("SETRANGE", "none", size % 2 ** 63, "").raw == b":0\r\n", f"SETRANGE {size} of nothing")
            scene.checks.expect(client.call("GETRANGE", "k", 0, size).kind in b"$-", f"GETRANGE 0 {size}")
            scene.checks.expect(client.call("GETRANGE", "k", size, size).kind in b"$-", f"GETRANGE {size} {size}")
        if scene.knows("SETBIT"):
            if not 0 <= size < 2 ** 32:
                scene.refused(f"SETBIT {size}", "SETBIT", "k", size, 1)
                scene.refused(f"BITFIELD SET {size}", "BITFIELD", "k", "SET", "u8", size, 1)
                if size != -2 ** 63:  # times eight it is 0, to Redis too
                    scene.refused(f"BITFIELD SET #{size}", "BITFIELD", "k", "SET", "u8", f"#{size}", 1)
            for command in (("GETBIT", "k", size), ("BITCOUNT", "k", 0, size), ("BITCOUNT", "k", size, size, "BIT"), ("BITPOS", "k", 1, size),
                            ("BITFIELD", "k", "GET", "u8", size), ("BITFIELD_RO", "k", "GET", "i64", f"#{size}")):
                scene.checks.expect(client.call(*command).kind in b":-*", f"{command}")
        for command in (("SCAN", size), ("SCAN", 0, "COUNT", size), ("SELECT", size), ("EXPIRE", "none", size), ("SET", "e", "v", "EX", size)):
            client.call(*command)
        client.call("SELECT", 0)
    if scene.knows("LCS"):
        client.call("MSET", "l1", b"a" * 200_000, "l2", b"ab" * 100_000)
        scene.refused("LCS of 200,000 by 200,000", "LCS", "l1", "l2")
        scene.refused("LCS of 200,000 by 200,000", "LCS", "l1", "l2", "IDX")
        client.call("MSET", "l1", b"ab" * 2500, "l2", b"ba" * 2500)
        scene.checks.expect(scene.alone("LCS of 5,000 by 5,000", lambda: client.call("LCS", "l1", "l2", "LEN")).value == 4999, "LCS LEN")
        client.call("DEL", "l1", "l2")
    grown = scene.server.rss() - before
    scene.checks.expect(scene.sanitized or grown < RSS_BYTES_MAX + 130 * MEBIBYTE, f"sizes: RSS grew by {grown / MEBIBYTE:.0f} MiB")
    scene.checks.expect(client.call("GET", "k").value == b"v", "the key that all this was about")
    client.call("CONFIG", "SET", "maxmemory", "20mb")
    client.call("SET", "big", b"x" * 12_000_000)
    scene.refused("SET beyond maxmemory", "SET", "more", b"x" * 12_000_000)
    scene.refused("APPEND beyond maxmemory", "APPEND", "big", b"x" * 12_000_000)
    client.call("CONFIG", "SET", "maxmemory", "0")
    client.call("DEL", "big")


def zero_bytes(scene):
    """A zero byte is a byte: in names, values, keys, options, numbers, patterns."""
    client = scene.client
    keys = [b"\x00", b"\x00\x00", b"a\x00b", b"a\x00c", b"\x00" * 1000, b"a"]
    for number, key in enumerate(keys):
        client.call("SET", key, b"\x00%d\x00" % number)
    scene.checks.expect(client.call("DBSIZE").value == len(keys), "keys that differ after a zero byte are different keys")
    values = client.call("MGET", *keys).plain()
    scene.checks.expect(values == [b"\x00%d\x00" % number for number in range(len(keys))], f"values with zero bytes: {values}")
    for args in ((b"GET\x00", b"a"), (b"\x00", b"a"), (b"SET", b"k", b"v", b"EX", b"10\x00"), (b"INCR", b"a"), (b"SELECT", b"0\x00"), (b"SCAN", b"0", b"COUNT", b"1\x00"),
                 (b"EXPIRE", b"a", b"1\x00"), (b"HELLO", b"3\x00"), (b"OBJECT\x00", b"HELP")):
        scene.refused(f"{args}", *args)
    found = client.call("SCAN", 0, "COUNT", 100_000, "MATCH", b"a\x00*")
    for _ in range(20):
        if found.value[0].value == b"0":
            break
        found = client.call("SCAN", found.value[0].value, "COUNT", 100_000, "MATCH", b"a\x00*")
    scene.checks.expect(all(item.value.startswith(b"a\x00") for item in found.value[1].value), "a pattern with a zero byte")
    with scene.server.connect(wait_s=WAIT_S) as inline:
        # Redis looks for the end of an inline command up to the first zero byte: there is none, until the line is too long.
        inline.send(b"PING\r\n" + b"\x00" * 1000 + b"\r\nPING\r\n" + b"\x00" * 70_000)
        rest = inline.until_closed()
        scene.checks.expect(rest == b"+PONG\r\n-ERR Protocol error: too big inline request\r\n", f"inline zero bytes: {rest[:200]!r}")
    client.call("FLUSHALL")


def every_command(scene):
    """Each command with arguments that are not what it expects: one reply each, and the server lives."""
    client, rng = scene.client, scene.rng
    # Sizes between a mebibyte and 512 are left out: what Redis accepts there costs that much.
    words = [b"", b"\x00", b"a", b"k", b"0", b"1", b"-1", b"2", b"x" * 300, b"*", b"#0", b"u8", b"i64", b"u0", b"GET", b"SET", b"STORE", b"BY", b"COUNT",
             b"MATCH", b"EX", b"PX", b"NX", b"XX", b"GT", b"DB", b"REPLACE", b"LIMIT", b"inf", b"-inf", b"nan", b"1e400", b"1.5", b"-0", b"(1", b"[a",
             b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"18446744073709551616", b"2147483648", b"\xff\xfe",
             b"\r\n", b"%s%n", b"{}", b"{a}", b"{", b"OVERFLOW", b"INCRBY", b"FREQ", b"ASYNC"]
    names = [item.value for item in client.call("COMMAND", "LIST").value]
    names = [name for name in names if name.split(b"|")[0].lower() not in NOT_FUZZED]
    done = 0
    for name in names:
        for _ in range(12):
            calls = [[*name.upper().split(b"|"), *rng.choices(words, k=rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 12)))] for _ in range(12)]
            # An offset of 2^31 bits is good, and 256 MiB.
            calls = [[word for word in call if not (b"BIT" in call[0].upper() and word == b"2147483648")] for call in calls]
            try:
                replies = client.pipeline(calls)
                done += len(replies)
            except (ConnectionClosed, socket.timeout) as error:
                scene.checks.expect(False, f"{error!r} after one of {calls}")
                return
        client.call("SELECT", 0)
        client.call("FLUSHALL")
        scene.checks.expect(client.call("ECHO", name).value == name, f"after {name.decode()}: replies and requests are out of step")
    scene.checks.expect(done >= 144 * len(names) and len(names) > 20, f"{done} calls of {len(names)} commands")


SCENARIOS = {function.__name__: function for function in (glob_bombs, a_million_arguments, a_million_deep, sizes, zero_bytes, every_command)}


def run(shards, chosen):
    seed = int.from_bytes(os.urandom(4), "big")
    checks = Checks(f"bad_arguments at {shards} shards (seed {seed})", least=10 * len(chosen) - 6)
    for name in chosen:
        begin = time.monotonic()
        longest_s = 0.0
        try:
            with servers.ours(shards=shards) as server:
                scene = Scene(server, checks, random.Random(seed))
                SCENARIOS[name](scene)
                longest_s = scene.longest_s
        except (RuntimeError, OSError, ConnectionClosed) as error:
            checks.expect(False, f"{name}: {error!r}")
        print(f"  {name}: {time.monotonic() - begin:.1f} s, others waited at most {longest_s * 1000:.0f} ms", flush=True)
    return checks.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--shards", type=int, action="append")
    options = parser.parse_args()
    return max([run(shards, options.scenarios) for shards in options.shards or SHARDS])


if __name__ == "__main__":
    sys.exit(main())
