"""Counts what a test has checked, so that one that checks nothing cannot pass."""

import multiprocessing
import os
import sys
import time
import traceback

SHOWN_MAX = 20


class Checks:
    """`least`: how many checks a run that means something makes."""

    def __init__(self, name, least=1):
        self.name = name
        self.least = least
        self.count = 0
        self.failures = []

    def expect(self, good, message):
        self.count += 1
        if not good:
            self.failures.append(message() if callable(message) else message)
        return good

    def add(self, count, failures=()):
        self.count += count
        self.failures += failures

    def finish(self):
        """Prints the outcome; its value is the exit status."""
        for failure in self.failures[:SHOWN_MAX]:
            print(f"FAIL {self.name}: {failure}")
        if self.count < self.least:
            print(f"FAIL {self.name}: only {self.count} checks of at least {self.least}")
        good = not self.failures and self.count >= self.least
        print(f"{self.name}: {self.count} checks, {len(self.failures)} failed", flush=True)
        return 0 if good else 1


def together(workers, wait_s=90):
    """Runs each (function, *arguments) in a process of its own, all at once; their results in order.

    A worker that raises, or does not end in time, fails the test."""
    context = multiprocessing.get_context("fork")
    running = []
    for function, *arguments in workers:
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(theirs, function, arguments), daemon=True)
        process.start()
        theirs.close()
        running.append((process, mine))
    deadline = time.monotonic() + wait_s
    results = []
    try:
        for process, pipe in running:
            if not pipe.poll(max(0.1, deadline - time.monotonic())):
                raise RuntimeError(f"a worker did not end within {wait_s} s")
            good, result = pipe.recv()
            if not good:
                raise RuntimeError(f"a worker failed:\n{result}")
            results.append(result)
    finally:
        for process, _ in running:
            process.join(5)
            if process.is_alive():
                process.kill()
    return results


def _work(pipe, function, arguments):
    try:
        outcome = True, function(*arguments)
    except Exception:  # the parent raises it
        outcome = False, traceback.format_exc()
    pipe.send(outcome)
    pipe.close()
    sys.stdout.flush()
    os._exit(0)  # no exit handler of the parent: it still needs its servers
