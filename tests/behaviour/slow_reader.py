#!/usr/bin/env python3
"""A client that asks for a gigabyte and does not read harms only itself: the server's memory stays bounded, others are
served, and once it reads it gets every reply."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import encode  # noqa: E402

SHARDS = (1, 2, 4)
MEBIBYTE = 1 << 20
REQUESTS = 1000
VALUE_BYTES = MEBIBYTE
WATCH_S = 0.7


def rss_bytes_max(reply_bytes):
    """What one client that does not read may cost: the first batch of commands that span shards holds four of them (others
    stop after a mebibyte); its buffer grows by doubling, and replies of other shards are copied once."""
    return 4 * reply_bytes * 3 + 32 * MEBIBYTE


def watch(server, other, keys, checks, baseline):
    """The highest RSS while another client works."""
    highest = 0
    end = time.monotonic() + WATCH_S
    while time.monotonic() < end:
        checks.expect(other.call("PING").value == b"PONG", "PING of another client")
        checks.expect(len(other.call("GET", keys[0]).value) == VALUE_BYTES, "GET of another client")
        checks.expect(not other.call("MSET", "a", 1, "b", 2, "c", 3).is_error(), "MSET of another client")
        checks.expect(other.call("MGET", "a", "b", "c").plain() == [b"1", b"2", b"3"], "MGET of another client")
        highest = max(highest, server.rss())
    return highest - baseline


def run(shards):
    checks = Checks(f"slow_reader at {shards} shards", least=50)
    sanitized = servers.is_sanitized(servers.binary())
    with servers.ours(shards=shards) as server, server.connect(wait_s=60) as other:
        keys = [f"big:{i}" for i in range(4)]
        for i, key in enumerate(keys):
            other.call("SET", key, bytes([65 + i]) * VALUE_BYTES)
            other.call("GET", key)  # the path's own buffers are part of the baseline
        baseline = server.rss()
        with server.connect(wait_s=60) as slow:
            slow.send(b"".join(encode("GET", keys[i % len(keys)]) for i in range(REQUESTS)))
            grown = watch(server, other, keys, checks, baseline)
            print(f"{shards} shards: RSS grew by {grown / MEBIBYTE:.1f} MiB of at most {rss_bytes_max(VALUE_BYTES) / MEBIBYTE:.0f}, "
                  f"for {REQUESTS * VALUE_BYTES / MEBIBYTE:.0f} MiB of replies that nobody reads")
            checks.expect(sanitized or grown < rss_bytes_max(VALUE_BYTES), f"RSS grew by {grown} bytes")
            for i in range(REQUESTS):
                value = slow.reply().value
                if value is None or len(value) != VALUE_BYTES or value[0] != 65 + i % len(keys) or value[-1] != value[0]:
                    checks.expect(False, f"reply {i} is not what was asked for")
                    break
            else:
                checks.expect(True, "")
            checks.expect(slow.call("PING").value == b"PONG", "the slow client goes on")
        # One that never reads and goes away, and one that stops in the middle of a pipeline of reads over all shards.
        for command in (("GET", keys[0]), ("MGET", *keys)):
            with server.connect() as gone:
                gone.send(encode(*command) * 200)
                grown = watch(server, other, keys, checks, baseline)
                most = rss_bytes_max(VALUE_BYTES * (len(command) - 1))
                checks.expect(sanitized or grown < most, f"{command[0]}s that nobody reads: RSS grew by {grown} bytes of {most}")
        checks.expect(other.call("PING").value == b"PONG", "PING after they have gone")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(max([run(int(count)) for count in sys.argv[1:] or SHARDS]))
