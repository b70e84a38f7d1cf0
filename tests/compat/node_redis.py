#!/usr/bin/env python3
"""node-redis of npm counts votes, over TCP and a unix socket, and comes back when its connection is killed.

Version 6 and version 5, each in RESP3 and RESP2; see compat/node/node_redis.js for what they do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import node_job  # noqa: E402

if __name__ == "__main__":
    sys.exit(node_job.main("node_redis.js", (("redis", 3), ("redis", 2), ("redis5", 3), ("redis5", 2)), least=600))
