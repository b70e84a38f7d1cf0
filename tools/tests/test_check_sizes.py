import contextlib
import io

from tools.tests.planted import PlantedTree

import check_sizes


class Sizes(PlantedTree):
    def check(self, **options):
        with contextlib.redirect_stderr(io.StringIO()) as notes:
            violations = check_sizes.check(self.root, **options)
        self.notes = notes.getvalue()
        return violations

    def test_limit_is_inclusive(self):
        self.plant("src/base/a.cc", "x\n" * 1000)
        self.assertEqual(self.check(exceptions={}), [])
        self.assertIn("look for the seam", self.notes)
        self.plant("src/base/a.cc", "x\n" * 1001)
        self.assert_violation(self.check(exceptions={}), "src/base/a.cc", "1001 lines")

    def test_scripts_without_suffix_count(self):
        self.plant("tools/long", "x\n" * 1001)
        self.assert_violation(self.check(exceptions={}), "tools/long")

    def test_exception_passes_with_a_reason_only(self):
        self.plant("src/base/table.cc", "x\n" * 2000)
        self.assertEqual(self.check(exceptions={"src/base/table.cc": "a table of data"}), [])
        self.assert_violation(self.check(exceptions={"src/base/table.cc": " "}), "needs its reason")

    def test_stale_exception_fails(self):
        self.assert_violation(self.check(exceptions={"src/base/gone.cc": "a table of data"}), "no such file")
