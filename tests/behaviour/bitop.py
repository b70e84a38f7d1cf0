#!/usr/bin/env python3
"""BITOP over keys of several shards: the result is that of a plain model, for all eight operations (redis-server 7.0.15, the
judge of the replies, knows four of them), and it is made of sources as they were at one moment."""

import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks, together  # noqa: E402
from lib.resp import Connection  # noqa: E402

SHARDS = (1, 2, 4, 12)
ROUNDS = 400
KEYS = 12
LENGTHS = (0, 1, 7, 8, 31, 33, 100, 1000, 9000, 20000)
WRITERS, READERS = 2, 2
SECONDS = 1.0
OPERATIONS = ("AND", "OR", "XOR", "NOT", "DIFF", "DIFF1", "ANDOR", "ONE")
NEEDS_TWO = ("DIFF", "DIFF1", "ANDOR")


def combine(operation, sources):
    """The result of a plain model, on numbers as large as the strings."""
    size = max(map(len, sources))
    numbers = [int.from_bytes(source.ljust(size, b"\0"), "big") for source in sources]
    first, others = numbers[0], 0
    once, more = numbers[0], 0
    for number in numbers[1:]:
        others |= number
        more |= once & number
        once |= number
    results = {"OR": once, "NOT": first ^ ((1 << (8 * size)) - 1), "DIFF": first & ~others, "DIFF1": others & ~first,
               "ANDOR": first & others, "ONE": once & ~more}
    result = results.get(operation, first)
    for number in numbers[1:] if operation in ("AND", "XOR") else ():
        result = result & number if operation == "AND" else result ^ number
    return result.to_bytes(size, "big")


def model(client, rng, checks):
    """Random calls, the destination often one of the sources; every value is compared after every call."""
    keys = [f"bits:{rng.getrandbits(40):x}" for _ in range(KEYS)]
    values = {}
    for _ in range(ROUNDS):
        key = rng.choice(keys)
        if rng.random() < 0.1:
            client.call("DEL", key)
            values.pop(key, None)
        elif rng.random() < 0.6:
            # Dense ones, or AND would soon leave nothing.
            dense = rng.random() < 0.5
            length = rng.choice(LENGTHS)
            values[key] = bytes(rng.getrandbits(8) | (rng.getrandbits(8) if dense else 0) for _ in range(length))
            client.call("SET", key, values[key])
        operation = rng.choice(OPERATIONS)
        least = 2 if operation in NEEDS_TWO else 1
        count = 1 if operation == "NOT" else rng.randint(least, 10)
        sources = [rng.choice(keys) for _ in range(count)]
        destination = rng.choice(keys)
        expected = combine(operation, [values.get(source, b"") for source in sources])
        if expected:
            values[destination] = expected
        else:
            values.pop(destination, None)
        reply = client.call("BITOP", operation, destination, *sources)
        checks.expect(reply.value == len(expected), f"{operation} of {count}: {reply} for {len(expected)}")
        found = [item.value for item in client.call("MGET", *keys).value]
        checks.expect(found == [values.get(key) for key in keys], f"{operation} of {count}: wrong values afterwards")


def errors(client, checks):
    client.call("SET", "source", "x")
    for operation in NEEDS_TWO:
        reply = client.call("BITOP", operation.lower(), "destination", "source")
        text = f"-ERR BITOP {operation} must be called with at least two source keys.\r\n"
        checks.expect(reply.raw == text.encode(), f"{operation} of one source: {reply}")
    checks.expect(client.call("EXISTS", "destination").value == 0, "a refused BITOP wrote")


def writer(port, keys, seed):
    """Sets all keys to one value, again and again."""
    rng = random.Random(seed)
    written = 0
    end = time.monotonic() + SECONDS
    with Connection(port) as client:
        while time.monotonic() < end:
            value = bytes([rng.randrange(1, 256)]) * rng.choice((8, 200, 10000))
            order = rng.sample(keys, len(keys))
            client.pipeline([("MSET", *[word for key in order for word in (key, value)])] * 4)
            written += 4
    return written


def reader(port, keys, number):
    """(results, wrong ones, different ones): of equal strings, an even number of them XORed is zero."""
    made, wrong, seen = 0, [], set()
    destination = f"result:{number}"
    end = time.monotonic() + SECONDS
    with Connection(port) as client:
        while time.monotonic() < end:
            for operation in ("XOR", "ONE", "DIFF"):
                _, xored = client.pipeline([("BITOP", operation, destination, *keys), ("GET", destination)])
                made += 1
                seen.add(len(xored.value))
                if any(xored.value):
                    wrong.append(f"{operation} of strings that are always equal is not zero")
            _, anded, _, ored = client.pipeline([("BITOP", "AND", destination, *keys), ("GET", destination),
                                                 ("BITOP", "OR", destination, *keys), ("GET", destination)])
            made += 2
            for value in (anded.value, ored.value):
                if len(set(value)) != 1:
                    wrong.append("AND or OR of strings that are always equal is a mixture")
    return made, wrong, len(seen)


def one_moment(port, rng, checks):
    keys = [f"moment:{rng.getrandbits(40):x}" for _ in range(6)]
    with Connection(port) as client:
        client.call("MSET", *[word for key in keys for word in (key, b"\1" * 8)])
    results = together([(writer, port, keys, rng.getrandbits(30)) for _ in range(WRITERS)] +
                       [(reader, port, keys, number) for number in range(READERS)])
    checks.expect(min(results[:WRITERS]) > 0, "nothing was written meanwhile")
    for made, wrong, lengths in results[WRITERS:]:
        checks.add(made, wrong[:3])
        checks.expect(lengths > 1, "the reader saw nothing change")


def run(shards):
    seed = int.from_bytes(os.urandom(4), "big")
    rng = random.Random(seed)
    checks = Checks(f"bitop at {shards} shards (seed {seed})", least=2 * ROUNDS)
    with servers.ours(shards=shards) as server, server.connect() as client:
        model(client, rng, checks)
        errors(client, checks)
        one_moment(server.port, rng, checks)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(max([run(int(count)) for count in sys.argv[1:] or SHARDS]))
