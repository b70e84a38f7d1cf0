#!/usr/bin/env python3
"""redis-benchmark with every test whose commands the server has, in each of its modes; what it left behind is counted."""

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

SHARDS = (1, 2, 4)
PASSWORD = "opensesame"
# Test -> what it sends.
TESTS = {"ping_inline": "PING", "ping_mbulk": "PING", "set": "SET", "get": "GET", "incr": "INCR", "mset": "MSET", "lpush": "LPUSH", "rpush": "RPUSH",
         "lpop": "LPOP", "rpop": "RPOP", "sadd": "SADD", "hset": "HSET", "spop": "SPOP", "zadd": "ZADD", "zpopmin": "ZPOPMIN",
         "lrange_100": "LRANGE", "lrange_300": "LRANGE", "lrange_500": "LRANGE", "lrange_600": "LRANGE"}
ALWAYS = {"ping_inline", "ping_mbulk", "set", "get", "incr", "mset"}


def benchmark(checks, port, *arguments, rows=1, requests=2000, data=b""):
    """Runs it; every row must be a rate, and nothing may be said about errors or a CONFIG that cannot be read."""
    done = subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-n", str(requests), *arguments], input=data,
                          capture_output=True, timeout=90)
    text = (done.stdout + done.stderr).decode(errors="replace").replace("\r", "\n")
    text = re.sub(r"^WARNING: Keepalive disabled.*", "", text, flags=re.M)
    if "--csv" in arguments:
        rates = re.findall(r'^"[^"]+","(\d+\.\d+)",', text, flags=re.M)
    else:
        rates = re.findall(r"^(?!.*rps=).*?(\d+\.\d+) requests per second", text, flags=re.M)
    what = f"redis-benchmark {' '.join(arguments)}"
    checks.expect(done.returncode == 0 and not re.search(r"error|warning|could not", text, flags=re.I), f"{what}: {done.returncode} {text[-600:]}")
    checks.expect(len(rates) >= rows and all(float(rate) > 0 for rate in rates), f"{what}: {len(rates)} rates instead of {rows}: {text[-600:]}")


def known(server):
    with server.connect() as client:
        there = {test for test, command in TESTS.items() if client.call("COMMAND", "INFO", command).value[0].value is not None}
    return sorted(there)


def calls(server, command):
    with server.connect() as client:
        text = client.call("INFO", "commandstats").value.decode()
    found = re.search(rf"^cmdstat_{command}:calls=(\d+),.*,rejected_calls=(\d+),failed_calls=(\d+)", text, flags=re.M)
    return tuple(map(int, found.groups())) if found else (0, 0, 0)


def every_test(checks, server):
    names = known(server)
    checks.expect(ALWAYS <= set(names), f"only {names}")
    benchmark(checks, server.port, "-q", "-t", ",".join(names), rows=len(names))
    benchmark(checks, server.port, "--csv", "-3", "-t", ",".join(names), "-P", "16", "-r", "1000", rows=len(names))
    checks.expect(calls(server, "incr") == (4000, 0, 0), f"INCR was counted {calls(server, 'incr')} times")
    checks.expect(calls(server, "mset") == (4000, 0, 0), f"MSET was counted {calls(server, 'mset')} times")


def modes(checks, server):
    port = server.port
    benchmark(checks, port, "-t", "set,get", "-d", "5000", "-r", "10000", "--precision", "3", rows=2)
    benchmark(checks, port, "-q", "-t", "set,get", "-P", "64", "-c", "100", "--threads", "2", rows=2, requests=20000)
    benchmark(checks, port, "-q", "-t", "get", "-c", "1", requests=500)
    benchmark(checks, port, "-q", "-t", "get", "-k", "0", "-c", "10", requests=500)
    benchmark(checks, port, "-q", "--dbnum", "5", "-t", "set", "-r", "100")
    benchmark(checks, port, "-q", "-r", "100000", "SETEX", "key:__rand_int__", "1000", "value")
    benchmark(checks, port, "-q", "-r", "1000", "BITFIELD", "bits:__rand_int__", "INCRBY", "u8", "0", "1")
    benchmark(checks, port, "-q", "-x", "SET", "from:input", data=b"x" * 10000)
    with server.connect() as client:
        checks.expect(client.call("STRLEN", "from:input").value == 10000, "-x")
        client.call("SELECT", 5)
        checks.expect(0 < client.call("DBSIZE").value <= 100, "--dbnum")


def main():
    checks = Checks("redis-benchmark", least=60)
    for shards in SHARDS:
        with servers.ours("--unixsocket", "b.sock", shards=shards) as server:
            every_test(checks, server)
            modes(checks, server)
            benchmark(checks, server.port, "-q", "-s", f"{server.dir}/b.sock", "-t", "set,get", rows=2)
    with servers.ours("--requirepass", PASSWORD, shards=2) as server:
        benchmark(checks, server.port, "-q", "-a", PASSWORD, "-t", "set,get", rows=2)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
