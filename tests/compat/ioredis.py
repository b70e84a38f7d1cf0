#!/usr/bin/env python3
"""ioredis of npm keeps a page cache, over TCP and a unix socket, and comes back when its connection is killed.

Version 6 opens with HELLO 3 and version 5 speaks RESP2; see compat/node/ioredis.js for what they do."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import node_job  # noqa: E402

if __name__ == "__main__":
    sys.exit(node_job.main("ioredis.js", (("ioredis", 3), ("ioredis", 2), ("ioredis5", 2)), least=500))
