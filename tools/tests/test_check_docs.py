from tools.tests.planted import PlantedTree

import check_docs


class Docs(PlantedTree):
    def setUp(self):
        super().setUp()
        self.plant("docs/tour.md", "`src/base/a.h`\n")
        self.plant("src/base/a.h", "")
        self.plant("src/base/README.md", "")

    def test_existing_paths_pass(self):
        self.plant("README.md", "[tour](docs/tour.md#start), [web](https://example.org/x), [here](#below)\n")
        self.assertEqual(check_docs.check(self.root), [])

    def test_tour_of_a_missing_file_fails(self):
        self.plant("docs/tour.md", "\n1. `src/base/b.h`, `std::vector`, `GET a/b`\n")
        self.assert_violation(check_docs.check(self.root), "docs/tour.md:2", "src/base/b.h")

    def test_tour_of_a_renamed_function_fails(self):
        self.plant("src/base/a.cc", "void A::Keep() {}\n")
        self.plant("docs/tour.md", "`src/base/a.h`, `A::Keep`, `Keep`, `GET a`, `+OK`, `MSET`\n\n`Keeper`\n")
        self.assert_violation(check_docs.check(self.root), "docs/tour.md:3", "Keeper")

    def test_broken_link_fails(self):
        self.plant("docs/more.md", "[x](tour.md) [y](../docs/none.md)\n")
        self.assert_violation(check_docs.check(self.root), "docs/more.md:1", "none.md")

    def test_code_blocks_are_not_links(self):
        self.plant("README.md", "```\n[x](none.md)\n```\n")
        self.assertEqual(check_docs.check(self.root), [])

    def test_missing_tour_fails(self):
        (self.root / "docs/tour.md").unlink()
        self.assert_violation(check_docs.check(self.root), "missing")

    def test_decision_outside_the_index_fails(self):
        self.plant("docs/decisions/0001-x.md", "")
        self.plant("docs/decisions/README.md", "[0002](0002-y.md)\n")
        self.plant("docs/decisions/0002-y.md", "")
        self.assert_violation(check_docs.check(self.root), "0001-x.md", "not in docs/decisions/README.md")

    def test_folder_without_readme_fails(self):
        self.plant("src/dash/a.h", "")
        self.assert_violation(check_docs.check(self.root), "src/dash", "no README.md")
