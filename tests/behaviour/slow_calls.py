#!/usr/bin/env python3
"""Times of calls: a call that works long is in the slow log, in LATENCY and in the histogram with about the time it took, and
calls that only waited for it are not.

The long call is BITOP over a long string, given several times. Bars are loose and relative to what
the client measured, since others use the machine too."""

import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

SHARDS = (1, 4)
LONG_MS = 80  # what the long call should take, or a good part of it: the machine has other work too


def measured(client, *request):
    begin = time.perf_counter()
    reply = client.call(*request)
    return reply, (time.perf_counter() - begin) * 1000


LONG = ("BITOP", "XOR", "{s}:to", *["{s}:from"] * 8)
BYTES_MAX = 256 << 20


def make_it_long(client):
    """Lets LONG work on so many bytes that it takes LONG_MS; how long it takes."""
    size = 4 << 20
    while True:
        client.call("SETRANGE", "{s}:from", size, "x")
        least = min(measured(client, *LONG)[1] for _ in range(3))
        if least > LONG_MS or size > BYTES_MAX:
            return least
        size = int(size * 1.5)


def field(client, section, name):
    for line in client.call("INFO", section).value.decode().split("\r\n"):
        if line.startswith(name + ":"):
            return line.split(":", 1)[1]
    return None


def figures(client, command):
    line = field(client, "commandstats", f"cmdstat_{command}")
    return {key: float(value) for key, value in (pair.split("=") for pair in line.split(","))} if line else None


