"""Scenarios about requests a second: point, latency, multi, two-shards."""
from harness import interleave, progress, ratio
from report import (Section, THROUGHPUT_COLUMNS, THROUGHPUT_NOTE, columns_for, number, table, throughput_row)

VALUE_BYTES = 32


def preload_all(bench, servers, keys):
    for server in servers:
        progress(f"loading {keys} keys of {VALUE_BYTES} B into {server.label}")
        bench.generator.preload(server, keys, VALUE_BYTES)
        server.expect_keys(keys)


def throughput(bench, section, servers, cells, keys):
    """cells: (name, generator arguments). One table of all cells."""
    rows = []
    for name, arguments in cells:
        def measure(server):
            return bench.generator.run(server, "--keyspace", keys, "--value-bytes", VALUE_BYTES, *arguments)
        samples = interleave(name, servers, bench.rounds, measure)
        rows.append(throughput_row(name, *(samples[s.label] for s in servers)))
    section.add(table(columns_for(THROUGHPUT_COLUMNS, *servers), rows))
    section.add(THROUGHPUT_NOTE.format(rounds=bench.rounds, seconds=bench.seconds, a=servers[0].label))


def point(bench):
    servers = bench.pair()
    section = Section(bench.section_name("point"), f"GET and SET, one core each side ({bench.config})", servers)
    with servers[0], servers[1]:
        preload_all(bench, servers, bench.keys)
        cells = [(f"{command.upper()} P{pipeline}",
                  ["--command", command, "--pipeline", pipeline, "--clients", 50, "--seconds", bench.seconds])
                 for pipeline in (1, 16, 64) for command in ("get", "set")]
        throughput(bench, section, servers, cells, bench.keys)
        section.add(f"50 connections, {bench.keys} keys of 16 B, values of {VALUE_BYTES} B, uniform random keys. Server on core "
                    f"{bench.server_cpu}, generator on core {bench.client_cpu}.")
    return section


def latency(bench):
    servers = bench.pair()
    section = Section(bench.section_name("latency"), f"One connection, no pipelining ({bench.config})", servers)
    with servers[0], servers[1]:
        preload_all(bench, servers, bench.keys)
        rows = []
        for command in ("get", "set", "ping"):
            for spin in ("yes", "no"):
                name = f"{command.upper()}, generator {'polls' if spin == 'yes' else 'sleeps'}"
                samples = interleave(name, servers, bench.rounds, lambda server: bench.generator.run(
                    server, "--clients", 1, "--pipeline", 1, "--keyspace", bench.keys, "--value-bytes", VALUE_BYTES,
                    "--command", command, "--spin", spin, "--seconds", bench.seconds))
                left, right = (samples[s.label] for s in servers)
                cells = [f"error: {s.error}" if s.error else "" for s in (left, right)]
                rows.append([
                    name, *(cells[i] or f"{number(s, 'p50_us')} (spread {s.spread('p50_us'):.0f} %)"
                            for i, s in enumerate((left, right))),
                    ratio(right.median("p50_us"), left.median("p50_us")),
                    f"{number(left, 'p99_us')} / {number(right, 'p99_us')}",
                    f"{number(left, 'p999_us')} / {number(right, 'p999_us')}",
                    f"{number(left, 'server_us_per_request', 2)} / {number(right, 'server_us_per_request', 2)}",
                    f"{number(left, 'others_cpu', 2)} / {number(right, 'others_cpu', 2)}",
                ])
        section.add(table(columns_for(["what", "{a} p50 us", "{b} p50 us", "ratio", "p99 us {a} / {b}", "p99.9 us {a} / {b}",
                                       "server us/request {a} / {b}", "others"], *servers), rows))
        section.add(f"Medians of {bench.rounds} interleaved rounds of {bench.seconds:g} s; the ratio is in favour of "
                    f"{servers[0].label} above 1. A generator that sleeps adds the wake-up of its own core.")
    return section


def multi(bench):
    servers = bench.pair(shards=2, cpus=None)
    section = Section(bench.section_name("multi"), f"Commands on ten keys, two shards ({bench.config})", servers)
    generator = bench.generator
    cells = [(f"{command.upper()} of 10 P{pipeline}", command, pipeline)
             for command in ("mset", "mget", "del") for pipeline in (1, 16)]
    with servers[0], servers[1]:
        preload_all(bench, servers, bench.keys)
        rows = []
        for name, command, pipeline in cells:
            def measure(server):
                common = ("--keyspace", bench.keys, "--value-bytes", VALUE_BYTES, "--clients", 50, "--pipeline", pipeline,
                          "--command", f"{command}:10", "--spin", "no")
                if command != "del":
                    return generator.run(server, *common, "--seconds", bench.seconds, pinned=False)
                # Deleting empties the keyspace: fill it again and delete about a third of it, so that most keys exist.
                generator.preload(server, bench.keys, VALUE_BYTES)
                return generator.run(server, *common, "--requests", max(bench.keys // 25, 100), pinned=False)
            samples = interleave(name, servers, bench.rounds, measure)
            rows.append(throughput_row(name, *(samples[s.label] for s in servers)))
        section.add(table(columns_for(THROUGHPUT_COLUMNS, *servers), rows))
        section.add(THROUGHPUT_NOTE.format(rounds=bench.rounds, seconds=bench.seconds, a=servers[0].label))
        section.add(f"Random keys of {bench.keys}; nothing is pinned and the generator sleeps when it waits, since servers and "
                    "generator share the cores. DEL runs on a freshly filled keyspace, for a fixed number of requests.")
    return section


def two_shards(bench):
    one = bench.ours(label="1 shard", shards=1, cpus=bench.server_cpu)
    two = bench.ours(label="2 shards", shards=2, cpus=None)
    servers = [two, one]
    section = Section(bench.section_name("two-shards"), f"Two shards on two cores, with the generator on them ({bench.config})", servers)
    if one.is_peer_style:
        section.add("This server has no shards: both columns are the same program, once free and once pinned.")
    with two, one:
        preload_all(bench, servers, bench.keys)
        rows = []
        for command in ("get", "set"):
            for pipeline in (16, 64):
                name = f"{command.upper()} P{pipeline}"
                samples = interleave(name, servers, bench.rounds, lambda server: bench.generator.run(
                    server, "--keyspace", bench.keys, "--value-bytes", VALUE_BYTES, "--clients", 50, "--pipeline", pipeline,
                    "--command", command, "--seconds", bench.seconds, "--spin", "no", pinned=server is one))
                rows.append(throughput_row(name, samples[two.label], samples[one.label]))
        section.add(table(columns_for(THROUGHPUT_COLUMNS, two, one), rows))
        section.add(THROUGHPUT_NOTE.format(rounds=bench.rounds, seconds=bench.seconds, a=two.label))
        section.add("Three threads compete for two cores in the first column: judge by server time a request. The generator "
                    "sleeps when it waits.")
    return section


SCENARIOS = {"point": point, "latency": latency, "multi": multi, "two-shards": two_shards}
