#!/usr/bin/env python3
"""What clients take is a budget of its own: two hundred that ask for large values and read nothing cost no key, no more
memory than the limits say, and nobody else's time. The largest goes first; CLIENT NO-EVICT protects."""

import select
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import encode  # noqa: E402

SHARDS = (1, 2, 4)
MEBIBYTE = 1 << 20
MAXMEMORY = 1024 * MEBIBYTE
VALUE_BYTES = 10 * MEBIBYTE
VALUES = 10
SMALL_KEYS = 1000
CLIENTS = 200
WATCH_S = 2
# A turn may hold one large reply that is just being made: some milliseconds. The rest is what a busy machine adds.
P99_MS_MAX = 50


def has_ended(connection):
    poll = select.poll()
    poll.register(connection.socket, select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def fill(other):
    for i in range(VALUES):
        other.call("SET", f"big:{i}", b"x" * VALUE_BYTES)
    for i in range(SMALL_KEYS):
        other.call("SET", f"small:{i}", i)


def ask_for_much(server, count):
    clients = []
    for i in range(count):
        client = server.connect(wait_s=20)
        client.send(b"".join(encode("GET", f"big:{(i + j) % VALUES}") for j in range(20)))
        clients.append(client)
    return clients


def nobody_reads(shards):
    checks = Checks(f"client_memory at {shards} shards: nobody reads", least=1000)
    sanitized = servers.is_sanitized(servers.binary())
    settings = ("--maxmemory", str(MAXMEMORY), "--maxmemory-policy", "allkeys-lru")
    with servers.ours(*settings, shards=shards) as server, server.connect(wait_s=20) as other:
        fill(other)
        clients = ask_for_much(server, CLIENTS)
        highest, times = 0, []
        end = time.monotonic() + WATCH_S
        while time.monotonic() < end:
            began = time.monotonic()
            checks.expect(other.call("GET", "small:5").value == b"5", "GET of another client")
            times.append(time.monotonic() - began)
            highest = max(highest, server.rss())
        p99_ms = sorted(times)[len(times) * 99 // 100] * 1000
        gone = sum(map(has_ended, clients))
        print(f"{shards} shards: RSS at most {highest / MEBIBYTE:.0f} MiB of {MAXMEMORY / MEBIBYTE:.0f}, {gone} of {CLIENTS} clients "
              f"closed, others' p99 {p99_ms:.1f} ms")
        checks.expect(sanitized or highest < MAXMEMORY * 1.1, f"RSS reached {highest} bytes")
        checks.expect(sanitized or p99_ms < P99_MS_MAX, f"p99 of others {p99_ms} ms")
        checks.expect(gone > CLIENTS // 2, f"only {gone} clients were closed")
        checks.expect(other.call("DBSIZE").value == VALUES + SMALL_KEYS, "keys have gone")
        checks.expect(server.info("evicted_keys") == "0", "keys were evicted")
        for client in clients:
            client.close()
    return checks.finish()


def largest_first(shards):
    checks = Checks(f"client_memory at {shards} shards: the largest goes first", least=15)
    settings = ("--maxmemory-clients", str(40 * MEBIBYTE))
    with servers.ours(*settings, shards=shards) as server, server.connect(wait_s=20) as other:
        fill(other)
        # Unfinished requests are memory too, and their size is known: 1, 2, 3 ... MiB that wait for their end.
        clients = [server.connect(wait_s=20) for _ in range(10)]
        protected = server.connect(wait_s=20)
        checks.expect(protected.call("CLIENT", "NO-EVICT", "ON").raw == b"+OK\r\n", "CLIENT NO-EVICT")

        def fill_buffer(client, mebibytes):
            # Without its last byte; the announced size sets aside no more than has come, times four.
            size = mebibytes * MEBIBYTE
            client.send(b"*2\r\n$4\r\nECHO\r\n$%d\r\n" % size + b"z" * size)

        fill_buffer(protected, 16)
        for client in clients[:6]:
            fill_buffer(client, 2)
        time.sleep(0.3)
        checks.expect(not any(map(has_ended, [*clients, protected])), "within the limit nobody goes")
        fill_buffer(clients[9], 14)
        time.sleep(0.5)
        checks.expect(has_ended(clients[9]), "the largest client goes")
        checks.expect(not has_ended(protected), "a larger one that is protected stays")
        checks.expect(not any(map(has_ended, clients[:9])), "the others stay")
        for client in clients[:6]:
            client.send(b"\r\n")
            checks.expect(len(client.reply().value) == 2 * MEBIBYTE, "what stayed is answered")
        protected.send(b"\r\n")
        checks.expect(len(protected.reply().value) == 16 * MEBIBYTE, "what is protected is answered")
        checks.expect(other.call("CLIENT", "NO-EVICT", "OFF").raw == b"+OK\r\n", "CLIENT NO-EVICT OFF")
        # No limit any more: everything is let through.
        other.call("CONFIG", "SET", "maxmemory-clients", 0)
        late = ask_for_much(server, 8)
        for client in late:
            checks.expect(len(client.reply().value) == VALUE_BYTES, "without a limit everybody is answered")
    return checks.finish()


def readers_are_served(shards):
    """A limit that holds many replies, and clients that read them: nobody is closed."""
    checks = Checks(f"client_memory at {shards} shards: readers", least=40)
    with servers.ours("--maxmemory-clients", str(400 * MEBIBYTE), shards=shards) as server, server.connect(wait_s=20) as other:
        fill(other)
        clients = ask_for_much(server, 4)
        for _ in range(20):
            for client in clients:
                checks.expect(len(client.reply().value) == VALUE_BYTES, "a client that reads gets its replies")
    return checks.finish()


def run(shards):
    return max(nobody_reads(shards), largest_first(shards), readers_are_served(shards))


if __name__ == "__main__":
    sys.exit(max([run(int(count)) for count in sys.argv[1:] or SHARDS]))
