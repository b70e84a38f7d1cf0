#!/usr/bin/env python3
"""INFO as monitoring tools read it: every field of the judge and of redis_exporter's map is there under its name, in a form
that their strict parsers take; calls, refusals and errors are counted as the judge counts them; asking is cheap."""

import re
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

SHARDS = (1, 4)
DATA = Path(__file__).resolve().parent.parent / "data"

# Fields that redis_exporter maps and we rightly do not print, by pattern.
NOT_PRINTED = {
    r"tile38_.*": "another server",
    r"server_threads|long_lock_waits|current_client_thread|cached_keys|storage_provider_.*": "KeyDB",
    r"used_active_time_main_thread": "Valkey with I/O threads",
    r"bf_bloom_.*|json_.*": "modules",
    r"search_.*": "no search engine yet",
    r"client_longest_output_list|client_biggest_input_buf": "Redis 4",
    r"maxmemory_.*reservation|maxfragmentationmemory_.*": "a hosting service",
    r"slave_priority": "replicas only, in Redis too",
    r"cluster_stats_messages_.*": "CLUSTER INFO, cluster mode only",
}
# Fields of the judge that we do not print.
NOT_THE_JUDGES = {}

SECTIONS = ["Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules", "Commandstats", "Errorstats",
            "Latencystats", "Cluster", "Keyspace"]
NUMBER = r"-?\d+"
DECIMAL = r"\d+\.\d+"
LINES = {
    "Commandstats": rf"cmdstat_[a-z0-9_.|-]+:calls={NUMBER},usec={NUMBER},usec_per_call={DECIMAL},rejected_calls={NUMBER},"
                    rf"failed_calls={NUMBER}",
    "Errorstats": rf"errorstat_[A-Za-z0-9_]+:count={NUMBER}",
    "Latencystats": rf"latency_percentiles_usec_[a-z0-9_.|-]+:p50={DECIMAL},p99={DECIMAL},p99\.9={DECIMAL}",
    "Keyspace": rf"db\d+:keys={NUMBER},expires={NUMBER},avg_ttl={NUMBER}",
    "Shards": rf"shard\d+:([a-z_]+={NUMBER},?)+",
}
FORMS = {
    "run_id": r"[0-9a-f]{40}", "master_replid": r"[0-9a-f]{40}", "master_replid2": r"[0-9a-f]{40}", "redis_mode": "standalone",
    "redis_version": r"\d+\.\d+\.\d+", "moonshard_version": r"\d+\.\d+\.\d+", "server_name": "moonshard",
    "redis_build_id": r"[0-9a-f]+", "role": "master", "loading": "0", "os": r"Linux \S+ \S+", "process_id": NUMBER,
    "multiplexing_api": "io_uring|uring|epoll", "used_memory_peak_perc": r"\d+\.\d\d%", "instantaneous_input_kbps": r"\d+\.\d\d",
    "mem_fragmentation_ratio": r"\d+\.\d\d", "used_memory_human": r"[\d.]+[BKMGT]", "used_cpu_sys": r"\d+\.\d{6}",
}


def sections_of(text):
    """Section -> {field: value}, in order. The text must end each line with CRLF."""
    found = {}
    for line in text.split("\r\n"):
        if line.startswith("# "):
            found[line[2:]] = {}
        elif line:
            field, colon, value = line.partition(":")
            if not colon or not found:
                raise AssertionError(f"not a field: {line!r}")
            list(found.values())[-1][field] = value
    return found


def ask(client, *sections):
    return sections_of(client.call("INFO", *sections).value.decode())


def fields_of(sections):
    return {field: value for fields in sections.values() for field, value in fields.items()}


