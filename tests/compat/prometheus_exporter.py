#!/usr/bin/env python3
"""Debian's prometheus-redis-exporter scrapes our server and the judge: no series may be missing, and what a dashboard
draws must have the right figure.

A series here is a name with the names of its labels. What only one server has is listed below, each with its reason."""

import re
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

SHARDS = (1, 2, 4)
PASSWORD = "opensesame"
MAXMEMORY = 512 << 20
EXPORTER = "prometheus-redis-exporter"
START_S = 20

# Series that the exporter gives for the judge and not for us -> why.
NOT_OURS = {}
# Series that it gives for us and not for the judge -> why.
ONLY_OURS = {name: "INFO of Redis leaves the fields of the log out while it is off" for name in (
    "redis_aof_base_size_bytes", "redis_aof_buffer_length", "redis_aof_current_size_bytes", "redis_aof_delayed_fsync",
    "redis_aof_pending_bio_fsync", "redis_aof_pending_rewrite", "redis_aof_rewrite_buffer_length")}
# Settings that are numbers become series when the exporter is asked for them; those of ours are our own business.
SETTINGS = ("redis_config_key_value", "redis_config_value")

# The traffic of a test, and the figures that follow from it whatever the server.
TRAFFIC = ([("SET", f"page:{i}", "x" * 100) for i in range(50)] + [("SET", f"brief:{i}", "y", "EX", "1000") for i in range(20)] +
           [("GET", f"page:{i}") for i in range(30)] + [("GET", "none"), ("NOSUCH",), ("INCR", "page:1"), ("GET",)])
FIGURES = {
    'redis_up': 1, 'redis_exporter_last_scrape_error{err=""}': 0, 'redis_db_keys{db="db0"}': 70, 'redis_db_keys_expiring{db="db0"}': 20,
    'redis_db_keys{db="db5"}': 0, 'redis_keyspace_hits_total': 30, 'redis_keyspace_misses_total': 1,
    'redis_commands_total{cmd="get"}': 31, 'redis_commands_total{cmd="set"}': 70,
    'redis_commands_failed_calls_total{cmd="incr"}': 1, 'redis_commands_rejected_calls_total{cmd="get"}': 1,
    'redis_errors_total{err="ERR"}': 3, 'redis_loading_dump_file': 0, 'redis_blocked_clients': 0,
    'redis_expired_keys_total': 0, 'redis_evicted_keys_total': 0, 'redis_rejected_connections_total': 0, 'redis_memory_max_bytes': MAXMEMORY,
    'redis_connected_slaves': 0, 'redis_cluster_enabled': 0,
}
POSITIVE = ('redis_memory_used_bytes', 'redis_memory_used_rss_bytes', 'redis_commands_duration_seconds_total{cmd="get"}',
            'redis_net_input_bytes_total', 'redis_net_output_bytes_total', 'redis_connected_clients', 'redis_start_time_seconds',
            'redis_connections_received_total', 'redis_commands_processed_total', 'redis_config_maxclients', 'redis_process_id')


class Exporter:
    """A running exporter of one server."""

    def __init__(self, server, *arguments):
        self.port = servers.free_port()
        self.process = subprocess.Popen([EXPORTER, "-redis.addr", f"redis://127.0.0.1:{server.port}", "-web.listen-address",
                                         f"127.0.0.1:{self.port}", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def scrape(self):
        deadline = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=START_S) as page:
                    return page.read().decode()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def stop(self):
        """What it logged."""
        self.process.terminate()
        log, _ = self.process.communicate(timeout=START_S)
        return log


def values(page):
    return {series: float(value) for series, value in re.findall(r"^([a-z][^\n#]*?) (\S+)$", page, flags=re.M)}


def shapes(page):
    """Name -> the sets of label names with which it occurs."""
    found = defaultdict(set)
    for series in values(page):
        name, _, labels = series.partition("{")
        if name.startswith("redis_"):
            found[name].add(tuple(re.findall(r'(\w+)="', labels)))
    return found


def scraped(checks, server, what, *arguments):
    """The second page: the first has made the exporter's own commands known."""
    exporter = Exporter(server, *arguments)
    try:
        exporter.scrape()
        page = exporter.scrape()
    finally:
        log = exporter.stop()
    bad = [line for line in log.splitlines() if "level=info" not in line]
    checks.expect(not bad, f"{what}: the exporter complains: {bad[:5]}")
    return page


def compare(checks, what, ours, judge, unused):
    mine, theirs = shapes(ours), shapes(judge)
    for names, reviewed, lack in ((theirs.keys() - mine.keys(), NOT_OURS, "missing"), (mine.keys() - theirs.keys(), ONLY_OURS, "only ours")):
        checks.expect(not names - reviewed.keys(), f"{what}: {lack}: {sorted(names - reviewed.keys())}")
        unused -= names
    for name in mine.keys() & theirs.keys() - set(SETTINGS):
        # A label of a command or a database that only one of them has seen is no difference of shape.
        checks.expect(mine[name] == theirs[name], f"{what}: {name} has labels {mine[name]} instead of {theirs[name]}")


def figures(checks, what, page):
    found = values(page)
    for series, value in FIGURES.items():
        checks.expect(found.get(series) == value, f"{what}: {series} is {found.get(series)} instead of {value}")
    for series in POSITIVE:
        checks.expect(found.get(series, 0) > 0, f"{what}: {series} is {found.get(series)}")
    info = next((series for series in found if series.startswith("redis_instance_info{")), "")
    checks.expect('role="master"' in info and 'maxmemory_policy="noeviction"' in info and re.search(r'run_id="[0-9a-f]{40}"', info),
                  f"{what}: {info}")


def main():
    checks = Checks("prometheus-redis-exporter", least=600)
    options = {"plain": (), "everything": ("-include-config-metrics", "-include-system-metrics", "-export-client-list", "-ping-on-connect",
                                           "-check-keys", "db0=page:*", "-check-single-keys", "db0=brief:1", "-count-keys", "db0=brief:*")}
    arguments_of_server = ("--maxmemory", str(MAXMEMORY))
    unused = set(NOT_OURS) | set(ONLY_OURS)
    with servers.judge(*arguments_of_server) as judge:
        with judge.connect() as client:
            client.pipeline(TRAFFIC)
        pages = {name: scraped(checks, judge, f"judge, {name}", *arguments) for name, arguments in options.items()}
        figures(checks, "judge", pages["plain"])
    for shards in SHARDS:
        with servers.ours(*arguments_of_server, shards=shards) as server:
            with server.connect() as client:
                client.pipeline(TRAFFIC)
            for name, arguments in options.items():
                what = f"{shards} shards, {name}"
                page = scraped(checks, server, what, *arguments)
                compare(checks, what, page, pages[name], unused)
                if name == "plain":
                    figures(checks, what, page)
                else:
                    found = values(page)
                    checks.expect(found.get('redis_keys_count{db="db0",key="brief:*"}') == 20, f"{what}: -count-keys")
                    checks.expect(found.get('redis_key_size{db="db0",key="page:7"}') == 100, f"{what}: -check-keys")
    if not servers.is_judge(servers.binary()):
        checks.expect(not unused, f"no page differs in {sorted(unused)}: strike it from the list")
    with servers.ours("--requirepass", PASSWORD, shards=2) as server:
        found = values(scraped(checks, server, "with a password", "-redis.password", PASSWORD))
        checks.expect(found.get("redis_up") == 1, "with a password")
        exporter = Exporter(server, "-redis.password", "wrong")
        checks.expect(values(exporter.scrape()).get("redis_up") == 0, "with a wrong password")
        exporter.stop()
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
