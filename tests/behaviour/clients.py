#!/usr/bin/env python3
"""Scenarios of several connections: CLIENT LIST, KILL, PAUSE, UNBLOCK, REPLY and MONITOR. Each is played against redis-server
and against our server; what the connections saw must be the same."""

import re
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import encode  # noqa: E402

SHARDS = (1, 2, 4)
QUIET_S = 0.15  # long enough for anything that is on its way
CLIENTS = 12    # so many that each shard has some

# A description's fields that a client's doings decide (addresses, ages and sizes are each server's own).
DECIDED = ("name", "flags", "db", "sub", "psub", "ssub", "multi", "cmd", "user", "redir", "resp")


class Play:
    """One server and the connections of one scenario."""

    def __init__(self, server):
        self.server = server
        self.connections = []

    def connect(self, protocol=None):
        connection = self.server.connect(protocol, wait_s=10)
        connection.id = connection.call("CLIENT", "ID").value
        self.connections.append(connection)
        return connection

    def connect_many(self, count=CLIENTS):
        return [self.connect() for _ in range(count)]

    def close(self):
        for connection in self.connections:
            connection.close()
        # The next scenario counts clients.
        with self.server.connect() as last:
            end = time.monotonic() + 5
            while len(descriptions(last)) != 1 and time.monotonic() < end:
                time.sleep(0.01)


def descriptions(connection, *filters):
    text = connection.call("CLIENT", "LIST", *filters).value.decode()
    found = [dict(field.partition("=")[::2] for field in line.split(" ")) for line in text.splitlines()]
    # Redis turns its list while it runs, so only an order that was asked for can be compared.
    return found if filters[:1] == ("ID",) else sorted(found, key=lambda line: int(line["id"]))


def decided(description):
    return {name: description[name] for name in DECIDED}


def address(connection):
    return "%s:%d" % connection.socket.getsockname()


def what_comes(connection, wait_s=QUIET_S):
    """The bytes that come while it is quiet, "(end)" if the server closes."""
    data = b""
    connection.socket.settimeout(wait_s)
    try:
        while True:
            more = connection.socket.recv(1 << 16)
            if not more:
                return data + b"(end)"
            data += more
    except (TimeoutError, socket.timeout):
        return data
    except ConnectionResetError:
        return data + b"(end)"
    finally:
        connection.socket.settimeout(10)


def ended(connections):
    return ["(end)" in repr(what_comes(connection, 0.05)) for connection in connections]


# ---- LIST

def list_shows_everybody(play):
    clients = play.connect_many()
    for i, client in enumerate(clients):
        client.call("CLIENT", "SETNAME", f"name-{i}")
        client.call("SELECT", i)
    found = descriptions(clients[0])
    ids = [int(line["id"]) for line in found]
    return [[decided(line) for line in found], ids == [client.id for client in clients],
            [line["addr"] for line in found] == [address(client) for client in clients],
            len({line["laddr"] for line in found}), all(line["fd"].isdigit() for line in found)]


def list_by_id(play):
    clients = play.connect_many()
    chosen = [clients[7].id, clients[2].id, 99999999, clients[7].id, clients[0].id]
    found = descriptions(clients[0], "ID", *chosen)
    return [clients.index(next(c for c in clients if c.id == int(line["id"]))) for line in found]


def list_by_type(play):
    clients = play.connect_many(4)
    return [len(descriptions(clients[0], "TYPE", name)) for name in ("normal", "NORMAL", "pubsub", "master", "replica")]


def list_shows_flags(play):
    clients = play.connect_many(5)
    clients[1].call("MONITOR")
    clients[2].call("CLIENT", "NO-EVICT", "ON")
    clients[3].call("HELLO", 3)
    clients[4].call("FOO")
    return [decided(line) for line in descriptions(clients[0])]


def list_counts_time(play):
    clients = play.connect_many(2)
    time.sleep(1.2)
    line = descriptions(clients[0], "ID", clients[1].id)[0]
    return [1 <= int(line["age"]) <= 3, 1 <= int(line["idle"]) <= 3]


# ---- KILL