def check_fields(checks, client, reference):
    ours, theirs = ask(client, "everything"), ask(reference, "everything")
    checks.expect([name for name in ours if name in SECTIONS] == SECTIONS, f"sections {list(ours)}")
    for section in SECTIONS[:7] + ["Cluster"]:
        for field in theirs[section]:
            checks.expect((field in ours[section]) != (field in NOT_THE_JUDGES), f"{section}: {field}")
    mapped = [line.split("#")[0].strip() for line in (DATA / "exporter_fields.txt").read_text().splitlines()]
    mapped = [field for field in mapped if field]
    checks.expect(len(mapped) > 150, f"{len(mapped)} fields of the exporter")
    have = fields_of(ours)
    for field in mapped:
        reasons = [why for pattern, why in NOT_PRINTED.items() if re.fullmatch(pattern, field)]
        checks.expect((field in have) != bool(reasons), f"field {field} of redis_exporter: {reasons or 'missing'}")
        # What it takes for a number must be one.
        if field in have and not field.endswith("_status"):
            checks.expect(re.fullmatch(r"-?\d+(\.\d+)?", have[field]), f"{field} is {have[field]!r}")
    for field, form in FORMS.items():
        checks.expect(re.fullmatch(form, have.get(field, "")), f"{field} is {have.get(field)!r}")
    for section, form in LINES.items():
        checks.expect(ours[section], f"{section} is empty")
        for field, value in ours[section].items():
            checks.expect(re.fullmatch(form, f"{field}:{value}"), f"{section}: {field}:{value}")


def check_choice(checks, client, reference):
    """Which sections come for which words."""
    for words in ((), ("default",), ("all",), ("everything",), ("server",), ("KEYSPACE", "clients"), ("commandstats", "default"),
                  ("modules",), ("module_list",), ("nosuch",), ("nosuch", "cpu"), ("latencystats",), ("errorstats",)):
        ours, theirs = (list(ask(side, *words)) for side in (client, reference))
        checks.expect([name for name in ours if name != "Shards"] == theirs, f"INFO {' '.join(words)}: {ours}, theirs {theirs}")
    checks.expect(list(ask(client, "shards")) == ["Shards"], "INFO shards")


SCRIPT = [("SET", "a", "1"), ("GET", "a"), ("GET",), ("GET", "a", "b"), ("INCR", "a"), ("SET", "t", "x"), ("INCR", "t"), ("NOSUCH",),
          ("CONFIG", "NOSUCH"), ("CONFIG",), ("CONFIG", "GET", "save"), ("MSET", "a", 1, "b", 2, "c", 3, "d", 4, "e", 5),
          ("MGET", "a", "b", "c", "d", "e"), ("DEL", "a", "b", "c"), ("RENAME", "nosuch", "x"), ("RENAME", "d", "f"),
          ("CLIENT", "SETNAME", "x"), ("CLIENT", "SETNAME", "x y"), ("CLIENT", "GETNAME"), ("EXPIRE", "f", "x"), ("DBSIZE",),
          ("AUTH", "x"), ("AUTH", "default", "x"), ("HELLO", "9"), ("SET", "a"), ("SLOWLOG", "LEN"), ("SLOWLOG", "GET", "x"),
          ("SLOWLOG", "LEN", "x"), ("LATENCY", "LATEST"), ("COMMAND", "COUNT"), ("ECHO", "x"), ("PING", "a", "b", "c"),
          ("TYPE", "f"), ("EXISTS", "e", "f", "g"), ("UNLINK", "e", "f"), ("SELECT", "3"), ("SELECT", "99"), ("MEMORY", "USAGE", "f")]


def check_counts(checks, pipelined, server, judge):
    """The same calls, the same figures; both servers are new."""
    found = []
    for side in (server, judge):
        with side.connect() as client:
            if pipelined:
                client.pipeline(SCRIPT)
            else:
                for request in SCRIPT:
                    client.call(*request)
            sections = ask(client, "all")
            commands = {name: re.sub(r"usec=\d+,usec_per_call=[\d.]+", "usec", value)
                        for name, value in sections["Commandstats"].items() if not name.startswith("cmdstat_info")}
            stats = {field: int(sections["Stats"][field]) for field in ("total_commands_processed", "total_error_replies",
                                                                        "keyspace_hits", "keyspace_misses")}
            # Whoever started the server may have asked before.
            asked = re.match(r"calls=(\d+)", sections["Commandstats"].get("cmdstat_info", "calls=0"))
            stats["total_commands_processed"] -= int(asked.group(1))
            found.append((commands, sections["Errorstats"], set(sections["Latencystats"]), stats))
    for what, ours, theirs in zip(("commandstats", "errorstats", "latencystats", "stats"), *found):
        if what == "latencystats":
            ours, theirs = ({name for name in names if not name.endswith("_info")} for names in (ours, theirs))
        flat = [set(map(str, side.items() if isinstance(side, dict) else side)) for side in (ours, theirs)]
        checks.expect(ours == theirs, f"{what}: only ours {flat[0] - flat[1]}, only theirs {flat[1] - flat[0]}")
        checks.expect(len(theirs) > 0, f"{what} of the judge is empty")


