#!/usr/bin/python3
"""redis-py does small real jobs: a task tracker without a queue, sessions that expire, an administrator's round; also asyncio.

Run by the system's python3, which has the Debian package python3-redis."""

import asyncio
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import redis  # noqa: E402
import redis.asyncio  # noqa: E402

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

SHARDS = (1, 2, 4)
TASKS = 300
WORKERS = 4
MANY = 10_000


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


def strings_and_keys(port, checks):
    """The families of strings, bitmaps and keys through the client's own parsing."""
    client = redis.Redis(host="127.0.0.1", port=port)
    client.flushall()
    every = bytes(range(256))
    checks.expect(client.set(every, every * 4096) and client.get(every) == every * 4096, "a binary key, a value of a MiB")
    checks.expect(client.getrange(every, 1 << 20, -1) == b"" and client.strlen(every) == 1 << 20, "getrange, strlen")
    checks.expect(client.append("s", "ab") == 2 and client.setrange("s", 4, "c") == 5 and client.get("s") == b"ab\0\0c", "append, setrange")
    checks.expect(client.getex("s", ex=100) and client.ttl("s") == 100 and client.persist("s") and client.getdel("s"), "getex, getdel")
    checks.expect(client.msetnx({"a": 1, "b": 2}) is True and client.msetnx({"b": 3, "c": 3}) is False, "msetnx")
    checks.expect(client.incr("a", 10) == 11 and client.decr("a", 1) == 10 and client.incrbyfloat("a", 0.5) == 10.5, "counters")
    checks.expect(client.setbit("bits", 7, 1) == 0 and client.bitcount("bits") == 1 and client.bitpos("bits", 1) == 7, "bits")
    checks.expect(client.bitop("NOT", "inverse", "bits") == 1 and client.get("inverse") == b"\xfe", "bitop")
    checks.expect(client.bitfield("bits").set("u8", 0, 250).overflow("SAT").incrby("u8", 0, 10).execute() == [1, 255], "bitfield")
    client.mset({"x": "ohmytext", "y": "mynewtext"})
    checks.expect(client.lcs("x", "y") == b"mytext" and client.lcs("x", "y", len=True) == 6, "lcs")
    checks.expect(client.copy("x", "z") and not client.copy("x", "y") and client.copy("x", "y", replace=True), "copy")
    checks.expect(client.restore("again", 0, client.dump("x")) and client.get("again") == b"ohmytext", "dump, restore")
    checks.expect(client.move("again", 5) and client.swapdb(0, 5) and client.keys() == [b"again"] and client.swapdb(0, 5), "move, swapdb")
    checks.expect(client.expireat("x", int(time.time()) + 50) and 40 < client.ttl("x") <= 50, "expireat")
    checks.expect(client.touch("x", "none") == 1 and client.randomkey() in client.keys() and client.renamenx("x", "y") is False, "touch, renamenx")
    checks.expect(client.object("encoding", "b") == b"int" and client.object("refcount", "y") == 1 and client.object("idletime", "y") < 5, "object")
    checks.expect(client.memory_usage(every) > 1 << 20 and client.memory_stats()["keys.count"] >= client.dbsize(), "memory_*")
    client.flushall()
    with client.pipeline(transaction=False) as pipe:
        for i in range(MANY):
            pipe.setex(f"many:{i}", 1000 + i, i)
        checks.expect(all(pipe.execute()), "10,000 SETEX in a pipeline")
    checks.expect(len(set(client.scan_iter("many:*", count=1000))) == MANY, "scan_iter over them")
    checks.expect(client.ttl("many:77") in (1076, 1077) and client.unlink(*(f"many:{i}" for i in range(MANY))) == MANY, "and they go")


def administration(port, checks):
    client = redis.Redis(host="127.0.0.1", port=port)
    victim = redis.Redis(host="127.0.0.1", port=port, client_name="victim")
    before = victim.client_id()
    mine = [entry for entry in client.client_list() if entry["name"] == "victim"]
    checks.expect(len(mine) == 1 and mine[0]["id"] == str(before) and mine[0]["db"] == "0", f"client_list: {mine}")
    checks.expect(client.client_kill_filter(_id=before) == 1, "client_kill_filter")
    checks.expect(victim.ping() and victim.client_id() > before and victim.client_getname() == "victim", "the pool connects it again")
    checks.expect(client.client_info()["id"] == client.client_id() or client.client_info()["resp"] == 2, "client_info")
    checks.expect(client.config_get("slowlog-*")["slowlog-max-len"] == "128" and client.config_set("slowlog-log-slower-than", 0), "config")
    client.get("slow")
    log = client.slowlog_get(10)
    checks.expect(any(b"slow" in entry["command"] for entry in log) and client.slowlog_len() >= 1 and client.slowlog_reset(), f"slowlog: {log}")
    client.config_set("slowlog-log-slower-than", 10000)
    with client.monitor() as monitor:
        client.set("seen", "\x00\n")
        line = next(entry for entry in monitor.listen() if "seen" in entry["command"])
        checks.expect(line["db"] == 0 and line["client_address"] == "127.0.0.1" and line["command"] == "SET seen \\x00\\n", f"monitor: {line}")
    stats = client.info("commandstats")
    checks.expect(stats["cmdstat_set"]["calls"] >= 1 and client.config_resetstat(), "info('commandstats')")
    seconds, microseconds = client.time()
    checks.expect(abs(seconds - time.time()) < 60 and 0 <= microseconds < 1_000_000, "time")
    checks.expect(client.role()[0] == b"master" and client.lastsave().year > 2000 and client.wait(0, 10) == 0, "role, lastsave, wait")


async def asynchronous(port, checks):
    client = redis.asyncio.Redis(host="127.0.0.1", port=port, decode_responses=True)
    await client.flushall()
    counts = await asyncio.gather(*(client.incr("count") for _ in range(500)))
    checks.expect(sorted(counts) == list(range(1, 501)), "500 counts at once")
    async with client.pipeline(transaction=False) as pipe:
        for i in range(1000):
            pipe.set(f"a:{i}", i)
        checks.expect(all(await pipe.execute()), "a pipeline")
    checks.expect(len({key async for key in client.scan_iter("a:*")}) == 1000, "scan_iter")
    await client.close()


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


def passwords(checks, shards, program):
    with servers.ours("--requirepass", "pass", "--unixsocket", "py.sock", shards=shards, program=program) as server:
        path = f"{server.dir}/py.sock"
        checks.expect(redis.Redis(unix_socket_path=path, password="pass").ping(), "a unix socket")
        checks.expect(redis.from_url(f"unix://:pass@{path}?db=3").client_list()[-1]["db"] == "3", "a unix socket by URL")
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
    checks = Checks(f"redis-py {redis.__version__}", least=200)
    for program, shards in servers.with_judge(SHARDS):
        with servers.ours(shards=shards, program=program) as server:
            tracker(server.port, checks)
            surface(server.port, checks)
            strings_and_keys(server.port, checks)
            administration(server.port, checks)
            asyncio.run(asynchronous(server.port, checks))
            with server.connect() as client:
                client.call("FLUSHALL")
            session_cache(server.port, checks)
        passwords(checks, shards, program)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