def kill_by_address(play):
    clients = play.connect_many()
    replies = [clients[0].call("CLIENT", "KILL", address(clients[5])).raw,
               clients[0].call("CLIENT", "KILL", address(clients[5])).raw,
               clients[0].call("CLIENT", "KILL", "ADDR", address(clients[6])).raw]
    return replies + [ended(clients[1:]), clients[0].call("PING").raw]


def kill_by_id(play):
    clients = play.connect_many()
    replies = [clients[0].call("CLIENT", "KILL", "ID", client.id).raw for client in (clients[3], clients[3], clients[8])]
    return replies + [ended(clients[1:])]


def kill_everybody_else(play):
    clients = play.connect_many()
    reply = clients[4].call("CLIENT", "KILL", "TYPE", "normal").raw
    return [reply, ended(clients[:4] + clients[5:]), clients[4].call("PING").raw, len(descriptions(clients[4]))]


def kill_everybody(play):
    clients = play.connect_many()
    clients[4].send(encode("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") + encode("PING"))
    return [clients[4].until_closed(), ended(clients)]


def kill_by_user_and_local_address(play):
    clients = play.connect_many(6)
    local = descriptions(clients[0])[0]["laddr"]
    return [clients[0].call("CLIENT", "KILL", "LADDR", local, "USER", "default", "ADDR", address(clients[1])).raw,
            clients[0].call("CLIENT", "KILL", "LADDR", local, "USER", "default").raw, ended(clients[1:])]


def kill_oneself(play):
    clients = play.connect_many(3)
    results = []
    for client, request in ((clients[0], ("KILL", address(clients[0]))), (clients[1], ("KILL", "ID", clients[1].id)),
                            (clients[2], ("KILL", "ID", clients[2].id, "SKIPME", "no"))):
        client.send(encode("PING") + encode("CLIENT", *request) + encode("PING"))
        results.append(what_comes(client))
    return results


def kill_a_paused_and_a_monitor(play):
    admin, paused, monitor = play.connect_many(3)
    monitor.call("MONITOR")
    admin.call("CLIENT", "PAUSE", 10000, "WRITE")
    paused.send(encode("SET", "k", "v"))
    time.sleep(QUIET_S)
    results = [admin.call("CLIENT", "KILL", "ID", client.id).raw for client in (paused, monitor)]
    results.append(ended([paused, monitor]))
    results += [admin.call("CLIENT", "UNPAUSE").raw, admin.call("GET", "k").raw]
    return results


# ---- PAUSE

KEYS = [f"key-{i}" for i in range(8)]


def pause_of_writes(play):
    admin, *clients = play.connect_many(6)
    admin.call("MSET", *[word for key in KEYS for word in (key, "old")])
    results = [admin.call("CLIENT", "PAUSE", 10000, "WRITE").raw]
    requests = [encode("SET", KEYS[0], "new"), encode("MSET", *[word for key in KEYS for word in (key, "new")]),
                encode("MGET", *KEYS), encode("DEL", KEYS[1]), encode("GET", KEYS[2]) + encode("RENAME", KEYS[3], KEYS[4])]
    for client, request in zip(clients, requests):
        client.send(request + encode("PING"))
    results += [what_comes(client) for client in clients]
    results.append(admin.call("MGET", *KEYS).raw)
    results.append([line["flags"] for line in descriptions(admin)])
    results.append(admin.call("CLIENT", "UNPAUSE").raw)
    results += [what_comes(client) for client in clients]
    results.append([line["flags"] for line in descriptions(admin)])
    return results


def pause_of_everything(play):
    admin, *clients = play.connect_many(4)
    results = [admin.call("CLIENT", "PAUSE", 700).raw]
    began = time.monotonic()
    for client, request in zip(clients, (encode("PING"), encode("FOO") + encode("GET", "none"), encode("SET", "k", "v"))):
        client.send(request)
    late = play.server.connect(wait_s=10)
    late.send(encode("ECHO", "late"))
    admin.send(encode("CLIENT", "UNPAUSE"))
    connections = [*clients, late, admin]
    results += [what_comes(connection, 0.05) for connection in connections]
    replies = [connection.reply().raw for connection in connections]
    waited = time.monotonic() - began
    late.close()
    return results + [replies, 0.5 < waited < 3]


