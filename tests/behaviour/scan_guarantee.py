#!/usr/bin/env python3
"""A key that is there during a whole SCAN is returned by it, whatever happens to other keys meanwhile; and cursors stay
below 2^53, since some clients read them as floating point numbers."""

import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks, together  # noqa: E402
from lib.resp import Connection  # noqa: E402

SHARDS = (1, 2, 4, 12)
STABLE_KEYS = 3000
SCANNERS = 3
SCANS = 4
CHURN_KEYS = 20000
CHURN_BATCH = 200
CURSOR_LIMIT = 2 ** 53
CALLS_MAX = 200_000


def stable(number):
    return b"stable:%d" % number


def churn(port, seed, rounds_min):
    """Inserts and deletes until the scanners' flag key is set: the table grows and shrinks all the time."""
    rng = random.Random(seed)
    rounds = 0
    with Connection(port) as client:
        while rounds < rounds_min or client.call("GET", "scanners-done").value != b"%d" % SCANNERS:
            first = rng.randrange(CHURN_KEYS)
            many = range(first, first + CHURN_BATCH)
            if rng.random() < 0.55:
                client.pipeline([("SET", f"churn:{seed}:{i}", "v") for i in many])
            elif rng.random() < 0.8:
                client.pipeline([("DEL", *[f"churn:{seed}:{i}" for i in many])])
            else:
                client.pipeline([("RENAME", f"churn:{seed}:{i}", f"moved:{seed}:{i}") for i in many])
            rounds += 1
    return rounds


def scan(port, count, options=()):
    """One whole scan: the keys, the number of calls, the highest cursor."""
    found = set()
    cursor, calls, highest = b"0", 0, 0
    with Connection(port) as client:
        while True:
            reply = client.call("SCAN", cursor, "COUNT", count, *options)
            cursor = reply.value[0].value
            highest = max(highest, int(cursor))
            found.update(item.value for item in reply.value[1].value)
            calls += 1
            if cursor == b"0" or calls == CALLS_MAX:
                return found, calls, highest


def scanner(port, number):
    """(scans, missing keys, calls, highest cursor, keys seen that come and go)"""
    missing, calls, highest, others = [], 0, 0, 0
    expected = {stable(i) for i in range(STABLE_KEYS)}
    for index in range(SCANS):
        options = ("MATCH", "stable:*") if index == 1 else ("TYPE", "string") if index == 2 else ()
        found, took, top = scan(port, (7, 100, 1000)[number % 3], options)
        missing += sorted(expected - found)[:3]
        calls, highest, others = calls + took, max(highest, top), others + len(found - expected)
        if took == CALLS_MAX:
            missing.append(b"a scan that did not end")
    with Connection(port) as client:
        client.call("INCR", "scanners-done")
    return SCANS, missing, calls, highest, others


def run(shards):
    seed = int.from_bytes(os.urandom(4), "big")
    checks = Checks(f"scan_guarantee at {shards} shards (seed {seed})", least=20)
    with servers.ours(shards=shards) as server, server.connect() as client:
        client.pipeline([("SET", stable(i), i) for i in range(STABLE_KEYS)])
        results = together([(churn, server.port, seed, 20), (churn, server.port, seed + 1, 20)] +
                           [(scanner, server.port, number) for number in range(SCANNERS)])
        checks.expect(min(results[:2]) >= 20, f"keys came and went in {results[:2]} rounds only")
        for scans, missing, calls, highest, others in results[2:]:
            checks.expect(not missing, f"keys that were there all the time were not returned: {missing[:5]}")
            checks.expect(scans == SCANS and calls > SCANS, f"{scans} scans in {calls} calls")
            checks.expect(highest < CURSOR_LIMIT, f"a cursor of {highest}")
            checks.expect(others > 0, "no scan saw a key of those that come and go")
        # Quiet now: a scan is exact, and so are its cursors in between.
        expected = client.call("DBSIZE").value
        for count in (1, 10, 10000):
            found, calls, _ = scan(server.port, count)
            checks.expect(len(found) == expected, f"a quiet scan with COUNT {count}: {len(found)} of {expected} keys")
        client.call("FLUSHALL")
        found, calls, _ = scan(server.port, 10)
        checks.expect(not found and calls <= shards + 1, f"a scan of nothing: {len(found)} keys in {calls} calls")
        # Cursors that were never given out.
        for cursor in (1, 12345, 2 ** 45, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64 - 1):
            client.call("SET", "k", "v")
            reply = client.call("SCAN", cursor)
            checks.expect(reply.kind == b"*", f"SCAN {cursor}: {reply}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(max([run(int(count)) for count in sys.argv[1:] or SHARDS]))
