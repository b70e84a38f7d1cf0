#!/usr/bin/env python3
"""Commands over several shards are atomic, and what was answered is seen by everybody who asks later.

Writers and readers run in processes of their own, with pipelines, against 2, 4 and 12 shards. No reader may ever see a
part of a command, a renamed key twice or not at all, or an older state after a newer one.
"""

import argparse
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks, together  # noqa: E402
from lib.resp import Connection  # noqa: E402

SHARDS = (2, 4, 12)
SECONDS = float(os.environ.get("MOONSHARD_TORN_READ_SECONDS", "1.0"))
PIPELINE = 8
KEYS = 8
FAILURES_KEPT = 3
WAIT_S = 10


class Watch:
    """What one reader has seen."""

    def __init__(self):
        self.checks = 0
        self.failures = []
        self.states = set()  # distinct states, to know that something happened while it looked

    def expect(self, good, text, state):
        self.checks += 1
        self.states.add(state)
        if not good and len(self.failures) < FAILURES_KEPT:
            self.failures.append(text)

    def result(self):
        return self.checks, self.failures, len(self.states)


def names(port, rng, count=KEYS):
    """New names at every run, the first two on different shards. Afterwards the server is empty."""
    with Connection(port, wait_s=WAIT_S) as client:
        home = None
        keys = []
        while len(keys) < count:
            key = f"{rng.getrandbits(48):x}:{len(keys)}"
            client.call("FLUSHALL")
            client.call("SET", key, 1)
            found = client.call("INFO", "shards").value
            shards = [line.split(b":")[0] for line in found.split(b"\r\n") if b":keys=1," in line]
            if len(keys) == 1 and shards and shards == home:
                continue
            home = home or shards
            keys.append(key)
        client.call("FLUSHALL")
    return keys


def until(seconds=None):
    end = time.monotonic() + (seconds or SECONDS)
    while time.monotonic() < end:
        yield


def write(port, make):
    """Pipelines of make(number) until the time is over; how many commands were answered, and errors."""
    done, errors = 0, set()
    with Connection(port, wait_s=WAIT_S) as client:
        for _ in until():
            replies = client.pipeline([make(done + i) for i in range(PIPELINE)])
            done += PIPELINE
            errors.update(reply.raw for reply in replies if reply.is_error())
    return done, errors


def read(port, commands, judge, protocol):
    """Pipelines of `commands` until the time is over; judge(command index, reply values) -> (good, state)."""
    watch = Watch()
    with Connection(port, protocol, wait_s=WAIT_S) as client:
        for _ in until():
            for index, reply in enumerate(client.pipeline(commands * 4)):
                index %= len(commands)
                good, state = judge(index, reply.plain())
                watch.expect(good, f"{commands[index]} -> {str(reply.plain())[:300]}", state)
    return watch.result()


def settle(checks, what, results, errors_allowed=()):
    """Adds the counts of readers and judges the writers; a reader must have seen more than one state."""
    for result in results:
        if len(result) == 3:
            count, failures, states = result
            checks.add(count, [f"{what}: {failure}" for failure in failures])
            checks.expect(states > 1, f"{what}: the reader saw nothing change")
        else:
            done, errors = result
            checks.expect(done > 0 and errors <= set(errors_allowed), f"{what}: a writer got {errors} ({done} commands)")


def no_mixture(port, rng, checks):
    keys = names(port, rng)

    def mset(writer):
        order = random.Random(writer).sample(keys, KEYS)

        def make(number):
            return ["MSET"] + [word for key in order for word in (key, f"{writer}.{number}")]
        return make

    def judge(_, values):
        return len(set(values)) == 1, values[0]

    with Connection(port, wait_s=WAIT_S) as client:
        client.call(*mset(0)(0))
    shuffled = rng.sample(keys, KEYS)
    settle(checks, "MSET against MGET", together(
        [(write, port, mset(writer)) for writer in range(3)] +
        [(read, port, [["MGET", *keys], ["MGET", *shuffled], ["MGET", *keys[:2]]], judge, protocol) for protocol in (2, 3, 2)]))


