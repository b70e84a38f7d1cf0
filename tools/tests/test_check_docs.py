from tools.tests.planted import PlantedTree

import check_docs


class Docs(PlantedTree):
    def setUp(self):
        super().setUp()
        self.plant("docs/tour.md", "`src/base/a.h`\n")
        self.plant("src/base/a.h", "")

    def test_existing_paths_pass(self):
        self.plant("README.md", "[tour](docs/tour.md#start), [web](https://example.org/x), [here](#below)\n")
        self.assertEqual(check_docs.check(self.root), [])

    def test_tour_of_a_missing_file_fails(self):
        self.plant("docs/tour.md", "\n1. `src/base/b.h`, `std::vector`, `GET a/b`\n")
        self.assert_violation(check_docs.check(self.root), "docs/tour.md:2", "src/base/b.h")

    def test_broken_link_fails(self):
        self.plant("docs/more.md", "[x](tour.md) [y](../docs/none.md)\n")
        self.assert_violation(check_docs.check(self.root), "docs/more.md:1", "none.md")

    def test_code_blocks_are_not_links(self):
        self.plant("README.md", "```\n[x](none.md)\n```\n")
        self.assertEqual(check_docs.check(self.root), [])

    def test_missing_tour_fails(self):
        (self.root / "docs/tour.md").unlink()
        self.assert_violation(check_docs.check(self.root), "missing")
