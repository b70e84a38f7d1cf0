#!/usr/bin/env python3
"""redis-cli and redis-benchmark against the server: both protocols, mass insertion, scanning, measuring."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import encode  # noqa: E402

SHARDS = (1, 4)
INSERTED = 20000


def tool(name, port, *arguments, data=None):
    done = subprocess.run([name, "-h", "127.0.0.1", "-p", str(port), *arguments], input=data, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def cli(checks, port):
    def says(expected, *arguments, data=None):
        status, out, error = tool("redis-cli", port, *arguments, data=data)
        checks.expect(status == 0 and out == expected, f"redis-cli {' '.join(arguments)}: {status} {out!r} {error!r}")
    says("PONG\n", "PING")
    says("OK\n", "SET", "k", "v")
    says('"v"\n', "--no-raw", "GET", "k")
    says("(nil)\n", "--no-raw", "GET", "none")
    says("v\n", "-3", "GET", "k")
    says("OK\nOK\n1\nv\n\n", data=b"SET a 1\nSET b 2\nMGET a k none\n")
    says("OK\n", "-n", "5", "SET", "five", "5")
    says("five\n", "-n", "5", "--scan")
    says("x" * 5000 + "\n", "-x", "ECHO", data=b"x" * 5000)
    says('{"k":"v"}\n', "ECHO", '{"k":"v"}')


def mass_insertion(checks, port):
    data = b"".join(encode("SET", f"mass:{i}", f"value {i}") for i in range(INSERTED))
    status, out, error = tool("redis-cli", port, "--pipe", data=data)
    checks.expect(status == 0 and f"errors: 0, replies: {INSERTED}" in out, f"--pipe: {status} {out!r} {error!r}")
    status, out, _ = tool("redis-cli", port, "--scan", "--pattern", "mass:*")
    checks.expect(status == 0 and len(set(out.split())) == INSERTED, f"--scan found {len(set(out.split()))} keys")


def benchmark(checks, port):
    for arguments in (("-t", "ping,set,get,incr,mset"), ("-t", "set,get", "-P", "16", "-r", "10000", "-d", "100"),
                      ("-t", "get", "-c", "1", "-n", "500")):
        status, out, error = tool("redis-benchmark", port, "-q", "-n", "5000", *arguments)
        rows = [line for line in out.replace("\r", "\n").splitlines() if "requests per second" in line]
        checks.expect(status == 0 and rows and "rror" not in out + error, f"redis-benchmark {arguments}: {status} {out!r} {error!r}")


def main():
    checks = Checks("redis_tools", least=20)
    for shards in SHARDS:
        with servers.ours(shards=shards) as server:
            cli(checks, server.port)
            mass_insertion(checks, server.port)
            benchmark(checks, server.port)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