def check_slow_log(checks, server, client):
    client.call("CONFIG", "SET", "slowlog-log-slower-than", str(LONG_MS * 50))  # a twentieth, in microseconds
    client.call("SLOWLOG", "RESET")
    client.call("CLIENT", "SETNAME", "slow-one")
    began_s = int(time.time())
    client.pipeline([("GET", "x")] * 200)
    _, took_ms = measured(client, *LONG)
    client.pipeline([("GET", "x")] * 200)
    entries = [entry for entry in client.call("SLOWLOG", "GET", "-1").plain() if entry[3][0] == b"BITOP"]
    if checks.expect(len(entries) == 1, f"{len(entries)} entries of BITOP"):
        number, time_s, duration_us, args, peer, name = entries[0]
        checks.expect(args == [word.encode() for word in LONG] and name == b"slow-one", f"entry {entries[0]}")
        checks.expect(peer.startswith(b"127.0.0.1:"), f"peer {peer}")
        checks.expect(began_s <= time_s <= time.time() + 1, f"time {time_s}")
        checks.expect(LONG_MS / 20 <= duration_us / 1000 <= took_ms * 1.05, f"{duration_us} us of the {took_ms} ms that the client saw")
    # In a pipeline that spans shards, and from another client, which gets a later number.
    with server.connect() as other:
        other.call("CLIENT", "SETNAME", "slow-two")
        other.pipeline([("SET", f"k{i}", i) for i in range(30)] + [LONG] +
                       [("GET", f"k{i}") for i in range(30)])
    latest = client.call("SLOWLOG", "GET", "1").plain()[0]
    checks.expect(latest[3][0] == b"BITOP" and latest[5] == b"slow-two" and latest[0] > number, f"the latest entry is {latest}")
    checks.expect(LONG_MS / 20 <= latest[2] / 1000, f"{latest[2]} us inside a pipeline")
    client.call("SLOWLOG", "RESET")
    client.call("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    client.call(*LONG)
    checks.expect(client.call("SLOWLOG", "LEN").value == 0, "the slow log is off")
    client.call("CONFIG", "SET", "slowlog-log-slower-than", "10000")


def check_latency(checks, client):
    client.call("LATENCY", "RESET")
    client.call(*LONG)
    checks.expect(client.call("LATENCY", "LATEST").value == [], "events without a threshold")
    client.call("CONFIG", "SET", "latency-monitor-threshold", str(LONG_MS // 4))
    began_s = int(time.time())
    _, took_ms = measured(client, *LONG)
    client.call("PING")
    events = {event[0]: event[1:] for event in client.call("LATENCY", "LATEST").plain()}
    if checks.expect(b"command" in events, f"events {events}"):
        time_s, latest_ms, max_ms = events[b"command"]
        checks.expect(began_s <= time_s <= time.time() + 1, f"time {time_s}")
        checks.expect(LONG_MS / 20 <= latest_ms <= max_ms <= took_ms * 1.05, f"{latest_ms} and {max_ms} ms; the client saw {took_ms}")
        checks.expect([[time_s, latest_ms]] == client.call("LATENCY", "HISTORY", "command").plain(), "HISTORY and LATEST differ")
        graph = client.call("LATENCY", "GRAPH", "command").value
        checks.expect(graph.startswith(b"command - high %d ms" % latest_ms), f"graph {graph[:60]}")
        checks.expect(b"command" in client.call("LATENCY", "DOCTOR").value, "DOCTOR does not name the event")
    # The turn that ran it was long as a whole; BITOP holds its shard.
    checks.expect(servers.is_judge(servers.binary()) or b"loop-stall" in events, f"no stall of the loop among {list(events)}")
    checks.expect(client.call("LATENCY", "RESET", "command", "nosuch").value == 1, "RESET of one event")
    checks.expect(client.call("LATENCY", "HISTORY", "command").value == [], "HISTORY after RESET")
    client.call("LATENCY", "RESET")
    checks.expect(client.call("LATENCY", "LATEST").value == [], "LATEST after RESET")
    client.call("CONFIG", "SET", "latency-monitor-threshold", "0")


def check_figures(checks, client):
    client.call("CONFIG", "RESETSTAT")
    _, took_ms = measured(client, *LONG)
    for _ in range(20):
        client.call("GET", "{s}:nosuch")
    bitop, get = figures(client, "bitop"), figures(client, "get")
    checks.expect(bitop["calls"] == 1 and get["calls"] == 20, f"{bitop} {get}")
    checks.expect(LONG_MS / 20 <= bitop["usec"] / 1000 <= took_ms * 1.05, f"{bitop} of the {took_ms} ms that the client saw")
    checks.expect(abs(bitop["usec_per_call"] - bitop["usec"]) <= 1.01, f"{bitop}")
    histogram = client.call("LATENCY", "HISTOGRAM", "bitop").plain()
    checks.expect(histogram[0] == b"bitop" and histogram[1][:2] == [b"calls", 1], f"histogram {histogram}")
    bound_us, count = histogram[1][3]
    checks.expect(count == 1 and bitop["usec"] / 1.02 <= bound_us <= bitop["usec"] * 2.04, f"bucket {bound_us} of {bitop['usec']} us")
    p50 = float(field(client, "latencystats", "latency_percentiles_usec_bitop").split(",")[0].split("=")[1])
    checks.expect(abs(p50 - bitop["usec"]) <= 0.02 * bitop["usec"], f"p50 {p50} of one call of {bitop['usec']} us")
    client.call("CONFIG", "RESETSTAT")
    checks.expect(figures(client, "bitop") is None, "RESETSTAT leaves figures")


def check_waits(checks, server, client):
    """Calls of others that stood behind the long one took no time of their own."""
    client.call("CONFIG", "RESETSTAT")
    stop = threading.Event()
    slowest = []

    def others():
        with server.connect() as other:
            while not stop.is_set():
                slowest.append(max(measured(other, "GET", "{s}:nosuch")[1], measured(other, "MGET", "{s}:x", "y", "z")[1]))
    thread = threading.Thread(target=others)
    thread.start()
    for _ in range(10):
        client.call(*LONG)
    stop.set()
    thread.join()
    waited = max(slowest)
    checks.expect(waited > LONG_MS / 4, f"nobody waited: at most {waited:.1f} ms")
    for name in ("get", "mget"):
        stats = figures(client, name)
        checks.expect(stats["usec_per_call"] < LONG_MS * 1000 / 10, f"{name} is charged for its waits: {stats}; waited up to {waited:.1f} ms")
    print(f"waits of up to {waited:.1f} ms; GET {figures(client, 'get')['usec_per_call']} us a call")


def check_pipelines(checks, client):
    """In pipelines of several commands times add up to what the server was busy with, and go to whom they belong."""
    client.call("CONFIG", "RESETSTAT")
    client.call("SET", "big", "x" * (8 << 20))
    begin = time.perf_counter()
    for _ in range(20):
        client.pipeline([("GET", "small")] * 20 + [("GET", "big")] + [("SET", "small", "1")] * 20 + [("PING",)] * 20)
    took_us = (time.perf_counter() - begin) * 1e6
    sets, pings, gets = figures(client, "set"), figures(client, "ping"), figures(client, "get")
    total = sum(stats["usec"] for stats in (sets, pings, gets))
    checks.expect(gets["calls"] == 420 and pings["calls"] == 400, f"{gets} {pings}")
    checks.expect(total <= took_us, f"{total} us of calls in {took_us:.0f} us")
    # Copying 8 MiB is far from nothing; answering PONG is nothing.
    checks.expect(gets["usec"] > 10 * pings["usec"], f"{gets} beside {pings}")
    histogram = client.call("LATENCY", "HISTOGRAM", "get").plain()[1][3]
    # 20 of the 420 were large: at least half of them, and not many more, took longer than 60 us.
    large = histogram[-1] - max([count for bound, count in zip(histogram[::2], histogram[1::2]) if bound < 60], default=0)
    checks.expect(10 <= large <= 40, f"{large} GETs took over 60 us, and 20 were large: {histogram}")


def check_eviction(checks, client):
    """Half of the keys go in one step, which an event tells."""
    client.call("FLUSHALL")
    for begin in range(0, 100_000, 1000):
        client.pipeline([("SET", f"key:{i}", "x" * 100) for i in range(begin, begin + 1000)])
    client.call("CONFIG", "SET", "latency-monitor-threshold", "1")
    client.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    client.call("CONFIG", "SET", "maxmemory-eviction-tenacity", "100")
    client.call("CONFIG", "SET", "maxmemory", str(int(field(client, "memory", "used_memory")) // 2))
    until = time.monotonic() + 20
    while client.call("DBSIZE").value > 60_000 and time.monotonic() < until:
        client.call("SET", "key:0", "x")
    events = {event[0]: event[1:] for event in client.call("LATENCY", "LATEST").plain()}
    if checks.expect(b"eviction-cycle" in events, f"{field(client, 'stats', 'evicted_keys')} evicted keys, events {events}"):
        checks.expect(1 <= events[b"eviction-cycle"][1] < 20_000, f"event {events[b'eviction-cycle']}")
    client.call("CONFIG", "SET", "maxmemory", "0")
    client.call("CONFIG", "SET", "latency-monitor-threshold", "0")


def run(shards):
    checks = Checks(f"times of calls at {shards} shards", least=30)
    with servers.ours(shards=shards) as server, server.connect() as client:
        took = make_it_long(client)
        print(f"{shards} shards: the long call takes {took:.1f} ms")
        check_slow_log(checks, server, client)
        check_latency(checks, client)
        check_figures(checks, client)
        check_waits(checks, server, client)
        check_pipelines(checks, client)
        check_eviction(checks, client)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(max([run(int(count)) for count in sys.argv[1:] or SHARDS]))
