import io
import sys
import unittest
from pathlib import Path

from tools.tests import planted  # noqa: F401  puts tools/ on the path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import commands_doc
import commands_lib
import commands_table_test
from commands_lib import Row


def key(last=0, flags=("RO",), step=1, index=1):
    return {"flags": list(flags), "begin_search": {"type": "index", "spec": {"index": index}},
            "find_keys": {"type": "range", "spec": {"lastkey": last, "keystep": step, "limit": 0}}}


def argument(name, kind="string", **more):
    return {"name": name, "type": kind, **more}


class Protocol(unittest.TestCase):
    def read(self, data):
        return commands_lib.read_reply(io.BytesIO(data))

    def test_reads_what_the_server_sends(self):
        self.assertEqual(self.read(b"*3\r\n:-2\r\n$3\r\na\r\n\r\n~1\r\n+x\r\n"), [-2, "a\r\n", ["x"]])
        self.assertEqual(self.read(b"%1\r\n$1\r\nk\r\n_\r\n"), {"k": None})

    def test_error_and_end_are_failures(self):
        for data in (b"-ERR no\r\n", b"", b"*2\r\n:1\r\n", b"!x\r\n"):
            with self.assertRaises((commands_lib.Failure, ValueError), msg=data):
                self.read(data)

    def test_rows_hold_subcommands_and_miss_none(self):
        info = [["config", -2, [], 0, 0, 0, [], [], [], [["config|get", -3, ["admin"], 0, 0, 0, [], [], [], []]]]]
        doc = {"summary": "s", "since": "1", "group": "server", "complexity": "c"}
        rows = commands_lib.rows_of(info, {"config": {**doc, "subcommands": {"config|get": doc}}})
        self.assertEqual(list(rows), ["CONFIG", "CONFIG GET"])
        self.assertEqual(rows["CONFIG GET"].flags, {"admin"})
        with self.assertRaisesRegex(commands_lib.Failure, "config.get"):
            commands_lib.rows_of(info, {"config": doc})


class Syntax(unittest.TestCase):
    def assert_syntax(self, expected, *arguments):
        self.assertEqual(commands_doc.syntax(Row("X", arguments=arguments)), ("X " + expected).strip())

    def test_plain_optional_multiple(self):
        self.assert_syntax("")
        self.assert_syntax("key [value]", argument("key"), argument("value", flags=["optional"]))
        self.assert_syntax("key [key ...]", argument("key", flags=["multiple"]))
        self.assert_syntax("[section [section ...]]", argument("section", flags=["optional", "multiple"]))

    def test_tokens(self):
        self.assert_syntax("[MATCH pattern]", argument("pattern", token="MATCH", flags=["optional"]))
        self.assert_syntax("[GET]", argument("get", "pure-token", token="GET", flags=["optional"]))
        self.assert_syntax("[BY a [a ...]]", argument("a", token="BY", flags=["optional", "multiple"]))
        self.assert_syntax("[GET a [GET a ...]]",
                           argument("a", token="GET", flags=["optional", "multiple", "multiple_token"]))

    def test_choices_and_blocks(self):
        choice = [argument("nx", "pure-token", token="NX"), argument("s", token="EX")]
        self.assert_syntax("<NX | EX s>", argument("c", "oneof", arguments=choice))
        self.assert_syntax("[NX | EX s]", argument("c", "oneof", arguments=choice, flags=["optional"]))
        pair = [argument("key"), argument("value")]
        self.assert_syntax("key value [key value ...]", argument("p", "block", arguments=pair, flags=["multiple"]))


