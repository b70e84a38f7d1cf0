"""What random commands are made of: keys, values, numbers and times (Draw), and the table of makers.

A maker draws one command of a name. tests/diff/families/ has them, a file a family:

    @makes("SETRANGE", weight=3)
    def setrange(draw, name):
        return Command((name, draw.key(), draw.offset(), draw.value()))

A name with a space is a subcommand: `OBJECT ENCODING`. A command that the server does not know yet is not drawn, and
printed as skipped. One that it knows and nobody makes fails the run: write its maker, or give NOT_DRAWN a reason.
"""

import random
from dataclasses import dataclass
from typing import Callable

DATABASES = (0, 0, 0, 0, 1, 15)
FAR_FUTURE_S = 4102444800  # 2100-01-01: a deadline by the clock, later than all relative ones
SECONDS_LEFT = range(100_000, 9_000_000, 10)


@dataclass(frozen=True)
class Command:
    """`walk`: SCAN without its cursor, followed to its end; a pipeline of its own."""

    args: tuple
    canon: str = None
    walk: bool = False


@dataclass(frozen=True)
class Pipeline:
    connection: int
    commands: tuple


@dataclass(frozen=True)
class Maker:
    name: bytes  # as in COMMAND INFO: b"object|encoding"
    weight: float
    draw: Callable
    family: str
    damage: str  # see makes()


FAVOUR = 20
MAKERS = {}  # name -> Maker


def makes(*names, weight=1.0, damage="any"):
    """`weight` is shared by all the names. `damage`: what may be done to a command now and then, beside calling it by a wrong name:
    "any"; "ends" if its arguments must not be exchanged, since a deadline could become a near one; "none"."""
    def register(function):
        family = function.__module__.rpartition(".")[2]
        for name in names:
            key = name_of(name)
            if key in MAKERS:
                raise ValueError(f"{name} has been registered twice")
            MAKERS[key] = Maker(key, weight / len(names), function, family, damage)
        return function
    return register


def name_of(words):
    """OBJECT ENCODING -> object|encoding, as bytes"""
    return words.lower().replace(" ", "|").encode()


def words_of(name):
    """b"object|encoding" -> (b"OBJECT", b"ENCODING")"""
    return tuple(name.upper().split(b"|"))


# Commands that random sequences leave out, by the name in COMMAND LIST; a name alone stands for its subcommands too.
NOT_DRAWN = {
    "auth": "sequences have no password; diff/auth.resp",
    "client": "talks of one connection or of all those of the process; diff/connection.resp",
    "command": "replies differ by the commands that are known; diff/server.resp",
    "config": "settings outlive a sequence; diff/server.resp",
    "debug": "each subcommand is a tool of tests",
    "info": "figures of the process; diff/server.resp",
    "lastsave": "a time of the process",
    "latency": "figures of the process",
    "lolwut": "an amusement",
    "memory": "figures of the process",
    "monitor": "turns the connection into a stream",
    "quit": "closes the connection; diff/connection.resp",
    "readonly": "without a cluster it does nothing",
    "readwrite": "without a cluster it does nothing",
    "role": "figures of replication",
    "shutdown": "ends the server; behaviour/shutdown.py",
    "slowlog": "figures of the process",
    "acl": "users outlive a sequence",
    "module": "modules outlive a sequence",
    "save": "writes a file",
    "bgsave": "writes a file",
    "bgrewriteaof": "writes a file",
    "replicaof": "changes what the server is",
    "slaveof": "changes what the server is",
    "failover": "changes what the server is",
    "cluster": "there is no cluster",
    "asking": "there is no cluster",
    "wait": "waits for replicas",
    "time": "differs with every call",
    "migrate": "needs another server",
    "sync": "talks the language of replication",
    "psync": "talks the language of replication",
    "replconf": "talks the language of replication",
}