def pause_is_made_longer_and_wider(play):
    admin, other = play.connect_many(2)
    admin.call("CLIENT", "PAUSE", 500, "WRITE")
    began = time.monotonic()
    admin.call("CLIENT", "PAUSE", 10, "WRITE")
    other.send(encode("GET", "none") + encode("SET", "k", "v"))
    results = [other.reply().raw, other.reply().raw, 0.3 < time.monotonic() - began < 3]
    admin.call("CLIENT", "PAUSE", 400, "WRITE")
    began = time.monotonic()
    admin.send(encode("CLIENT", "PAUSE", 1, "ALL") + encode("PING"))
    return results + [admin.reply().raw, admin.reply().raw, 0.2 < time.monotonic() - began < 3]


def pause_keeps_the_order(play):
    admin, other = play.connect_many(2)
    admin.call("CLIENT", "PAUSE", 10000, "WRITE")
    other.send(b"".join(encode("INCR", "n") + encode("GET", "n") + encode("MSET", "a", i, "b", i) + encode("MGET", "a", "b")
                        for i in range(20)))
    results = [what_comes(other), admin.call("CLIENT", "UNPAUSE").raw]
    return results + [other.reply().raw for _ in range(80)]


def pause_outlives_who_waits(play):
    admin, *clients = play.connect_many(4)
    admin.call("CLIENT", "PAUSE", 10000, "WRITE")
    for client in clients:
        client.send(encode("INCR", "n"))
    time.sleep(QUIET_S)
    for client in clients:
        client.close()
    time.sleep(QUIET_S)
    return [admin.call("CLIENT", "UNPAUSE").raw, admin.call("GET", "n").raw]


# ---- UNBLOCK

def can_block(connection):
    return connection.call("COMMAND", "INFO", "blpop").value[0].value is not None


def unblock(play):
    admin, *clients = play.connect_many(6)
    if not can_block(admin):
        return None
    results = []
    for client in clients:
        client.send(encode("BLPOP", *KEYS, 0) + encode("PING"))
    time.sleep(QUIET_S)
    results.append([line["flags"] for line in descriptions(admin)])
    for client, reason in zip(clients, ((), ("TIMEOUT",), ("ERROR",), ("error",))):
        results.append(admin.call("CLIENT", "UNBLOCK", client.id, *reason).raw)
        results.append(admin.call("CLIENT", "UNBLOCK", client.id, *reason).raw)
        results.append(what_comes(client))
    results.append(admin.call("CLIENT", "KILL", "ID", clients[4].id).raw)
    results.append(admin.call("RPUSH", KEYS[0], "x").raw)
    return results + [ended([clients[4]]), admin.call("LRANGE", KEYS[0], 0, -1).raw]


# ---- MONITOR

LINE = re.compile(rb'\+(\d+)\.(\d{6}) \[(\d+) ([^\]]+)\] (.*)\r\n')


def monitored(connection, ports, wait_s=0.3):
    """The lines without times, and with the connections' names in place of their ports."""
    text = what_comes(connection, wait_s)
    lines = []
    rest = text
    while match := LINE.match(rest):
        second, _, db, source, words = match.groups()
        port = source.rpartition(b":")[2].decode()
        lines.append((abs(int(second) - time.time()) < 60, db, ports.get(port, source), words))
        rest = rest[match.end():]
    return lines, rest


def monitor_shows_commands(play):
    monitors = play.connect_many(4)
    client = play.connect()
    ports = {str(client.socket.getsockname()[1]): "client"}
    results = [monitor.call("MONITOR").raw for monitor in monitors]
    requests = [("SET", "k", "v"), ("get", "k"), ("MSET", "a", 1, "b", 2, "c", 3), ("MGET", "a", "b", "c"), ("SELECT", 3),
                ("DEL", "a", "b"), ("SELECT", 99), ("ECHO", 'a"b\\c\n\r\t\a\b\0\x7f\xe9'.encode("latin-1")), ("ECHO", ""),
                ("FOO", "x"), ("GET",), ("CLIENT", "ID"), ("CLIENT", "LIST"), ("CONFIG", "GET", "port"), ("AUTH", "secret"),
                ("AUTH", "default", "secret"), ("HELLO", 2, "AUTH", "default", "x", "SETNAME", "me"), ("RENAME", "none", "k"),
                ("CLIENT", "NO-EVICT", "ON"), ("PING",), ("DBSIZE",), ("RESET",), ("SET", "k", "w")]
    for request in requests:
        client.call(*request)
    results += [monitored(monitor, ports) for monitor in monitors]
    return results