def token_between_two(port, rng, checks):
    x, y = names(port, rng, 2)
    with Connection(port, wait_s=WAIT_S) as client:
        client.call("SET", x, "token")

    def judge(index, value):
        if index == 1:
            return value == 1, "count"
        return sorted(value, key=str) == [b"token", None] or sorted(value, key=str) == [None, b"token"], tuple(value)

    settle(checks, "RENAME to and fro", together(
        [(write, port, lambda number: ["RENAME", x, y] if number % 2 == 0 else ["RENAME", y, x])] +
        [(read, port, [["MGET", x, y], ["EXISTS", y, x], ["MGET", y, x]], judge, protocol) for protocol in (2, 3)]))


def rename_chain(port, rng, checks):
    keys = names(port, rng)
    with Connection(port, wait_s=WAIT_S) as client:
        client.call("SET", keys[0], "token")

    def mover(number):
        return ["RENAME", keys[number % KEYS], keys[(number + 1) % KEYS]]

    def judge(index, value):
        if index == 1:
            return value == 1, "count"
        return [item for item in value if item is not None] == [b"token"], tuple(value)

    # Two movers: one finds the token gone where the other has moved it on.
    settle(checks, "chain of RENAMEs", together(
        [(write, port, mover), (write, port, mover)] +
        [(read, port, [["MGET", *keys], ["EXISTS", *keys]], judge, protocol) for protocol in (2, 3)]),
        errors_allowed=[b"-ERR no such key\r\n"])


def all_or_nothing(port, rng, checks, remove, what):
    keys = names(port, rng)

    def make(number):
        if number % 2:
            return remove(keys)
        return ["MSET"] + [word for key in keys for word in (key, number)]

    def judge(index, value):
        if index == 0:
            return len(set(value)) == 1, value[0]
        return value in (0, KEYS), value

    settle(checks, what, together(
        [(write, port, make)] +
        [(read, port, [["MGET", *keys], ["EXISTS", *keys], ["DBSIZE"]], judge, protocol) for protocol in (2, 3)]))


def all_new_or_none(port, rng, checks):
    """Two clients set keys that must not be there, a third deletes them: the keys are one client's or nobody's."""
    keys = names(port, rng)

    def msetnx(writer):
        order = random.Random(writer).sample(keys, KEYS)
        return lambda number: ["MSETNX"] + [word for key in order for word in (key, f"{writer}.{number}")]

    def judge(index, value):
        if index == 0:
            return len(set(value)) == 1, value[0]
        return value in (0, KEYS), value

    settle(checks, "MSETNX and DEL", together(
        [(write, port, msetnx(1)), (write, port, msetnx(2)), (write, port, lambda number: ["DEL", *keys])] +
        [(read, port, [["MGET", *keys], ["EXISTS", *keys]], judge, protocol) for protocol in (2, 3)]))


def every_increment_counts(port, rng, checks):
    """INCRs of several clients, with MSETs of other keys in between: no answer twice, none left out."""
    keys = names(port, rng)

    def increment(worker):
        seen = []
        mset = ["MSET"] + [word for key in keys[1:] for word in (key, worker)]
        with Connection(port, wait_s=WAIT_S) as client:
            for _ in until():
                replies = client.pipeline([["INCR", keys[0]], mset, ["INCR", keys[0]]])
                seen += [replies[0].value, replies[2].value]
        return seen

    results = together([(increment, worker) for worker in range(3)])
    with Connection(port, wait_s=WAIT_S) as client:
        total = int(client.call("GET", keys[0]).value)
    seen = sorted(number for result in results for number in result)
    checks.expect(total > 0 and seen == list(range(1, total + 1)), f"{len(seen)} INCRs were answered and the key says {total}")
    for result in results:
        checks.expect(result == sorted(result), "the answers of one client do not grow")