class Draw:
    """Draws the words of commands over the keys of one sequence."""

    def __init__(self, rng, keys=None):
        self.rng = rng
        self.keys = keys or self._new_keys()
        self.seconds_taken = set()

    def _new_keys(self):
        rng = self.rng
        mark = b"%x" % rng.getrandbits(32)
        tag = b"{%x}" % rng.getrandbits(16)
        keys = [mark + b":%d" % i for i in range(rng.choice((2, 4, 12)))]
        keys += [tag + b"%d" % i for i in range(3)]
        return keys + rng.sample([b"", b"\x00", b"\xff" + mark, b"a b\r\n" + mark, b"l" * 300 + mark], 2)

    def chance(self, share):
        return self.rng.random() < share

    def one_of(self, *choices):
        return self.rng.choice(choices)

    def case(self, word):
        """The word, now and then in small or mixed letters."""
        return word if self.chance(0.85) else word.lower() if self.chance(0.7) else word.title()

    def options(self, *choices, most=2):
        """Some of the options, each a word or a tuple of words; now and then one that does not exist."""
        found = []
        for _ in range(self.rng.choice((0, 0, *range(most + 1)))):
            option = self.rng.choice(choices)
            option = option if isinstance(option, tuple) else (option,)
            found += [self.case(option[0]), *option[1:]]
        if self.chance(0.03):
            found.append(self.one_of(b"FOO", b"", b"1"))
        return found

    # ---- keys

    def key(self):
        return self.rng.choice(self.keys)

    def some_keys(self, most=8, least=1):
        return [self.key() for _ in range(self.rng.randint(least, most))]

    def two_keys(self):
        """Mostly two different ones."""
        return self.rng.sample(self.keys, 2) if len(self.keys) > 1 and self.chance(0.85) else [self.key(), self.key()]

    def pattern(self):
        """Of key names."""
        key = self.key()
        at = self.rng.randrange(len(key) + 1)
        return self.one_of(b"*", key, key[:at] + b"*", b"*" + key[at:], b"?" * len(key), key[:at] + b"[^a-f]" + key[at + 1:], b"none*",
                           b"*[0-3]", b"\\" + key, b"", b"[", b"*[a-", b"**:**", key[:at] + b"\\*")

    def database(self):
        return b"%d" % self.rng.choice(DATABASES)

    def any_database(self):
        return self.database() if self.chance(0.9) else self.one_of(b"16", b"-1", b"x", b"", b"99999999999999999999", b"0x1", b"01")

    # ---- values

    def value(self):
        rng = self.rng
        kind = rng.randrange(12)
        if kind < 4:
            return b"%d" % rng.choice((0, 1, -1, 7, 99, 10 ** 9, 2 ** 63 - 1, -2 ** 63, 2 ** 31, rng.getrandbits(16), -rng.getrandbits(40)))
        if kind == 4:
            return self.one_of(b"1.5", b"-0.1", b"3.0e3", b"inf", b"1e400", b"0.00001", b"nan", b"10.", b"+1", b"00", b"-0", b" 1", b"1 ")
        if kind < 8:
            return rng.randbytes(rng.randrange(20))
        if kind == 8:
            return b""
        if kind == 9:
            return bytes(rng.choices(b"abc", k=rng.randrange(40)))
        return rng.randbytes(1) * rng.choice((30, 43, 44, 45, 64, 200, 1000, 1024, 1025, 5000))

    def integer(self):
        """An amount; one in eight is none, or does not fit."""
        if self.chance(0.12):
            return self.not_an_integer()
        return b"%d" % self.rng.choice((0, 1, -1, 2, 10, -10, 2 ** 31, 2 ** 62, 2 ** 63 - 1, -2 ** 63, -2 ** 63 + 1,
                                        self.rng.getrandbits(20), -self.rng.getrandbits(33)))

    def not_an_integer(self):
        return self.one_of(b"x", b"", b"1.5", b"9223372036854775808", b"-9223372036854775809", b" 1", b"1 ", b"01", b"+1", b"-0", b"1\x00",
                           b"99999999999999999999999999", b"0x10", b"1e2")

    def index(self):
        """A position from either end, mostly inside a short value."""
        if self.chance(0.08):
            return self.not_an_integer()
        return b"%d" % self.rng.choice((0, 1, 2, 3, 5, 10, 20, 100, 5000, -1, -2, -3, -5, -10, -100, -5001, 2 ** 31, 2 ** 63 - 1, -2 ** 63,
                                        self.rng.randrange(-50, 50)))

    def offset(self):
        """A byte that is written: small, or refused (a large one that Redis accepts would cost each server that much)."""
        if self.chance(0.12):
            return self.one_of(b"-1", b"536870912", b"9223372036854775807", b"-9223372036854775808", self.not_an_integer())
        return b"%d" % self.rng.choice((0, 0, 1, 2, 5, self.rng.randrange(60), self.rng.randrange(3000)))

    def bit_offset(self):
        if self.chance(0.1):
            return self.one_of(b"-1", b"4294967296", b"9223372036854775807", self.not_an_integer())
        return b"%d" % self.rng.choice((0, 1, 7, 8, 9, self.rng.randrange(200), self.rng.randrange(self.rng.choice((20000, 70000)))))

    # ---- times: no sequence may tell by them how fast a server was

    def seconds(self):
        """Time left, no two alike in a sequence: which deadline is later depends on nothing else."""
        while True:
            seconds = self.rng.choice(SECONDS_LEFT) + 5
            if seconds not in self.seconds_taken:
                self.seconds_taken.add(seconds)
                return seconds

    def time(self, milliseconds, absolute, past=True):
        """The argument of an EXPIRE: mostly a good one; else over at once, or no time. Some that Redis accepts take more than the 48
        bits that most deadlines have here."""
        if self.chance(0.12):
            refused = b"9223372036854775808" if milliseconds and absolute else b"9223372036854775807"
            return self.one_of(b"0", b"-1", b"-9223372036854775808", refused, self.not_an_integer())
        if absolute:
            if past and self.chance(0.15):
                return self.one_of(b"1", b"1000000", b"-100")
            if self.chance(0.1):
                return b"%d" % ((2 ** 48 + self.rng.randrange(4) * 10000) * (1000 if milliseconds else 1))
            # Few of them, so that GT and LT meet equal ones.
            return b"%d" % ((FAR_FUTURE_S + self.rng.randrange(4) * 10) * (1000 if milliseconds else 1))
        return b"%d" % (self.seconds() * (1000 if milliseconds else 1))

    def set_time(self, past=True):
        """EX, PX, EXAT or PXAT with its argument, as SET and GETEX take them. Without `past` no deadline that has passed: SET
        accepts it, and it is a matter of luck how long Redis counts the key."""
        word = self.one_of(b"EX", b"PX", b"EXAT", b"PXAT")
        return self.case(word), self.time(word.startswith(b"P"), word.endswith(b"AT"), past)


