#!/usr/bin/env python3
"""Random commands against the judge and our server; every reply must be the same bytes.

    tests/diff/random_commands.py --commands 20000            at 1, 2, 4 and 12 shards
    tests/diff/random_commands.py --shards 4 --seed 123       a run again
    tests/diff/random_commands.py --family bitmaps            mostly commands of diff/families/bitmaps.py
    tests/diff/random_commands.py --require-all               a command that the server lacks is a failure
    tests/diff/random_commands.py -- --io epoll               what follows goes to our server

A round is some two hundred commands over a few keys, in pipelines of random length, over three connections in either
protocol. Its keys have new random names, so that they lie on other shards in every round, and are few, so that commands
meet. At its end the whole keyspace is compared. On a difference the round is shrunk and printed in the notation of the
case files, with the seed.
"""

import argparse
import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from diff import canon, cases, generate  # noqa: E402
from diff.generate import DATABASES, Draw, Pipeline, Table  # noqa: E402
from diff.shrink import Shrinker, as_case  # noqa: E402
from lib import servers  # noqa: E402
from lib.resp import Connection, ConnectionClosed, ProtocolViolation, Reply, encode  # noqa: E402

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
SHARDS = (1, 2, 4, 12)
CONNECTIONS = 3
COMMANDS_PER_ROUND = 200
PIPELINE_MAX = 60
WAIT_S = 20
WALK_CALLS_MAX = 10000


def make_round(rng, table):
    draw = Draw(rng)
    pipelines = []
    left = COMMANDS_PER_ROUND
    while left > 0:
        count = min(left, 1 if rng.random() < 0.5 else rng.randint(2, PIPELINE_MAX))
        pipelines += pipelines_of(rng.randrange(CONNECTIONS), [table.command(draw) for _ in range(count)])
        left -= count
    return pipelines


def pipelines_of(connection, commands):
    """One pipeline; a walk, which asks more than once, stands alone."""
    found, run = [], []
    for command in commands:
        if command.walk:
            found += [Pipeline(connection, tuple(run))] * bool(run) + [Pipeline(connection, (command,))]
            run = []
        else:
            run.append(command)
    return found + [Pipeline(connection, tuple(run))] * bool(run)


# ---- playing it

class Player:
    """One server; `known`: the names of the commands that both servers know."""

    def __init__(self, address, known):
        self.address = address
        self.known = known

    def play(self, pipelines):
        """Per pipeline the list of (what is compared, what is shown); the last one is the whole keyspace."""
        with Connection(self.address, wait_s=WAIT_S) as admin:
            admin.call("FLUSHALL")
            connections = [Connection(self.address, wait_s=WAIT_S) for _ in range(CONNECTIONS)]
            try:
                answers = [self._answers(connections[pipeline.connection], pipeline.commands) for pipeline in pipelines]
            finally:
                for connection in connections:
                    connection.close()
            answers.append(self.keyspace(admin))
            return answers

    @staticmethod
    def _answers(connection, commands):
        if commands[0].walk:
            return [walk(connection, commands[0])]
        connection.send(b"".join(encode(*command.args) for command in commands))
        return [answer(connection.reply, command.canon) for command in commands]

    def keyspace(self, client):
        """Everything in the databases that are used: name, type, value, encoding, time."""
        found = []
        for database in sorted(set(DATABASES)):
            client.call("SELECT", database)
            keys, cursor = set(), b"0"
            while True:
                reply = client.call("SCAN", cursor, "COUNT", 1000)
                cursor = reply.value[0].value
                keys.update(item.value for item in reply.value[1].value)
                if cursor == b"0":
                    break
            for key in sorted(keys):
                found.append(self._state(client, database, key))
            size = client.call("DBSIZE").value
            found.append((("DBSIZE", database, size), b"%d keys" % size))
        if b"debug|digest" in self.known:
            digest = client.call("DEBUG", "DIGEST").raw
            found.append((digest, b"DEBUG DIGEST " + digest))
        return found

    def _state(self, client, database, key):
        asked = [("PTTL", key), ("TYPE", key), ("GET", key)]
        if b"object|encoding" in self.known:
            asked.append(("OBJECT", "ENCODING", key))
        if b"dump" in self.known:
            asked.append(("DUMP", key))
        left, *rest = client.pipeline(asked)
        left = canon.apply("near_milliseconds", left)
        # Not one tuple: `left` is equal to what is near it.
        return [database, key, [reply.raw for reply in rest], left], repr((database, key, left, [reply.raw for reply in rest])).encode()