def monitor_sees_pipelines_in_order(play):
    monitor, *clients = play.connect_many(5)
    monitor.call("MONITOR")
    ports = {str(client.socket.getsockname()[1]): i for i, client in enumerate(clients)}
    for client in clients:
        client.send(b"".join(encode("SET", f"key-{i}", i) + encode("GET", "k") for i in range(100)))
    for client in clients:
        for _ in range(200):
            client.reply()
    lines, rest = monitored(monitor, ports)
    return [rest] + [[line for line in lines if line[2] == i] for i in range(4)]


def monitor_is_a_connection_still(play):
    monitor, other = play.connect_many(2)
    ports = {str(c.socket.getsockname()[1]): name for c, name in ((monitor, "monitor"), (other, "other"))}
    results = [monitor.call("MONITOR").raw]
    for request in (("PING",), ("MONITOR",), ("GET", "k"), ("SET", "k", "v"), ("FOO",), ("ECHO", "x")):
        monitor.send(encode(*request))
        results.append(re.sub(rb"\+\d+\.\d{6} \[0 [^\]]*\]", b"+(line)", what_comes(monitor)))
    other.call("SET", "k", "v")
    results.append(monitored(monitor, ports))
    results.append(monitor.call("RESET").raw)
    results.append(monitor.call("GET", "k").raw)
    other.call("GET", "k")
    return results + [what_comes(monitor)]


def monitors_come_and_go(play):
    other, *monitors = play.connect_many(9)
    for monitor in monitors:
        monitor.call("MONITOR")
    for monitor in monitors[::2]:
        monitor.close()
    time.sleep(QUIET_S)
    other.call("SET", "k", "v")
    ports = {str(other.socket.getsockname()[1]): "other"}
    results = [monitored(monitor, ports) for monitor in monitors[1::2]]
    for monitor in monitors[1::2]:
        monitor.close()
    return results + [other.call("GET", "k").raw]


# ---- REPLY

def reply_off_does_not_hold_others_up(play):
    silent, other = play.connect_many(2)
    silent.send(encode("CLIENT", "REPLY", "OFF") + b"".join(encode("INCR", KEYS[i % 8]) for i in range(2000)))
    silent.send(encode("MSET", "done", 1, "x", 2) + encode("CLIENT", "REPLY", "ON"))
    return [silent.reply().raw, other.call("MGET", *KEYS, "done").raw, what_comes(silent)]


SCENARIOS = [value for name, value in list(globals().items())
             if callable(value) and getattr(value, "__code__", None) and value.__code__.co_varnames[:1] == ("play",)]


def play_all(server):
    results = {}
    for scenario in SCENARIOS:
        play = Play(server)
        with server.connect() as first:
            first.call("FLUSHALL")
        play.close()  # waits until it has gone
        try:
            results[scenario.__name__] = scenario(play)
        finally:
            play.close()
    return results


def shorten(value):
    text = repr(value)
    return text if len(text) < 2000 else text[:2000] + "..."


def main(counts):
    with servers.judge() as judge:
        judged = play_all(judge)
    statuses = []
    for shards in counts:
        checks = Checks(f"clients at {shards} shards", least=len(SCENARIOS) - 1)
        with servers.ours(shards=shards) as server:
            ours = play_all(server)
        for name, expected in judged.items():
            if ours[name] is None:
                print(f"{name}: not played, there is no blocking command yet")
                continue
            checks.expect(ours[name] == expected, f"{name}:\n  judge {shorten(expected)}\n  ours  {shorten(ours[name])}")
        statuses.append(checks.finish())
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main([int(count) for count in sys.argv[1:]] or SHARDS))
