#!/usr/bin/env python3
"""Keys go when their time comes, by themselves: many times to live over a few seconds, at several shards.

How late they were deleted is in INFO (expire_lag_*); nobody reads the keys meanwhile, so that only the server's own clock
can delete them. No bar on wall clock times but the coarse one that its users rely on."""

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

SHARDS = (1, 4)
KEYS = 20000
SPREAD_MS = 2500
FIRST_MS = 700
LAG_MS_MAX = 1000
STAY = 500


def run(shards):
    checks = Checks(f"expire at {shards} shards", least=12)
    rng = random.Random(7)
    with servers.ours(shards=shards) as server, server.connect() as client:
        begin = time.monotonic()
        for first in range(0, KEYS, 1000):
            client.pipeline([("SET", f"{rng.getrandbits(40):x}:{i}", i, "PX", FIRST_MS + rng.randrange(SPREAD_MS))
                             for i in range(first, first + 1000)])
        client.pipeline([("SET", f"stay:{i}", i) for i in range(STAY)])
        client.pipeline([("SET", f"later:{i}", i, "EX", 1000) for i in range(STAY)])
        # Times that are taken back, prolonged or shortened.
        client.pipeline([("SET", f"kept:{i}", i, "PX", FIRST_MS) for i in range(STAY)])
        client.pipeline([("EXPIRE", f"kept:{i}", 1000) for i in range(STAY)])
        client.pipeline([("SET", f"cut:{i}", i, "EX", 1000) for i in range(STAY)])
        client.pipeline([("PEXPIRE", f"cut:{i}", FIRST_MS) for i in range(STAY)])
        filled_ms = (time.monotonic() - begin) * 1000
        size = client.call("DBSIZE").value
        if filled_ms < FIRST_MS:
            checks.expect(size == KEYS + 4 * STAY, f"{size} keys before any time has come")
        deadline = begin + (filled_ms + FIRST_MS + SPREAD_MS + LAG_MS_MAX) / 1000
        sizes = [size]
        while sizes[-1] != 3 * STAY and time.monotonic() < deadline:
            time.sleep(0.05)
            sizes.append(client.call("DBSIZE").value)
        checks.expect(sizes[-1] == 3 * STAY, f"{sizes[-1]} keys are left of {3 * STAY} that should be")
        checks.expect(sizes == sorted(sizes, reverse=True), "the number of keys grew")
        checks.expect(len(set(sizes)) > 10, f"keys went in steps: {sizes}")
        for name, count in (("stay", STAY), ("later", STAY), ("kept", STAY), ("cut", 0)):
            left = client.call("EXISTS", *[f"{name}:{i}" for i in range(STAY)]).value
            checks.expect(left == count, f"{left} keys {name}:* of {count}")
        checks.expect(client.call("TTL", "kept:1").value > 900 and client.call("TTL", "stay:1").value == -1, "times that stay")
        if not servers.is_judge(servers.binary()):
            expired, lags = int(server.info("expired_keys")), [int(server.info(f"expire_lag_{p}")) for p in ("p50", "p99", "max")]
            print(f"{shards} shards: {expired} keys expired; lag p50 {lags[0]} ms, p99 {lags[1]} ms, most {lags[2]} ms")
            checks.expect(expired == KEYS + STAY, f"expired_keys is {expired}, not {KEYS + STAY}")
            checks.expect(lags[1] < LAG_MS_MAX, f"p99 of the lag is {lags[1]} ms")
        # An idle server: the first request after a pause must see the time that has passed.
        for pause_ms in (20, 60, 250):
            client.call("SET", "short", "v", "PX", pause_ms // 2)
            time.sleep(pause_ms / 1000)
            checks.expect(client.call("GET", "short").value is None, f"a key was there {pause_ms // 2} ms after its time")
        for pause_ms in (30, 300):
            client.call("SET", "long", "v", "PX", 100_000)
            time.sleep(pause_ms / 1000)
            left = client.call("PTTL", "long").value
            checks.expect(left <= 100_000 - pause_ms + 2, f"PTTL says {left} of 100000 ms after {pause_ms} ms")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(max([run(int(count)) for count in sys.argv[1:] or SHARDS]))
