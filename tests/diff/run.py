#!/usr/bin/env python3
"""Runs the cases of tests/diff/*.resp against the judge and against our server: every reply must be the same bytes.

    tests/diff/run.py                        all families
    tests/diff/run.py strings expire         these
    tests/diff/run.py --shards 4 strings     at 4 shards only
    tests/diff/run.py --only "GET"           cases whose title contains this
    tests/diff/run.py -- --io epoll          what follows goes to our server

Each case runs at 1, 2, 4 and 12 shards, in RESP2 and RESP3, one command at a time and as one pipeline.
"""

import argparse
import itertools
import os
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from diff import canon, cases  # noqa: E402
from lib import servers  # noqa: E402
from lib.resp import Connection, ConnectionClosed, ProtocolViolation, Reply, encode  # noqa: E402

SHARDS = (1, 2, 4, 12)
FOLDER = Path(__file__).resolve().parent
SHOWN_BYTES = 400
DIFFERENCES_SHOWN = 60
DIFFERENCES_SHOWN_OF_A_CASE = 4
WALK_CALLS_MAX = 10000
RUNS_OF_A_TIMED_CASE = 3
CLOSED = "closed the connection"


class Answer:
    """What came for one step: the reply, or the bytes up to the close, or what went wrong instead."""

    def __init__(self, step, reply=None, raw=None, trouble=None):
        self.step = step
        self.trouble = trouble
        self.reply = reply
        self.raw = reply.raw if reply is not None else raw
        self.compared = (trouble, canon.apply(step.canon, reply) if reply is not None else raw)

    def shown(self):
        if self.trouble:
            return f"{self.trouble} {self.raw!r}" if self.raw else self.trouble
        text = repr(self.raw)
        return text if len(text) <= SHOWN_BYTES else f"{text[:SHOWN_BYTES]}... ({len(self.raw)} bytes)"


class Peer:
    """One server and the connections of the running case."""

    def __init__(self, address, wait_s):
        self.address = address
        self.wait_s = wait_s
        self.admin = Connection(address, wait_s=wait_s)

    def reached_end(self, mark):
        """The server is alive, and the admin's connection in step, after the last case."""
        token = f"end of {mark}: {os.urandom(8).hex()}".encode()
        if self.admin.call("ECHO", token).value != token:
            raise AssertionError(f"the server did not answer at the end of {mark}")

    def reset(self):
        self.admin.call("CONFIG", "SET", "requirepass", "", "maxmemory", "0")
        reply = self.admin.call("FLUSHALL")
        if reply.is_error():
            raise ProtocolViolation(f"FLUSHALL before a case: {reply}")

    def run(self, case, protocol, pipelined):
        """The answers to all steps of the case that have one."""
        self.reset()
        run = _CaseRun(self, case, protocol, pipelined)
        try:
            return run.run()
        finally:
            run.close()


class _CaseRun:
    def __init__(self, peer, case, protocol, pipelined):
        self.peer = peer
        self.case = case
        self.protocol = None if case.fresh else protocol
        self.pipelined = pipelined
        self.connections = {}
        self.name = "a"
        self.unread = []  # steps whose requests were sent, in order
        self.unsent = []
        self.answers = []

    def close(self):
        for connection in self.connections.values():
            connection.close()

    @property
    def connection(self):
        if self.name not in self.connections:
            self.connections[self.name] = Connection(self.peer.address, self.protocol, wait_s=self.peer.wait_s)
        return self.connections[self.name]

    def run(self):
        for step in self.case.steps:
            if step.action == "request":
                self.unsent.append(encode(*step.args))
                self.unread.append(step)
                if not self.pipelined:
                    self.flush()
                continue
            self.flush()
            getattr(self, "do_" + step.action)(step)
        self.flush()
        return self.answers

    def flush(self):
        if self.unsent:
            self.connection.send(b"".join(self.unsent))
            self.unsent = []
        for step in self.unread:
            self.answers.append(self.answer(step, self.connection.reply))
        self.unread = []

    @staticmethod
    def answer(step, read):
        try:
            return Answer(step, reply=read())
        except ConnectionClosed as closed:
            return Answer(step, raw=closed.rest, trouble=CLOSED)
        except ProtocolViolation as violation:
            return Answer(step, trouble=f"sent no RESP: {violation}")
        except socket.timeout:
            return Answer(step, trouble="did not answer in time")

    def do_admin(self, step):
        self.answers.append(self.answer(step, lambda: self.peer.admin.call(*step.args)))

    def do_sleep(self, step):
        time.sleep(step.args[0] / 1000)

    def do_conn(self, step):
        self.name = step.args[0]

    def do_raw(self, step):
        self.connection.send(step.args[0])

    def do_half(self, _):
        self.connection.socket.shutdown(socket.SHUT_WR)

    def do_read(self, step):
        for _ in range(step.args[0]):
            self.answers.append(self.answer(step, self.connection.reply))

    def do_read_close(self, step):
        try:
            self.answers.append(Answer(step, raw=self.connection.until_closed()))
        except socket.timeout:
            self.answers.append(Answer(step, trouble="did not close the connection"))

    def do_walk(self, step):
        elements = set()
        cursor = b"0"
        for _ in range(WALK_CALLS_MAX):
            reply = self.connection.call(step.args[0], cursor, *step.args[1:])
            if reply.is_error():
                self.answers.append(Answer(step, reply=reply))
                return
            cursor = reply.value[0].value
            elements.update(item.value for item in reply.value[1].value)
            if cursor == b"0":
                found = sorted(elements)
                self.answers.append(Answer(step, reply=Reply(b"*", found, b"\n".join(found))))
                return
        self.answers.append(Answer(step, trouble=f"the scan did not end within {WALK_CALLS_MAX} calls"))


