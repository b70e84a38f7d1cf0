#!/usr/bin/env python3
"""connect-redis of npm keeps the sessions of two web servers (express-session) that share one store.

See compat/node/connect_redis.js for what they do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import node_job  # noqa: E402

if __name__ == "__main__":
    sys.exit(node_job.main("connect_redis.js", (("redis", 3), ("redis5", 2)), least=600))