class Shards(unittest.TestCase):
    def assert_shards(self, expected, **row):
        self.assertEqual(commands_doc.shards_of(Row(row.pop("name", "X"), **row)), expected)

    def test_from_keys(self):
        self.assert_shards("the client's own")
        self.assert_shards("the owner of the key", key_specs=[key()])
        self.assert_shards("the owners of the keys", key_specs=[key(-1)])
        self.assert_shards("the owners of the keys", key_specs=[key(), key(index=2)])
        self.assert_shards("the client's own", key_specs=[key(flags=["not_key"])])

    def test_from_tips(self):
        tips = ["request_policy:all_shards"]
        self.assert_shards("all, at one moment", tips=tips, flags=frozenset({"write"}))
        self.assert_shards("all, each at a moment of its own", tips=tips, flags=frozenset({"loading"}))
        self.assert_shards("the one that the cursor names", name="SCAN", tips=["request_policy:special"])

    def test_special_route_that_nobody_described_fails(self):
        with self.assertRaisesRegex(commands_lib.Failure, "SPECIAL_ROUTES"):
            commands_doc.shards_of(Row("NEW", tips=["request_policy:special"]))


class Page(unittest.TestCase):
    def rows(self):
        names = set(commands_doc.DIFFERENCES) | set(commands_doc.SPECIAL_ROUTES)
        rows = {name: Row(name, arity=2, group="server", since="1.0.0", complexity="O(1)", summary="Does it.") for name in names}
        rows["CONFIG"] = Row("CONFIG", arity=-2, group="server", subcommands=["CONFIG GET"])
        return rows

    def test_has_every_command_but_no_family(self):
        page = commands_doc.page(self.rows())
        self.assertEqual(page.count("\n### "), len(self.rows()) - 1)
        self.assertNotIn("### CONFIG\n", page)

    def test_difference_of_an_unknown_command_fails(self):
        rows = self.rows()
        del rows["SCAN"]
        with self.assertRaisesRegex(commands_lib.Failure, "SCAN"):
            commands_doc.page(rows)


class Table(unittest.TestCase):
    def violations(self, row, own=frozenset(), deliberate=None):
        table = {"MSET": {"arity": "-3", "flags": "write,denyoom,module", "since": "1.0.1", "group": "string",
                          "key_specs": "1:range(-1,2,0):OW+update", "in_redis_8.0.2": "1"}}
        return commands_table_test.violations({row.name: row}, table, own, deliberate or {})

    def row(self, **changes):
        fields = {"name": "MSET", "arity": -3, "flags": frozenset({"write", "denyoom"}), "since": "1.0.1",
                  "key_specs": [key(-1, ["update", "OW"], 2)], **changes}
        return Row(**fields)

    def test_equal_row_passes_whatever_the_order_of_flags(self):
        self.assertEqual(self.violations(self.row()), [])

    def test_each_field_is_compared(self):
        for field, value in (("arity", 3), ("flags", frozenset({"write"})), ("since", "1.0.0"),
                             ("key_specs", [key(-1, ["OW", "update"], 1)]), ("key_specs", []),
                             ("key_specs", [key(-1, ["OW"], 2)])):
            self.assertEqual(len(self.violations(self.row(**{field: value}))), 1, (field, value))

    def test_misspelt_name_fails_and_own_name_passes(self):
        self.assertEqual(len(self.violations(self.row(name="MSETT"))), 1)
        self.assertEqual(self.violations(self.row(name="OCC.GET"), frozenset({"OCC.GET"})), [])

    def test_excuses_must_still_be_needed(self):
        excuse = {"MSET": {"arity": "because"}}
        self.assertEqual(self.violations(self.row(arity=3), deliberate=excuse), [])
        self.assertEqual(len(self.violations(self.row(), deliberate=excuse)), 1)
        self.assertEqual(len(self.violations(self.row(), frozenset({"GONE"}))), 1)

    def test_the_committed_table_is_read_whole(self):
        table = commands_table_test.read_table()
        self.assertEqual(len(table), 434)
        self.assertEqual(table["MSET"]["key_specs"], "1:range(-1,2,0):OW+update")
        self.assertIn("GET", commands_table_test.gaps({}, table)["string"])
        self.assertNotIn("sentinel", commands_table_test.gaps({}, table))
