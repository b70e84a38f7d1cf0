"""Scenario eviction: which share of a skewed load a cache of limited memory answers. Counts, not timings."""
import bisect
import itertools
import random

from harness import BenchError, progress
from report import Section, table

POLICIES = ("allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
            "noeviction")
MAXMEMORY = 12 << 20
UNIVERSE = 300_000
EXPONENT = 0.9
VALUE_BYTES = 100
ACCESSES = 600_000
CHUNK = 20_000
PIPELINE = 200
SHARDS = (1, 4)


class Zipf:
    """Keys by rank: the i-th is asked for in proportion to 1 / i ** EXPONENT."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.sums = list(itertools.accumulate(1 / (i + 1) ** EXPONENT for i in range(UNIVERSE)))

    def chunk(self):
        draw, total = self.random.random, self.sums[-1]
        return [b"key:%012d" % bisect.bisect_left(self.sums, draw() * total) for _ in range(CHUNK)]


class Cache:
    """A server used as a cache: what is not there is written. Counts hits, and refused writes."""

    def __init__(self, server, policy):
        self.server, self.policy = server, policy
        self.client = server.client()
        self.client.command("CONFIG", "SET", "maxmemory-policy", policy)
        self.client.command("CONFIG", "SET", "maxmemory", MAXMEMORY)
        self.value = b"v" * VALUE_BYTES
        self.hits = self.gets = self.refused = 0

    def ask(self, commands):
        self.client.socket.sendall(b"".join(self.client.encode(*words) for words in commands))
        replies = []
        for _ in commands:
            try:
                replies.append(self.client.read())
            except BenchError as error:
                if not str(error).startswith("OOM"):
                    raise
                replies.append(None)
                self.refused += 1
        return replies

    def access(self, keys, counted):
        for begin in range(0, len(keys), PIPELINE):
            part = keys[begin:begin + PIPELINE]
            found = self.ask([(b"GET", key) for key in part])
            missing = [key for key, value in zip(part, found) if value is None]
            if counted:
                self.gets += len(part)
                self.hits += len(part) - len(missing)
            # A deadline far away and the same for a key each time, so that it means nothing but to volatile-ttl.
            self.ask([(b"SET", key, self.value, b"EX", 10_000 + int(key[4:]) * 7919 % 1_000_000) for key in missing])


def eviction(bench):
    makers = [lambda n=n: bench.ours(label=f"{bench.ours_label} {n} shard{'s' if n > 1 else ''}", shards=n, cpus=None) for n in SHARDS]
    makers.append(lambda: bench.peer(cpus=None))
    names = [maker() for maker in makers]
    section = Section(bench.section_name("eviction"), f"Hit rate of a cache of {MAXMEMORY >> 20} MiB ({bench.config})", names)
    rows = []
    for policy in POLICIES:
        servers = [maker() for maker in makers]
        started = []
        try:
            for server in servers:
                started.append(server.start())
            caches = [Cache(server, policy) for server in servers]
            load = Zipf(seed=5)
            for number in range(ACCESSES // CHUNK):
                keys = load.chunk()
                for cache in caches:  # in turns, so that the seconds that an LRU clock counts are the same
                    cache.access(keys, counted=number * CHUNK >= ACCESSES // 3)
            cells = []
            for cache in caches:
                info = cache.client.info()
                cells.append(f"{100 * cache.hits / cache.gets:.2f} % ({cache.client.command('DBSIZE')} keys, "
                             f"{info['evicted_keys']} evicted, {cache.refused} refused)")
            rates = [cache.hits / cache.gets for cache in caches]
            rows.append([policy, *cells, f"{rates[0] - rates[-1]:+.4f} / {rates[1] - rates[-1]:+.4f}"])
            progress(f"eviction: {policy}: {'; '.join(cells)}")
        finally:
            for server in started:
                server.stop()
    section.add(table(["policy", *(f"{server.label}" for server in names), f"hit rate less {names[-1].label}'s"], rows))
    section.add(f"{ACCESSES} reads of {UNIVERSE} keys by Zipf's law with exponent {EXPONENT}, the same keys in the same order for each "
                f"server; what is missing is written, {VALUE_BYTES} bytes with a deadline. Counted after a third of them.")
    return section


SCENARIOS = {"eviction": eviction}
