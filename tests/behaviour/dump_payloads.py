#!/usr/bin/env python3
"""DUMP payloads beside the judge's: random values give the same bytes, each server restores what the other dumped, and
payloads that were damaged (with their checksum put right) are refused or taken alike.

    tests/behaviour/dump_payloads.py [--values 3000] [--seed 1]
"""

import argparse
import random
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

BATCH = 200
FOOTER_BYTES = 10
# Other types of value are refused as long as the server does not have them.
STRING_TYPE = 0


def crc64(data, table=[]):
    """Jones' polynomial, reflected, as the public description of the RDB format has it."""
    if not table:
        for byte in range(256):
            crc = byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
            table.append(crc)
    crc = 0
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc


def with_footer(body, version=10):
    body += struct.pack("<H", version)
    return body + struct.pack("<Q", crc64(body))


def value(rng):
    kind = rng.randrange(8)
    if kind == 0:
        return b"%d" % (rng.choice((1, -1)) * rng.getrandbits(rng.randrange(1, 64)))
    if kind == 1:
        return rng.choice((b"", b"0", b"-0", b"+1", b"01", b" 1", b"1.0", b"-9223372036854775808", b"9223372036854775808"))
    size = rng.choice((rng.randrange(64), rng.randrange(20, 24), rng.randrange(2000), rng.randrange(60_000)))
    if kind < 4:
        return rng.randbytes(size)
    if kind < 6:
        letters = rng.randbytes(rng.randrange(1, 20))
        return bytes(rng.choices(letters, k=size))
    words = [rng.randbytes(rng.randrange(1, 12)) for _ in range(rng.randrange(1, 40))]
    return b"".join(rng.choices(words, k=size // 8 + 1))


def damaged(rng, payload):
    """A payload of a string with some bytes changed, cut or added; its checksum is right."""
    body = bytearray(payload[:-FOOTER_BYTES])
    for _ in range(rng.randrange(1, 4)):
        change = rng.randrange(4)
        at = rng.randrange(1, len(body) + 1)
        if change == 0 and at < len(body):
            body[at] = rng.getrandbits(8)
        elif change == 1:
            body[at:at + rng.randrange(1, 5)] = b""
        elif change == 2:
            body[at:at] = rng.randbytes(rng.randrange(1, 5))
        elif at < len(body):
            body[at] = rng.choice((0, 0x3F, 0x40, 0x7F, 0x80, 0x81, 0x82, 0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xFF))
    body[0] = STRING_TYPE
    return with_footer(bytes(body))


def same_dumps(ours, judge, checks, rng):
    """Returns the judge's payloads."""
    values = [value(rng) for _ in range(BATCH)]
    names = [b"%d:%x" % (i, rng.getrandbits(32)) for i in range(BATCH)]
    for client in (ours, judge):
        client.pipeline([("SET", name, item) for name, item in zip(names, values)])
    mine = ours.pipeline([("DUMP", name) for name in names])
    theirs = judge.pipeline([("DUMP", name) for name in names])
    for item, my, their in zip(values, mine, theirs):
        checks.expect(my.raw == their.raw, lambda: f"DUMP of {item[:80]!r} ({len(item)} bytes): {my.raw[:80]!r}, not {their.raw[:80]!r}")
    for client, dumps in ((ours, theirs), (judge, mine)):
        client.pipeline([("RESTORE", name, 0, dump.value, "REPLACE") for name, dump in zip(names, dumps)])
        for item, got in zip(values, client.pipeline([("GET", name) for name in names])):
            checks.expect(got.value == item, lambda: f"{item[:80]!r} came back as {got.raw[:80]!r}")
    return [dump.value for dump in theirs]


def same_refusals(ours, judge, checks, rng, payloads):
    tries = [damaged(rng, rng.choice(payloads)) for _ in range(BATCH)]
    commands = [command for i, payload in enumerate(tries)
                for command in (("RESTORE", b"d%d" % i, 0, payload, "REPLACE"), ("GET", b"d%d" % i))]
    for command, my, their in zip(commands, ours.pipeline(commands), judge.pipeline(commands)):
        checks.expect(my.raw == their.raw,
                      lambda: f"{command[0]} of a damaged payload {command[-2][:120]!r}: {my.raw[:80]!r}, not {their.raw[:80]!r}")
    return sum(1 for reply in ours.pipeline([("EXISTS", b"d%d" % i) for i in range(BATCH)]) if reply.value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    rng = random.Random(options.seed)
    checks = Checks("dump_payloads", least=options.values * 3)
    with servers.judge() as judge, servers.ours(shards=4) as server, judge.connect() as theirs, server.connect() as mine:
        taken = 0
        for _ in range(0, options.values, BATCH):
            payloads = same_dumps(mine, theirs, checks, rng)
            taken += same_refusals(mine, theirs, checks, rng, payloads)
            for client in (mine, theirs):
                client.call("FLUSHALL")
        checks.expect(0 < taken < options.values, f"{taken} damaged payloads were taken: the damage means nothing")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
