"""The two checks that run the compiler's tools."""

import contextlib
import io
import shutil
import unittest

from tools.tests.planted import PlantedTree

import check_format
import check_headers


@unittest.skipUnless(shutil.which("clang-format-19"), "clang-format-19 is not installed")
class Format(PlantedTree):
    def setUp(self):
        super().setUp()
        self.plant(".clang-format", "BasedOnStyle: Google\n")

    def test_formatted_passes(self):
        self.plant("src/base/a.h", "int F(int a);\n")
        self.assertEqual(check_format.check(self.root), [])

    def test_unformatted_fails(self):
        self.plant("src/base/a.h", "int F(int a);\n")
        self.plant("src/base/b.h", "int  F( int a );\n")
        self.assert_violation(check_format.check(self.root), "src/base/b.h")


@unittest.skipUnless(shutil.which(check_headers.COMPILER), "clang++-19 is not installed")
class Headers(PlantedTree):
    def setUp(self):
        super().setUp()
        self.compiled = []
        compile_alone = check_headers.compile_alone
        def counting(root, header):
            self.compiled.append(header)
            return compile_alone(root, header)
        check_headers.compile_alone = counting
        self.addCleanup(setattr, check_headers, "compile_alone", compile_alone)

    def test_header_that_needs_another_first_fails(self):
        self.plant("src/base/a.h", "#pragma once\nstruct A {};\n")
        self.plant("src/base/b.h", "#pragma once\nstruct B { A a; };\n")
        self.assert_violation(check_headers.check(self.root), "src/base/b.h", "does not compile alone")

    def test_failure_is_not_remembered(self):
        self.plant("src/base/b.h", "#pragma once\nstruct B { A a; };\n")
        check_headers.check(self.root)
        self.assert_violation(check_headers.check(self.root), "src/base/b.h")

    def test_only_what_changed_compiles_again(self):
        self.plant("src/base/a.h", "#pragma once\nstruct A {};\n")
        self.plant("src/base/b.h", '#pragma once\n#include "base/a.h"\nstruct B { A a; };\n')
        self.plant("src/base/c.h", "#pragma once\n")
        self.assertEqual(check_headers.check(self.root), [])
        self.assertEqual(sorted(self.compiled), ["base/a.h", "base/b.h", "base/c.h"])
        self.compiled.clear()
        self.assertEqual(check_headers.check(self.root), [])
        self.assertEqual(self.compiled, [])
        self.plant("src/base/a.h", "#pragma once\nstruct Renamed {};\n")
        self.assert_violation(check_headers.check(self.root), "src/base/b.h")
        self.assertEqual(sorted(self.compiled), ["base/a.h", "base/b.h"])

    def test_out_of_time_says_so(self):
        self.plant("src/base/a.h", "#pragma once\n")
        with contextlib.redirect_stderr(io.StringIO()) as notes:
            self.assertEqual(check_headers.check(self.root, budget_s=-1), [])
        self.assertIn("1 changed headers did not fit", notes.getvalue())
        self.assertEqual(self.compiled, [])
