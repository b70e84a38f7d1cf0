#!/usr/bin/env python3
"""A C++ program that uses Debian's hiredis, blocking and asynchronous: compat/hiredis_client.cc.

The debug tree builds it: cmake --build --preset debug --target ms_compat_hiredis. This hiredis, 0.14, speaks RESP2 only."""

import os
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

SHARDS = (1, 2, 4)
PASSWORD = "opensesame"
PROGRAM = servers.ROOT / "build" / "debug" / "tests" / "ms_compat_hiredis"


def main():
    checks = Checks("hiredis", least=80000)
    if not PROGRAM.exists():
        sys.exit(f"there is no {PROGRAM}: cmake --build --preset debug --target ms_compat_hiredis")
    for program, shards in servers.with_judge(SHARDS):
        with servers.ours("--unixsocket", "c.sock", shards=shards, program=program) as server, \
                servers.ours("--requirepass", PASSWORD, shards=shards, program=program) as locked:
            done = subprocess.run([PROGRAM, str(server.port), os.path.join(server.dir, "c.sock"), str(locked.port), PASSWORD],
                                  capture_output=True, text=True, timeout=60)
            outcome = re.search(r"^(\d+) checks, (\d+) failed$", done.stdout, flags=re.M)
            checks.expect(outcome and done.returncode == 0, f"{program or shards}: status {done.returncode}: {done.stdout} {done.stderr}")
            checks.add(int(outcome[1]) if outcome else 0)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
