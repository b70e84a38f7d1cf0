#!/usr/bin/env python3
"""Replays the redis-cli transcript of README.md against a fresh server and compares every reply. The table of flags must say
what the program's --help says.

    tests/readme_test.py build/release/moonshard        (any program that takes --port and --dir, redis-server too)
"""

import difflib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROMPT = re.compile(r"^127\.0\.0\.1:\d+(?:\[\d+\])?> (.*)$")
START_S_MAX = 20


def transcript():
    """(commands, expected output lines) of the fenced block that starts redis-cli."""
    for block in re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE):
        lines = block.splitlines()
        if lines and lines[0] == "$ redis-cli":
            commands = [match.group(1) for match in map(PROMPT.match, lines) if match]
            return commands, [line for line in lines[1:] if not PROMPT.match(line)]
    sys.exit("README.md has no block that starts with '$ redis-cli'")


def flags_of_readme():
    """Lines "--name default: meaning" of the table of flags."""
    rows = re.findall(r"^\| `(--[\w-]+)` \| (?:`(.*?)`)? ?\| (.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return sorted(f"{name} {default}: {meaning}" for name, default, meaning in rows)


def flags_of(program):
    """The same from --help; None for a program that is not ours."""
    text = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=20).stdout
    if not text.startswith("usage: moonshard"):
        return None
    rows = re.findall(r"^  (--[\w-]+) +(.*) \[(.*)\]$", text, re.MULTILINE)
    return sorted(f"{name} {default}: {meaning}" for name, meaning, default in rows)


def difference(expected, got):
    return "\n".join(difflib.unified_diff(expected, got, "README.md", "the server", lineterm=""))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(server, port):
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"the server ended at start with status {server.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    sys.exit(f"the server did not listen within {START_S_MAX} s")


def main():
    program = shutil.which(sys.argv[1]) or sys.argv[1]
    commands, expected = transcript()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "server.log", "w+") as log:
        server = subprocess.Popen([program, "--port", str(port), "--dir", folder], stdout=log, stderr=log)
        try:
            wait_until_up(server, port)
            cli = subprocess.run(["redis-cli", "--no-raw", "-p", str(port)], input="\n".join(commands) + "\n",
                                 capture_output=True, text=True, timeout=60)
        finally:
            server.terminate()
            server.wait(timeout=20)
    got = cli.stdout.splitlines()
    if got != expected:
        sys.exit(difference(expected, got) + cli.stderr)
    flags = flags_of(program)
    if flags is not None and flags != flags_of_readme():
        sys.exit(difference(flags_of_readme(), flags))
    print(f"{len(commands)} commands answered as README.md says, {len(flags or [])} flags as it lists them")


if __name__ == "__main__":
    main()
