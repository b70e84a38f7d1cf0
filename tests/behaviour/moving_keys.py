#!/usr/bin/env python3
"""Keys that move between names, databases and shards are always in exactly one place: SWAPDB, MOVE, RENAMENX, COPY
against readers of the whole keyspace. Redis cannot be wrong here, having one thread; we can.

    tests/behaviour/moving_keys.py [scenario ...] [--shards N]

MOONSHARD_SERVER=/usr/bin/redis-server tries whether a scenario asks for too much.
"""

import argparse
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from behaviour.torn_read import KEYS, SHARDS, WAIT_S, names, read, settle, write  # noqa: E402
from lib import servers  # noqa: E402
from lib.checks import Checks, together  # noqa: E402
from lib.resp import Connection  # noqa: E402

def swapped_databases(port, rng, checks):
    """Two databases with the same names and different values change places: a reader sees one or the other whole."""
    keys = names(port, rng)
    with Connection(port, wait_s=WAIT_S) as client:
        for db, value in ((0, "zero"), (1, "one")):
            client.call("SELECT", db)
            client.call("MSET", *[word for key in keys for word in (key, value)])
        client.call("SET", "only in one", 1)

    def judge(index, value):
        if index == 0:
            return len(set(value)) == 1, value[0]
        if index == 1:
            return value in (KEYS, KEYS + 1), value
        return len(value) in (KEYS, KEYS + 1), len(value)

    settle(checks, "SWAPDB", together(
        [(write, port, lambda number: ["SWAPDB", number % 2, 1 - number % 2])] +
        [(read, port, [["MGET", *keys], ["DBSIZE"], ["KEYS", "*"]], judge, protocol) for protocol in (2, 3)]))


def key_between_databases(port, rng, checks):
    """A key moves to and fro: the digest of all data, whole values of which there are two, knows no third."""
    key = names(port, rng, 1)[0]
    with Connection(port, wait_s=WAIT_S) as client:
        client.call("SET", key, "value")
        here = client.call("DEBUG", "DIGEST").value
        client.call("MOVE", key, 1)
        there = client.call("DEBUG", "DIGEST").value
        client.call("SELECT", 1)
        client.call("MOVE", key, 0)
        checks.expect(here != there, "the digests of two databases are equal")
        checks.expect(client.call("DEBUG", "DIGEST").value == here, "a digest is not the same again")

    def mover(number):
        # Six steps do not divide a pipeline, so that both states are also seen between two.
        return [["SELECT", 0], ["MOVE", key, 1], ["PING"], ["SELECT", 1], ["MOVE", key, 0], ["PING"]][number % 6]

    def judge(_, value):
        return value in (here, there), value

    settle(checks, "MOVE against DEBUG DIGEST", together(
        [(write, port, mover)] + [(read, port, [["DEBUG", "DIGEST"]], judge, protocol) for protocol in (2, 3)]))


def one_name_of_two(port, rng, checks):
    """Two movers and RENAMENX: the key has one name, whoever looks and however."""
    x, y = names(port, rng, 2)
    with Connection(port, wait_s=WAIT_S) as client:
        client.call("SET", x, "token")

    def judge(index, value):
        if index == 0:
            return value == 1, "count"
        if index == 1:
            return len(value) == 1 and value[0] in (x.encode(), y.encode()), tuple(value)
        if index == 2:
            return value in (x.encode(), y.encode()), value
        return sorted(value, key=str) in ([b"token", None], [None, b"token"]), tuple(value)

    settle(checks, "RENAMENX to and fro", together(
        [(write, port, lambda number: ["RENAMENX", x, y] if number % 2 == 0 else ["RENAMENX", y, x])] * 2 +
        [(read, port, [["EXISTS", x, y], ["KEYS", "*"], ["RANDOMKEY"], ["MGET", x, y]], judge, protocol) for protocol in (2, 3)]),
        errors_allowed=[b"-ERR no such key\r\n"])


def equal_copies(port, rng, checks):
    """A writer sets the first key, then copies it over the others; a copy is never newer than its source."""
    keys = names(port, rng, 4)
    with Connection(port, wait_s=WAIT_S) as client:
        client.call("MSET", *[word for key in keys for word in (key, 0)])

    def make(number):
        step = number % 4
        return ["INCR", keys[0]] if step == 0 else ["COPY", keys[step - 1], keys[step], "REPLACE"]

    def judge(_, values):
        numbers = [int(value) for value in values]
        return numbers == sorted(numbers, reverse=True) and numbers[0] - numbers[-1] <= 1, tuple(numbers)

    settle(checks, "COPY in a chain", together(
        [(write, port, make)] + [(read, port, [["MGET", *keys]], judge, protocol) for protocol in (2, 3)]))


SCENARIOS = {
    "swapdb": swapped_databases,
    "move": key_between_databases,
    "renamenx": one_name_of_two,
    "copy": equal_copies,
}


def run(shards, chosen):
    seed = int.from_bytes(os.urandom(4), "big")
    rng = random.Random(seed)
    checks = Checks(f"moving_keys at {shards} shards (seed {seed})", least=200 * len(chosen))
    for name in chosen:
        try:
            with servers.ours(shards=shards) as server:
                SCENARIOS[name](server.port, rng, checks)
        except (RuntimeError, OSError) as error:  # the other scenarios still have something to say
            checks.expect(False, f"{name}: {error}")
    return checks.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--shards", type=int, action="append")
    options = parser.parse_args()
    return max([run(shards, options.scenarios) for shards in options.shards or SHARDS])


if __name__ == "__main__":
    sys.exit(main())
