#!/usr/bin/env python3
"""What clients may send by mistake or malice: announcements of gigabytes, half-closed sockets, very wide commands and
pipelines, streams cut anywhere, garbage. After each another client gets its answers, and memory is bounded."""

import argparse
import os
import random
import socket
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import ConnectionClosed, encode  # noqa: E402

SHARDS = (1, 4)
MEBIBYTE = 1 << 20
# What all connections of a scenario together may cost while they are open, beside the bytes that they sent.
RSS_BYTES_MAX = 48 * MEBIBYTE
HELD = 40  # connections that are held open at a time
WAIT_S = 40


class Scene:
    """A running server, a client that must always be served, and the checks."""

    def __init__(self, server, checks, rng):
        self.server = server
        self.checks = checks
        self.rng = rng
        self.sanitized = servers.is_sanitized(servers.binary())
        self.other = server.connect(wait_s=WAIT_S)
        self.bystander("at the start")
        self.baseline = server.rss()

    def connect(self, protocol=None):
        return self.server.connect(protocol, wait_s=WAIT_S)

    def bystander(self, what):
        """Another client works."""
        mark = b"%x" % self.rng.getrandbits(32)
        replies = self.other.pipeline([("MSET", "other:1", mark, "other:2", mark, "other:3", mark),
                                       ("MGET", "other:3", "other:1", "other:2"), ("PING",)])
        self.checks.expect(replies[0].raw == b"+OK\r\n" and replies[1].plain() == [mark] * 3 and replies[2].value == b"PONG",
                           lambda: f"{what}: another client got {replies}")

    def bounded(self, what, sent_bytes=0):
        grown = self.server.rss() - self.baseline
        self.checks.expect(self.sanitized or grown < RSS_BYTES_MAX + 4 * sent_bytes,
                           f"{what}: RSS grew by {grown / MEBIBYTE:.1f} MiB ({sent_bytes} bytes were sent)")

    def held(self, what, data, count=HELD):
        """Many connections that send this and then nothing."""
        clients = [self.connect() for _ in range(count)]
        for client in clients:
            client.send(data)
        time.sleep(0.05)
        self.bystander(what)
        self.bounded(what, count * len(data))
        for client in clients:
            client.close()
        self.bystander(what + ", closed")


