"""Starts and stops servers: the one under test ("ours") and the reference server that judges it ("the judge").

    with servers.ours(shards=4) as server:
        with server.connect() as client: ...

Every server listens on the loopback interface only, has a directory of its own that goes with it, is known by its
process id, and dies with the test even if that is killed. Every wait is bounded.
"""

import atexit
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lib.resp import Connection

ROOT = Path(__file__).resolve().parent.parent.parent
JUDGE = shutil.which("redis-server") or "/usr/bin/redis-server"
JUDGE_VERSION = "7.0.15"
START_S = 30
STOP_S = 20
PORTS = range(10000, 30000)  # below the range that the kernel takes for outgoing connections
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def binary():
    """The program under test: $MOONSHARD_SERVER, else the release build."""
    path = os.environ.get("MOONSHARD_SERVER") or str(ROOT / "build" / "release" / "moonshard")
    if not os.access(path, os.X_OK):
        sys.exit(f"there is no server to test at {path}: build it, or set MOONSHARD_SERVER")
    return path


def split_arguments(arguments):
    """(those of the test, those after `--`, which are for our server)"""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1:]


def is_sanitized(path):
    """Built with a sanitizer, so that memory bounds mean nothing."""
    data = Path(path).read_bytes()
    return b"__asan_init" in data or b"__tsan_init" in data


def free_port():
    for _ in range(200):
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port on the loopback interface")


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Server:
    """A running process. `port` is 0 if it listens on a unix socket only."""

    def __init__(self, program, args, marker, before_exec=None):
        self.dir = tempfile.mkdtemp(prefix="moonshard-test-")
        self.log_path = os.path.join(self.dir, "server.log")
        self.port = 0
        self.marker = marker
        self.last_text = ""  # of the log, once the server has gone
        self.log = open(self.log_path, "wb")

        def child():
            _die_with_parent()
            if before_exec:
                before_exec()

        self.process = subprocess.Popen([program, *args], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        cwd=self.dir, preexec_fn=child)
        atexit.register(self.kill)

    @property
    def pid(self):
        return self.process.pid

    def text(self):
        """Its log."""
        return Path(self.log_path).read_text(errors="replace")

    def wait_until_ready(self):
        """False: it ended instead."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.marker in self.text():
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.01)
        raise RuntimeError(f"the server was not ready within {START_S} s:\n{self.text()}")

    def connect(self, protocol=None, **kwargs):
        return Connection(self.port, protocol, **kwargs)

    def alive(self):
        return self.process.poll() is None

    def rss(self):
        """Resident bytes of the process."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the server has no memory: it ended")

    def info(self, field):
        with self.connect() as client:
            text = client.call("INFO", "everything").value.decode()
        for line in text.splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value
        raise KeyError(f"INFO has no field {field}")

    def wait(self, wait_s=STOP_S):
        return self.process.wait(wait_s)

    def stop(self):
        """Ends it and answers its exit status; a server that must be killed is a failure."""
        if self.alive():
            self.process.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the server did not end within {STOP_S} s of SIGTERM:\n{self.text()[-2000:]}") from None
        finally:
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if os.path.exists(self.log_path):
            self.last_text = self.text()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if not self.alive() or kind is not None:
            status = self.process.poll()
            self.kill()
            if status not in (None, 0):
                raise RuntimeError(f"the server ended with status {status}:\n{self.last_text[-6000:]}")
            return
        status = self.stop()
        if status != 0:
            raise RuntimeError(f"the server ended with status {status}:\n{self.last_text[-6000:]}")


def _start(program, arguments, marker, before_exec=None):
    # Somebody may take the port between the choice and the bind: another try, with another port.
    for _ in range(5):
        port = free_port()
        server = Server(program, arguments(port), marker, before_exec)
        server.port = port
        if server.wait_until_ready():
            return server
        text = server.text()
        server.kill()
        if "in use" not in text.lower():
            break
    raise RuntimeError(f"{program} did not start:\n{text}")


def is_judge(program):
    """The suites can be tried on the judge itself: MOONSHARD_SERVER=/usr/bin/redis-server."""
    return os.path.basename(program).startswith("redis-server")


def debug_arguments(program=None):
    """What allows DEBUG, if the server has it."""
    program = program or binary()
    if is_judge(program):
        return ["--enable-debug-command", "yes"]
    usage = subprocess.run([program, "--help"], capture_output=True, timeout=START_S, check=False).stdout
    return ["--enable-debug-command", "yes"] if b"--enable-debug-command" in usage else []


def ours(*args, shards=1, before_exec=None, program=None):
    program = program or binary()
    if is_judge(program):
        return _start(program, lambda port: _judge_arguments(port, args), _JUDGE_READY, before_exec)

    def arguments(port):
        return ["--shards", str(shards), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                "--enable-debug-command", "local", *args]
    return _start(program, arguments, "Server initialized", before_exec)


def with_judge(shard_counts):
    """(program, shards) for `ours`: the server at these numbers of shards, and once the judge, so that a test which asks for
    too much is seen at once."""
    return [*((None, shards) for shards in shard_counts), (JUDGE, 1)]


_JUDGE_READY = "Ready to accept connections"


def _judge_arguments(port, args):
    return ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--databases", "16",
            "--enable-debug-command", "local", *args]


def judge(*args):
    server = _start(JUDGE, lambda port: _judge_arguments(port, args), _JUDGE_READY)
    version = server.info("redis_version")
    if version != JUDGE_VERSION:
        server.kill()
        sys.exit(f"the judge must be version {JUDGE_VERSION}, and {JUDGE} is {version}")
    return server
