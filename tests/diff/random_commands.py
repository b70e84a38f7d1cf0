#!/usr/bin/env python3
"""Random commands against the judge and our server; every reply must be the same bytes.

    tests/diff/random_commands.py --commands 20000            at 1, 2, 4 and 12 shards
    tests/diff/random_commands.py --shards 4 --seed 123       a run again

A round is some two hundred commands over a few keys, in pipelines of random length, over three connections in either
protocol. Its keys have new random names, so that they lie on other shards in every round. At its end the whole keyspace
is compared. On a difference the round is shrunk and printed in the notation of the case files, with the seed.
"""

import argparse
import os
import random
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from diff import canon  # noqa: E402
from lib import servers  # noqa: E402
from lib.resp import Connection, ConnectionClosed, ProtocolViolation, encode  # noqa: E402

SHARDS = (1, 2, 4, 12)
CONNECTIONS = 3
COMMANDS_PER_ROUND = 200
PIPELINE_MAX = 60
DATABASES = (0, 0, 0, 0, 1, 15)
WAIT_S = 20
# A difference that depends on timing may not show at every try.
SHRINK_TRIES = 3
SHRINK_RUNS_MAX = 600


@dataclass(frozen=True)
class Command:
    args: tuple
    canon: str = None


@dataclass(frozen=True)
class Pipeline:
    connection: int
    commands: tuple


# ---- what is generated

