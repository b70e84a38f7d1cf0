#!/usr/bin/env python3
"""Throughput of our server at 1, 2, 4, 8 and 12 shards, the generator on the remaining cores. Meant for 16 cores.

    bench/scaling.py                                     build/release/moonshard
    bench/scaling.py --shards 1,2,4 --ours PATH

Shard counts that leave no core for the generator are left out, and said to be. Writes its section of docs/benchmarks.md.
"""
import argparse
import os
import shutil
import sys

from harness import ROOT, BenchError, Generator, Samples, Server, count, progress, raise_file_limit, relative, summary
from report import Section, number, speed, table

VALUE_BYTES = 32
BUSY_LIMIT = 0.9


def cores_in_order():
    """The usable logical cores, one of each physical core first, so that shards share a core as late as possible."""
    rank = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") as file:
                siblings = file.read().strip()
        except OSError:
            siblings = str(cpu)
        rank[cpu] = (sum(1 for other in rank.values() if other[1] == siblings), siblings)
    return sorted(rank, key=lambda cpu: (rank[cpu][0], cpu)), len({name for _, name in rank.values()})


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=os.path.join(ROOT, "build/release/moonshard"))
    parser.add_argument("--ours-args", default="")
    parser.add_argument("--load", default=os.path.join(ROOT, "build/bench/bench/ms-load"))
    parser.add_argument("--shards", default="1,2,4,8,12")
    parser.add_argument("--pipelines", default="16,64")
    parser.add_argument("--commands", default="get,set")
    parser.add_argument("--config", default="memory", choices=["memory", "everysec", "always", "no"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--scratch", default=None)
    parser.add_argument("--doc", default=os.path.join(ROOT, "docs", "benchmarks.md"))
    parser.add_argument("--no-doc", action="store_true")
    args = parser.parse_args()
    for name in ("ours", "load"):
        found = shutil.which(getattr(args, name))
        if found is None:
            parser.error(f"--{name}: {relative(getattr(args, name))} is not an executable")
        setattr(args, name, found)
    args.shards = [int(n) for n in args.shards.split(",")]
    args.pipelines = [int(n) for n in args.pipelines.split(",")]
    args.commands = args.commands.split(",")
    return args


def measure(args, cores, shards, cells, samples):
    """One round of one shard count: a fresh server, all its cells."""
    generator_cores = cores[shards:]
    generator = Generator(args.load, ",".join(map(str, generator_cores)), len(generator_cores))
    clients = max(50, 8 * shards, 8 * len(generator_cores))
    with Server(args.ours, f"{shards} shards", shards=shards, cpus=",".join(map(str, cores[:shards])), config=args.config,
                extra=args.ours_args.split(), scratch=args.scratch) as server:
        generator.preload(server, args.keys, VALUE_BYTES, "--clients", clients)
        for command, pipeline in cells:
            report = generator.run(server, "--keyspace", args.keys, "--value-bytes", VALUE_BYTES, "--clients", clients,
                                   "--command", command, "--pipeline", pipeline, "--seconds", args.seconds, "--spin", "yes")
            samples[shards, command, pipeline].add(report)
            progress(f"{shards} shards, {command.upper()} P{pipeline}: {summary(report)}")


def rows_of(args, cores, counts, samples, command, pipeline):
    base = samples[counts[0], command, pipeline]
    rows = []
    for shards in counts:
        cell = samples[shards, command, pipeline]
        rate, first = cell.median("ops_per_s"), base.median("ops_per_s")
        if rate is None or first is None:
            rows.append([shards, cell.error or "error: the first row is missing", "", "", "", "", "", ""])
            continue
        cpu, first_cpu = cell.median("server_us_per_request"), base.median("server_us_per_request")
        busy = cell.median("client_busy")
        rows.append([
            shards, speed(cell), count(rate / shards), f"{100 * rate / first * counts[0] / shards:.0f} %",
            number(cell, "server_cpu", 2), f"{cpu:.3f}", f"{100 * first_cpu / cpu:.0f} %",
            f"{busy:.2f} of {len(cores) - shards}" + (" (its limit)" if busy > BUSY_LIMIT else ""),
        ])
    return rows


def main():
    args = parse()
    raise_file_limit()
    cores, physical = cores_in_order()
    counts = [n for n in args.shards if 0 < n < len(cores)]
    left_out = [n for n in args.shards if n not in counts]
    if not counts:
        progress(f"nothing to measure: {len(cores)} cores are too few")
        return 1
    cells = [(command, pipeline) for command in args.commands for pipeline in args.pipelines]
    samples = {(n, *cell): Samples() for n in counts for cell in cells}
    section = Section("scaling" if args.config == "memory" else f"scaling-{args.config}", f"Shards and cores ({args.config})",
                      [Server(args.ours, os.path.basename(args.ours))])
    failed = set()
    for number_of_round in range(args.rounds):
        for shards in counts:
            if shards in failed:
                continue
            progress(f"round {number_of_round + 1}/{args.rounds}, {shards} shards")
            try:
                measure(args, cores, shards, cells, samples)
            except BenchError as error:
                failed.add(shards)
                progress(f"{shards} shards: NOT MEASURED: {error}")
                for cell in cells:
                    samples[shards, *cell].error = f"error: {error}"
                    samples[shards, *cell].rounds.clear()
    for command, pipeline in cells:
        section.add(f"### {command.upper()} at pipeline {pipeline}")
        section.add(table(["shards", "ops/s", "a shard", "of linear", "server cores used", "server us/request", "of linear, by CPU",
                           "generator busy"], rows_of(args, cores, counts, samples, command, pipeline)))
    section.add(f"Medians of {args.rounds} rounds of {args.seconds:g} s over {args.keys} keys, values of {VALUE_BYTES} B. Shards on the cores "
                f"{','.join(map(str, cores))} from the left, the generator's threads on the rest; {len(cores)} logical cores on {physical} "
                "physical ones. Where the generator was the limit, only the figure by CPU says something about the server.")
    if left_out:
        section.add(f"Not measured for want of cores: {', '.join(map(str, left_out))} shards.")
    if not args.no_doc:
        section.write(args.doc)
        progress(f"written to {relative(args.doc)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
