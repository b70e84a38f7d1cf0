#!/usr/bin/env python3
"""The tests of the test harness: every planted mistake must be found, and the judge must agree with itself."""

import contextlib
import io
import random
import re
import sys
import tempfile
import time
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS), str(TESTS / "behaviour")]

import torn_read  # noqa: E402
from diff import canon, cases, random_commands, run  # noqa: E402
from fixtures import expected, run as fixtures_run  # noqa: E402
from lib import planted, servers  # noqa: E402
from lib.checks import Checks, together  # noqa: E402
from lib.resp import ConnectionClosed, ProtocolViolation, Reader, encode  # noqa: E402

WAIT_S = 0.5  # for a reply that a planted server swallows

SAMPLE = """
== strings
SET k v
GET k
GET none
MGET k none
== errors
NOSUCH
GET
== an expired key
@timing
SET k v PX 10
@sleep 30
GET k
== raw
@fresh
@raw "PING\\r\\nQUIT\\r\\n"
@read close
== a walk
MSET a 1 b 2
@walk SCAN
@end
"""


def quietly(function, *arguments):
    """(result, what it printed)"""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        result = function(*arguments)
    return result, out.getvalue()


def load(text):
    with tempfile.NamedTemporaryFile("w", suffix=".resp") as file:
        file.write(text)
        file.flush()
        return cases.load(file.name)


