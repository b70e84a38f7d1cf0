"""Markdown tables and the sections of docs/benchmarks.md."""
import datetime
import os
import platform
import re
import shlex
import subprocess
import sys

from harness import ROOT, count, ratio, relative

HEADER = """# Benchmarks

The last measured tables, written by `bench/compare.py` and `bench/scaling.py`; each names the command that reproduces it.
Compare ratios: both servers ran in turns in the same minutes. Absolute figures hold for the named machine and day only.
A generator that is busy for 0.9 of its time or more was the limit itself; take CPU per request from such a row.
"""


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as file:
        gib = int(file.readline().split()[1]) / 2**20
    return f"{model}, {len(os.sched_getaffinity(0))} logical cores, {gib:.0f} GiB, {platform.system()} {platform.release()}"


def commit():
    def git(*words):
        done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""
    name = git("rev-parse", "--short=12", "HEAD") or "unknown"
    return name + (" with local changes" if git("status", "--porcelain", "--untracked-files=no") else "")


def command_line():
    words = [relative(sys.argv[0])] + [relative(w) if w.startswith("/") else w for w in sys.argv[1:]]
    return "python3 " + shlex.join(words)


def in_cell(value):
    text = " ".join(str(value).split()).replace("|", "\\|")
    return text if len(text) <= 160 else text[:157] + "..."


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(in_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


class Section:
    """One scenario's part of the page: a title, facts about the run, and text or tables."""

    def __init__(self, name, title, servers):
        self.name, self.title = name, title
        self.versions = [f"{s.label} = {s.version()}" for s in servers]
        self.load_at_start = os.getloadavg()[0]
        self.began = datetime.datetime.now()
        self.parts = []

    def add(self, text):
        self.parts.append(text)
        print(text + "\n", flush=True)

    def render(self):
        facts = [
            f"- {self.began:%Y-%m-%d}, commit {commit()}, {machine()}",
            "- " + "; ".join(self.versions),
            f"- load average at the start {self.load_at_start:.2f}",
            f"- `{command_line()}`",
        ]
        return f"## {self.title}\n\n" + "\n".join(facts) + "\n\n" + "\n\n".join(self.parts) + "\n"

    def write(self, path):
        begin, end = f"<!-- {self.name}: begin -->", f"<!-- {self.name}: end -->"
        text = HEADER
        if os.path.exists(path):
            with open(path) as file:
                text = file.read()
        block = f"{begin}\n{self.render()}{end}"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if pattern.search(text):
            text = pattern.sub(lambda _: block, text)
        else:
            text = text.rstrip("\n") + "\n\n" + block + "\n"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w") as file:
            file.write(text)
        os.replace(path + ".new", path)


THROUGHPUT_COLUMNS = ["what", "{a} ops/s", "{b} ops/s", "ratio", "server us/request {a} / {b}", "ratio",
                      "p50 us {a} / {b}", "p99 us {a} / {b}", "generator busy", "others", "replies, misses, errors {a}; {b}"]


def columns_for(columns, a, b):
    return [c.format(a=a.label, b=b.label) for c in columns]


def speed(samples):
    if samples.error:
        return f"error: {samples.error}"
    return f"{count(samples.median('ops_per_s'))} (spread {samples.spread('ops_per_s'):.0f} %)"


def number(samples, key, digits=1):
    value = samples.median(key)
    return "-" if value is None else f"{value:.{digits}f}"


def tally(samples):
    if samples.error:
        return "-"
    return f"{count(samples.total('replies'))}, {samples.total('misses')}, {samples.total('errors')}"


def throughput_row(name, left, right):
    return [
        name, speed(left), speed(right), ratio(left.median("ops_per_s"), right.median("ops_per_s")),
        f"{number(left, 'server_us_per_request', 3)} / {number(right, 'server_us_per_request', 3)}",
        ratio(right.median("server_us_per_request"), left.median("server_us_per_request")),
        f"{number(left, 'p50_us')} / {number(right, 'p50_us')}",
        f"{number(left, 'p99_us')} / {number(right, 'p99_us')}",
        f"{number(left, 'client_busy', 2)} / {number(right, 'client_busy', 2)}",
        f"{number(left, 'others_cpu', 2)} / {number(right, 'others_cpu', 2)}",
        f"{tally(left)}; {tally(right)}",
    ]


THROUGHPUT_NOTE = ("Medians of {rounds} interleaved rounds of {seconds:g} s; spread = (largest - smallest) / median. Both "
                   "ratios are in favour of {a} above 1. Server time is user + system of the whole process. others = cores busy with "
                   "neither server nor generator: well above 0.1, only the time per request is to be trusted.")
