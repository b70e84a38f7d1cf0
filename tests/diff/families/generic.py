"""Makers of the commands over keys of any type, and over whole databases."""

from diff.families import payload
from diff.generate import Command, makes


@makes("DEL", "UNLINK", weight=6)
@makes("TOUCH", weight=3)
def some_keys_few(draw, name):
    return Command((name, *draw.some_keys(3)))


@makes("EXISTS", weight=5)
def exists(draw, name):
    return Command((name, *draw.some_keys()))


@makes("TYPE", weight=3)
@makes("PERSIST", weight=3)
def only_a_key(draw, name):
    return Command((name, draw.key()))


@makes("DUMP", weight=3)
def dump(draw, name):
    return Command((name, draw.key()))


@makes("RENAME", "RENAMENX", weight=14)
def rename(draw, name):
    return Command((name, *draw.two_keys()))


@makes("COPY", weight=8)
def copy(draw, name):
    options = draw.options(b"REPLACE", b"REPLACE", (b"DB", draw.any_database()), (b"DB",) if draw.chance(0.05) else b"REPLACE")
    return Command((name, *draw.two_keys(), *options))


@makes("MOVE", weight=5)
def move(draw, name):
    return Command((name, draw.key(), draw.any_database()))


@makes("SWAPDB", weight=1)
def swapdb(draw, name):
    return Command((name, draw.any_database(), draw.any_database()))


@makes("EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", weight=12, damage="ends")
def expire(draw, name):
    options = draw.options(b"NX", b"XX", b"GT", b"LT")
    return Command((name, draw.key(), draw.time(name.startswith(b"P"), name.endswith(b"AT")), *options))


@makes("TTL", "EXPIRETIME", weight=6)
def ttl(draw, name):
    return Command((name, draw.key()), "near_seconds")


@makes("PTTL", "PEXPIRETIME", weight=6)
def pttl(draw, name):
    return Command((name, draw.key()), "near_milliseconds")


@makes("OBJECT ENCODING", weight=5)
@makes("OBJECT FREQ", weight=0.5)
def object_of(draw, name, what):
    return Command((name, draw.case(what), draw.key()))


@makes("OBJECT REFCOUNT", weight=1)
def refcount(draw, name, what):
    return Command((name, draw.case(what), draw.key()), "refcount")


@makes("OBJECT IDLETIME", weight=0.5)
def idletime(draw, name, what):
    # Integers that Redis shares are as idle as the server is old.
    return Command((name, what, draw.key()), "type_only")


@makes("KEYS", weight=3)
def keys(draw, name):
    return Command((name, draw.pattern()), "sorted_elements")


@makes("RANDOMKEY", weight=1)
def randomkey(_, name):
    return Command((name,), "type_only")


@makes("DBSIZE", weight=3)
def dbsize(_, name):
    return Command((name,))


@makes("SCAN", weight=2, damage="none")
def scan(draw, name):
    options = draw.options((b"MATCH", draw.pattern()), (b"COUNT", draw.one_of(b"1", b"3", b"10", b"1000")), (b"TYPE", draw.one_of(b"string", b"list")))
    if draw.chance(0.8):
        return Command((name, *options), walk=True)
    wrong = draw.one_of((b"x",), (b"1x",), (b"0", b"COUNT", b"0"), (b"0", b"COUNT", b"-5"), (b"0", b"MATCH"), (b"0", b"COUNT", b"x"),
                        (b"99999999999999999999999",), (b"0", b"FOO", b"BAR"))
    return Command((name, *wrong))


@makes("FLUSHDB", "FLUSHALL", weight=0.6)
def flush(draw, name):
    return Command((name, *draw.one_of((), (), (b"ASYNC",), (b"SYNC",), (b"FOO",), (b"SYNC", b"ASYNC"))))


@makes("SORT", weight=3)
@makes("SORT_RO", weight=1)
def sort(draw, name):
    options = draw.options(b"ASC", b"DESC", b"ALPHA", (b"LIMIT", draw.index(), draw.index()), (b"BY", draw.one_of(b"nosort", b"*", b"w_*", b"*->f")),
                           (b"GET", draw.one_of(b"#", b"*", b"w_*")), (b"STORE", draw.key()) if draw.chance(0.5) else b"ALPHA", most=4)
    return Command((name, draw.key(), *options))


def _payload(draw):
    value = draw.value()
    kind = draw.rng.randrange(12)
    if kind < 6:
        return payload.sealed(payload.string(value))
    if kind < 8:
        return payload.sealed(payload.integer(draw.rng.choice((0, -1, 127, -129, 40000, -2 ** 31, 2 ** 40))))
    if kind == 8:
        # Compressed: one letter a hundred times, as a literal and a copy of what came before.
        return payload.sealed(b"\x00\xc3" + payload.length(5) + payload.length(100) + b"\x00a\xe0\x5a\x00")
    good = payload.sealed(payload.string(value))
    return draw.one_of(good[:-1], good[:-9] + b"\xff" + good[-8:], b"", b"\x00", good + b"\x00", payload.sealed(payload.string(value), version=60000),
                       payload.sealed(payload.string(value), version=1), payload.sealed(b"\x00\x05abc"), payload.sealed(b"\x7f\x01a"), payload.sealed(b""))


@makes("RESTORE", weight=6, damage="ends")
@makes("RESTORE-ASKING", weight=1, damage="ends")
def restore(draw, name):
    options = draw.options(b"REPLACE", b"REPLACE", b"REPLACE", (b"IDLETIME", draw.one_of(b"0", b"1", b"-1", b"x")),
                           (b"FREQ", draw.one_of(b"0", b"255", b"256", b"-1")))
    absolute = draw.chance(0.2)
    if absolute:
        options.append(draw.case(b"ABSTTL"))
    time = b"0" if draw.chance(0.6) else draw.time(milliseconds=True, absolute=absolute)
    return Command((name, draw.key(), time, _payload(draw), *options))
