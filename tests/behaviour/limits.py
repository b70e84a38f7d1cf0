#!/usr/bin/env python3
"""maxclients, maxmemory, the unix socket and requirepass as settings of the command line."""

import os
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import Connection, ConnectionClosed  # noqa: E402

SHARDS = (1, 4)
MAX_CLIENTS = 25
REFUSAL = b"-ERR max number of clients reached\r\n"


def eventually(condition, wait_s=5):
    """The server notices a closed socket a moment later."""
    end = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def max_clients(checks, shards):
    with servers.ours("--maxclients", str(MAX_CLIENTS), shards=shards) as server:
        clients = [server.connect() for _ in range(MAX_CLIENTS)]
        for client in clients:
            checks.expect(client.call("PING").value == b"PONG", "a client within the limit")
        for _ in range(30):
            with server.connect() as refused:
                rest = refused.until_closed()
                checks.expect(rest == REFUSAL, f"one client too many: {rest!r}")
        with server.connect() as refused:
            refused.send(b"PING\r\n" * 100)
            rest = refused.until_closed()
            checks.expect(rest in (REFUSAL, b""), f"one client too many that sends at once: {rest[:80]!r}")
        checks.expect(all(client.call("PING").value == b"PONG" for client in clients), "the others go on")
        refusals = clients[0].call("INFO", "stats").value
        checks.expect(b"rejected_connections:31\r\n" in refusals, "INFO counts the refused")

        clients.pop().close()

        def one_fits():
            with server.connect() as client:
                try:
                    return client.call("PING").raw == b"+PONG\r\n"
                except (ConnectionClosed, OSError):  # refused: closed after the error
                    return False
        checks.expect(eventually(one_fits), "the place of a client that has gone")
        checks.expect(clients[0].call("CONFIG", "SET", "maxclients", MAX_CLIENTS + 10).raw == b"+OK\r\n", "CONFIG SET maxclients")
        more = [server.connect() for _ in range(8)]
        checks.expect(all(client.call("PING").value == b"PONG" for client in more), "a raised limit holds at once")
        for client in clients + more:
            client.close()


def max_memory(checks, shards):
    with servers.ours("--maxmemory", "4mb", shards=shards) as server, server.connect() as client:
        denied = None
        for i in range(200):
            reply = client.call("SET", f"m:{i}", "x" * 100_000)
            if reply.is_error():
                denied = i
                checks.expect(reply.raw == b"-OOM command not allowed when used memory > 'maxmemory'.\r\n", f"SET: {reply}")
                break
        checks.expect(denied is not None and 5 < denied < 80, f"SET was denied after {denied} values of 100 kB at 4 MB")
        large = "x" * 90_000  # two may fit one after the other, or one, but not three
        checks.expect(client.call("MSET", "a", large, "b", large, "c", large).is_error(), "MSET is denied")
        checks.expect(client.call("EXISTS", "a", "b", "c").value == 0, "and leaves nothing half done")
        checks.expect(len(client.call("GET", "m:0").value) == 100_000, "reads go on")
        checks.expect(client.call("DEL", *[f"m:{i}" for i in range(200)]).value == denied, "so do deletes")
        checks.expect(client.call("SET", "a", 1).raw == b"+OK\r\n", "and then writes")


def unix_socket(checks, shards):
    for tcp in (True, False):
        directory = tempfile.mkdtemp(prefix="moonshard-test-")
        path = os.path.join(directory, "socket")
        arguments = ["--unixsocket", path, "--unixsocketperm", "700"] + ([] if tcp else ["--port", "0"])
        try:
            server = servers.ours(*arguments, shards=shards)
            mode = os.stat(path).st_mode
            checks.expect(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o700, f"its mode is {oct(mode)}")
            clients = [Connection(path, protocol) for protocol in (None, 3) * 6]
            for i, client in enumerate(clients):
                checks.expect(client.call("MSET", f"u{i}", i, "v", i, "w", i).raw == b"+OK\r\n", "MSET over the unix socket")
                checks.expect(client.call("MGET", "v", "w").plain() == [b"%d" % i] * 2, "MGET over the unix socket")
            if tcp:
                with server.connect() as client:
                    checks.expect(client.call("GET", "u3").value == b"3", "the same data over TCP")
            for client in clients:
                client.close()
            checks.expect(server.stop() == 0, "stops")
            checks.expect(not os.path.exists(path), "the socket is gone after the end")
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def password(checks, shards):
    with servers.ours("--requirepass", "s3 cret", shards=shards) as server:
        with server.connect() as client:
            checks.expect(client.call("GET", "k").raw == b"-NOAUTH Authentication required.\r\n", "GET before AUTH")
            checks.expect(client.call("MSET", "a", 1, "b", 2).is_error(), "MSET before AUTH")
            checks.expect(client.call("AUTH", "wrong").raw.startswith(b"-WRONGPASS"), "AUTH with a wrong password")
            checks.expect(client.call("AUTH", "s3 cret").raw == b"+OK\r\n", "AUTH")
            checks.expect(client.call("EXISTS", "a", "b").value == 0, "nothing was set before AUTH")
            for i in range(12):  # connections on every shard
                with server.connect() as other:
                    checks.expect(other.call("GET", "k").is_error(), "GET before AUTH on another connection")
                    checks.expect(other.call("HELLO", 3, "AUTH", "default", "s3 cret").kind == b"%", "HELLO with AUTH")
                    checks.expect(other.call("SET", "k", i).raw == b"+OK\r\n", "SET after HELLO with AUTH")
            checks.expect(client.call("CONFIG", "SET", "requirepass", "").raw == b"+OK\r\n", "CONFIG SET requirepass")
            for _ in range(12):
                with server.connect() as other:
                    checks.expect(other.call("GET", "k").value == b"11", "GET without a password")


def main():
    checks = Checks("limits", least=300)
    for shards in SHARDS:
        for scenario in (max_clients, max_memory, unix_socket, password):
            try:
                scenario(checks, shards)
            except (RuntimeError, OSError) as error:
                checks.expect(False, f"{scenario.__name__} at {shards} shards: {error!r}")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
