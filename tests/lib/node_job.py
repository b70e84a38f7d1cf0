"""One client of npm, in several versions and protocols, against servers with 1, 2 and 4 shards, and against the judge."""

import os

from lib import npm, servers
from lib.checks import Checks

SHARDS = (1, 2, 4)
PASSWORD = "a password, with ü"


def main(script, clients, least):
    """`clients`: (package, protocol) pairs. Each gets fresh servers: one that is open, and one with a password."""
    checks = Checks(script, least)
    npm.install()
    for program, shards in servers.with_judge(SHARDS):
        for client, protocol in clients:
            with servers.ours("--unixsocket", "open.sock", shards=shards, program=program) as server, \
                    servers.ours("--requirepass", PASSWORD, shards=shards, program=program) as locked:
                settings = {"client": client, "protocol": protocol, "port": server.port, "locked_port": locked.port,
                            "socket": os.path.join(server.dir, "open.sock"), "password": PASSWORD}
                where = "the judge" if program else f"{shards} shards"
                npm.run(checks, script, f"{client}, RESP{protocol}, {where}", settings)
    return checks.finish()
