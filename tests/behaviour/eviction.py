#!/usr/bin/env python3
"""maxmemory and its policies: the limit holds while clients write, big values find room, nobody is refused for what another
shard cannot give, a lower limit is reached without help, and what was flushed makes room.

    tests/behaviour/eviction.py
"""

import random
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

OOM = b"-OOM command not allowed when used memory > 'maxmemory'.\r\n"
POLICIES = ("allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl")


def info(client, field):
    for line in client.call("INFO").value.decode().splitlines():
        if line.startswith(field + ":"):
            return int(line.split(":")[1])
    raise AssertionError(field)


def started(shards, limit, policy):
    """Clients' buffers have a limit of their own, which is not meant here."""
    return servers.ours("--maxmemory", str(limit), "--maxmemory-policy", policy, "--maxmemory-clients", "0", shards=shards)


def under_load(checks, shards):
    """Several clients at once write more than fits; the sum that INFO sees never exceeds the limit."""
    limit = 2_000_000
    for policy in POLICIES:
        with started(shards, limit, policy) as server, server.connect() as watcher:
            trouble = []

            def write(seed):
                draw = random.Random(seed)
                with server.connect() as client:
                    for _ in range(25):
                        commands = []
                        for _ in range(80):
                            size = draw.choice((10, 100, 100, 1_000, 20_000))
                            commands.append(("SET", f"k:{draw.randrange(10**6)}", "v" * draw.randrange(size), "EX", "1000"))
                        commands.append(("MSET", f"k:{draw.randrange(10**6)}", "v" * 500, f"k:{draw.randrange(10**6)}", "v" * 500))
                        for reply in client.pipeline(commands):
                            if reply.raw not in (b"+OK\r\n", OOM):
                                trouble.append(reply.raw)
                            elif reply.raw == OOM and policy.startswith("allkeys"):
                                trouble.append(OOM)

            writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
            for writer in writers:
                writer.start()
            highest = 0
            while any(writer.is_alive() for writer in writers):
                highest = max(highest, info(watcher, "used_memory"))
            for writer in writers:
                writer.join()
            checks.expect(not trouble, f"{policy}: {len(trouble)} other replies, {trouble[:1]}")
            # INFO asks the shards one after the other, so its sum may be off by what they write meanwhile.
            checks.expect(highest <= limit * 1.02, f"{policy}: {highest} bytes at a limit of {limit}")
            checks.expect(info(watcher, "evicted_keys") > 1_000, f"{policy}: keys were evicted")
            checks.expect(info(watcher, "used_memory") > limit * 0.8, f"{policy}: and not far too many")


def big_values(checks, shards):
    limit = 16_000_000
    big = b"b" * 6_000_000
    with started(shards, limit, "allkeys-lru") as server, server.connect() as client:
        for i in range(0, 200_000, 1_000):
            client.pipeline([("SET", f"k:{j}", "v" * 40) for j in range(i, i + 1_000)])
        keys = client.call("DBSIZE").value
        checks.expect(client.call("SET", "big", big).raw == b"+OK\r\n", "6 MB find room among small keys")
        checks.expect(client.call("SET", "big", big).raw == b"+OK\r\n", "and once more in the same place")
        checks.expect(client.call("GET", "big").value == big, "the value is whole")
        checks.expect(info(client, "used_memory") <= limit, "within the limit")
        checks.expect(0 < client.call("DBSIZE").value < keys, "some small keys stay")
        checks.expect(client.call("SET", "huge", b"h" * 20_000_000).raw == OOM, "more than the limit is refused")
        checks.expect(client.call("EXISTS", "huge").value == 0, "and not there")
        checks.expect(client.call("EXISTS", "big").value == 1, "and nothing has gone for its sake")
        pair = client.call("MSET", "x", b"x" * 7_000_000, "y", b"y" * 7_000_000)
        checks.expect(pair.raw == b"+OK\r\n", "MSET of two big values")
        checks.expect(client.call("EXISTS", "x", "y").value == 2, "both are there")


def unequal_shards(checks, shards):
    """All keys on one shard (one hash tag); the others have nothing to give, and nothing is refused."""
    limit = 3_000_000
    with started(shards, limit, "allkeys-lru") as server, server.connect() as client:
        refused = 0
        for i in range(0, 40_000, 500):
            replies = client.pipeline([("SET", f"{{tag}}:{j}", "v" * 100) for j in range(i, i + 500)])
            refused += sum(reply.raw != b"+OK\r\n" for reply in replies)
        checks.expect(refused == 0, f"{refused} writes to the full shard were refused")
        for i in range(0, 5_000, 500):
            replies = client.pipeline([("SET", f"other:{j}", "v" * 100) for j in range(i, i + 500)])
            refused += sum(reply.raw != b"+OK\r\n" for reply in replies)
        checks.expect(refused == 0, f"{refused} writes to the empty shards were refused")
        checks.expect(info(client, "used_memory") <= limit, "within the limit")
        found = sum(reply.value for reply in client.pipeline([("EXISTS", f"other:{j}") for j in range(4_000, 5_000)]))
        checks.expect(found > 900, f"{found} of the 1,000 last keys are there")


def lower_limit(checks, shards):
    with started(shards, 0, "allkeys-lru") as server, server.connect() as client:
        for i in range(0, 100_000, 1_000):
            client.pipeline([("SET", f"k:{j}", "v" * 100) for j in range(i, i + 1_000)])
        before = info(client, "used_memory")
        limit = before // 4
        client.call("CONFIG", "SET", "maxmemory", limit)
        longest = 0
        deadline = time.monotonic() + 20
        while info(client, "used_memory") > limit and time.monotonic() < deadline:
            begin = time.monotonic()
            client.call("PING")
            longest = max(longest, time.monotonic() - begin)
        after = info(client, "used_memory")
        checks.expect(limit * 0.7 < after <= limit, f"{before} bytes became {after} at a limit of {limit}")
        checks.expect(longest < 0.5, f"PING took {longest:.3f} s meanwhile")
        checks.expect(client.call("SET", "k", "v").raw == b"+OK\r\n", "writes go on")


def flush_makes_room(checks, shards):
    with started(shards, 20_000_000, "noeviction") as server, server.connect() as client:
        i = 0
        while True:
            replies = client.pipeline([("SET", f"k:{j}", "v" * 100) for j in range(i, i + 1_000)])
            i += 1_000
            if any(reply.raw == OOM for reply in replies):
                break
        checks.expect(info(client, "evicted_keys") == 0, "noeviction evicts nothing")
        checks.expect(client.call("FLUSHALL").raw == b"+OK\r\n", "FLUSHALL is not refused")
        replies = client.pipeline([("SET", f"n:{j}", "v" * 100) for j in range(20_000)])
        refused = sum(reply.raw != b"+OK\r\n" for reply in replies)
        checks.expect(refused == 0, f"{refused} of 20,000 writes after FLUSHALL were refused")


def main():
    checks = Checks("eviction", least=130)
    for shards in (1, 4, 12):
        for scenario in (under_load, big_values, unequal_shards, lower_limit, flush_makes_room):
            try:
                scenario(checks, shards)
            except (RuntimeError, OSError) as error:
                checks.expect(False, f"{scenario.__name__} at {shards} shards: {error!r}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