class ReaderTest(unittest.TestCase):
    REPLIES = (b"+OK\r\n", b"-ERR x\r\n", b":-12\r\n", b"$3\r\na\r\n\r\n", b"$0\r\n\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"_\r\n",
               b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", b"%1\r\n+k\r\n~2\r\n#t\r\n,1.5\r\n", b"=5\r\ntxt:a\r\n", b"(123456789012345678901\r\n")

    def test_every_cut(self):
        stream = b"".join(self.REPLIES)
        for size in range(1, len(stream) + 1):
            pieces = [stream[i:i + size] for i in range(0, len(stream), size)]
            reader = Reader(lambda left=iter(pieces): next(left, b""))
            self.assertEqual([reader.reply().raw for _ in self.REPLIES], list(self.REPLIES))
            self.assertRaises(ConnectionClosed, reader.reply)

    def test_what_is_no_reply(self):
        for data in (b"OK\r\n", b"\r\n", b"$3\r\nabcd\r\n", b"?1\r\n"):
            reader = Reader(lambda left=iter([data]): next(left, b""))
            self.assertRaises(ProtocolViolation, reader.reply)

    def test_encode(self):
        self.assertEqual(encode("SET", b"\x00", 12), b"*3\r\n$3\r\nSET\r\n$1\r\n\x00\r\n$2\r\n12\r\n")


class CasesTest(unittest.TestCase):
    def test_words(self):
        self.assertEqual(cases.words(r'''a "b\x00\r\n\"" 'c "\d' "" {t}:1 a"b'''), [b"a", b'b\x00\r\n"', b'c "\\d', b"", b"{t}:1", b'a"b'])

    def test_files_that_are_wrong(self):
        for text, error in (("== a\nGET k\n", "@end"), ("GET k\n@end", "before the first"), ("== a\n@end", "compares nothing"),
                            ("== a\n@canon nosuch\nGET k\n@end", "no entry"), ("== a\nGET k\n@canon hello\n@end", "without a request"),
                            ("== a\n@nosuch\nGET k\n@end", "unknown pragma"), ("== a\nGET k\n== a\nGET k\n@end", "same title"),
                            ("== a\nGET $k\n@end", "not defined"), ('== a\nGET "k\n@end', "cannot read"),
                            ("== a\nGET k\n@proto 3\n@end", "before the first request"), ("== a\nGET k\n@end\nGET k", "after @end")):
            with self.assertRaisesRegex(cases.CaseError, re.escape(error), msg=text):
                load(text)

    def test_the_files_of_the_tree(self):
        chosen = run.choose([], "")
        self.assertGreaterEqual(len(chosen), 300)
        used = {step.canon for case in chosen for step in case.steps} | set(re.findall(r'"(\w+)"', Path(random_commands.__file__).read_text()))
        self.assertEqual(set(canon.NAMES) - used, set(), "entries of canon.py that nothing uses")
        for function in canon.NAMES.values():
            self.assertTrue(function.__doc__, f"{function.__name__} has no reason")


class DifferenceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = servers.judge()
        cls.cases = load(SAMPLE)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def differences(self, lie):
        with planted.LyingProxy(self.server.port, lie) as proxy, servers.judge() as judge:
            runner = run.Runner(self.cases, run.Peer(judge.port, 10), WAIT_S)
            _, out = quietly(runner.run_against, proxy.port, "planted")
            self.assertEqual(runner.case_runs, sum(len(case.protocols) for case in self.cases) * 2)
            return runner.differences, out

    def test_the_judge_agrees_with_itself(self):
        self.assertEqual(self.differences(lambda reply: reply), (0, ""))

    def test_planted_differences(self):
        for lie in (lambda reply: reply.replace(b"$1\r\nv\r\n", b"$1\r\nw\r\n"), lambda reply: reply.replace(b"$-1\r\n", b"$0\r\n\r\n"),
                    lambda reply: reply.replace(b"_\r\n", b"$-1\r\n"), lambda reply: reply.replace(b"PONG", b"PING"),
                    lambda reply: reply.replace(b"unknown", b"Unknown"), lambda reply: reply.replace(b"$1\r\nb\r\n", b"$1\r\na\r\n"),
                    lambda reply: None if reply == b"$1\r\nv\r\n" else reply, lambda reply: b"" if b"wrong number" in reply else reply,
                    lambda reply: b"nonsense\r\n" if reply == b"$1\r\nv\r\n" else reply):
            differences, out = self.differences(lie)
            self.assertGreater(differences, 0)
            self.assertIn("judge:", out)

    def test_random_commands_find_and_shrink(self):
        def lie(reply):
            return reply.replace(b"+none", b"+nil")
        with planted.LyingProxy(self.server.port, lie) as proxy, servers.judge() as judge:
            good, out = quietly(random_commands.run, judge.port, proxy.port, 1, 5, 2000)
        self.assertFalse(good)
        sequence = out.split("runs):\n")[1].split("\nreply to")[0]
        self.assertEqual(len(sequence.splitlines()), 2, f"one connection and one TYPE: {sequence}")
        self.assertIn("TYPE", sequence)

    def test_random_commands_agree_with_themselves(self):
        with servers.judge() as judge:
            good, out = quietly(random_commands.run, judge.port, self.server.port, 1, 7, 1000)
        self.assertTrue(good, out)

    def test_shrinking(self):
        pipelines = random_commands.make_round(random.Random(3))

        def differs(candidate):
            names = [command.args[0] for pipeline in candidate for command in pipeline.commands]
            return b"RENAME" in names and b"INCR" in names[names.index(b"RENAME"):]
        smallest = random_commands.Shrinker(differs).shrink(pipelines)
        self.assertEqual([command.args[0] for pipeline in smallest for command in pipeline.commands], [b"RENAME", b"INCR"])


FIXTURE = """
@source https://example.org/page
== statuses, numbers, bulks, nil
SET k "a b"
> +OK
GET k
> "a b"
GET none
> nil
DEL k none
> :1
SET k v EX 100
> +OK
TTL k
> :95..100
SET k
> -ERR wrong number of arguments for 'set' command
SET k v FOO
> -ERR ...
@admin CONFIG GET maxmemory-samples
> *2
> maxmemory-samples
> "5"
@source https://example.org/other
== aggregates
CONFIG GET maxmemory-samples
> %1
> maxmemory-samples
> "5"
MSET a 1 b 2
> +OK
KEYS *
> *2 any order
> b
> a
COMMAND COUNT
> ?integer
MGET a none
> *2
> "1"
> nil
@end
"""


class FixtureTest(unittest.TestCase):
    def load(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".resp") as file:
            file.write(text)
            file.flush()
            return fixtures_run.load(file.name)

    def test_every_expectation_can_fail(self):
        """Each expected line in turn is replaced by another one of its kind."""
        wrong = {"+": "+KO", ":": ":7", "-": "-WRONGTYPE ...", '"': '"other"', "n": '"nil"', "*": "*0", "%": "%0", "?": "?bulk"}
        lines = FIXTURE.splitlines()
        with servers.judge() as server:
            self.assertEqual(quietly(fixtures_run.check, server, self.load(FIXTURE), "judge"), ((8, 56, 0), ""))
            for at, line in enumerate(lines):
                if not line.startswith("> "):
                    continue
                changed = wrong.get(line[2], "other")
                rest = lines[at + 1:]
                if changed in ("*0", "%0"):
                    while rest[0].startswith("> "):
                        rest = rest[1:]
                (_, _, differences), out = quietly(fixtures_run.check, server,
                                                   self.load("\n".join([*lines[:at], "> " + changed, *rest])), "judge")
                self.assertEqual(differences, 4, f"{line} as {changed}")
                self.assertIn("example.org", out)

    def test_protocols(self):
        def reply(data):
            return Reader(lambda left=iter([data]): next(left, b"")).reply()
        for lines, two, three in ((["nil*"], b"*-1\r\n", b"_\r\n"), ([",1.5"], b"$3\r\n1.5\r\n", b",1.5\r\n"),
                                  (["#t"], b":1\r\n", b"#t\r\n"), (["~2", ":1", ":2"], b"*2\r\n:2\r\n:1\r\n", b"~2\r\n:2\r\n:1\r\n"),
                                  (["%2", "a", ":1", "b", ":2"], b"*4\r\n$1\r\nb\r\n:2\r\n$1\r\na\r\n:1\r\n",
                                   b"%2\r\n$1\r\nb\r\n:2\r\n$1\r\na\r\n:1\r\n")):
            parsed = expected.parse(lines)
            self.assertTrue(parsed.matches(reply(two), 2) and parsed.matches(reply(three), 3), lines)
            self.assertFalse(parsed.matches(reply(three), 2) or parsed.matches(reply(two), 3), lines)

    def test_files_that_are_wrong(self):
        for text, error in (("== a\nGET k\n> nil\n@end", "@source"), ("@source x\n@end", "no address"),
                            ("@source https://x\n== a\nGET k\n@end", "no expected reply"),
                            ("@source https://x\n== a\n> nil\nGET k\n@end", "without a request"),
                            ("@source https://x\n== a\nGET k\n> nil\n> nil\n@end", "more than one"),
                            ("@source https://x\n== a\nGET k\n> *2\n> nil\n@end", "too early"),
                            ("@source https://x\n== a\nGET k\n> 5\n@end", "cannot read"),
                            ("@source https://x\n== a\n@canon hello\nGET k\n> nil\n@end", "a fixture has"),
                            ("@source https://x\n== a\nGET k\n> nil\n", "@end")):
            with self.assertRaisesRegex(cases.CaseError, re.escape(error), msg=text):
                self.load(text)
        with self.assertRaisesRegex(cases.CaseError, "the judge says"):
            load("== a\nGET k\n> nil\n@end")


class TornTest(unittest.TestCase):
    def test_planted_torn_reads(self):
        torn_read.SECONDS = 0.5
        for name, scenario in torn_read.SCENARIOS.items():
            checks = Checks(name)
            with planted.TornServer() as server:
                scenario(server.port, random.Random(1), checks)
            self.assertTrue(checks.failures, f"the scenario '{name}' found nothing wrong in {checks.count} checks")


class ChecksTest(unittest.TestCase):
    def test_nothing_checked(self):
        self.assertEqual(quietly(Checks("x", least=1).finish)[0], 1)

    def test_a_failure(self):
        checks = Checks("x")
        checks.expect(False, "planted")
        status, out = quietly(checks.finish)
        self.assertEqual(status, 1)
        self.assertIn("planted", out)

    def test_workers(self):
        self.assertEqual(together([(max, 1, 2), (min, 1, 2)]), [2, 1])
        with self.assertRaisesRegex(RuntimeError, "invalid literal"):
            together([(int, "x")])
        with self.assertRaisesRegex(RuntimeError, "did not end"):
            together([(time.sleep, 60)], wait_s=0.3)


class ServersTest(unittest.TestCase):
    def test_a_server_that_does_not_start(self):
        with self.assertRaisesRegex(RuntimeError, "did not start"):
            servers.ours(program="/bin/false")

    def test_a_server_that_dies(self):
        with self.assertRaisesRegex(RuntimeError, "ended with status -9"):
            with servers.judge() as server:
                server.process.kill()
                server.wait()


if __name__ == "__main__":
    unittest.main(warnings="ignore")
