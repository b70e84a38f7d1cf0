#!/usr/bin/env python3
"""What an idle connection costs in resident memory, after it has been used and while it has a half command in its buffer;
and that 2,000 of them leave the server working."""

import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

CONNECTIONS = 2000
SHARDS = (1, 4)
# Loose: the figure of the day is printed. Kernel memory of the sockets is not in it.
BYTES_MAX = 32 * 1024


def raise_descriptor_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 500
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def run(shards):
    checks = Checks(f"idle at {shards} shards", least=CONNECTIONS)
    sanitized = servers.is_sanitized(servers.binary())
    with servers.ours(shards=shards) as server:
        clients = []
        try:
            clients = [server.connect() for _ in range(50)]
            for client in clients:
                client.call("SET", "k", "v" * 100)
            before = server.rss()
            for _ in range(CONNECTIONS):
                clients.append(server.connect())
                checks.expect(clients[-1].call("PING").value == b"PONG", "PING of a new connection")
            fresh = (server.rss() - before) / CONNECTIONS
            for client in clients:
                checks.expect(not client.call("MSET", "k", "v" * 1000, "l", "w").is_error(), "MSET")
                checks.expect(len(client.call("MGET", "k", "l").value) == 2, "MGET")
            used = (server.rss() - before) / CONNECTIONS
            for client in clients:
                client.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk")
            checks.expect(server.info("connected_clients") is not None, "INFO")
            half = (server.rss() - before) / CONNECTIONS
            print(f"{shards} shards: RSS per idle connection: {fresh:.0f} bytes new, {used:.0f} after use, {half:.0f} with half a "
                  f"command ({CONNECTIONS} connections)")
            for what, figure in (("new", fresh), ("used", used), ("half a command", half)):
                checks.expect(sanitized or figure < BYTES_MAX, f"{what}: {figure:.0f} bytes of at most {BYTES_MAX}")
            for client in clients[-100:]:
                client.send(b"\r\n$1\r\nv\r\n")
                checks.expect(client.reply().raw == b"+OK\r\n", "the half command is completed")
        finally:
            for client in clients:
                client.close()
        with server.connect() as client:
            checks.expect(client.call("PING").value == b"PONG", "PING after they have gone")
    return checks.finish()


if __name__ == "__main__":
    raise_descriptor_limit()
    sys.exit(max([run(int(count)) for count in sys.argv[1:] or SHARDS]))
