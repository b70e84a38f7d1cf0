#!/usr/bin/python3
"""redis-py does a small real job: a queue-less task tracker, with sessions that expire, counters and a cleanup by scan.

Run by the system's python3, which has the Debian package python3-redis."""

import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import redis  # noqa: E402

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

SHARDS = (1, 4)
TASKS = 300
WORKERS = 4


def incr(client, key):
    """redis-py's own incr() sends INCRBY."""
    return client.execute_command("INCR", key)


def tracker(port, checks):
    """Tasks are created in pipelines, claimed with SET NX, counted, renamed when done, and swept by SCAN."""
    client = redis.Redis(host="127.0.0.1", port=port, decode_responses=True)
    with client.pipeline(transaction=False) as pipe:
        for i in range(TASKS):
            pipe.set(f"task:{i}:open", f"body of {i} — ünïcødé")
        checks.expect(pipe.execute() == [True] * TASKS, "a pipeline of SETs")
    claimed = [[] for _ in range(WORKERS)]

    def work(me):
        mine = redis.Redis(host="127.0.0.1", port=port, decode_responses=True, client_name=f"worker-{me}")
        for i in range(TASKS):
            if mine.set(f"lock:{i}", me, nx=True, ex=60):
                mine.rename(f"task:{i}:open", f"task:{i}:done")
                incr(mine, f"done-by:{me}")
                incr(mine, "done")
                claimed[me].append(i)
        checks.expect(mine.client_getname() == f"worker-{me}", "the name that the client gave itself")
        mine.close()

    workers = [threading.Thread(target=work, args=(me,)) for me in range(WORKERS)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    checks.expect(sorted(i for mine in claimed for i in mine) == list(range(TASKS)), "each task was claimed once")
    checks.expect(client.get("done") == str(TASKS), "the counter of all")
    counts = client.mget([f"done-by:{me}" for me in range(WORKERS)])
    checks.expect([int(count or 0) for count in counts] == [len(mine) for mine in claimed], "the counters of each")
    done = set(client.scan_iter(match="task:*:done", count=50))
    checks.expect(done == {f"task:{i}:done" for i in range(TASKS)}, f"scan_iter found {len(done)} tasks")
    checks.expect(client.get("task:7:done") == "body of 7 — ünïcødé", "text came back")
    checks.expect(client.delete(*done) == TASKS and client.exists(*done) == 0, "the sweep")
    checks.expect(0 < client.ttl("lock:3") <= 60 and 0 < client.pttl("lock:3") <= 60000, "the time of a lock")
    checks.expect(client.unlink(*[f"lock:{i}" for i in range(TASKS)]) == TASKS, "the locks")


def surface(port, checks):
    """Each command once, through the client's own parsing of replies."""
    client = redis.Redis(host="127.0.0.1", port=port)
    checks.expect(client.ping() is True and client.echo("x") == b"x", "ping, echo")
    client.flushall()
    checks.expect(client.set("a", b"\x00\xff") and client.get("a") == b"\x00\xff", "binary values")
    checks.expect(client.set("a", 1, get=True) == b"\x00\xff", "SET GET")
    checks.expect(client.set("a", 2, nx=True) is None and client.set("none", 2, xx=True) is None, "SET NX, XX")
    checks.expect(client.set("a", 3, px=100_000) and client.set("a", 4, keepttl=True) and client.pttl("a") > 90_000, "KEEPTTL")
    checks.expect(client.mset({"b": 1, "c": 2}) and client.mget("a", "b", "c", "d") == [b"4", b"1", b"2", None], "MSET, MGET")
    checks.expect(incr(client, "b") == 2 and client.type("b") == b"string" and client.type("none") == b"none", "INCR, TYPE")
    checks.expect(client.expire("b", 100) is True and client.expire("none", 1) is False, "EXPIRE")
    checks.expect(client.expire("b", 200, gt=True) is True and client.expire("b", 300, lt=True) is False, "EXPIRE GT, LT")
    checks.expect(client.ttl("none") == -2 and client.ttl("c") == -1, "TTL")
    checks.expect(client.rename("c", "e") is True and client.exists("c", "e") == 1 and client.dbsize() == 3, "RENAME")
    cursor, keys = client.scan(0, count=1000)
    while cursor:
        cursor, more = client.scan(cursor, count=1000)
        keys += more
    checks.expect(sorted(keys) == [b"a", b"b", b"e"], f"SCAN: {keys}")
    other = redis.Redis(host="127.0.0.1", port=port, db=3)
    checks.expect(other.get("a") is None and other.set("a", "3") and client.get("a") == b"4", "db=3")
    other.flushdb()
    checks.expect(other.dbsize() == 0 and client.dbsize() == 3, "flushdb")
    checks.expect(client.client_setname("me") and client.client_getname() == "me" and client.client_id() > 0, "client_*")
    info = client.info()
    checks.expect(info["redis_mode"] == "standalone" and info["role"] == "master" and info["db0"]["keys"] == 3, "info()")
    checks.expect(client.info("keyspace").keys() == {"db0"}, "info('keyspace')")
    checks.expect(client.config_get("maxmemory")["maxmemory"] == "0" and client.config_set("maxmemory", "1gb"), "config_*")
    client.config_set("maxmemory", 0)
    checks.expect(client.command_count() > 20 and client.command_getkeys("MSET", "k", 1, "l", 2) == ["k", "l"], "command_*")
    checks.expect(client.command()["get"]["arity"] == 2, "command()")
    for call, error in ((lambda: client.execute_command("INCR", "x", "y"), redis.ResponseError), (lambda: client.rename("none", "x"), redis.ResponseError),
                        (lambda: client.execute_command("NOSUCH"), redis.ResponseError),
                        (lambda: redis.Redis(host="127.0.0.1", port=port, db=99).get("a"), redis.ResponseError)):
        try:
            call()
            checks.expect(False, f"no {error.__name__} was raised")
        except error:
            checks.expect(True, "")
    pipe = client.pipeline(transaction=False)
    incr(pipe.set("p", "text"), "p").get("p")
    replies = pipe.execute(raise_on_error=False)
    checks.expect(replies[0] is True and isinstance(replies[1], redis.ResponseError) and replies[2] == b"text", "errors in a pipeline")


def session_cache(port, checks):
    """Sessions that run out, through a pool that is shared by threads."""
    pool = redis.BlockingConnectionPool(host="127.0.0.1", port=port, max_connections=6, timeout=20)
    client = redis.Redis(connection_pool=pool)

    def touch(me):
        for i in range(100):
            client.set(f"session:{me}:{i}", "x" * 500, px=150 if i % 2 else 100_000)
            client.get(f"session:{me}:{i - 1}")

    threads = [threading.Thread(target=touch, args=(me,)) for me in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    deadline = time.monotonic() + 10
    while client.dbsize() != 400 and time.monotonic() < deadline:
        time.sleep(0.05)
    checks.expect(client.dbsize() == 400, f"{client.dbsize()} sessions are left of 400 that should be")
    pool.disconnect()


def passwords(checks, shards):
    with servers.ours("--requirepass", "pass", shards=shards) as server:
        try:
            redis.Redis(host="127.0.0.1", port=server.port).get("a")
            checks.expect(False, "no AuthenticationError")
        except redis.AuthenticationError:
            checks.expect(True, "")
        checks.expect(redis.Redis(host="127.0.0.1", port=server.port, password="pass").set("a", 1), "with a password")
        checks.expect(redis.Redis(host="127.0.0.1", port=server.port, username="default", password="pass").get("a") == b"1", "with a user")
        url = redis.from_url(f"redis://:pass@127.0.0.1:{server.port}/2")
        checks.expect(url.set("a", 2) and url.get("a") == b"2", "by URL")


def main():
    checks = Checks(f"redis-py {redis.__version__}", least=80)
    for shards in SHARDS:
        with servers.ours(shards=shards) as server:
            tracker(server.port, checks)
            surface(server.port, checks)
            with server.connect() as client:
                client.call("FLUSHALL")
            session_cache(server.port, checks)
        passwords(checks, shards)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