class Generator:
    """Draws commands over the keys of one round."""

    def __init__(self, rng):
        self.rng = rng
        mark = b"%x" % rng.getrandbits(32)
        tag = b"{%x}" % rng.getrandbits(16)
        self.keys = [mark + b":%d" % i for i in range(rng.choice((2, 4, 12)))]
        self.keys += [tag + b"%d" % i for i in range(3)]
        self.keys += rng.sample([b"", b"\x00", b"\xff" + mark, b"a b\r\n" + mark, b"l" * 300 + mark], 2)

    def key(self):
        return self.rng.choice(self.keys)

    def some_keys(self, most=8):
        return [self.key() for _ in range(self.rng.randint(1, most))]

    def value(self):
        rng = self.rng
        kind = rng.randrange(10)
        if kind < 5:
            return b"%d" % rng.choice((0, 1, -1, 7, 99, 10 ** 9, 2 ** 63 - 1, -2 ** 63, rng.getrandbits(20)))
        if kind < 8:
            return rng.randbytes(rng.randrange(20))
        return rng.randbytes(1) * rng.choice((30, 64, 200, 1000, 5000))

    def seconds(self):
        return self.rng.randint(100_000, 900_000) * 10 + 5

    def not_a_number(self):
        return self.rng.choice((b"x", b"", b"1.5", b"9223372036854775808", b" 1", b"01"))

    def command(self):
        return self.rng.choices(_MAKERS, _WEIGHTS)[0](self)

    # One method a kind of command; the table below has their weights.

    def get(self):
        return Command((b"GET", self.key()))

    def set(self):
        options = []
        if self.rng.random() < 0.5:
            options += [self.rng.choice((b"NX", b"XX", b"GET", b"nx", b"xX"))]
        if self.rng.random() < 0.2:
            options += [self.rng.choice((b"GET", b"XX", b"KEEPTTL"))]
        time = self.rng.random()
        if time < 0.15:
            options += [b"EX", b"%d" % self.seconds()]
        elif time < 0.3:
            options += [b"PX", b"%d" % (self.seconds() * 1000)]
        elif time < 0.4:
            options += [b"EX", self.rng.choice((b"0", b"-1", self.not_a_number()))]
        return Command((b"SET", self.key(), self.value(), *options))

    def mget(self):
        return Command((b"MGET", *self.some_keys()))

    def mset(self):
        pairs = [word for key in self.some_keys() for word in (key, self.value())]
        return Command((b"MSET", *pairs))

    def incr(self):
        return Command((b"INCR", self.key()))

    def bit_offset(self):
        if self.rng.random() < 0.05:
            return self.rng.choice((b"-1", b"4294967296", self.not_a_number()))
        return b"%d" % self.rng.randrange(self.rng.choice((8, 64, 300, 9000, 70000)))

    def bit(self):
        bit = self.not_a_number() if self.rng.random() < 0.05 else self.rng.choice((b"0", b"1"))
        name = self.rng.choice((b"SETBIT", b"SETBIT", b"GETBIT"))
        return Command((name, self.key(), self.bit_offset(), *((bit,) if name == b"SETBIT" else ())))

    def bit_range(self):
        rng = self.rng
        words = [b"%d" % rng.choice((0, 1, -1, rng.randint(-50, 50), rng.randint(-9000, 9000))) for _ in range(rng.randint(0, 2))]
        if len(words) == 2 and rng.random() < 0.5:
            words.append(rng.choice((b"BIT", b"BIT", b"BYTE", b"bit", b"FOO")))
        if rng.random() < 0.5:
            return Command((b"BITCOUNT", self.key(), *words))
        return Command((b"BITPOS", self.key(), rng.choice((b"0", b"1")), *words))

    def bitop(self):
        operation = self.rng.choice((b"AND", b"OR", b"XOR", b"NOT", b"xor"))
        return Command((b"BITOP", operation, self.key(), *self.some_keys(1 if operation == b"NOT" else 6)))

    def bitfield(self):
        rng = self.rng
        words = []
        for _ in range(rng.randint(0, 4)):
            if rng.random() < 0.3:
                words += [b"OVERFLOW", rng.choice((b"WRAP", b"SAT", b"FAIL", b"sat"))]
            verb = rng.choice((b"GET", b"SET", b"INCRBY"))
            bits = rng.randint(1, 64)
            words += [verb, b"%c%d" % (rng.choice(b"iu"), min(bits, 63)) if rng.random() < 0.9 else b"i%d" % bits,
                      self.bit_offset() if rng.random() < 0.7 else b"#%d" % rng.randrange(30)]
            if verb != b"GET":
                words.append(b"%d" % rng.choice((1, -1, 2 ** (bits - 1), -2 ** (bits - 1) - 1, rng.getrandbits(bits)) if bits < 63 else
                                                (1, -1, 2 ** 63 - 1, -2 ** 63)))
        return Command((rng.choice((b"BITFIELD", b"BITFIELD", b"BITFIELD_RO")), self.key(), *words))

    def delete(self):
        return Command((self.rng.choice((b"DEL", b"UNLINK")), *self.some_keys(3)))

    def exists(self):
        return Command((b"EXISTS", *self.some_keys()))

    def rename(self):
        return Command((b"RENAME", self.key(), self.key()))

    def expire(self):
        name, factor = self.rng.choice(((b"EXPIRE", 1), (b"PEXPIRE", 1000)))
        time = b"%d" % (self.seconds() * factor)
        if self.rng.random() < 0.15:
            time = self.rng.choice((b"0", b"-1", b"-9223372036854775808", b"9223372036854775807", self.not_a_number()))
        options = [self.rng.choice((b"NX", b"XX", b"GT", b"LT", b"gt")) for _ in range(self.rng.choice((0, 0, 1, 1, 2)))]
        return Command((name, self.key(), time, *options))

    def ttl(self):
        return Command((self.rng.choice((b"TTL", b"PTTL")), self.key()), "ten_seconds")

    def type(self):
        return Command((b"TYPE", self.key()))

    def dbsize(self):
        return Command((b"DBSIZE",))

    def flush(self):
        name = self.rng.choice((b"FLUSHDB", b"FLUSHDB", b"FLUSHALL"))
        return Command((name, *self.rng.choice(((), (), (b"ASYNC",), (b"SYNC",), (b"FOO",)))))

    def select(self):
        return Command((b"SELECT", b"%d" % self.rng.choice(DATABASES)))

    def hello(self):
        return Command((b"HELLO", self.rng.choice((b"2", b"3"))), "hello")

    def talk(self):
        return Command(self.rng.choice(((b"PING",), (b"ECHO", self.value()), (b"PING", self.value()), (b"CLIENT", b"GETNAME"))))

    def wrong(self):
        """Too many or too few arguments, or an unknown name."""
        command = self.command()
        if command.args[0] == b"FLUSHDB":
            return command
        change = self.rng.randrange(3)
        if change == 0:
            return Command(command.args[:-1] or (b"GET",), command.canon)
        if change == 1:
            return Command((*command.args, self.rng.choice((b"extra", b"NX", b"10000005005", b""))), command.canon)
        return Command((b"NO" + command.args[0], b"some", b"words"))