def announcements(scene):
    scene.held("a count of a million", b"*1000000\r\n")
    scene.held("a count of 2^31 - 1", b"*2147483647\r\n")
    scene.held("a count of 2^31 - 1 and a first argument", b"*2147483647\r\n$3\r\nGET\r\n")
    scene.held("a bulk of 512 MiB", b"*2\r\n$3\r\nGET\r\n$536870912\r\n")
    scene.held("a bulk of 512 MiB and a little of it", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n" + b"x" * 100_000)
    scene.held("a first bulk of 512 MiB", b"*1\r\n$536870912\r\n")
    scene.held("many small arguments and no end", b"*1000000\r\n" + b"$1\r\na\r\n" * 20_000, count=10)
    scene.held("half a line", b"*")
    scene.held("an inline command without an end", b"SET k " + b"x" * 50_000)


def refused(scene):
    """Each is answered with an error and a close."""
    for data in (b"*2147483648\r\n", b"*1\r\n$536870913\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$-9223372036854775808\r\n", b"*x\r\n",
                 b"*1\r\n*1\r\n" * 1000, b"*1\r\n$99999999999999999999999\r\n", b"*99999999999999999999999\r\n",
                 b"x" * 200_000, b"*" + b"1" * 200_000, b"*1\r\n$" + b"1" * 200_000, b'GET "\r\n'):
        with scene.connect() as client:
            client.send(data)
            rest = client.until_closed()
            scene.checks.expect(rest.startswith(b"-ERR Protocol error"), f"{data[:30]!r}: {rest[:80]!r}")
    for data in (b"*-1\r\nPING\r\n", b"*-2147483648\r\nPING\r\n", b"*0\r\nPING\r\n"):
        with scene.connect() as client:
            client.send(data)
            scene.checks.expect(client.reply().value == b"PONG", f"{data!r} answers nothing by itself")
    scene.bystander("after refused input")
    scene.bounded("after refused input")


def half_closed(scene):
    """What was sent before the sending side was closed is answered."""
    big = os.urandom(MEBIBYTE // 2) * 2
    scene.other.call("SET", "big", big)
    mixed = [command for i in range(200) for command in
             (("MSET", "h1", i, "h2", i, "h3", i), ("MGET", "h3", "h2", "h1"), ("INCR", "h4"), ("PING",))]
    for what, commands in (("one PING", [("PING",)]), ("commands over several shards", mixed),
                           ("large replies", [("GET", "big")] * 40), ("one MSET", [("MSET", "a", 1, "b", 2, "c", 3, "d", 4)])):
        for late in (False, True):
            with scene.connect() as client:
                client.send(b"".join(encode(*command) for command in commands))
                if late:
                    time.sleep(0.02)
                client.socket.shutdown(socket.SHUT_WR)
                count = 0
                try:
                    for _ in commands:
                        client.reply()
                        count += 1
                except (ConnectionClosed, OSError) as error:
                    what = f"{what} ({error!r:.80})"
                scene.checks.expect(count == len(commands), f"half-closed after {what}: {count} of {len(commands)} replies came")
                scene.checks.expect(client.until_closed() == b"", f"half-closed after {what}: closed with nothing more")
    for data in (b"", b"*1\r\n$4\r\nPI", b"PIN", b"*"):
        with scene.connect() as client:
            client.send(data)
            client.socket.shutdown(socket.SHUT_WR)
            scene.checks.expect(client.until_closed() == b"", f"half-closed after {data!r}")
    scene.bystander("after half-closed sockets")


def wide_commands(scene):
    """Commands of 100,000 arguments."""
    count = 100_000
    with scene.connect() as client:
        pairs = [word for i in range(count // 2) for word in (f"w:{i}", i)]
        scene.checks.expect(client.call("MSET", *pairs).raw == b"+OK\r\n", "MSET of 50,000 keys")
        keys = [f"w:{i}" for i in range(count)]
        values = client.call("MGET", *keys).plain()
        scene.checks.expect(values == [b"%d" % i if i < count // 2 else None for i in range(count)], "MGET of 100,000 keys")
        scene.bystander("with commands of 100,000 arguments")
        scene.checks.expect(client.call("EXISTS", *keys).value == count // 2, "EXISTS of 100,000 keys")
        scene.checks.expect(client.call("EXISTS", *["w:1"] * count).value == count, "EXISTS of one key 100,000 times")
        scene.checks.expect(client.call("DEL", *keys).value == count // 2, "DEL of 100,000 keys")
        scene.checks.expect(client.call("GET", *keys).is_error(), "GET of 100,000 keys")
        scene.checks.expect(client.call(*["x" * 100] * 50_000).is_error(), "an unknown command of 50,000 arguments")
        scene.checks.expect(client.call("PING").value == b"PONG", "PING afterwards")
    scene.bystander("after commands of 100,000 arguments")


def wide_pipelines(scene):
    """A million commands in one go, read while they are sent; replies in order."""
    def exchange(data, expected_bytes):
        got = bytearray()
        with scene.connect() as client:
            sender = threading.Thread(target=client.send, args=(data,))
            sender.start()
            while len(got) < expected_bytes:
                more = client.socket.recv(1 << 20)
                if not more:
                    break
                got += more
            sender.join(WAIT_S)
        return bytes(got)

    million = 1_000_000
    expected = b"+PONG\r\n" * million
    scene.checks.expect(exchange(b"PING\r\n" * million, len(expected)) == expected, "a million PINGs")
    scene.bounded("a million PINGs")
    scene.other.call("DEL", "n1", "n2", "n3")
    count = 60_000
    expected = b"".join(b":%d\r\n" % i * 3 + b"*3\r\n" + (b"$%d\r\n%d\r\n" % (len(str(i)), i)) * 3 for i in range(1, count + 1))
    unit = b"INCR n1\r\nINCR n2\r\nINCR n3\r\n" + encode("MGET", "n2", "n1", "n3")
    scene.checks.expect(exchange(unit * count, len(expected)) == expected, f"{4 * count} INCRs and MGETs in one pipeline")
    scene.bystander("after wide pipelines")
    scene.bounded("wide pipelines")


def sample_stream():
    commands = [("FLUSHALL",), ("SET", "k", "v"), ("GET", "k"), ("MSET", "a", 1, "b", "", "c\r\n", "\r\n$3\r\n"),
                ("MGET", "a", "b", "c\r\n", "none"), ("INCR", "a"), ("NOSUCH", "x"), ("RENAME", "a", "d"), ("GET",),
                ("SET", "big", "y" * 300), ("GET", "big"), ("DEL", "b", "d", "none"), ("DBSIZE",)]
    framed = b"".join(encode(*command) for command in commands[:7])
    rest = b"".join(encode(*command) for command in commands[7:])
    inline = b'SET inline "a b\\x00"\r\nGET inline\n\r\n*0\r\n*-1\r\nPING\r\n'
    return framed + inline + rest, len(commands) + 3


def split_everywhere(scene):
    """The same replies wherever the stream is cut."""
    stream, replies = sample_stream()

    def play(pieces, pause_s):
        with scene.connect() as client:
            for number, piece in enumerate(pieces):
                if number:
                    time.sleep(pause_s)
                client.send(piece)
            return b"".join(client.reply().raw for _ in range(replies))

    expected = play([stream], 0)
    for at in range(1, len(stream)):
        got = play([stream[:at], stream[at:]], 0.0005)
        scene.checks.expect(got == expected, lambda: f"cut at byte {at}: {got!r}")
    scene.checks.expect(play([stream[i:i + 1] for i in range(len(stream))], 0.0002) == expected, "one byte at a time")
    for size in (2, 3, 7, 16, 100):
        pieces = [stream[i:i + size] for i in range(0, len(stream), size)]
        scene.checks.expect(play(pieces, 0.0005) == expected, f"{size} bytes at a time")
    scene.bystander("after cut streams")


def garbage(scene):
    """Random bytes, and valid streams with random damage."""
    rng = scene.rng
    stream, _ = sample_stream()
    for number in range(300):
        if number % 3 == 0:
            data = rng.randbytes(rng.randrange(1, 3000))
        else:
            damaged = bytearray(stream * 2)
            for _ in range(rng.randrange(1, 6)):
                at = rng.randrange(len(damaged))
                if rng.random() < 0.5:
                    damaged[at] = rng.choice(b"*$\r\n-+:0123456789\x00\xff")
                else:
                    del damaged[at:at + rng.randrange(1, 20)]
            data = bytes(damaged)
        with scene.connect() as client:
            client.send(data)
            client.socket.settimeout(0.002)
            try:
                while client.socket.recv(1 << 16):
                    pass
            except (socket.timeout, ConnectionResetError):
                pass
        if number % 20 == 0:
            scene.bystander("with garbage")
    scene.bystander("after garbage")
    scene.bounded("after garbage")


def gone_in_the_middle(scene):
    """Connections that are reset while their commands run."""
    reset = struct.pack("ii", 1, 0)
    for number in range(150):
        client = scene.connect()
        client.send(b"".join(encode("MSET", *[word for i in range(8) for word in (f"g:{i}", number)]) +
                             encode("MGET", *[f"g:{i}" for i in range(8)]) for _ in range(50)))
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        client.close()
    scene.bystander("after reset connections")
    values = scene.other.call("MGET", *[f"g:{i}" for i in range(8)]).plain()
    scene.checks.expect(len(set(values)) == 1, f"a part of an MSET of a connection that was reset: {values}")
    scene.bounded("after reset connections")


SCENARIOS = {function.__name__: function for function in (announcements, refused, half_closed, wide_commands, wide_pipelines,
                                                          split_everywhere, garbage, gone_in_the_middle)}


def run(shards, chosen):
    seed = int.from_bytes(os.urandom(4), "big")
    checks = Checks(f"bad_input at {shards} shards (seed {seed})", least=4 * len(chosen))
    for name in chosen:
        begin = time.monotonic()
        try:
            with servers.ours(shards=shards) as server:
                SCENARIOS[name](Scene(server, checks, random.Random(seed)))
        except (RuntimeError, OSError, ConnectionClosed) as error:
            checks.expect(False, f"{name}: {error!r}")
        print(f"  {name}: {time.monotonic() - begin:.1f} s", flush=True)
    return checks.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--shards", type=int, action="append")
    options = parser.parse_args()
    return max([run(shards, options.scenarios) for shards in options.shards or SHARDS])


if __name__ == "__main__":
    sys.exit(main())
