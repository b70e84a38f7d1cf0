#!/usr/bin/env python3
"""Start and end of the process: exit statuses, and one clear line where it does not start."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import Connection, ConnectionClosed, encode  # noqa: E402

SHARDS = (1, 4, 12)
END_S = 10


def ends(checks, server, what):
    """It ends by itself with status 0, in bounded time."""
    try:
        status = server.wait(END_S)
        checks.expect(status == 0, lambda: f"{what}: exit status {status}: {server.text()[-6000:]}")
    except subprocess.TimeoutExpired:
        checks.expect(False, f"{what}: still running after {END_S} s")
    finally:
        server.kill()


def signals(checks, shards):
    for number in (signal.SIGTERM, signal.SIGINT):
        server = servers.ours(shards=shards)
        with server.connect() as client:
            client.call("SET", "k", "v")
            server.process.send_signal(number)
            ends(checks, server, f"{number.name} at {shards} shards")
            checks.expect(client.until_closed() == b"", f"{number.name}: its clients' connections are closed")
    server = servers.ours(shards=shards)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.001)
    if server.alive():
        server.process.send_signal(signal.SIGTERM)
    ends(checks, server, f"SIGTERM twice at {shards} shards")


def commands(checks, shards):
    for command in (("SHUTDOWN",), ("SHUTDOWN", "NOSAVE"), ("shutdown", "now"), ("SHUTDOWN", "NOSAVE", "NOW", "FORCE")):
        server = servers.ours(shards=shards)
        with server.connect() as client, server.connect() as other:
            other.call("PING")
            client.send(encode(*command))
            checks.expect(client.until_closed() == b"", f"{' '.join(command)} answers nothing")
            checks.expect(other.until_closed() == b"", f"{' '.join(command)} closes other connections")
        ends(checks, server, f"{' '.join(command)} at {shards} shards")


def under_load(checks, shards):
    """Commands in flight, a client that does not read, a half command: the end comes all the same."""
    server = servers.ours(shards=shards)
    stop = threading.Event()

    def work():
        try:
            with Connection(server.port) as client:
                while not stop.is_set():
                    client.pipeline([("MSET", "a", 1, "b", 2, "c", 3, "d", 4), ("MGET", "a", "b", "c", "d"), ("INCR", "n")] * 10)
        except (ConnectionClosed, OSError):
            pass  # the end of the server, seen from here

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    with server.connect() as slow, server.connect() as half:
        slow.call("SET", "big", "x" * 1_000_000)
        slow.send(encode("GET", "big") * 200)
        half.send(b"*3\r\n$3\r\nSET\r\n$1")
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        ends(checks, server, f"SIGTERM under load at {shards} shards")
    stop.set()
    for worker in workers:
        worker.join(20)
        checks.expect(not worker.is_alive(), "a client hangs after the end of its server")


def restart_on_the_same_port(checks):
    server = servers.ours(shards=2)
    port = server.port
    with server.connect() as client:
        client.call("PING")
        checks.expect(server.stop() == 0, "stops")
    again = servers.Server(servers.binary(), ["--shards", "2", "--port", str(port), "--save", "", "--appendonly", "no"],
                           server.marker)
    again.port = port
    checks.expect(again.wait_until_ready(), lambda: f"does not start again on the port that it had: {again.text()}")
    with again.connect() as client:
        checks.expect(client.call("PING").value == b"PONG", "PING after a restart on the same port")
    checks.expect(again.stop() == 0, "stops again")


def refuses(checks, arguments, words):
    """Ends with a status other than 0 and one line on standard error that says why (all of `words` are in it)."""
    what = " ".join(arguments)
    try:
        done = subprocess.run([servers.binary(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=END_S)
    except subprocess.TimeoutExpired:
        checks.expect(False, f"{what}: it started")
        return
    lines = done.stderr.splitlines()
    checks.expect(done.returncode > 0, f"{what}: exit status {done.returncode}")
    checks.expect(len(lines) == 1, f"{what}: {len(lines)} lines on standard error: {lines[:5]}")
    checks.expect(all(word in done.stderr for word in words), f"{what}: {words} not in: {done.stderr[:200]}")


def refused_starts(checks):
    quiet = ["--save", "", "--appendonly", "no"]
    with servers.ours(shards=2) as server, socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
        plain.listen()
        for port in (server.port, plain.getsockname()[1]):
            refuses(checks, ["--port", str(port), "--bind", "127.0.0.1", "--shards", "2", *quiet], ["in use", str(port)])
        checks.expect(server.connect().call("PING").value == b"PONG", "the one that has the port goes on")
    port = ["--port", str(servers.free_port())]
    refuses(checks, [*port, "--no-such-flag", "1"], ["no-such-flag"])
    refuses(checks, [*port, "--maxclient", "10"], ["maxclient", "did you mean"])
    refuses(checks, [*port, "--appendonly", "yes"], ["appendonly"])
    refuses(checks, [*port, "--save", "60"], ["save"])
    refuses(checks, ["--port", "65536"], ["port"])
    refuses(checks, ["--port", "-1"], ["port"])
    refuses(checks, ["--port", "x"], ["port"])
    refuses(checks, ["--port"], ["port"])
    refuses(checks, [*port, "--shards", "-1"], ["shards"])
    refuses(checks, [*port, "--shards", "100000"], ["shards"])
    refuses(checks, [*port, "--io", "carrier-pigeon"], ["io"])
    refuses(checks, [*port, "--maxmemory", "much"], ["maxmemory"])
    refuses(checks, [*port, "--bind", "256.1.1.1"], ["256.1.1.1"])
    refuses(checks, [*port, "--unixsocket", "/dev/null/socket"], ["/dev/null/socket"])
    refuses(checks, [*port, "--logfile", "/dev/null/log"], ["/dev/null/log"])
    refuses(checks, ["6379"], ["configuration file", "6379"])
    refuses(checks, [*port, "6379", "6380"], ["port"])
    refuses(checks, ["-p", "6379"], ["-p"])


def says(checks):
    for flag, word in (("--version", "moonshard"), ("--help", "--port")):
        done = subprocess.run([servers.binary(), flag], capture_output=True, text=True, timeout=30)
        checks.expect(done.returncode == 0 and word in done.stdout, f"{flag}: {done.returncode} {done.stdout[:80]}")


def main():
    checks = Checks("shutdown", least=100)
    for shards in SHARDS:
        signals(checks, shards)
        commands(checks, shards)
        under_load(checks, shards)
    restart_on_the_same_port(checks)
    refused_starts(checks)
    says(checks)
    # A signal that comes while it starts must not be lost.
    for delay_ms in (0, 1, 2, 5, 10, 20):
        port = servers.free_port()
        server = servers.Server(servers.binary(), ["--shards", "4", "--port", str(port), "--save", ""], "Server initialized")
        time.sleep(delay_ms / 1000)
        os.kill(server.pid, signal.SIGTERM)
        try:
            status = server.wait(END_S)
            checks.expect(status in (0, -signal.SIGTERM), f"SIGTERM {delay_ms} ms after the start: status {status}")
        except subprocess.TimeoutExpired:
            checks.expect(False, f"SIGTERM {delay_ms} ms after the start was lost")
        finally:
            server.kill()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