_TABLE = {
    Generator.get: 12, Generator.set: 20, Generator.mget: 10, Generator.mset: 10, Generator.incr: 8, Generator.delete: 6,
    Generator.exists: 5, Generator.rename: 14, Generator.expire: 8, Generator.ttl: 8, Generator.type: 3,
    Generator.dbsize: 3, Generator.flush: 0.6, Generator.select: 1.5, Generator.hello: 1, Generator.talk: 2,
    Generator.wrong: 3, Generator.bit: 5, Generator.bit_range: 4, Generator.bitop: 5, Generator.bitfield: 4,
}
_MAKERS, _WEIGHTS = list(_TABLE), list(_TABLE.values())


def make_round(rng):
    generator = Generator(rng)
    pipelines = []
    left = COMMANDS_PER_ROUND
    while left > 0:
        count = min(left, 1 if rng.random() < 0.5 else rng.randint(2, PIPELINE_MAX))
        pipelines.append(Pipeline(rng.randrange(CONNECTIONS), tuple(generator.command() for _ in range(count))))
        left -= count
    return pipelines


# ---- playing it

def play(address, pipelines):
    """Per pipeline the list of what is compared, then the whole keyspace."""
    with Connection(address, wait_s=WAIT_S) as admin:
        admin.call("FLUSHALL")
        connections = [Connection(address, wait_s=WAIT_S) for _ in range(CONNECTIONS)]
        try:
            answers = [[_answer(connection, command) for command in sent]
                       for sent, connection in _send(connections, pipelines)]
        finally:
            for connection in connections:
                connection.close()
        answers.append(keyspace(admin))
        return answers


def _send(connections, pipelines):
    for pipeline in pipelines:
        connection = connections[pipeline.connection]
        connection.send(b"".join(encode(*command.args) for command in pipeline.commands))
        yield pipeline.commands, connection


def _answer(connection, command):
    try:
        reply = connection.reply()
        return canon.apply(command.canon, reply), reply.raw
    except ConnectionClosed:
        return "closed the connection", b""
    except ProtocolViolation as violation:
        return f"sent no RESP: {violation}", b""
    except socket.timeout:
        return "did not answer in time", b""


def keyspace(client):
    """Everything in the databases that are used: name, value, type, time."""
    found = []
    for database in sorted(set(DATABASES)):
        client.call("SELECT", database)
        keys, cursor = set(), b"0"
        while True:
            reply = client.call("SCAN", cursor, "COUNT", 1000)
            cursor = reply.value[0].value
            keys.update(item.value for item in reply.value[1].value)
            if cursor == b"0":
                break
        for key in sorted(keys):
            replies = client.pipeline([("GET", key), ("TYPE", key), ("PTTL", key)])
            state = (database, key, replies[0].raw, replies[1].raw, canon.apply("ten_seconds", replies[2]))
            found.append((state, repr(state).encode()))
        size = client.call("DBSIZE").value
        found.append((("DBSIZE", database, size), b"%d keys" % size))
    return found


@dataclass
class Difference:
    pipeline: int  # == the number of pipelines: the keyspace at the end
    command: int
    expected: bytes
    got: bytes


def compare(judge, ours, pipelines):
    """The first difference, or None; the number of replies compared."""
    expected, got = play(judge, pipelines), play(ours, pipelines)
    compared = 0
    for at, (judged, our) in enumerate(zip(expected, got)):
        for index in range(max(len(judged), len(our))):
            left = judged[index] if index < len(judged) else (None, b"nothing")
            right = our[index] if index < len(our) else (None, b"nothing")
            if left[0] != right[0]:
                shown = [side[1] or str(side[0]).encode() for side in (left, right)]
                return Difference(at, index, *shown), compared
            compared += 1
    return None, compared


# ---- shrinking

