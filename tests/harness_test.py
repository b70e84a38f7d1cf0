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
from diff import canon, cases, generate, placements, random_commands, run  # noqa: E402
from diff.generate import Command, Draw, Table, makes  # noqa: E402
from diff.shrink import Shrinker, as_case  # noqa: E402
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
        used = {step.canon for case in chosen for step in case.steps} - {None}
        table = Table(set(generate.load_families()))
        draw = Draw(random.Random(1))
        for maker in table.makers:
            used |= {table.command_of(draw, maker.name).canon for _ in range(50)} - {None}
        self.assertEqual(set(canon.NAMES), used, "entries of canon.py that nothing uses, or masks that are none")
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

    def test_the_end_of_a_run(self):
        """A server that has stopped to answer, or is out of step, after the last case."""
        for lie in (lambda reply: reply.replace(b"end of", b"END of"), lambda reply: None if b"end of" in reply else reply):
            with self.assertRaises((AssertionError, ConnectionClosed)):
                self.differences(lie)
            with planted.LyingProxy(self.server.port, lie) as proxy, self.assertRaises((AssertionError, ConnectionClosed)):
                quietly(random_commands.Pair(self.server.port, proxy.port).reached_end, 1)

    def test_random_commands_find_and_shrink(self):
        def lie(reply):
            return reply.replace(b"+none", b"+nil")
        with planted.LyingProxy(self.server.port, lie) as proxy, servers.judge() as judge:
            pair = random_commands.Pair(judge.port, proxy.port)
            differences, out = quietly(random_commands.run, pair, Table(pair.known), 1, 5, 2000)
        self.assertEqual(differences, 1)
        sequence = out.split("runs):\n")[1].split("\nreply to")[0]
        self.assertEqual(len(sequence.splitlines()), 2, f"one connection and one TYPE: {sequence}")
        self.assertIn("TYPE", sequence)

    def test_placements_find(self):
        def lie(reply):
            return reply.replace(b"-ERR The bitop", b"-ERR the bitop").replace(b"BITOP NOT", b"bitop not")
        with planted.LyingProxy(self.server.port, lie) as proxy, servers.judge() as judge:
            pair = random_commands.Pair(judge.port, proxy.port)
            table = Table(pair.known, without=placements.NOT_BETWEEN)
            self.assertEqual(quietly(placements.run, pair, table, 1, 5, 5, {b"rename": False})[0], 0)
            failed, out = quietly(placements.run, pair, table, 1, 5, 60, {b"bitop": True})
        self.assertEqual(failed, 1, out)
        self.assertIn("BITOP", out)

    def test_random_commands_agree_with_themselves(self):
        """The judge has all the commands, so that all makers are drawn: none may tell how fast a server is."""
        with servers.judge() as judge:
            pair = random_commands.Pair(judge.port, self.server.port)
            table = Table(pair.known)
            self.assertEqual(table.skipped, [])
            differences, out = quietly(random_commands.run, pair, table, 1, 7, 20000)
            self.assertEqual(differences, 0, out)
            names = {name: many for name, many in placements.several_keys().items() if name in generate.MAKERS}
            failed, out = quietly(placements.run, pair, Table(pair.known, without=placements.NOT_BETWEEN), 1, 7, 2, names)
        self.assertEqual(failed, 0, out)

    def test_makers_draw_good_commands(self):
        """A maker whose commands are all refused tests nothing but errors."""
        table = Table(set(generate.load_families()))
        with self.server.connect() as client:
            for maker in table.makers:
                draw = Draw(random.Random(3))
                accepted = tried = 0
                while tried < 300 and accepted < 10:
                    client.call("FLUSHALL")
                    client.pipeline([("SET", key, draw.value()) for key in draw.keys[:3]])
                    drawn = [table.command_of(draw, maker.name) for _ in range(20)]
                    replies = client.pipeline([(command.args[0], b"0", *command.args[1:]) if command.walk else command.args for command in drawn])
                    if drawn[0].args[0] in (b"HELLO", b"SELECT"):
                        client.call("RESET")
                    accepted += sum(not reply.is_error() for reply in replies)
                    tried += len(replies)
                if maker.name != b"object|freq":  # needs another eviction policy
                    self.assertGreaterEqual(accepted, 10, maker.name)
                self.assertGreater(len(set(drawn)), 1 if len(drawn[0].args) > 1 else 0, maker.name)

    def test_shrinking(self):
        pipelines = random_commands.make_round(random.Random(3), Table({b"rename", b"incr", b"scan", b"get", b"set"}))

        def differs(candidate):
            names = [command.args[0] for pipeline in candidate for command in pipeline.commands]
            return b"RENAME" in names and b"INCR" in names[names.index(b"RENAME"):]
        smallest = Shrinker(differs).shrink(pipelines)
        self.assertEqual([command.args[0] for pipeline in smallest for command in pipeline.commands], [b"RENAME", b"INCR"])

    def test_a_shrunk_sequence_is_a_case(self):
        commands = [Command((b"GET", b"a \r\n\xff\"")), Command((b"TTL", b"k"), "near_seconds"), Command((b"SCAN", b"COUNT", b"5"), walk=True)]
        case, = load("== a\n" + as_case(random_commands.pipelines_of(1, commands)) + "\n@end")
        self.assertEqual([(step.action, step.canon, step.args) for step in case.steps if step.action in ("request", "walk")],
                         [("request", None, [b"GET", b"a \r\n\xff\""]), ("request", "near_seconds", [b"TTL", b"k"]),
                          ("walk", None, [b"SCAN", b"COUNT", b"5"])])


class TableTest(unittest.TestCase):
    def setUp(self):
        generate.load_families()

    def test_a_command_without_a_maker(self):
        self.assertEqual(generate.without_maker({b"get", b"nosuch", b"client|list", b"object|help", b"object|encoding", b"object"}), ["nosuch"])

    def test_what_is_skipped(self):
        class Nothing:
            known = {b"get"}
            newer = {b"delex"}
        table = Table({b"get"})
        self.assertIn(b"set", table.skipped)
        for require_all, fixtures, good in ((False, {b"delex"}, True), (True, {b"delex"}, False), (False, set(), False)):
            self.assertEqual(quietly(random_commands.check_table, Nothing, table, require_all, fixtures)[0], good)

    def test_a_maker_is_registered_once(self):
        with self.assertRaisesRegex(ValueError, "twice"):
            makes("NOSUCH", "NOSUCH")(lambda draw, name: None)
        del generate.MAKERS[b"nosuch"]

    def test_placements(self):
        names = placements.several_keys()
        self.assertTrue(names[b"mset"] and names[b"sintercard"] and not names[b"rename"] and b"get" not in names)
        placer = placements.Placer(Table({b"get", b"set", b"rename", b"mget"}), {shard: [b"%d-%d" % (shard, i) for i in range(6)] for shard in range(4)},
                                   4, random.Random(1))
        for placement in placements.PLACEMENTS:
            placer.round(b"mget", placement)
        self.assertEqual(placer.missed(b"mget", True), [])
        self.assertEqual(placer.missed(b"rename", False), ["one shard", "two shards"])


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