def check_rates(checks, client):
    end = time.monotonic() + 1.0
    calls = 0
    while time.monotonic() < end:
        client.pipeline([("SET", "rate", "x" * 100)] * 50)
        calls += 50
    busy = fields_of(ask(client, "stats", "memory"))
    rate = int(busy["instantaneous_ops_per_sec"])
    checks.expect(calls / 8 < rate < calls * 3, f"{rate} operations a second after {calls} in one")
    checks.expect(float(busy["instantaneous_input_kbps"]) > calls * 100 / 1024 / 8, f"input {busy['instantaneous_input_kbps']} kbps")
    checks.expect(int(busy["used_memory_peak"]) >= int(busy["used_memory"]) > 0, "peak of memory")
    time.sleep(2.2)
    idle = int(fields_of(ask(client, "stats"))["instantaneous_ops_per_sec"])
    checks.expect(idle < 20, f"{idle} operations a second after two idle ones")


def check_keyspace(checks, client):
    client.call("FLUSHALL")
    client.pipeline([("SET", f"ttl:{i}", i, "PX", 100_000 + 1000 * i) for i in range(100)])
    client.pipeline([("SET", f"no:{i}", i) for i in range(50)])
    line = ask(client, "keyspace")["Keyspace"]["db0"]
    figures = dict(pair.split("=") for pair in line.split(","))
    checks.expect((figures["keys"], figures["expires"]) == ("150", "100"), line)
    checks.expect(140_000 < int(figures["avg_ttl"]) < 150_000, line)
    client.pipeline([("PERSIST", f"ttl:{i}") for i in range(50)])
    client.pipeline([("EXPIRE", f"no:{i}", 1000) for i in range(50)])
    client.pipeline([("DEL", f"ttl:{i}") for i in range(50, 100)])
    line = ask(client, "keyspace")["Keyspace"]["db0"]
    figures = dict(pair.split("=") for pair in line.split(","))
    checks.expect(figures["expires"] == "50" and 990_000 < int(figures["avg_ttl"]) <= 1_000_000, line)


def check_cost(checks, client):
    """Every command has been called, so that all there is to gather is there. The least of many: others use the machine too."""
    for name in client.call("COMMAND", "LIST").value:
        words = name.value.decode().split("|")
        if words[0] not in ("shutdown", "quit", "reset", "monitor", "debug", "sync", "psync"):
            client.call(*words, *["x"] * 3)
    times = []
    for _ in range(30):
        begin = time.perf_counter()
        client.call("INFO", "everything")
        times.append((time.perf_counter() - begin) * 1000)
    print(f"INFO everything: median {sorted(times)[15]:.2f} ms, least {min(times):.2f} ms")
    sanitized = servers.is_sanitized(servers.binary())
    checks.expect(sanitized or min(times) < 20, f"INFO everything takes {min(times):.2f} ms")


def run(shards):
    checks = Checks(f"INFO at {shards} shards", least=400)
    for pipelined in (False, True):
        with servers.ours(shards=shards) as server, servers.judge() as judge:
            check_counts(checks, pipelined, server, judge)
    with servers.ours(shards=shards) as server, servers.judge() as judge:
        with server.connect() as client, judge.connect() as reference:
            for side in (client, reference):
                side.pipeline([("SET", "a", "1", "EX", "1000"), ("GET", "a"), ("INCR", "nosuch"), ("NOSUCH",)])
            check_fields(checks, client, reference)
            check_choice(checks, client, reference)
            check_rates(checks, client)
            check_keyspace(checks, client)
            check_cost(checks, client)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(max([run(int(count)) for count in sys.argv[1:] or SHARDS]))
