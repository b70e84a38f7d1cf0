import importlib.machinery
import importlib.util
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from tools.tests import planted  # noqa: F401  puts tools/ on the path

_LOADER = importlib.machinery.SourceFileLoader("tcl_suite", str(Path(__file__).resolve().parents[1] / "tcl_suite"))
tcl_suite = importlib.util.module_from_spec(importlib.util.spec_from_loader("tcl_suite", _LOADER))
_LOADER.exec_module(tcl_suite)


class Lists(unittest.TestCase):
    def test_reads_tcl_lists(self):
        for text, expected in (("ok {SET and GET}", ["ok", "SET and GET"]), ("err a\\ b {x {y} \\} z}", ["err", "a b", "x {y} \\} z"]), ("", []),
                               ('a "b c" {}', ["a", "b c", ""])):
            self.assertEqual(tcl_suite.tcl_list(text), expected)


class Reports(unittest.TestCase):
    def unit(self, entries):
        skips = SimpleNamespace(reason=lambda unit, test: entries.get((unit, test)))
        return tcl_suite.Unit("unit/x", Path("."), SimpleNamespace(only=""), skips)

    def test_counts_what_the_driver_says(self):
        unit = self.unit({("unit/x", "two"): "needs LPUSH"})
        ends = [unit._line(line) for line in ("testing one", "ok one", "testing two", "err two {ERR unknown command 'lpush'}", "err three {Expected 1}",
                                              "ignore four", "outside {r x -> ERR y}", "done unit/x")]
        self.assertEqual(ends, [False] * 7 + [True])
        self.assertEqual((unit.passed, unit.skipped, unit.ignored), (["one"], {"two": "needs LPUSH"}, ["four"]))
        self.assertEqual(unit.failed, {"three": "Expected 1", "outside of a test: r x": "r x -> ERR y"})

    def test_says_what_is_lacking(self):
        for text, expected in (("ERR unknown command 'lpush', with args", "LPUSH"), ("ERR unknown subcommand 'kill'. Try CLIENT HELP.", "CLIENT KILL"),
                               ("ERR Unknown option or number of arguments for CONFIG SET - 'save-x'", "config save-x"), ("Expected 1", None)):
            self.assertEqual(tcl_suite.lacks(text), expected)


class SkipList(unittest.TestCase):
    LINES = "# head\nunit/x | one (issue *) | needs LPUSH\nunit/x | two | needs MULTI, config y\nunit/y | three | needs another server\n"

    def load(self, known):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(self.LINES)
            file.flush()
            original, tcl_suite.SKIPS = tcl_suite.SKIPS, Path(file.name)
            try:
                return tcl_suite.Skips(lambda thing: thing in known)
            finally:
                tcl_suite.SKIPS = original

    def test_a_line_is_void_once_the_server_has_it_all(self):
        skips = self.load({"MULTI"})
        self.assertEqual(skips.reason("unit/x", "one (issue twelve)"), "needs LPUSH")
        self.assertEqual(skips.reason("unit/x", "two"), "needs MULTI, config y")
        self.assertIsNone(skips.reason("unit/x", "three"))
        skips = self.load({"MULTI", "config y", "LPUSH"})
        self.assertIsNone(skips.reason("unit/x", "two"))
        self.assertEqual(skips.reason("unit/y", "three"), "needs another server")
        self.assertEqual(len(skips.void), 2)

    def test_a_reason_must_say_what_is_needed(self):
        self.LINES = "unit/x | one | fails\n"
        with self.assertRaises(SystemExit):
            self.load(set())

    def test_the_list_of_the_tree(self):
        for line in tcl_suite.SKIPS.read_text().splitlines():
            self.assertRegex(line, r"^#|^unit/[a-z0-9/-]+ \| .+ \| needs [A-Za-z]")
