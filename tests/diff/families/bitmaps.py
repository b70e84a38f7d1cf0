"""Makers of the commands over the bits of strings."""

from diff.generate import Command, makes


@makes("SETBIT", weight=8)
def setbit(draw, name):
    return Command((name, draw.key(), draw.bit_offset(), draw.one_of(b"0", b"1", b"1", b"1") if draw.chance(0.93) else
                    draw.one_of(b"2", b"-1", b"x", b"", b"01")))


@makes("GETBIT", weight=5)
def getbit(draw, name):
    return Command((name, draw.key(), draw.bit_offset()))


def _unit(draw):
    return [draw.case(draw.one_of(b"BYTE", b"BIT"))] if draw.chance(0.5) else [draw.one_of(b"BITS", b"")] if draw.chance(0.05) else []


@makes("BITCOUNT", weight=6)
def bitcount(draw, name):
    if draw.chance(0.25):
        return Command((name, draw.key()))
    return Command((name, draw.key(), draw.index(), draw.index(), *_unit(draw)))


@makes("BITPOS", weight=6)
def bitpos(draw, name):
    args = [draw.one_of(b"0", b"1") if draw.chance(0.95) else draw.one_of(b"2", b"x", b"", b"-1")]
    if draw.chance(0.75):
        args.append(draw.index())
        if draw.chance(0.7):
            args += [draw.index(), *_unit(draw)]
    return Command((name, draw.key(), *args))


@makes("BITOP", weight=8)
def bitop(draw, name):
    operation = draw.one_of(b"AND", b"OR", b"XOR", b"NOT") if draw.chance(0.96) else draw.one_of(b"NAND", b"")  # DIFF, ANDOR and others came with Redis 8.2
    sources = draw.some_keys(1 if operation == b"NOT" and draw.chance(0.85) else 4)
    return Command((name, draw.case(operation), draw.key(), *sources))


def _type(draw):
    if draw.chance(0.06):
        return draw.one_of(b"u64", b"i65", b"u0", b"i0", b"x8", b"u", b"", b"8", b"u-1", b"U8", b"i8x", b"u99999999999999999999")
    if draw.chance(0.5):
        return draw.one_of(b"u8", b"i8", b"u4", b"i5", b"u1", b"i1", b"u63", b"i64", b"u32", b"i16")
    sign = draw.one_of(b"u", b"i")
    return sign + b"%d" % draw.rng.randint(1, 63 if sign == b"u" else 64)


def _where(draw):
    if draw.chance(0.06):
        return draw.one_of(b"-1", b"#-1", b"#", b"x", b"", b"4294967296", b"9223372036854775807", b"#9223372036854775807", b"#x")
    number = draw.rng.choice((0, 1, 3, 7, 8, draw.rng.randrange(100), draw.rng.randrange(3000)))
    return b"#%d" % (number % 100) if draw.chance(0.4) else b"%d" % number


def _value(draw):
    """No value between 2^16 and 2^33: damaged into an offset it would cost too much."""
    if draw.chance(0.05):
        return draw.not_an_integer()
    return b"%d" % draw.rng.choice((0, 1, -1, 2, 127, 128, 255, 256, -128, -129, 2 ** 15, 2 ** 62, 2 ** 63 - 1, -2 ** 63, -2 ** 40,
                                    draw.rng.getrandbits(10), 2 ** 34 + draw.rng.getrandbits(20)))


def _operations(draw, read_only):
    words = []
    for _ in range(draw.rng.choice((1, 1, 2, 3, 6)) if draw.chance(0.97) else 0):
        kind = draw.rng.randrange(4) if draw.chance(0.05) or not read_only else 0
        if kind == 0:
            words += [draw.case(b"GET"), _type(draw), _where(draw)]
        elif kind == 1:
            words += [draw.case(b"SET"), _type(draw), _where(draw), _value(draw)]
        elif kind == 2:
            words += [draw.case(b"INCRBY"), _type(draw), _where(draw), _value(draw)]
        else:
            mode = draw.one_of(b"WRAP", b"SAT", b"FAIL") if draw.chance(0.95) else draw.one_of(b"FOO", b"")
            words += [draw.case(b"OVERFLOW"), draw.case(mode)]
    if draw.chance(0.03):
        words.append(draw.one_of(b"GET", b"FOO", b"u8", b""))
    return words


@makes("BITFIELD", weight=12)
def bitfield(draw, name):
    return Command((name, draw.key(), *_operations(draw, read_only=False)))


@makes("BITFIELD_RO", weight=4)
def bitfield_ro(draw, name):
    return Command((name, draw.key(), *_operations(draw, read_only=True)))