class Runner:
    def __init__(self, chosen, judge, wait_s):
        self.cases = chosen
        self.judge = judge
        self.wait_s = wait_s
        self.known = {}  # (case, protocol, pipelined) -> the judge's answers
        self.differences = 0
        self.shown = {}  # case -> the lines of its steps that have been shown
        self.compared = 0
        self.case_runs = 0
        self.requests = 0
        self.ends_reached = 0

    def judged(self, key):
        if key not in self.known:
            answers = self.judge.run(*key)
            for answer in answers:
                if answer.trouble and answer.trouble != CLOSED:
                    raise AssertionError(f"{key[0].family}.resp:{answer.step.line}: the case is wrong: the judge {answer.trouble}")
            self.known[key] = answers
        return self.known[key]

    def run_against(self, address, label):
        """Every case against one of our servers. Both must answer after the last case of each file."""
        ours = Peer(address, self.wait_s)
        for pipelined in (False, True):
            for protocol in (2, 3):
                for family, chosen in itertools.groupby(self.cases, lambda case: case.family):
                    for case in chosen:
                        if protocol in case.protocols:
                            self.run_case(ours, case, protocol, pipelined, label)
                    for peer in (self.judge, ours):
                        peer.reached_end(f"{family}.resp")
                        self.ends_reached += 1

    def run_case(self, ours, case, protocol, pipelined, label):
        key = (case, protocol, pipelined)
        for attempt in range(RUNS_OF_A_TIMED_CASE if case.timing else 1):
            if attempt:
                self.known.pop(key, None)
            expected, got = self.judged(key), ours.run(*key)
            if [a.compared for a in expected] == [a.compared for a in got]:
                break
        if len(got) != len(expected) or len(got) < case.requests():
            raise AssertionError(f"{case.family}:{case.line}: {len(got)} answers for {case.requests()} requests")
        self.case_runs += 1
        self.requests += case.requests()
        self.compared += len(got)
        where = f"{label}, RESP{protocol}, {'pipelined' if pipelined else 'one at a time'}"
        for judged, our in zip(expected, got):
            if judged.compared != our.compared:
                self.differences += 1
                self.report(case, where, judged, our)

    def report(self, case, where, judged, our):
        """Each step is shown once, not again for every protocol and shard count."""
        step = judged.step
        lines = self.shown.setdefault(case, set())
        if (step.line in lines or len(lines) == DIFFERENCES_SHOWN_OF_A_CASE or
                sum(map(len, self.shown.values())) == DIFFERENCES_SHOWN):
            return
        lines.add(step.line)
        request = " ".join(repr(arg)[1:] if isinstance(arg, bytes) else str(arg) for arg in step.args)[:SHOWN_BYTES]
        print(f"{case.family}.resp:{step.line}: {case.title} [{where}]\n  {step.action}: {request}\n"
              f"  judge: {judged.shown()}\n  ours:  {our.shown()}", flush=True)


def choose(families, only):
    paths = [FOLDER / f"{family}.resp" for family in families] or sorted(FOLDER.glob("*.resp"))
    chosen = [case for path in paths for case in cases.load(path) if only in case.title]
    if not chosen:
        sys.exit("no case has been chosen")
    return chosen


def compare(chosen, shards, extra=(), wait_s=4):
    """The number of differences; prints the counts."""
    expected = sum(len(case.protocols) for case in chosen) * 2 * len(shards)
    with servers.judge() as judge_server:
        runner = Runner(chosen, Peer(judge_server.port, wait_s), wait_s)
        for count in shards:
            with servers.ours(*extra, shards=count) as server:
                runner.run_against(server.port, f"{count} shards")
            runner.judge.reached_end("the run")
    files = len({case.family for case in chosen})
    if runner.case_runs != expected or runner.ends_reached != files * 8 * len(shards):
        raise AssertionError(f"only {runner.case_runs} of {expected} runs of cases reached their end")
    print(f"{len(chosen)} cases of {files} files, {runner.case_runs} runs of them, {runner.requests} requests, {runner.compared} replies "
          f"compared, {runner.differences} differences; shards {', '.join(map(str, shards))}; last case: {chosen[-1].title}\n"
          f"masks used: {canon.used()}")
    return runner.differences


def main():
    arguments, extra = servers.split_arguments(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*")
    parser.add_argument("--shards", type=int, action="append")
    parser.add_argument("--only", default="")
    parser.add_argument("--wait-s", type=float, default=4)
    options = parser.parse_args(arguments)
    chosen = choose(options.families, options.only)
    return 1 if compare(chosen, options.shards or SHARDS, extra, options.wait_s) else 0


if __name__ == "__main__":
    sys.exit(main())
