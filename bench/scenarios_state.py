"""Scenarios about what a server holds: memory, ttl, slow-reader, idle."""
import contextlib
import select
import socket
import time

from harness import BenchError, Client, Samples, interleave, progress, ratio
from report import Section, columns_for, table


def available_bytes():
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


# --- memory -------------------------------------------------------------------------------------------------------

MEMORY_VALUES = (8, 16, 32, 64, 256, 1024, 4096)
MANY_KEYS_UP_TO = 256
SETTLE_S = 1.0


def bytes_per_key(bench, make_server, keys, value_bytes, ttl):
    """Growth of RSS over the load, the server started afresh; refuses what this machine could not hold."""
    if keys * (value_bytes + 160) * 1.3 > available_bytes():
        raise BenchError("not enough free memory on this machine")
    with make_server() as server:
        time.sleep(SETTLE_S)
        before = server.rss_bytes()
        bench.generator.preload(server, keys, value_bytes, *(("--ttl-ms", "3600000:7200000") if ttl else ()))
        time.sleep(SETTLE_S)
        after = server.rss_bytes()
        with server.client() as client:
            found = client.command("DBSIZE")
            if found != keys:
                raise BenchError(f"DBSIZE is {found}, not {keys}")
            if ttl and client.command("PTTL", "key:%012d" % (keys // 2)) <= 0:
                raise BenchError("a key has no time to live")
    return (after - before) / keys


def memory(bench):
    makers = [lambda: bench.ours(), lambda: bench.peer()]
    names = [maker() for maker in makers]
    section = Section(bench.section_name("memory"), f"Memory a key ({bench.config})", names)
    rows = []
    plan = [(bench.keys // 2 if v == 4096 else bench.keys, v, ttl) for v in MEMORY_VALUES for ttl in (False, True)]
    plan += [(bench.keys * 5, v, ttl) for v in MEMORY_VALUES if v <= MANY_KEYS_UP_TO for ttl in (False, True)]
    for keys, value_bytes, ttl in plan:
        name = f"{keys} keys, {value_bytes} B{', TTL' if ttl else ''}"
        figures, cells = [], []
        for maker, server in zip(makers, names):
            try:
                figures.append(bytes_per_key(bench, maker, keys, value_bytes, ttl))
                cells.append(f"{figures[-1]:.1f}")
            except BenchError as error:
                figures.append(None)
                cells.append(f"error: {error}")
            progress(f"memory: {name}: {server.label}: {cells[-1]}")
        rows.append([name, 16 + value_bytes, *cells, ratio(figures[0], figures[1])])
    section.add(table(columns_for(["what", "key + value", "{a} B/key", "{b} B/key", "ratio"], *names), rows))
    section.add("Growth of the resident set / keys, 16-byte keys, the server started anew for each row; below 1 is in favour of "
                f"{names[0].label}. TTL: a random time to live of one to two hours.")
    return section


# --- ttl ----------------------------------------------------------------------------------------------------------

TTL_SPAN_S = (1, 60)
GRACE_S = 20


def live_share(now, load_began, load_ended):
    """The share of keys that should still live at `now`: each was set at some moment of the load, with a uniform TTL."""
    low, high = TTL_SPAN_S
    slices = 50
    total = 0.0
    for i in range(slices):
        age = now - (load_began + (i + 0.5) / slices * (load_ended - load_began))
        total += min(max((high - age) / (high - low), 0.0), 1.0)
    return total / slices


def ttl_lag(bench, server):
    """Mean lateness of deletion: the area between the keys still counted and the keys that should be, by DBSIZE."""
    began = time.time()
    bench.generator.preload(server, bench.keys, 32, "--ttl-ms", f"{TTL_SPAN_S[0] * 1000}:{TTL_SPAN_S[1] * 1000}",
                            "--key-prefix", "ttl:")
    ended = time.time()
    report = {"left after all were due": 0}
    area = worst = 0.0
    last = ended
    due = ended + TTL_SPAN_S[1]
    noted = False
    with server.client() as client:
        while True:
            time.sleep(0.25)
            left = client.command("DBSIZE")
            now = time.time()
            excess = max(left - live_share(now, began, ended) * bench.keys, 0.0)
            area += excess * (now - last)
            worst = max(worst, excess)
            if int(now - ended) // 10 != int(last - ended) // 10:
                progress(f"ttl: {server.label}: {now - ended:.0f} s, {left} keys left, {excess:.0f} overdue")
            last = now
            if now >= due and not noted:
                noted, report["left after all were due"] = True, left
            if noted and (left == 0 or now > due + GRACE_S):
                break
        report["left at the end"] = left
        report["seconds until empty"] = now - due if left == 0 else float("inf")
        report["mean lag s"] = area / bench.keys
        report["most overdue at once"] = worst
        info = client.info()
    for key, value in info.items():
        if key.startswith("expire_lag") or key in ("expired_keys", "expired_time_cap_reached_count"):
            report[f"INFO {key}"] = value
    return report


def ttl_burst(bench, server, others):
    """GETs of other keys, on a fixed schedule, before and while all keys of one load fall due in the same millisecond."""
    get = ("--keyspace", others, "--value-bytes", 32, "--command", "get", "--rate", 20000, "--clients", 20, "--pipeline", 16)
    bench.generator.preload(server, others, 32)
    calm = bench.generator.run(server, *get, "--seconds", bench.seconds)
    lead_s = 3 + bench.keys / 150_000
    at_ms = int((time.time() + lead_s) * 1000)
    bench.generator.preload(server, bench.keys, 32, "--key-prefix", "due:", "--expire-at-ms", at_ms)
    wait = at_ms / 1000 - time.time() - 1
    if wait < 0:
        raise BenchError("loading took longer than planned, the keys fell due too early")
    time.sleep(wait)
    burst = bench.generator.run(server, *get, "--seconds", 4)
    with server.client() as client:
        left = client.command("DBSIZE") - others
    if burst["misses"] or calm["misses"]:
        raise BenchError(f"{burst['misses']} GETs of keys without a time to live missed")
    report = {f"{when} {k}": r[f"{k}_us"] for when, r in (("calm", calm), ("burst", burst)) for k in ("p50", "p99", "p999", "max")}
    report["overdue keys left 3 s later"] = left
    with server.client() as client:
        client.command("FLUSHALL")
    return report


def report_table(servers, samples):
    """One row for each figure of the reports, by median."""
    keys = []
    for server in servers:
        for report in samples[server.label].rounds:
            keys += [k for k in report if k not in keys]
    rows = []
    for key in keys:
        cells = []
        for server in servers:
            values = [r[key] for r in samples[server.label].rounds if key in r]
            if not values:
                cells.append(samples[server.label].error or "not reported")
            elif isinstance(values[0], str):
                cells.append(values[-1])
            else:
                cells.append(f"{sorted(values)[len(values) // 2]:.6g}")
        rows.append([key, *cells])
    for server in servers:
        if samples[server.label].error and not keys:
            rows.append([f"{server.label}", *(samples[s.label].error or "" for s in servers)])
    return table(["what", *(s.label for s in servers)], rows)


def ttl(bench):
    servers = bench.pair()
    section = Section(bench.section_name("ttl"), f"Expiry ({bench.config})", servers)
    samples = {s.label: Samples() for s in servers}
    for server in servers:  # one after the other: a stopped process would be late through no fault of its own
        try:
            with server:
                samples[server.label].add(ttl_lag(bench, server))
        except BenchError as error:
            samples[server.label].error = f"error: {error}"
            progress(f"ttl: {server.label}: {error}")
    section.add(f"{bench.keys} keys with random times to live of {TTL_SPAN_S[0]} to {TTL_SPAN_S[1]} s, nothing else going on. The mean lag "
                "is the area between DBSIZE and the keys that should live, over the number of keys.")
    section.add(report_table(servers, samples))

    others = max(bench.keys // 10, 1000)
    servers = bench.pair()
    with servers[0], servers[1]:
        samples = interleave("ttl burst", servers, min(bench.rounds, 3), lambda server: ttl_burst(bench, server, others))
    section.add(f"GET of {others} other keys at 20,000 requests/s on schedule (us), calm and over the 4 s in which {bench.keys} keys fall "
                "due in one millisecond. Medians.")
    section.add(report_table(servers, samples))
    return section


# --- slow reader --------------------------------------------------------------------------------------------------

SLOW_GETS = 1000
SLOW_BYTES = 1 << 20


def slow_reader_round(bench, server):
    get = ("--keyspace", 1000, "--value-bytes", 32, "--command", "get", "--rate", 20000, "--clients", 20, "--pipeline", 16)
    with server.client() as client:
        client.command("SET", "big", b"v" * SLOW_BYTES)
    bench.generator.preload(server, 1000, 32)
    before = bench.generator.run(server, *get, "--seconds", bench.seconds)
    rss_before = server.rss_bytes()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        slow.connect(("127.0.0.1", server.port))
        slow.settimeout(10)
        running = bench.generator.start(server, *get, "--seconds", bench.seconds + 0.5)
        time.sleep(0.5)  # the others are under way when the slow one asks, so its first moments count too
        with contextlib.suppress(OSError):  # a server that has seen enough may close while we still ask
            slow.sendall(Client.encode("GET", "big") * SLOW_GETS)
        meanwhile = bench.generator.finish(running)
        rss_after = server.rss_bytes()
        poll = select.poll()
        poll.register(slow, select.POLLRDHUP)
        closed = bool(poll.poll(0))
    time.sleep(1)
    report = {f"{key} us {when}": r[f"{key}_us"]
              for when, r in (("before", before), ("meanwhile", meanwhile)) for key in ("p50", "p99", "max")}
    report["RSS growth MiB"] = (rss_after - rss_before) / 2**20
    report["RSS growth MiB after it left"] = (server.rss_bytes() - rss_before) / 2**20
    report["the server closed it"] = "yes" if closed else "no"
    return report


def slow_reader(bench):
    servers = bench.pair()
    section = Section(bench.section_name("slow-reader"), f"A client that never reads ({bench.config})", servers)
    with servers[0], servers[1]:
        samples = interleave("slow reader", servers, min(bench.rounds, 3), lambda server: slow_reader_round(bench, server))
    section.add(f"One connection sends {SLOW_GETS} GETs of {SLOW_BYTES // 1024} KiB and never reads. Others: GETs of small keys at 20,000 "
                "requests/s on schedule.")
    section.add(report_table(servers, samples))
    return section


# --- idle ---------------------------------------------------------------------------------------------------------

IDLE_CONNECTIONS = 10_000


def idle_connections(bench, server, wanted):
    ping = ("--clients", 1, "--pipeline", 1, "--command", "ping", "--seconds", bench.seconds)
    report = {}
    with server.client() as client:
        try:
            client.command("CONFIG", "SET", "maxclients", wanted + 1000)
        except BenchError as error:
            progress(f"idle: {server.label}: CONFIG SET maxclients: {error}")
    alone = bench.generator.run(server, *ping)
    rss_before = server.rss_bytes()
    with contextlib.ExitStack() as stack:
        began = time.monotonic()
        for i in range(wanted):
            try:
                connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
                connection.sendall(b"*1\r\n$4\r\nPING\r\n")
                if connection.recv(64) != b"+PONG\r\n":
                    raise BenchError("connection refused by the server")
            except (OSError, BenchError) as error:
                raise BenchError(f"connection {i + 1} of {wanted}: {error}") from error
            if i % 2500 == 2499:
                progress(f"idle: {server.label}: {i + 1} connections")
        report["seconds to connect"] = time.monotonic() - began
        time.sleep(3)
        report["RSS bytes each"] = (server.rss_bytes() - rss_before) / wanted
        crowded = bench.generator.run(server, *ping)
        cpu_before = server.cpu_seconds()
        time.sleep(10)
        report["CPU %, nothing going on"] = (server.cpu_seconds() - cpu_before) / 10 * 100
    for when, r in (("without them", alone), ("with them", crowded)):
        report[f"PING p50 us {when}"] = r["p50_us"]
        report[f"PING p99 us {when}"] = r["p99_us"]
    return report


def idle_cpu(server, seconds):
    with server:
        time.sleep(2)
        before = server.cpu_seconds()
        for passed in range(0, seconds, 10):
            progress(f"idle: {server.label}: watching its CPU, {passed} of {seconds} s")
            time.sleep(min(10, seconds - passed))
        return {"CPU %": (server.cpu_seconds() - before) / seconds * 100, "RSS MiB": server.rss_bytes() / 2**20}


def idle(bench):
    servers = bench.pair()
    section = Section(bench.section_name("idle"), f"Idle ({bench.config})", servers)
    for title, make, measure in (
            (f"{bench.idle_connections} idle connections, each having sent one PING.", bench.pair,
             lambda s: idle_connections(bench, s, bench.idle_connections)),
            (f"An empty server with two shards over {bench.idle_seconds} s.", lambda: bench.pair(shards=2, cpus=None), None)):
        samples = {}
        servers = make()
        for server in servers:
            samples[server.label] = Samples()
            try:
                if measure is None:
                    samples[server.label].add(idle_cpu(server, bench.idle_seconds))
                else:
                    with server:
                        samples[server.label].add(measure(server))
            except BenchError as error:
                samples[server.label].error = f"error: {error}"
                progress(f"idle: {server.label}: {error}")
        section.add(title)
        section.add(report_table(servers, samples))
    return section


SCENARIOS = {"memory": memory, "ttl": ttl, "slow-reader": slow_reader, "idle": idle}

