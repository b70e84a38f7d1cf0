from tools.tests.planted import PlantedTree

import check_layers


class Layers(PlantedTree):
    def test_lower_and_own_folder_pass(self):
        self.plant("src/base/a.h", "#pragma once\n")
        self.plant("src/dash/b.h", '#include "base/a.h"\n#include <vector>\n')
        self.plant("src/dash/b.cc", '#include "dash/b.h"\n')
        self.plant("src/main.cc", '#include "dash/b.h"\n')
        self.assertEqual(check_layers.check(self.root), [])

    def test_upward_include_fails(self):
        self.plant("src/base/a.h", '#include "dash/b.h"\n')
        self.assert_violation(check_layers.check(self.root), "src/base/a.h:1", "base is below dash")

    def test_test_files_obey_too(self):
        self.plant("src/base/a_test.cc", '\n#include "net/b.h"\n')
        self.assert_violation(check_layers.check(self.root), "src/base/a_test.cc:2")

    def test_folders_of_one_layer_fail(self):
        self.plant("src/types/a.h", '#include "wal/b.h"\n')
        self.assert_violation(check_layers.check(self.root), "share a layer")

    def test_unknown_folder_fails(self):
        self.plant("src/misc/a.h", "")
        self.assert_violation(check_layers.check(self.root), "src/misc has no layer")

    def test_include_without_folder_fails(self):
        self.plant("src/base/a.cc", '#include "a.h"\n')
        self.assert_violation(check_layers.check(self.root), "does not start at a folder")

    def test_commented_include_is_ignored(self):
        self.plant("src/base/a.h", '// #include "net/b.h"\n/*\n#include "net/b.h"\n*/\n')
        self.assertEqual(check_layers.check(self.root), [])

    def test_cycle_between_files_fails_once(self):
        self.plant("src/base/a.h", '#include "base/b.h"\n')
        self.plant("src/base/b.h", '#include "base/c.h"\n')
        self.plant("src/base/c.h", '#include "base/a.h"\n')
        self.assert_violation(check_layers.check(self.root), "base/a.h -> base/b.h -> base/c.h -> base/a.h")

    def test_diamond_is_no_cycle(self):
        self.plant("src/base/a.h", '#include "base/b.h"\n#include "base/c.h"\n')
        self.plant("src/base/b.h", '#include "base/d.h"\n')
        self.plant("src/base/c.h", '#include "base/d.h"\n')
        self.plant("src/base/d.h", "")
        self.assertEqual(check_layers.check(self.root), [])
