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


class Functions(PlantedTree):
    def lengths(self, text):
        return check_sizes.functions(text)

    def test_long_function_fails(self):
        body = "  F();\n" * 69
        self.plant("src/base/a.cc", "namespace x {\n\nint F() {\n" + body[:-7] + "}\n\n}  // namespace x\n")
        self.assertEqual(check_sizes.check(self.root, {}), [])
        self.plant("src/base/a.cc", "namespace x {\n\nint F() {\n" + body + "}\n\n}  // namespace x\n")
        self.assert_violation(check_sizes.check(self.root, {}), "src/base/a.cc:3", "71 lines")
        self.assertEqual(check_sizes.check(self.root, {"src/base/a.cc": "a table"}), [])

    def test_methods_constructors_and_wrapped_signatures(self):
        text = """class A {
 public:
  explicit A(int a)
      : a_(a) {
    F();
  }
  template <typename T>
  int Method(int first,
             T second) const {
    if (first) {
      F();
    } else {
      G();
    }
  }

 private:
  int a_;
};
"""
        self.assertEqual(self.lengths(text), [(3, 4), (8, 8)])

    def test_lambda_counts_with_its_function(self):
        text = """void F() {
  auto f = [](int a) {
    return a;
  };
  for (;;) {
    f(1);
  }
}

void G() {
#ifdef X
  F();
#endif
}
"""
        self.assertEqual(self.lengths(text), [(1, 8), (10, 5)])

    def test_tables_and_types_are_no_functions(self):
        text = """constexpr Row kRows[] = {
    {F(1), 2},
};

struct A {
  int a = F(1);
};

constexpr auto kMore = MakeTable({
    {F(1), 2},
});
"""
        self.assertEqual(self.lengths(text), [])