class Shrinker:
    def __init__(self, differs):
        self.differs = differs  # pipelines -> Difference or None
        self.runs = 0

    def fails(self, pipelines):
        if not pipelines:
            return False
        for _ in range(SHRINK_TRIES):
            if self.runs >= SHRINK_RUNS_MAX:
                return False
            self.runs += 1
            if self.differs(pipelines):
                return True
        return False

    def shrink(self, pipelines):
        """A sequence that still differs and from which nothing can be taken away."""
        while True:
            before = sum(len(pipeline.commands) for pipeline in pipelines), len(pipelines)
            pipelines = self._fewer(pipelines, lambda kept: kept)
            for at in range(len(pipelines) - 1, -1, -1):
                pipelines = self._fewer_commands(pipelines, at)
            after = sum(len(pipeline.commands) for pipeline in pipelines), len(pipelines)
            if after == before or self.runs >= SHRINK_RUNS_MAX:
                return self._one_at_a_time(pipelines)

    def _fewer_commands(self, pipelines, at):
        if at >= len(pipelines):
            return pipelines
        pipeline = pipelines[at]

        def whole(commands):
            middle = [Pipeline(pipeline.connection, tuple(commands))] if commands else []
            return pipelines[:at] + middle + pipelines[at + 1:]
        return whole(list(self._fewer(list(pipeline.commands), whole, bare=True)))

    def _fewer(self, items, whole, bare=False):
        """Takes pieces away from `items`, halves first, as long as whole(items) still fails."""
        size = max(1, len(items) // 2)
        while size:
            at = 0
            while at < len(items):
                kept = items[:at] + items[at + size:]
                if (kept or not bare) and self.fails(whole(kept)):
                    items = kept
                else:
                    at += size
            size //= 2
        return items

    def _one_at_a_time(self, pipelines):
        single = [Pipeline(pipeline.connection, (command,)) for pipeline in pipelines for command in pipeline.commands]
        return single if len(single) > len(pipelines) and self.fails(single) else pipelines


def quoted(word):
    text = word.decode("latin-1")
    if text and all(char.isalnum() or char in "{}:-_." for char in text) and text.isascii():
        return text
    special = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r"}
    return '"' + "".join(special.get(char) or (char if " " <= char <= "~" else f"\\x{ord(char):02x}") for char in text) + '"'


def as_case(pipelines):
    lines = []
    for pipeline in pipelines:
        lines.append(f"@conn {'abc'[pipeline.connection]}" +
                     (f"        # {len(pipeline.commands)} commands in one pipeline" if len(pipeline.commands) > 1 else ""))
        for command in pipeline.commands:
            if command.canon:
                lines.append(f"@canon {command.canon}")
            lines.append(" ".join(quoted(word) for word in command.args))
    return "\n".join(lines)


def report(judge, ours, pipelines, difference, seed, shards):
    print(f"DIFFERENCE at {shards} shards, seed {seed}: judge {difference.expected[:300]!r}, ours {difference.got[:300]!r}\n"
          f"shrinking {sum(len(p.commands) for p in pipelines)} commands ...", flush=True)
    shrinker = Shrinker(lambda candidate: compare(judge, ours, candidate)[0])
    smallest = shrinker.shrink(pipelines)
    print(f"smallest sequence found ({shrinker.runs} runs):\n{as_case(smallest)}")
    last, _ = compare(judge, ours, smallest)
    if last is None:
        print("it does not differ at every run: the difference depends on timing")
    else:
        where = "keyspace at the end" if last.pipeline == len(smallest) else f"reply to {as_case(smallest[last.pipeline:][:1])}"
        print(f"{where}\n  judge: {last.expected[:300]!r}\n  ours:  {last.got[:300]!r}")
    print(f"again: tests/diff/random_commands.py --shards {shards} --seed {seed} --commands {COMMANDS_PER_ROUND}", flush=True)


def run(judge, ours, shards, seed, commands):
    """False on a difference. Every round has a seed of its own, the first one `seed`."""
    rounds = max(1, commands // COMMANDS_PER_ROUND)
    done = compared = 0
    for number in range(rounds):
        pipelines = make_round(random.Random(seed + number))
        difference, count = compare(judge, ours, pipelines)
        compared += count
        done += sum(len(pipeline.commands) for pipeline in pipelines)
        if difference:
            report(judge, ours, pipelines, difference, seed + number, shards)
            return False
    if compared < done or not done:
        raise AssertionError(f"{compared} replies were compared for {done} commands")
    print(f"{shards} shards: {done} commands in {rounds} rounds, {compared} replies and states compared, seed {seed}")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=20000, help="for each number of shards")
    parser.add_argument("--shards", type=int, action="append")
    parser.add_argument("--seed", type=int, help="default: a new one each time")
    options = parser.parse_args()
    good = True
    with servers.judge() as judge:
        for shards in options.shards or SHARDS:
            seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "big")
            with servers.ours(shards=shards) as ours:
                good = run(judge.port, ours.port, shards, seed, options.commands) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
