"""Makers of the commands over strings."""

from diff.generate import Command, makes


@makes("GET", weight=10)
def get(draw, name):
    return Command((name, draw.key()))


@makes("SET", weight=20, damage="ends")
def set_(draw, name):
    options = draw.options(b"NX", b"XX", b"GET", most=2)
    if draw.chance(0.3):
        options += draw.set_time(past=False)
    if draw.chance(0.15):
        options.append(draw.case(b"KEEPTTL"))
    if draw.chance(0.03):
        options += [draw.one_of(b"EX", b"PX", b"PXAT")]
    draw.rng.shuffle(options) if draw.chance(0.02) else None
    return Command((name, draw.key(), draw.value(), *options))


@makes("SETNX", weight=3)
@makes("GETSET", weight=3)
@makes("APPEND", weight=8)
def key_and_value(draw, name):
    return Command((name, draw.key(), draw.value()))


@makes("SETEX", "PSETEX", weight=3, damage="ends")
def setex(draw, name):
    return Command((name, draw.key(), draw.time(name == b"PSETEX", absolute=False), draw.value()))


@makes("GETDEL", weight=3)
@makes("STRLEN", weight=4)
@makes("INCR", "DECR", weight=8)
def only_a_key(draw, name):
    return Command((name, draw.key()))


@makes("GETEX", weight=5, damage="ends")
def getex(draw, name):
    options = []
    if draw.chance(0.5):
        options += draw.set_time()
    if draw.chance(0.25):
        options.append(draw.case(b"PERSIST"))
    if draw.chance(0.03):
        options.append(draw.one_of(b"EX", b"KEEPTTL", b"NX", b""))
    return Command((name, draw.key(), *options))


@makes("INCRBY", "DECRBY", weight=6)
def incrby(draw, name):
    return Command((name, draw.key(), draw.integer()))


@makes("INCRBYFLOAT", weight=5)
def incrbyfloat(draw, name):
    amount = draw.one_of(b"1", b"0", b"-1", b"1.5", b"-0.1", b"0.1", b"3.14159", b"1e3", b"5.0e-3", b"1e17", b"-1e-17", b"100000000000000000000",
                         b"0.00000000000000000001", b"inf", b"-inf", b"nan", b"1e5000", b"x", b"", b" 1", b"1 ", b"0x1p3", b"1.",
                         b".5", b"+2", b"-0", b"1\x00", b"%.17g" % draw.rng.uniform(-1000, 1000), b"%d.%d" % (draw.rng.getrandbits(30), draw.rng.getrandbits(20)))
    return Command((name, draw.key(), amount))


@makes("SETRANGE", weight=5)
def setrange(draw, name):
    return Command((name, draw.key(), draw.offset(), draw.value() if draw.chance(0.85) else b""))


@makes("GETRANGE", "SUBSTR", weight=6)
def getrange(draw, name):
    return Command((name, draw.key(), draw.index(), draw.index()))


@makes("MGET", weight=8)
def mget(draw, name):
    return Command((name, *draw.some_keys()))


@makes("MSET", weight=8)
@makes("MSETNX", weight=8)
def mset(draw, name):
    # MSETNX does something only if all keys are new.
    most = 8 if name == b"MSET" else draw.rng.choice((1, 2, 3, 5))
    return Command((name, *[word for key in draw.some_keys(most) for word in (key, draw.value())]))


@makes("LCS", weight=3)
def lcs(draw, name):
    options = draw.options(b"LEN", b"IDX", b"IDX", b"WITHMATCHLEN", (b"MINMATCHLEN", draw.one_of(b"0", b"1", b"2", b"4", b"-1", draw.integer())),
                           most=4)
    return Command((name, *draw.two_keys(), *options))
