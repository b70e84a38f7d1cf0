#!/usr/bin/env python3
"""The arithmetic and the page writing of the comparison scripts. No server is needed."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness
import report
import scenarios_state


class StandIn:
    """A server as far as rounds and titles are concerned."""

    def __init__(self, label):
        self.label, self.paused, self.log = label, False, []

    def version(self):
        return "1.0"

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False


class Rounds(unittest.TestCase):
    def test_median_and_spread(self):
        samples = harness.Samples()
        for value in (90, 100, 120):
            samples.add({"ops_per_s": value})
        self.assertEqual(samples.median("ops_per_s"), 100)
        self.assertAlmostEqual(samples.spread("ops_per_s"), 30)
        self.assertIsNone(samples.median("absent"))

    def test_interleave_alternates_and_pauses_the_other(self):
        left, right = StandIn("a"), StandIn("b")
        order = []

        def measure(server):
            self.assertFalse(server.paused)
            self.assertTrue((right if server is left else left).paused)
            order.append(server.label)
            return {"x": len(order)}
        samples = harness.interleave("cell", [left, right], 3, measure)
        self.assertEqual(order, ["a", "b"] * 3)
        self.assertEqual([r["x"] for r in samples["b"].rounds], [2, 4, 6])
        self.assertFalse(left.paused or right.paused)

    def test_a_server_that_cannot_is_an_error_not_a_figure(self):
        left, right = StandIn("a"), StandIn("b")

        def measure(server):
            if server is right:
                raise harness.BenchError("ERR unknown command")
            return {"ops_per_s": 5.0, "p50_us": 1, "p99_us": 1, "client_busy": 0.1}
        samples = harness.interleave("cell", [left, right], 2, measure)
        self.assertEqual(len(samples["a"].rounds), 2)
        self.assertEqual(samples["b"].rounds, [])
        row = report.throughput_row("cell", samples["a"], samples["b"])
        self.assertIn("ERR unknown command", row[2])
        self.assertEqual(row[3], "-")

    def test_ratio_needs_both_sides(self):
        self.assertEqual(harness.ratio(4, 2), "2.00")
        self.assertEqual(harness.ratio(None, 2), "-")
        self.assertEqual(harness.ratio(4, 0), "-")

    def test_a_program_that_is_no_server(self):
        with self.assertRaises(harness.BenchError):
            harness.Server("/bin/false", "false", cpus=None).start()
        self.assertEqual(harness._started, [])

    def test_commands_on_the_wire(self):
        self.assertEqual(harness.Client.encode("GET", b"k", 7), b"*3\r\n$3\r\nGET\r\n$1\r\nk\r\n$1\r\n7\r\n")


class Expiry(unittest.TestCase):
    def test_live_share(self):
        share = scenarios_state.live_share
        self.assertEqual(share(100, 100, 100), 1)
        self.assertAlmostEqual(share(100 + 30.5, 100, 100), 0.5)
        self.assertEqual(share(161, 100, 100), 0)
        self.assertGreater(share(161, 100, 102), 0)


class Page(unittest.TestCase):
    def section(self, name, text):
        section = report.Section(name, f"Title of {name}", [StandIn("a")])
        sys.stdout.flush()
        section.parts.append(text)
        return section

    def test_sections_are_replaced_in_place(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "docs", "benchmarks.md")
            self.section("point", "first \\1 figures").write(path)
            self.section("ttl", "expiry").write(path)
            self.section("point", "second figures").write(path)
            with open(path) as file:
                text = file.read()
        self.assertTrue(text.startswith("# Benchmarks"))
        self.assertNotIn("first", text)
        self.assertLess(text.index("second figures"), text.index("expiry"))
        self.assertEqual(len(re.findall("<!-- point: begin -->", text)), 1)
        self.assertEqual(text.count("## Title of"), 2)

    def test_no_path_of_the_machine(self):
        self.assertEqual(harness.relative("/usr/bin/redis-server"), "redis-server")
        self.assertEqual(harness.relative(os.path.join(harness.ROOT, "build/x")), "build/x")

    def test_table(self):
        self.assertEqual(report.table(["a", "b"], [[1, 2]]), "| a | b |\n|---|---|\n| 1 | 2 |")


class Scripts(unittest.TestCase):
    def test_bad_arguments_are_refused(self):
        here = os.path.dirname(os.path.abspath(__file__))
        for script, arguments in (("compare.py", ["--ours", "/bin/true", "--load", "/bin/true", "--only", "nonsense"]),
                                  ("compare.py", ["--ours", "/nonexistent"]), ("scaling.py", ["--ours", "/nonexistent"])):
            done = subprocess.run([sys.executable, os.path.join(here, script), *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2, done.stderr)


if __name__ == "__main__":
    unittest.main()