def order_in_real_time(port, rng, checks):
    """One client at a time: what one connection was answered, any other connection sees. Each connection has another home."""
    keys = names(port, rng)
    connections = [Connection(port, protocol, wait_s=WAIT_S) for protocol in (2, 3, 2, 3, 2, 3)]
    a, b = keys[0], keys[1]
    state = 0
    for _ in until(SECONDS):
        for number, writer in enumerate(connections):
            reader = connections[(number + 1 + state) % len(connections)]
            state += 1
            writer.call("SET", a, state)
            checks.expect(reader.call("GET", a).value == b"%d" % state, "SET then GET over another connection")
            writer.call("MSET", *[word for key in keys for word in (key, state)])
            values = reader.call("MGET", *reversed(keys)).plain()
            checks.expect(values == [b"%d" % state] * KEYS, lambda: f"MSET {state} then MGET: {values}")
            reader.call("RENAME", a, "other" + b)
            writer.call("DEL", *keys)
            left = reader.call("EXISTS", *keys, "other" + b).value
            checks.expect(left == 1, f"RENAME, then DEL, then EXISTS of the new name: {left}")
            writer.call("DEL", "other" + b)
            checks.expect(reader.call("DBSIZE").value == 0, "DEL of the last key, then DBSIZE")
    for connection in connections:
        connection.close()


def no_step_back(port, rng, checks):
    """A writer sets a, then b, each after the answer to the one before; readers look over two connections."""
    a, b = names(port, rng, 2)

    def count_up():
        number = 0
        with Connection(port, wait_s=WAIT_S) as client:
            for _ in until():
                number += 1
                client.call("SET", a, number)
                client.call("SET", b, number)
        return number, set()

    def look():
        watch = Watch()
        newest = 0
        with Connection(port, wait_s=WAIT_S) as first, Connection(port, 3, wait_s=WAIT_S) as second:
            for _ in until():
                both = [int(value) for value in first.call("MGET", a, b).plain()]
                watch.expect(both[0] - both[1] in (0, 1), f"MGET saw a={both[0]} b={both[1]}", both[0])
                later_b = int(second.call("GET", b).value)
                later_a = int(first.call("GET", a).value)
                watch.expect(later_b >= both[1] and later_a >= both[0] and later_a >= later_b,
                             f"after {both}: b={later_b}, then a={later_a}", later_a)
                watch.expect(both[0] >= newest, f"a went back from {newest} to {both[0]}", newest)
                newest = later_a
        return watch.result()

    with Connection(port, wait_s=WAIT_S) as client:
        client.call("MSET", a, 0, b, 0)
    settle(checks, "one key after another", together([(count_up,), (look,), (look,)]))


SCENARIOS = {
    "mixture": no_mixture,
    "token": token_between_two,
    "chain": rename_chain,
    "del": lambda *run: all_or_nothing(*run, lambda keys: ["DEL", *keys], "MSET and DEL"),
    "unlink": lambda *run: all_or_nothing(*run, lambda keys: ["UNLINK", *reversed(keys)], "MSET and UNLINK"),
    "flushall": lambda *run: all_or_nothing(*run, lambda keys: ["FLUSHALL"], "MSET and FLUSHALL"),
    "msetnx": all_new_or_none,
    "increments": every_increment_counts,
    "real-time": order_in_real_time,
    "step-back": no_step_back,
}


def run(shards, chosen):
    seed = int.from_bytes(os.urandom(4), "big")
    rng = random.Random(seed)
    checks = Checks(f"torn_read at {shards} shards (seed {seed})", least=200 * len(chosen))
    for name in chosen:
        try:
            with servers.ours(shards=shards) as server:
                SCENARIOS[name](server.port, rng, checks)
                if not servers.is_judge(servers.binary()):
                    started = int(server.info("tx_started"))
                    checks.expect(started > 20, f"{name}: only {started} transactions over several shards were run")
        except (RuntimeError, OSError) as error:  # the other scenarios still have something to say
            checks.expect(False, f"{name}: {error}")
    return checks.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument("--shards", type=int, action="append")
    options = parser.parse_args()
    return max([run(shards, options.scenarios) for shards in options.shards or SHARDS])


if __name__ == "__main__":
    sys.exit(main())
