#!/usr/bin/env python3
"""Compares our server with a peer, both in the same run and in turns, and writes docs/benchmarks.md.

    bench/compare.py                            all scenarios, build/release/moonshard against redis-server
    bench/compare.py --only point,latency
    bench/compare.py --ours redis-server        the method against itself: every ratio should be 1

Scenarios: point latency memory multi two-shards ttl slow-reader idle, and, if named, commands and
eviction. See bench/README.md.
"""
import argparse
import os
import shutil
import sys

import scenarios_commands
import scenarios_eviction
import scenarios_speed
import scenarios_state
from harness import ROOT, BenchError, Generator, Server, errors, progress, raise_file_limit, relative, set_nice

SCENARIOS = {name: module.SCENARIOS[name]
             for name, module in (("point", scenarios_speed), ("latency", scenarios_speed), ("memory", scenarios_state),
                                  ("multi", scenarios_speed), ("two-shards", scenarios_speed), ("ttl", scenarios_state),
                                  ("slow-reader", scenarios_state), ("idle", scenarios_state))}
SCENARIOS["eviction"] = scenarios_eviction.eviction  # no timings; two minutes; only by name
SCENARIOS["commands"] = scenarios_commands.commands  # two minutes a dozen: only by name


class Bench:
    """The settings of this run, and how to make its servers."""

    def __init__(self, args):
        self.args = args
        self.rounds, self.seconds, self.keys, self.config = args.rounds, args.seconds, args.keys, args.config
        self.server_cpu, self.client_cpu = args.server_cpu, args.client_cpu
        self.idle_connections, self.idle_seconds = args.idle_connections, args.idle_seconds
        self.generator = Generator(args.load, args.client_cpu)
        same = os.path.basename(args.ours) == os.path.basename(args.peer)
        self.ours_label = os.path.basename(args.ours) + (" (A)" if same else "")
        self.peer_label = os.path.basename(args.peer) + (" (B)" if same else "")

    def make(self, binary, label, shards, cpus, extra):
        return Server(binary, label, shards=shards, cpus=cpus, config=self.config, extra=extra, scratch=self.args.scratch)

    def ours(self, label=None, shards=1, cpus="default"):
        cpus = self.server_cpu if cpus == "default" else cpus
        return self.make(self.args.ours, label or self.ours_label, shards, cpus, self.args.ours_args.split())

    def peer(self, cpus="default"):
        cpus = self.server_cpu if cpus == "default" else cpus
        return self.make(self.args.peer, self.peer_label, 1, cpus, self.args.peer_args.split())

    def pair(self, shards=1, cpus="default"):
        return [self.ours(shards=shards, cpus=cpus), self.peer(cpus=cpus)]

    def section_name(self, scenario):
        return scenario if self.config == "memory" else f"{scenario}-{self.config}"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=os.path.join(ROOT, "build/release/moonshard"))
    parser.add_argument("--peer", default="redis-server")
    parser.add_argument("--ours-args", default="", help="more arguments for our server, one string")
    parser.add_argument("--peer-args", default="", help="more arguments for the peer, one string")
    parser.add_argument("--load", default=os.path.join(ROOT, "build/bench/bench/ms-load"))
    parser.add_argument("--only", default=",".join(n for n in SCENARIOS if n not in ("commands", "eviction")), help="scenarios, separated by commas")
    parser.add_argument("--config", default="memory", choices=["memory", "everysec", "always", "no"],
                        help="persistence: none, or the append-only log with this fsync policy")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3, help="of one round of one cell")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--server-cpu", default="0")
    parser.add_argument("--client-cpu", default="1")
    parser.add_argument("--filter", default="", help="of the scenario commands: only those whose name contains this")
    parser.add_argument("--idle-connections", type=int, default=scenarios_state.IDLE_CONNECTIONS)
    parser.add_argument("--idle-seconds", type=int, default=60)
    parser.add_argument("--nice", type=int, default=0, help="of servers and generator; -15 withstands other work on the machine")
    parser.add_argument("--scratch", default=None, help="directory for data directories (default: the system's)")
    parser.add_argument("--doc", default=None, help="page to update (default docs/benchmarks.md, unless both servers are one program)")
    parser.add_argument("--no-doc", action="store_true")
    args = parser.parse_args()
    for name in ("ours", "peer", "load"):
        found = shutil.which(getattr(args, name))
        if found is None:
            parser.error(f"--{name}: {relative(getattr(args, name))} is not an executable"
                         + (" (build it: cmake --preset bench && cmake --build --preset bench --target ms-load)" if name == "load" else ""))
        setattr(args, name, found)
    args.only = [name.strip() for name in args.only.split(",") if name.strip()]
    for name in args.only:
        if name not in SCENARIOS:
            parser.error(f"--only: unknown scenario '{name}' (there are {', '.join(SCENARIOS)})")
    if args.doc is None and os.path.realpath(args.ours) != os.path.realpath(args.peer):
        args.doc = os.path.join(ROOT, "docs", "benchmarks.md")
    return args


def main():
    args = parse()
    raise_file_limit()
    if args.nice:
        set_nice(args.nice)
    bench = Bench(args)
    failed = []
    for name in args.only:
        progress(f"== {name}")
        try:
            section = SCENARIOS[name](bench)
        except BenchError as error:
            progress(f"{name}: NOT MEASURED: {error}")
            failed.append(name)
            continue
        if args.doc and not args.no_doc:
            section.write(args.doc)
            progress(f"{name}: written to {relative(args.doc)}")
    if failed:
        progress(f"not measured: {', '.join(failed)}")
    if errors:
        progress(f"{len(errors)} cell(s) could not be measured")
    return 1 if failed or errors else 0


if __name__ == "__main__":
    sys.exit(main())
