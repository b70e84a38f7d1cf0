from tools.tests.planted import PlantedTree

import check_names


class Names(PlantedTree):
    def fails(self, path, text, *fragments):
        self.plant(path, text)
        self.assert_violation(check_names.check(self.root), path, *fragments)
        (self.root / path).unlink()

    def passes(self, path, text):
        self.plant(path, text)
        self.assertEqual(check_names.check(self.root), [])
        (self.root / path).unlink()

    def test_each_banned_call_fails(self):
        for call in ("rand()", "srand(1)", "std::rand()", "strcpy(a, b)", "sprintf(a, b)", "atoi(s)", "std::atoi (s)"):
            with self.subTest(call):
                self.fails("src/base/a.cc", f"\nint x = {call};\n", "src/base/a.cc:2")

    def test_longer_names_pass(self):
        for call in ("snprintf(a, 1, b)", "operand(1)", "random.rand(3)", "my_atoi(s)", "std::vsnprintf(a, 1, b, c)"):
            with self.subTest(call):
                self.passes("src/base/a.cc", f"int x = {call};\n")

    def test_comments_and_literals_pass(self):
        self.passes("src/base/a.cc", '// throw rand()\n/* atoi(1) */ auto s = "throw \\" throw"; auto r = R"x(throw)")x";\n')

    def test_code_after_a_literal_is_seen(self):
        self.fails("src/base/a.cc", 'auto s = "//"; throw 1;\n', "throw")
        self.fails("src/base/a.cc", "auto c = '\"'; throw 1;\n", "throw")
        self.fails("src/base/a.cc", "auto n = 1'000; throw 1'0;\n", "throw")

    def test_using_namespace(self):
        self.fails("src/base/a.cc", "using namespace absl;\n")
        self.passes("src/base/a.cc", "using namespace std::string_view_literals;\nusing namespace std::literals;\n")

    def test_regex_throw_thread_local(self):
        self.fails("src/dash/a.h", "std::regex r;\n")
        self.fails("src/dash/a.h", "void f() { throw 1; }\n")
        self.fails("src/dash/a.h", "thread_local int x;\n")
        self.passes("src/shard/a.h", "thread_local int x;\n")

    def test_mutex_only_where_threads_meet(self):
        self.fails("src/db/a.h", "std::mutex m;\n", "one thread")
        self.fails("src/db/a.h", "std::shared_mutex m;\n")
        self.passes("src/base/a.h", "std::mutex m;\n")

    def test_time_randomness_and_sleep_come_from_the_environment(self):
        self.fails("src/db/a.cc", "auto t = std::chrono::steady_clock::now();\n", "shard::Env")
        self.fails("src/db/a.cc", "auto t = time(nullptr);\n", "shard::Env")
        self.fails("src/db/a.cc", "std::random_device r;\n", "replayed")
        self.fails("src/db/a_test.cc", "std::this_thread::sleep_for(x);\n", "sleeping")
        self.passes("src/db/a_test.cc", "std::random_device r; auto t = std::chrono::steady_clock::now();\n")
        self.passes("src/shard/a.cc", "clock_gettime(1, &t); usleep(1);\n")

    def test_paths_of_a_machine(self):
        self.fails("docs/a.md", "see /root/x\n", "one machine")
        self.fails("tools/b.py", "open('/home/someone/x')\n")
        self.passes("docs/a.md", "see src/net/work/x and $HOME/root/x\n")

    def test_words(self):
        self.fails("docs/a.md", "as issue #12 says\n", "issue number")
        self.fails("docs/a.md", "<<<<<<< HEAD\n", "merge conflict")

    def test_markers(self):
        for text in ("// TODO: later\n", "// TODO later\n", "// TODO(x) later\n", "// FIXME: x\n"):
            with self.subTest(text):
                self.fails("src/base/a.h", text, "TODO(topic)")
        self.passes("src/base/a.h", "// TODO(expiry): the wheel does not shrink.\n")