def answer(read, name):
    try:
        reply = read()
        return canon.apply(name, reply), reply.raw
    except ConnectionClosed:
        return "closed the connection", b""
    except ProtocolViolation as violation:
        return f"sent no RESP: {violation}", b""
    except socket.timeout:
        return "did not answer in time", b""


def walk(connection, command):
    """The set of elements of a whole SCAN."""
    elements, cursor = set(), b"0"
    for _ in range(WALK_CALLS_MAX):
        try:
            reply = connection.call(command.args[0], cursor, *command.args[1:])
        except (ConnectionClosed, ProtocolViolation, socket.timeout) as trouble:
            return f"{trouble!r}", b""
        if reply.is_error():
            return reply.raw, reply.raw
        cursor = reply.value[0].value
        elements.update(item.value for item in reply.value[1].value)
        if cursor == b"0":
            found = Reply(b"*", sorted(elements), b"\n".join(sorted(elements)))
            return found.value, found.raw
    return f"the scan did not end within {WALK_CALLS_MAX} calls", b""


@dataclass
class Difference:
    pipeline: int  # == the number of pipelines: the keyspace at the end
    command: int
    expected: bytes
    got: bytes


class Pair:
    """The judge and our server."""

    def __init__(self, judge, ours, judge_known=None, without=()):
        """`judge`, `ours`: addresses; `without`: commands that are not to be used."""
        ours_known = known_commands(ours)
        judge_known = judge_known or known_commands(judge)
        self.known = ours_known & judge_known - {generate.name_of(name) for name in without}
        self.newer = ours_known - judge_known
        self.judge = Player(judge, self.known)
        self.ours = Player(ours, self.known)

    def compare(self, pipelines):
        """The first difference, or None; the number of replies compared."""
        expected, got = self.judge.play(pipelines), self.ours.play(pipelines)
        compared = 0
        for at, (judged, our) in enumerate(zip(expected, got)):
            for index in range(max(len(judged), len(our))):
                left = judged[index] if index < len(judged) else (None, b"nothing")
                right = our[index] if index < len(our) else (None, b"nothing")
                if left[0] != right[0]:
                    shown = [side[1] or str(side[0]).encode() for side in (left, right)]
                    return Difference(at, index, *shown), compared
                compared += 1
        return None, compared

    def reached_end(self, done):
        """Both servers are alive and in step after the last command."""
        token = b"end of %d commands: %s" % (done, os.urandom(8).hex().encode())
        for player in (self.judge, self.ours):
            with Connection(player.address, wait_s=WAIT_S) as client:
                if client.call("ECHO", token).value != token:
                    raise AssertionError("a server did not answer at the end of the run")


def known_commands(address):
    """Names of the commands of a server: b"get", b"object|encoding"."""
    with Connection(address, wait_s=WAIT_S) as client:
        containers = {item.value.lower() for item in client.call("COMMAND", "LIST").value}
        found = set(containers)
        # Redis lists containers alone; COMMAND INFO says what is in them.
        names = sorted(name for name in containers if b"|" not in name)
        for info in client.call("COMMAND", "INFO", *names).value:
            if isinstance(info.value, list) and len(info.value) > 9:
                found.update(sub.value[0].value.lower() for sub in info.value[9].value)
        candidates = [name for name in (b"debug|digest",) if name.split(b"|")[0] in found]
        found.update(name for name in candidates if not client.call(*name.upper().split(b"|")).is_error())
    return found


