#!/usr/bin/env python3
"""Every command that takes more than one key, with its keys on one shard, on two, and on several; judged like random commands.

    tests/diff/placements.py                          every command, at 1, 2, 4 and 12 shards
    tests/diff/placements.py --only BITOP --shards 12 --rounds 200

The commands come from tests/data/commands.tsv, so that a new one is covered as soon as the server knows it, or fails the
run because it has no generator. Where a key lies is asked of the server (INFO shards); how often each command met each
placement is counted, and a placement that it never met is a failure.
"""

import argparse
import csv
import os
import random
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from diff import canon, generate  # noqa: E402
from diff.generate import Command, Draw, Table, words_of  # noqa: E402
from diff.random_commands import CONNECTIONS, SHARDS, Pair, known_commands, pipelines_of, report  # noqa: E402
from lib import servers  # noqa: E402
from lib.resp import Connection  # noqa: E402

TABLE = Path(__file__).resolve().parent.parent / "data" / "commands.tsv"
POOL_KEYS_A_SHARD = 6
CALLS_A_ROUND = 10
ROUNDS_MORE = 20
# They empty or exchange the databases: a round of them would compare little.
NOT_BETWEEN = ("FLUSHDB", "FLUSHALL", "SWAPDB", "SELECT")
PLACEMENTS = ("one shard", "two shards", "several")


def several_keys(path=TABLE):
    """Names of commands that can take more than one key -> whether it can take any number of them."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    found = {b"sort": False}  # the key of STORE, which the table calls unknown
    for row in csv.DictReader(lines, delimiter="\t"):
        specs = [spec for spec in row["key_specs"].split(";") if not spec.startswith(("-", "?"))]
        many = any("range(-" in spec or "keynum" in spec for spec in specs)
        if len(specs) > 1 or many or any("range(" in spec and "range(0," not in spec for spec in specs):
            found[row["name"].lower().replace(" ", "|").encode()] = many
    return found


def pool(address, shards, rng):
    """Shard -> names of keys that lie there, as the server says; the judge has one shard."""
    found = {shard: [] for shard in range(shards)}
    with Connection(address) as client:
        while any(len(keys) < POOL_KEYS_A_SHARD for keys in found.values()):
            keys = [b"%x:%d" % (rng.getrandbits(40), number) for number in range(32 * shards)]
            client.call("FLUSHALL")
            replies = client.pipeline([command for key in keys for command in (("SET", key, 1), ("INFO", "shards"), ("DEL", key))])
            for key, reply in zip(keys, replies[1::3]):
                lines = reply.value.decode().split("\r\n")
                at = [int(line.split(":")[0].removeprefix("shard")) for line in lines if ":keys=1," in line]
                if not at and shards > 1:
                    raise AssertionError(f"INFO shards does not say where a key lies: {lines}")
                found[at[0] if at else 0].append(key)
    return found


class Placer:
    """Draws rounds of one command over keys whose shards it chooses."""

    def __init__(self, table, keys, shards, rng):
        self.table = table
        self.pool = keys
        self.shard_of = {key: shard for shard, keys in keys.items() for key in keys}
        self.shards = shards
        self.rng = rng
        self.met = Counter()

    def _keys(self, placement):
        """Four or so keys on so many shards as the placement says."""
        count = {"one shard": 1, "two shards": 2, "several": self.rng.randint(3, 5)}[placement]
        chosen = self.rng.sample(list(self.pool), min(count, self.shards))
        if len(chosen) > 2:
            return [self.rng.choice(self.pool[shard]) for shard in chosen]
        return [key for shard in chosen for key in self.rng.sample(self.pool[shard], 4 // len(chosen))]

    def round(self, name, placement):
        draw = Draw(self.rng, self._keys(placement))
        commands = [Command((b"HELLO", self.rng.choice((b"2", b"3"))), "hello")]
        commands += [self.table.command(draw) for _ in range(8)]
        for _ in range(CALLS_A_ROUND):
            if self.rng.random() < 0.3:
                commands.append(Command((b"DEL", *self.rng.sample(draw.keys, self.rng.randint(1, len(draw.keys))))))
            commands += [self.table.command(draw) for _ in range(self.rng.choice((0, 1, 3)))]
            command = self.table.command_of(draw, name)
            self._count(name, command)
            commands.append(command)
        return pipelines_of(self.rng.randrange(CONNECTIONS), commands)

    def _count(self, name, command):
        keys = {arg for arg in command.args[len(words_of(name)):] if arg in self.shard_of}
        touched = len({self.shard_of[key] for key in keys})
        if len(keys) > 1:
            self.met[name, PLACEMENTS[min(touched, 3) - 1]] += 1

    def placements(self, many):
        return PLACEMENTS[:min(self.shards, 3 if many else 2)]

    def wanted(self, name, many, rounds):
        """The placements of the rounds to play: each so often, and those that were never met again, for a while."""
        yield from self.placements(many) * rounds
        for _ in range(ROUNDS_MORE):
            yield from self.missed(name, many)

    def missed(self, name, many):
        return [placement for placement in self.placements(many) if not self.met[name, placement]]


def run(pair, table, shards, seed, rounds, names):
    """The number of commands that differ or missed a placement; `rounds` for each placement of each command."""
    rng = random.Random(seed)
    placer = Placer(table, pool(pair.ours.address, shards, rng), shards, rng)
    failed = set()
    compared = calls = 0
    for name, many in sorted(names.items()):
        for placement in placer.wanted(name, many, rounds):
            pipelines = placer.round(name, placement)
            difference, count = pair.compare(pipelines)
            compared += count
            calls += sum(len(pipeline.commands) for pipeline in pipelines)
            if difference:
                report(pair, pipelines, difference, f"tests/diff/placements.py --shards {shards} --seed {seed}")
                failed.add(name)
                break
        for placement in placer.missed(name, many) if name not in failed else ():
            print(f"FAIL at {shards} shards: the keys of {name.decode()} never lay on {placement}")
            failed.add(name)
    pair.reached_end(calls)
    met = ", ".join(f"{placement} {sum(count for (_, at), count in placer.met.items() if at == placement)}" for placement in PLACEMENTS)
    print(f"{shards} shards: {len(names)} commands of several keys, {calls} commands, {compared} replies and states compared, "
          f"{len(failed)} commands failed; calls with keys on {met}; seed {seed}", flush=True)
    return len(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append")
    parser.add_argument("--rounds", type=int, default=5, help="for each placement of each command")
    parser.add_argument("--shards", type=int, action="append")
    parser.add_argument("--seed", type=int)
    arguments, extra = servers.split_arguments(sys.argv[1:])
    options = parser.parse_args(arguments)
    generate.load_families()
    bad = 0
    with servers.judge(*servers.debug_arguments(servers.JUDGE)) as judge:
        judge_known = known_commands(judge.port)
        for shards in options.shards or SHARDS:
            seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "big")
            with servers.ours(*servers.debug_arguments(), *extra, shards=shards) as ours:
                pair = Pair(judge.port, ours.port, judge_known)
                names = {name: many for name, many in several_keys().items() if name in pair.known}
                for name in sorted(set(names) & set(map(str.encode, generate.without_maker(set(names))))):
                    print(f"FAIL command {name.decode()} has no generator: see diff/generate.py")
                    bad += 1
                names = {name: many for name, many in names.items() if name in generate.MAKERS}
                if options.only:
                    names = {name: many for name, many in names.items() if name.decode().upper() in options.only}
                bad += run(pair, Table(pair.known, without=NOT_BETWEEN), shards, seed, options.rounds, names)
    print(f"masks used: {canon.used()}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
