"""Servers under test, the load generator, and the arithmetic of interleaved rounds. Standard library only.

Everything started here listens on loopback, is stopped by its process id, and has a bounded run time.
"""
import atexit
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PEER_STYLE = ("redis-server", "valkey-server")
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20
_began = time.monotonic()


def progress(text):
    print(f"[{time.monotonic() - _began:6.1f} s] {text}", file=sys.stderr, flush=True)


class BenchError(Exception):
    """A step that could not be measured; its text goes into the table instead of a figure."""


# --- a small RESP client ------------------------------------------------------------------------------------------

class Client:
    def __init__(self, port, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    @staticmethod
    def encode(*words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        return b"".join(parts)

    def command(self, *words):
        """The reply as bytes, int, None or list; an error reply raises BenchError."""
        try:
            self.socket.sendall(self.encode(*words))
            return self.read()
        except OSError as error:
            raise BenchError(f"{words[0]}: {error}") from error

    def read(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise BenchError("connection closed by the server")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise BenchError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        return rest

    def info(self):
        text = self.command("INFO").decode(errors="replace")
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


# --- processes ----------------------------------------------------------------------------------------------------

_started = []


def _stop_all():
    for server in list(_started):
        server.stop()


atexit.register(_stop_all)
for _signal in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_signal, lambda number, _frame: sys.exit(128 + number))


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def set_nice(nice):
    """For servers and generator alike. Below 0 it keeps other work off their cores, if the system lets us."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    except OSError as error:
        progress(f"--nice {nice}: {error.strerror}; going on without")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def persistence_arguments(config):
    if config == "memory":
        return ["--save", "", "--appendonly", "no"]
    return ["--save", "", "--appendonly", "yes", "--appendfsync", config]


def relative(path):
    """Paths of the repository are printed relative to it, others by their last part."""
    full = os.path.abspath(path)
    return os.path.relpath(full, ROOT) if full.startswith(ROOT + os.sep) else os.path.basename(path)


class Server:
    """One server process. `cpus`: the cores it may use ("0", "0-1"), None: all."""

    def __init__(self, binary, label, *, shards=1, cpus="0", config="memory", extra=(), scratch=None):
        self.binary, self.label, self.shards, self.cpus, self.config = binary, label, shards, cpus, config
        self.extra, self.scratch = list(extra), scratch
        self.process = self.directory = self.port = self.log_path = None
        self.paused = False
        self.last_words = ""  # the end of its log, if it ended before it was told to

    @property
    def is_peer_style(self):
        return os.path.basename(self.binary) in PEER_STYLE

    def arguments(self):
        words = ["--port", str(self.port), *persistence_arguments(self.config), "--dir", self.directory]
        if self.is_peer_style:
            words += ["--bind", "127.0.0.1", "--daemonize", "no"]
        else:
            words += ["--shards", str(self.shards)] + (["--cpus", self.cpus] if self.cpus else [])
        return words + self.extra

    def start(self):
        self.last_words = ""
        self.directory = tempfile.mkdtemp(prefix="ms-bench-", dir=self.scratch)
        self.log_path = os.path.join(self.directory, "server.log")
        self.port = free_port()
        # The whole process is confined, so that a helper thread does not spend the generator's core unseen.
        pin = ["taskset", "-c", self.cpus] if self.cpus else []
        with open(self.log_path, "wb") as log:
            try:
                self.process = subprocess.Popen(pin + [self.binary] + self.arguments(), stdout=log, stderr=log,
                                                stdin=subprocess.DEVNULL)
            except OSError as error:
                shutil.rmtree(self.directory, ignore_errors=True)
                raise BenchError(f"{self.label}: {error}") from error
        _started.append(self)
        limit = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                break
            try:
                with Client(self.port, timeout=2) as client:
                    if client.command("PING") == b"PONG":
                        return self
            except (OSError, BenchError):
                time.sleep(0.05)
        self.last_words = f": {self.log_tail()}"
        self.stop()
        raise BenchError(f"{self.label} did not start{self.last_words}")

    def log_tail(self):
        with contextlib.suppress(OSError), open(self.log_path, errors="replace") as log:
            lines = log.read().replace(self.directory, "DIR").strip().splitlines()
            return lines[-1][-200:] if lines else ""
        return ""

    def epitaph(self):
        """Why it ended, if it ended by itself: the end of its log."""
        if self.process is not None and not self.alive():
            self.last_words = f" (the server has ended with {self.process.returncode}: {self.log_tail()})"
        return self.last_words

    def stop(self):
        if self in _started:
            _started.remove(self)
        if self.process is not None:
            self.epitaph()
            if self.alive():
                self.resume()
                self.process.terminate()
                try:
                    self.process.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def pause(self):
        if not self.paused and self.alive():
            os.kill(self.process.pid, signal.SIGSTOP)
            self.paused = True

    def resume(self):
        if self.paused and self.alive():
            os.kill(self.process.pid, signal.SIGCONT)
            self.paused = False

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def client(self, timeout=30):
        return Client(self.port, timeout)

    def proc(self, name):
        try:
            with open(f"/proc/{self.process.pid}/{name}") as file:
                return file.read()
        except OSError as error:
            raise BenchError(f"{self.label}: {error.strerror}") from error

    def rss_bytes(self):
        for line in self.proc("smaps_rollup").splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
        raise BenchError(f"{self.label}: no resident set")

    def cpu_seconds(self):
        fields = self.proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def expect_keys(self, keys):
        """All loaded keys were answered with OK already; a server without DBSIZE is believed, and that is said."""
        with self.client() as client:
            try:
                found = client.command("DBSIZE")
            except BenchError as error:
                progress(f"{self.label}: the number of keys was not checked: DBSIZE: {error}")
                return
        if found != keys:
            raise BenchError(f"{self.label}: DBSIZE is {found} after loading {keys} keys")

    def version(self):
        try:
            done = subprocess.run([self.binary, "--version"], capture_output=True, text=True, timeout=10)
            text = (done.stdout or done.stderr).strip().splitlines()
            if done.returncode == 0 and text:
                return text[0]
        except (OSError, subprocess.TimeoutExpired):
            pass
        return relative(self.binary)


@contextlib.contextmanager
def only(server, servers):
    """Stops the other servers' processes meanwhile: even an idle one wakes up now and then."""
    for other in servers:
        if other is not server:
            other.pause()
    server.resume()
    try:
        yield server
    finally:
        for other in servers:
            other.resume()


# --- the generator ------------------------------------------------------------------------------------------------

def machine_busy_seconds():
    """Processor time all cores together have spent working since boot."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@dataclass
class Generator:
    binary: str
    cpus: str | None = "1"
    threads: int = 1

    def start(self, server, *arguments, pinned=True):
        words = [self.binary, "--host", "127.0.0.1", "--port", str(server.port), "--server-pid", str(server.process.pid),
                 "--threads", str(self.threads), "--json"]
        if self.cpus and pinned:
            words += ["--cpu", self.cpus]
        return subprocess.Popen(words + [str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process, timeout=600):
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise BenchError(f"the generator ran past {timeout} s") from None
        if process.returncode != 0:
            raise BenchError(err.strip().splitlines()[0] if err.strip() else f"generator exit code {process.returncode}")
        return json.loads(out)

    def run(self, server, *arguments, pinned=True, timeout=600):
        """The generator's report, with "others_cpu": how many cores were busy with neither server nor generator."""
        busy_before, server_before = machine_busy_seconds(), server.cpu_seconds()
        children_before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.monotonic()
        report = self.finish(self.start(server, *arguments, pinned=pinned), timeout)
        wall = time.monotonic() - began
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = children.ru_utime + children.ru_stime - children_before.ru_utime - children_before.ru_stime
        others = machine_busy_seconds() - busy_before - (server.cpu_seconds() - server_before) - own
        report["others_cpu"] = max(others / wall, 0.0)
        return report

    def preload(self, server, keys, value_bytes, *arguments):
        self.run(server, "--preload-only", "--keyspace", keys, "--value-bytes", value_bytes, *arguments)


# --- rounds and their summary -------------------------------------------------------------------------------------

errors = []  # every cell that could not be measured


@dataclass
class Samples:
    """What the rounds of one cell of one server gave; `error` if it could not be measured."""
    rounds: list = field(default_factory=list)
    error: str = ""

    def add(self, report):
        self.rounds.append(report)

    def fail(self, text):
        """A cell that failed in any round has no figure: those it gave before may be the lucky ones."""
        self.error = text
        self.rounds.clear()
        errors.append(text)

    def median(self, key):
        values = [r[key] for r in self.rounds if key in r]
        return statistics.median(values) if values else None

    def spread(self, key):
        """(largest - smallest) / median, in percent."""
        values = [r[key] for r in self.rounds if key in r]
        middle = statistics.median(values) if values else 0
        return 100 * (max(values) - min(values)) / middle if middle else 0.0

    def total(self, key):
        return sum(r.get(key, 0) for r in self.rounds)


def interleave(name, servers, rounds, measure):
    """A B A B ...: `measure(server)` gives a report; only that server runs meanwhile. {label: Samples}."""
    samples = {server.label: Samples() for server in servers}
    for number in range(rounds):
        for server in servers:
            cell = samples[server.label]
            if cell.error:
                continue
            try:
                with only(server, servers):
                    report = measure(server)
                cell.add(report)
                progress(f"{name}: round {number + 1}/{rounds} {server.label}: {summary(report)}")
            except BenchError as error:
                cell.fail(f"{error}{server.epitaph()}")
                progress(f"{name}: {server.label}: NOT MEASURED: {cell.error}")
    return samples


def summary(report):
    if "ops_per_s" not in report:
        return ", ".join(f"{k} {v:.4g}" if isinstance(v, (int, float)) else f"{k} {v}" for k, v in report.items())
    return (f"{count(report['ops_per_s'])}/s, p50 {report['p50_us']:.1f} us, p99 {report['p99_us']:.1f} us, server "
            f"{report.get('server_us_per_request', 0):.3f} us/request, generator busy {report['client_busy']:.2f}, others {report.get('others_cpu', 0):.2f}")


def count(value):
    if value is None:
        return "-"
    if value >= 1e6:
        return f"{value / 1e6:.2f}M"
    return f"{value / 1e3:.1f}k" if value >= 1e4 else f"{value:.0f}"


def ratio(left, right):
    return f"{left / right:.2f}" if left and right else "-"