def report(pair, pipelines, difference, again, shrink=True):
    """Shrinks what differs and prints it; `again`: the command line that runs it again."""
    at = "in the keyspace at the end"
    if difference.pipeline < len(pipelines):
        pipeline = pipelines[difference.pipeline]
        at = (f"at command {difference.command + 1} of {len(pipeline.commands)} of pipeline {difference.pipeline + 1}: "
              f"{as_case(pipelines_of(pipeline.connection, [pipeline.commands[difference.command]]))[:400]}")
    print(f"DIFFERENCE {at}\n  judge: {difference.expected[:300]!r}\n  ours:  {difference.got[:300]!r}\n"
          f"shrinking {sum(len(p.commands) for p in pipelines)} commands ...", flush=True)
    shrinker = Shrinker(lambda candidate: pair.compare(candidate)[0])
    smallest = shrinker.shrink(pipelines) if shrink else pipelines
    print(f"smallest sequence found ({shrinker.runs} runs):\n{as_case(smallest)}")
    last, _ = pair.compare(smallest)
    if last is None:
        print("it does not differ at every run: the difference depends on timing")
    else:
        where = "keyspace at the end" if last.pipeline == len(smallest) else f"reply to {as_case(smallest[last.pipeline:][:1])}"
        print(f"{where}\n  judge: {last.expected[:300]!r}\n  ours:  {last.got[:300]!r}")
    print(f"again: {again}", flush=True)


def run(pair, table, shards, seed, commands, differences_max=1):
    """The number of differences. Every round has a seed of its own, the first one `seed`."""
    rounds = max(1, commands // COMMANDS_PER_ROUND)
    done = compared = differences = 0
    begin = time.monotonic()
    for number in range(rounds):
        pipelines = make_round(generate.rng_of(seed + number), table)
        difference, count = pair.compare(pipelines)
        compared += count
        done += sum(len(pipeline.commands) for pipeline in pipelines)
        if difference:
            report(pair, pipelines, difference,
                   f"tests/diff/random_commands.py --shards {shards} --seed {seed + number} --commands {COMMANDS_PER_ROUND}")
            differences += 1
            if differences >= differences_max:
                return differences
    if not differences and compared < done or not done:
        raise AssertionError(f"{compared} replies were compared for {done} commands")
    pair.reached_end(done)
    print(f"{shards} shards: {done} commands in {rounds} rounds, {compared} replies and states compared, {differences} differences, "
          f"seed {seed}, {done / (time.monotonic() - begin):.0f} commands/s", flush=True)
    return differences


def in_fixtures():
    """Names of the commands that have a request in tests/fixtures."""
    requests = [step.args for path in FIXTURES.glob("*.resp") for case in cases.load(path, fixture=True) for step in case.steps
                if step.action == "request"]
    return {name for args in requests for name in (args[0].lower(), b"|".join(args[:2]).lower())}


def check_table(pair, table, require_all, fixtures):
    """Whether every command has its maker, or a fixture if it is newer than the judge; prints what is not drawn."""
    good = True
    if table.skipped:
        print(f"skipped, because the server does not know them ({len(table.skipped)}): {b' '.join(table.skipped).decode()}")
        good = not require_all
    for name in generate.without_maker(pair.known):
        print(f"FAIL command {name} has no generator: see diff/generate.py")
        good = False
    for name in sorted(pair.newer - fixtures):
        print(f"FAIL command {name.decode()} is newer than the judge and has no case in tests/fixtures")
        good = False
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=int, default=20000, help="for each number of shards")
    parser.add_argument("--shards", type=int, action="append")
    parser.add_argument("--seed", type=int, help="default: a new one each time")
    parser.add_argument("--family", action="append", help="a file of diff/families; its commands are drawn twenty times as often")
    parser.add_argument("--without", action="append", default=[], 
                        help="a command that is neither drawn nor asked of the keys at the end: while it is known to be wrong")
    parser.add_argument("--differences", type=int, default=1, help="go on until so many were found")
    parser.add_argument("--require-all", action="store_true")
    arguments, extra = servers.split_arguments(sys.argv[1:])
    options = parser.parse_args(arguments)
    generate.load_families()
    good = True
    with servers.judge(*servers.debug_arguments(servers.JUDGE)) as judge:
        judge_known = known_commands(judge.port)
        for shards in options.shards or SHARDS:
            seed = options.seed if options.seed is not None else int.from_bytes(os.urandom(4), "big")
            with servers.ours(*servers.debug_arguments(), *extra, shards=shards) as ours:
                pair = Pair(judge.port, ours.port, judge_known, options.without)
                table = Table(pair.known, favoured=options.family or ())
                if shards == (options.shards or SHARDS)[0]:
                    good = check_table(pair, table, options.require_all, in_fixtures())
                good = run(pair, table, shards, seed, options.commands, options.differences) == 0 and good
    print(f"masks used: {canon.used()}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