class Table:
    """The makers of the commands that a server knows."""

    def __init__(self, known, favoured=(), without=()):
        """`known`: names as in COMMAND LIST; `favoured`: families that are drawn more often; `without`: names."""
        left_out = set(map(name_of, without))
        self.makers = [maker for maker in MAKERS.values() if maker.name in known - left_out]
        self.weights = [maker.weight * (FAVOUR if maker.family in favoured else 1) for maker in self.makers]
        self.skipped = sorted(set(MAKERS) - set(known))

    def command(self, draw):
        maker = draw.rng.choices(self.makers, self.weights)[0]
        command = maker.draw(draw, *words_of(maker.name))
        return self._damaged(draw, maker, command) if draw.chance(0.03) and maker.damage != "none" else command

    def command_of(self, draw, name):
        return MAKERS[name].draw(draw, *words_of(name))

    @staticmethod
    def _damaged(draw, maker, command):
        """Too many or too few arguments, an unknown name, an argument that does not belong there."""
        args = command.args
        change = draw.rng.randrange(3 if maker.damage == "ends" else 5)
        if change == 0:
            return Command(args[:-1] or (b"GET",), command.canon)
        if change == 1:
            return Command((*args, draw.one_of(b"extra", b"NX", b"10000005005", b"", b"\x00")), command.canon)
        if change == 2 or len(args) == 1:
            return Command((b"NO" + args[0], b"some", b"words"))
        at = draw.rng.randrange(1, len(args))
        if change == 3:
            word = draw.one_of(b"", b"\x00", b"-1", b"9223372036854775808", b"x" * 200, b"*")
            return Command((*args[:at], word, *args[at + 1:]), command.canon)
        other = draw.rng.randrange(1, len(args))
        swapped = list(args)
        swapped[at], swapped[other] = swapped[other], swapped[at]
        return Command(tuple(swapped), command.canon)


def without_maker(known):
    """The commands that a server knows and that are neither drawn nor excused."""
    missing = []
    for name in sorted(known):
        container = name.split(b"|")[0].decode()
        if name in MAKERS or container in NOT_DRAWN or name.decode() in NOT_DRAWN:
            continue
        if any(maker.startswith(name + b"|") for maker in MAKERS):
            continue  # a container: its subcommands are asked about by themselves
        if name.endswith(b"|help"):
            continue
        missing.append(name.decode())
    return missing


def load_families():
    """Fills MAKERS."""
    from diff.families import bitmaps, generic, server, strings  # noqa: F401
    return MAKERS


def rng_of(seed):
    return random.Random(seed)
