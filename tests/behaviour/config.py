#!/usr/bin/env python3
"""Configuration from the outside: Redis' own file, errors, the environment, CONFIG SET of what the process does (sockets,
directory), CONFIG REWRITE, the service manager, log files, the background."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.resp import Connection, ConnectionClosed, encode  # noqa: E402

STOCK = Path("/etc/redis/redis.conf")
DATA = servers.ROOT / "tests/data/redis_conf.txt"
READY = "Server initialized"
WAIT_S = 10

# Names whose value at start is rightly another one than the judge's.
OTHER_DEFAULTS = {
    "bind": "only this machine, not '* -::*'",
    "dir": "each server has its own",
    "maxmemory-clients": "clients' buffers are bounded from the start",
    "port": "chosen by the test",
    "save": "the judge is started without",
}


def until(condition, wait_s=WAIT_S):
    end = time.monotonic() + wait_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())


def run(*args, stdin="", env=None, cwd=None):
    """The program to its end: (status, standard output, standard error)."""
    done = subprocess.run([servers.binary(), *args], input=stdin, capture_output=True, text=True, timeout=30, cwd=cwd,
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


def start(checks, *args, env=None, port=None):
    """A server with a free port and 2 shards that has been waited for."""
    port = port or servers.free_port()
    saved = dict(os.environ)
    os.environ.update(env or {})
    try:
        server = servers.Server(servers.binary(), [*args, "--port", str(port), "--shards", "2"], READY)
    finally:
        os.environ.clear()
        os.environ.update(saved)
    server.port = port
    checks.expect(server.wait_until_ready(), lambda: f"{' '.join(args)} does not start: {server.text()}")
    return server


def config(client, *names):
    reply = client.call("CONFIG", "GET", *names).value
    return {reply[i].value.decode(): reply[i + 1].value.decode() for i in range(0, len(reply), 2)}


def directives(text):
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def stock_file(checks):
    """Debian's redis.conf starts the server; each line is in effect, or named with its reason."""
    lines = directives(DATA.read_text())
    if os.access(STOCK, os.R_OK):
        checks.expect(directives(STOCK.read_text()) == lines, f"{DATA} has the lines of {STOCK}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "redis.conf"
        path.write_text("\n".join(["# as packaged", *lines, "save 3600 1 300 100", "save 60 10000"]) + "\n")
        own = ["--daemonize", "no", "--dir", folder, "--logfile", "", "--pidfile", f"{folder}/server.pid"]
        status, said, error = run(str(path), *own, "--check-config")
        checks.expect(status == 0 and not error and "the configuration is valid" in said, f"--check-config: {status} {error}")
        with start(checks, str(path), *own) as server:
            log = server.text()
            named = re.findall(r"settings without effect here: (.*)", log)
            checks.expect(len(named) == 1, f"one line names what has no effect: {len(named)}")
            without_effect = set(re.findall(r"[a-z][\w-]+", re.sub(r"\([^)]*\)", "", named[0] if named else "")))
            checks.expect("save" in without_effect, "save is named as being without effect")
            help_text = run("--help")[1]
            effective = set(re.findall(r"^  --([\w-]+)", help_text, re.MULTILINE))
            for line in lines:
                name = line.split()[0]
                checks.expect((name in effective) != (name in without_effect), f"{name} is in effect, or named")
            with server.connect() as client:
                checks.expect(client.call("PING").value == b"PONG", "PING with the packaged file")
                got = config(client, "save", "tcp-backlog", "hz")
                checks.expect(got == {"save": "3600 1 300 100 60 10000", "tcp-backlog": "511", "hz": "10"}, f"{got}")
                info = server.info("config_file")
                checks.expect(info == str(path), f"INFO's config_file is {info}")
            checks.expect(Path(folder, "server.pid").read_text() == f"{server.pid}\n", "the pid file")
        checks.expect(not Path(folder, "server.pid").exists(), "the pid file goes with the server")


def names_of_redis(checks):
    """Every setting of Redis 7.0.15 is there, with its default."""
    with servers.judge() as judge, servers.ours(shards=1) as server:
        with judge.connect() as theirs, server.connect() as ours:
            expected, got = config(theirs, "*"), config(ours, "*")
    checks.expect(len(expected) > 180, f"the judge knows {len(expected)} settings")
    for name, value in sorted(expected.items()):
        if name in OTHER_DEFAULTS:
            checks.expect(name in got, f"{name} is there")
        else:
            checks.expect(got.get(name) == value, f"{name} is {got.get(name)!r}, the judge's is {value!r}")


def every_value_may_be_set_again(checks):
    """What CONFIG GET shows, CONFIG SET takes, and it stays as it is."""
    with servers.ours(shards=2) as server, server.connect() as client:
        for name, value in config(client, "*").items():
            reply = client.call("CONFIG", "SET", name, value).raw
            fixed = b"can't set immutable config" in reply or b"can't set protected config" in reply
            checks.expect(fixed or reply == b"+OK\r\n", f"CONFIG SET {name} {value}: {reply}")
            checks.expect(config(client, name) == {name: value}, f"{name} stays {value}")


def errors(checks):
    """One line on standard error, with file and line and the nearest name, and status 1."""
    def refuses(text, *words, args=(), env=None):
        status, said, error = run("-", *args, stdin=text, env=env)
        checks.expect(status == 1 and not said and len(error.splitlines()) == 1, f"{text!r}: {status} {said} {error}")
        checks.expect(all(word in error for word in words), f"{text!r}: {words} not in {error}")

    refuses("# x\n\nmaxmemroy 1gb\n", "standard input:3", "maxmemroy", "did you mean 'maxmemory'")
    refuses("port 70000\n", "standard input:1", "port", "between 0 and 65535")
    refuses("requirepass 'hush\n", "standard input:1", "unbalanced quotes")
    refuses("include /no/such/file\n", "standard input:1", "/no/such/file", "No such file")
    refuses("appendonly yes\n", "standard input:1", "appendonly", "does not exist yet")
    refuses('rename-command FLUSHALL ""\n', "standard input:1", "rename-command")
    refuses("loadmodule /x.so\n", "loadmodule")
    refuses("user me on >secret\n", "user")
    refuses("dir /no/such/dir\n", "/no/such/dir", "No such file")
    refuses("port 0\n", "nothing to listen on")
    refuses("", "MOONSHARD_HZ", env={"MOONSHARD_HZ": "x"})
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "bad.conf").write_text("hz 10\ndaemonise yes\n")
        status, _, error = run("bad.conf", cwd=folder)
        checks.expect(status == 1 and "bad.conf:2" in error and "'daemonize'" in error, f"bad.conf: {status} {error}")
        status, _, error = run("missing.conf", "--check-config", cwd=folder)
        checks.expect(status == 1 and "missing.conf" in error, f"missing.conf: {status} {error}")
    status, said, error = run("-", "--check-config", stdin="hz x\n")
    checks.expect(status == 1 and "standard input:1" in error, f"--check-config of a bad file: {status} {said} {error}")


def sources(checks):
    """Flags beat the environment, the environment beats the file; secrets are nowhere to be seen."""
    secret = "hush-hush-hush"
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "secret").write_text(secret + "\n")
        Path(folder, "a.conf").write_text("hz 20\ntimeout 20\nmaxclients 200\ninclude more/*.conf\n")
        Path(folder, "more").mkdir()
        Path(folder, "more", "b.conf").write_text("repl-timeout 77\n")
        env = {"MOONSHARD_TIMEOUT": "30", "MOONSHARD_MAXCLIENTS": "300", "MOONSHARD_REQUIREPASS_FILE": f"{folder}/secret",
               "MOONSHARD_NO_SUCH": "1", "MOONSHARD_MAXMEMORY": "100mb"}
        status, said, _ = run("a.conf", "--maxclients", "400", "--check-config", env=env, cwd=folder)
        checks.expect(status == 0 and secret not in said and "requirepass *** (environment)" in said, f"check: {said}")
        Path(folder, "a.conf").write_text(f"hz 20\ntimeout 20\nmaxclients 200\ninclude {folder}/more/*.conf\n")
        with start(checks, f"{folder}/a.conf", "--maxclients", "400", env=env) as server:
            with server.connect() as client:
                checks.expect(client.call("PING").is_error(), "the password of the environment holds")
                checks.expect(client.call("AUTH", secret).raw == b"+OK\r\n", "AUTH with it")
                got = config(client, "hz", "timeout", "maxclients", "repl-timeout", "maxmemory")
                expected = {"hz": "20", "timeout": "30", "maxclients": "400", "repl-timeout": "77", "maxmemory": "104857600"}
                checks.expect(got == expected, f"{got}")
                checks.expect(secret.encode() not in client.call("INFO", "everything").raw, "no secret in INFO")
            checks.expect(secret not in server.text(), "no secret in the log")
            checks.expect("MOONSHARD_NO_SUCH" in server.text(), "an unknown variable is named")
            status, _, error = run("--port", str(server.port), "--healthcheck", env={"MOONSHARD_PASSWORD": secret})
            checks.expect(status == 0, f"--healthcheck: {status} {error}")
            status, _, error = run("--port", str(server.port), "--healthcheck")
            checks.expect(status == 1 and "NOAUTH" in error, f"--healthcheck without the password: {status} {error}")
        status, _, error = run("--port", str(server.port), "--healthcheck")
        checks.expect(status == 1 and "refused" in error, f"--healthcheck of nothing: {status} {error}")


def budget(checks):
    """Without maxmemory a share of the machine, with it that, and 0 is no limit."""
    with start(checks, "--bind", "127.0.0.1") as server:
        share = int(re.search(r"data budget (\d+) MiB", server.text())[1])
        shown = int(server.info("maxmemory"))
        checks.expect(share > 0 and shown >> 20 == share, f"INFO's maxmemory {shown} is the budget of {share} MiB")
        with server.connect() as client:
            checks.expect(config(client, "maxmemory") == {"maxmemory": "0"}, "CONFIG GET maxmemory is 0")
            client.call("CONFIG", "SET", "maxmemory", "0")
            checks.expect(server.info("maxmemory") == "0", "set to 0: no limit")
    with start(checks, "--maxmemory", "0") as server:
        checks.expect(server.info("maxmemory") == "0" and "data budget" not in server.text(), "--maxmemory 0: no limit")


def sockets_at_run_time(checks, *args):
    """CONFIG SET of port and bind moves the listeners, keeps connections, and undoes what fails."""
    with start(checks, *args) as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        old = server.port
        with server.connect() as client:
            new = servers.free_port()
            checks.expect(client.call("CONFIG", "SET", "port", new).raw == b"+OK\r\n", "CONFIG SET port")
            with Connection(new) as other:
                checks.expect(other.call("PING").value == b"PONG", "PING at the new port")
            checks.expect(refused("127.0.0.1", old), "the old port is closed")
            checks.expect(server_info(client, "tcp_port") == str(new), "INFO's tcp_port")
            checks.expect(client.call("PING").value == b"PONG", "the connection stays")
            for bad in (taken.getsockname()[1],):
                reply = client.call("CONFIG", "SET", "hz", "77", "port", bad)
                checks.expect(reply.raw == b"-ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on "
                              b"this port. Check server logs.\r\n", lambda: f"a taken port: {reply.raw}")
            checks.expect(config(client, "port", "hz") == {"port": str(new), "hz": "10"}, "nothing of it is set")
            with Connection(new) as other:
                checks.expect(other.call("PING").value == b"PONG", "PING at the port that stays")
            for value, here in (("*", "127.0.0.2"), ("127.0.0.1", None), ("127.0.0.2 127.0.0.1", "127.0.0.2")):
                checks.expect(client.call("CONFIG", "SET", "bind", value).raw == b"+OK\r\n", f"CONFIG SET bind {value}")
                checks.expect(refused("127.0.0.2", new) == (here is None), f"bind {value}: 127.0.0.2")
                checks.expect(not refused("127.0.0.1", new), f"bind {value}: 127.0.0.1")
            checks.expect(client.call("CONFIG", "SET", "port", "0").raw == b"+OK\r\n", "CONFIG SET port 0")
            checks.expect(refused("127.0.0.1", new), "port 0 listens nowhere")
            checks.expect(client.call("CONFIG", "SET", "port", old).raw == b"+OK\r\n", "CONFIG SET port back")
            checks.expect(not refused("127.0.0.1", old), "the first port is open again")


def server_info(client, field):
    for line in client.call("INFO", "everything").value.decode().splitlines():
        if line.startswith(field + ":"):
            return line.partition(":")[2]
    return None


def refused(host, port):
    try:
        socket.create_connection((host, port), timeout=5).close()
        return False
    except ConnectionRefusedError:
        return True


def own_address():
    """An address of this machine that is not of the loopback interface; None if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        host = probe.getsockname()[0]
    return None if host.startswith("127.") else host


def protected_mode(checks):
    host = own_address()
    if host is None:
        print("protected mode: this machine has no address but the loopback's")
        return
    with start(checks, "--bind", "127.0.0.1", host) as server, server.connect() as local:
        with socket.create_connection((host, server.port), timeout=5) as stranger:
            stranger.settimeout(5)
            stranger.sendall(b"PING\r\n")
            text = b""
            while piece := stranger.recv(4096):
                text += piece
            checks.expect(text.startswith(b"-DENIED ") and text.count(b"\r\n") == 1, f"a stranger hears {text[:80]}")
        for change in (("protected-mode", "no"), ("requirepass", "x")):
            checks.expect(local.call("CONFIG", "SET", "protected-mode", "yes", "requirepass", "").raw == b"+OK\r\n", "reset")
            local.call("CONFIG", "SET", *change)
            with socket.create_connection((host, server.port), timeout=5) as stranger:
                stranger.sendall(b"PING\r\n")
                answer = stranger.recv(100)
                checks.expect(not answer.startswith(b"-DENIED"), f"after CONFIG SET {change[0]}: {answer}")


def rewrite(checks):
    """The file is brought up to date, keeps what it had, and leads to the same settings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "redis.conf")
        path.write_text("# first\nhz   20\nmaxclients 500 \n# second\nsave 900 1\nsave 300 10\n\ntimeout 1\ntimeout 2\n")
        with start(checks, str(path), "--bind", "127.0.0.1", "--repl-timeout", "99", env={"MOONSHARD_MASTERAUTH": "hush"}) as server:
            with server.connect() as client:
                checks.expect(client.call("CONFIG", "REWRITE").raw == b"+OK\r\n", "CONFIG REWRITE")
                first = path.read_text()
                checks.expect("hush" not in first and "hz   20\n" in first and "maxclients 500 \n" in first, first)
                client.call("CONFIG", "SET", "timeout", "7", "save", "60 5", "requirepass", 'a "b\' c', "maxmemory", "1gb")
                client.call("AUTH", 'a "b\' c')
                checks.expect(client.call("CONFIG", "REWRITE").raw == b"+OK\r\n", "CONFIG REWRITE after CONFIG SET")
                before = config(client, "*")
                text = path.read_text()
                head = text.split("# Generated by CONFIG REWRITE\n")
                checks.expect(head[0] == "# first\nhz   20\nmaxclients 500 \n# second\nsave 60 5\n\ntimeout 7\n\n", text)
                checks.expect(len(head) == 2 and "repl-timeout 99\n" in head[1] and "maxmemory 1073741824\n" in head[1], text)
                checks.expect(client.call("CONFIG", "REWRITE").raw == b"+OK\r\n" and path.read_text() == text, "again: the same")
                path.unlink()
                checks.expect(client.call("CONFIG", "REWRITE").raw == b"+OK\r\n" and path.exists(), "a file that is gone is made")
                path.write_text(text)
                path.write_text("hz 'x\n")
                reply = client.call("CONFIG", "REWRITE")
                checks.expect(reply.raw.startswith(b"-ERR Rewriting config file: ") and path.read_text() == "hz 'x\n",
                              f"a file that cannot be read stays: {reply.raw}")
                path.write_text(text)
            checks.expect(os.listdir(folder) == ["redis.conf"], "no other file is left")
        again = servers.Server(servers.binary(), [str(path)], READY)
        with again:
            checks.expect(again.wait_until_ready(), lambda: f"starts from the rewritten file: {again.text()}")
            again.port = server.port
            with again.connect() as client:
                client.call("AUTH", 'a "b\' c')
                after = config(client, "*")
        for values in (before, after):
            for name in ("dir", "masterauth"):
                values.pop(name)
        checks.expect(before == after, lambda: f"differs: {[n for n in before if before[n] != after.get(n)]}")
        with servers.ours() as bare, bare.connect() as client:
            reply = client.call("CONFIG", "REWRITE")
            checks.expect(reply.raw == b"-ERR The server is running without a config file\r\n", f"{reply.raw}")


def judge_reads_it(checks):
    """What CONFIG REWRITE writes, redis-server understands."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "redis.conf")
        path.write_text("hz 20\n")
        with start(checks, str(path)) as server, server.connect() as client:
            client.call("CONFIG", "SET", "save", "900 1 60 5", "client-output-buffer-limit", "normal 1 2 3", "masterauth", "a \"b\\",
                        "proc-title-template", "{title} x", "notify-keyspace-events", "KEA", "maxmemory", "123mb")
            client.call("CONFIG", "REWRITE")
            ours = config(client, "*")
        text = "".join(line + "\n" for line in path.read_text().splitlines() if not line.startswith(("shards", "port")))
        port = servers.free_port()
        path.write_text(text + f"port {port}\nbind 127.0.0.1\n")
        judge = servers.Server(servers.JUDGE, [str(path)], "Ready to accept connections")
        with judge:
            checks.expect(judge.wait_until_ready(), lambda: f"the judge refuses it: {judge.text()}")
            with Connection(port) as client:
                theirs = config(client, "*")
        for name in ("hz", "save", "client-output-buffer-limit", "masterauth", "proc-title-template", "notify-keyspace-events",
                     "maxmemory"):
            checks.expect(theirs[name] == ours[name], f"{name}: {theirs[name]!r} of {ours[name]!r}")


def directory(checks):
    with tempfile.TemporaryDirectory() as folder:
        with start(checks, "--enable-protected-configs", "local") as server, server.connect() as client:
            checks.expect(client.call("CONFIG", "SET", "dir", folder).raw == b"+OK\r\n", "CONFIG SET dir")
            checks.expect(config(client, "dir") == {"dir": os.path.realpath(folder)}, "CONFIG GET dir")
            checks.expect(os.readlink(f"/proc/{server.pid}/cwd") == os.path.realpath(folder), "the working directory")
            reply = client.call("CONFIG", "SET", "dir", "/no/such")
            checks.expect(reply.raw == b"-ERR CONFIG SET failed (possibly related to argument 'dir') - No such file or "
                          b"directory\r\n", f"{reply.raw}")
        with servers.ours() as server, server.connect() as client:
            checks.expect(client.call("CONFIG", "SET", "dir", folder).is_error(), "dir is protected")


def unix_socket(checks):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/s.sock"
        server = servers.Server(servers.binary(), ["--port", "0", "--unixsocket", path, "--unixsocketperm", "700"], READY)
        checks.expect(server.wait_until_ready(), lambda: f"a unix socket alone: {server.text()}")
        checks.expect(os.stat(path).st_mode & 0o777 == 0o700, "its permission bits")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(path)
            client.sendall(encode("PING"))
            checks.expect(client.recv(100) == b"+PONG\r\n", "PING over the unix socket")
        checks.expect(run("--port", "0", "--unixsocket", path, "--healthcheck")[0] == 0, "--healthcheck over it")
        checks.expect(server.stop() == 0 and not os.path.exists(path), "its file goes with the server")


def service_manager(checks):
    for abstract in (False, True):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            name = f"@moonshard-{os.getpid()}-{servers.free_port()}" if abstract else f"{folder}/notify"
            manager.bind("\0" + name[1:] if abstract else name)
            manager.settimeout(WAIT_S)
            for end in ("signal", "command"):
                env = {"NOTIFY_SOCKET": name}
                server = start(checks, "--supervised", "systemd", "--daemonize", "yes", env=env)
                came = manager.recv(4096).decode().splitlines()
                checks.expect("READY=1" in came and f"MAINPID={server.pid}" in came, f"{came}")
                checks.expect(any(line.startswith("STATUS=") and str(server.port) in line for line in came), f"{came}")
                with server.connect() as client:
                    checks.expect(client.call("PING").value == b"PONG", "ready means that it answers")
                    if end == "command":
                        client.send(encode("SHUTDOWN"))
                if end == "signal":
                    server.process.terminate()
                came = manager.recv(4096).decode().splitlines()
                checks.expect(came[0] == "STOPPING=1", f"the end by a {end}: {came}")
                checks.expect(server.wait() == 0, "status of the end")
                server.kill()


def background(checks):
    with tempfile.TemporaryDirectory() as folder:
        port = servers.free_port()
        args = ["--daemonize", "yes", "--port", str(port), "--dir", folder, "--pidfile", "d.pid", "--logfile", "d.log"]
        status, said, error = run(*args)
        checks.expect(status == 0 and not said and not error, f"daemonize: {status} {said} {error}")
        pid = int(Path(folder, "d.pid").read_text())
        try:
            with Connection(port) as client:
                checks.expect(client.call("PING").value == b"PONG", "it answers once the command has returned")
                status, _, error = run(*args)
                checks.expect(status == 1 and "in use" in error, f"the same port again: {status} {error}")
            checks.expect(int(Path(folder, "d.pid").read_text()) == pid, "a start that failed leaves the pid file alone")
        finally:
            os.kill(pid, signal.SIGTERM)
        checks.expect(until(lambda: not Path(folder, "d.pid").exists()), "the pid file goes")
        checks.expect(until(lambda: not os.path.exists(f"/proc/{pid}")), "the process goes")
        checks.expect("stopped" in Path(folder, "d.log").read_text(), "the log has its end")


def logs(checks):
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "x.log")
        server = servers.Server(servers.binary(), ["--port", str(servers.free_port()), "--dir", folder, "--logfile", "x.log",
                                                   "--log-format", "json", "--loglevel", "notice"], READY)
        checks.expect(until(lambda: log.exists() and READY in log.read_text()), "a log file")
        for line in log.read_text().splitlines():
            entry = json.loads(line)
            checks.expect(set(entry) == {"time", "level", "pid", "message"} and entry["pid"] == server.pid, line)
        log.rename(Path(folder, "old.log"))
        os.kill(server.pid, signal.SIGHUP)
        checks.expect(until(log.exists), "SIGHUP makes the log file anew")
        os.kill(server.pid, signal.SIGTERM)
        checks.expect(server.wait() == 0 and "stopped" in log.read_text(), "the new file has the end")
        server.kill()


def flush_of_figures(checks):
    """CONFIG RESETSTAT at several shards: totals are 0 afterwards, what describes the present stays."""
    with servers.ours(shards=4) as server, server.connect() as client, server.connect() as other:
        for i in range(200):
            client.call("SET", f"k{i}", "v")
            client.call("GET", f"k{i}")
            client.call("GET", f"none{i}")
        other.call("PING")
        checks.expect(server_info(client, "keyspace_hits") == "200", "hits before")
        checks.expect(client.call("CONFIG", "RESETSTAT").raw == b"+OK\r\n", "CONFIG RESETSTAT")
        text = client.call("INFO", "everything").value.decode()
        info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        for name in ("keyspace_hits", "keyspace_misses", "total_connections_received", "rejected_connections", "expired_keys"):
            checks.expect(info[name] == "0", f"{name} is {info[name]}")
        checks.expect(int(info["total_commands_processed"]) < 5, f"commands: {info['total_commands_processed']}")
        checks.expect(info["connected_clients"] == "2", f"connected_clients: {info['connected_clients']}")
        checks.expect(info["db0"].startswith("keys=200,"), f"db0: {info['db0']}")


def shutdown_words(checks):
    for words, ends in ((("SAVE",), False), (("SAVE", "FORCE"), True), (("SAVE", "NOW"), False)):
        with start(checks) as server:
            with server.connect() as client:
                client.send(encode("SHUTDOWN", *words))
                try:
                    answer = client.reply().raw
                except ConnectionClosed:
                    answer = b""
            expected = b"" if ends else b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n"
            checks.expect(answer == expected, f"SHUTDOWN {' '.join(words)}: {answer}")
            if ends:
                checks.expect(server.wait() == 0, "its status")


def main():
    checks = Checks("config", least=800)
    stock_file(checks)
    names_of_redis(checks)
    every_value_may_be_set_again(checks)
    errors(checks)
    sources(checks)
    budget(checks)
    for io in ("auto", "epoll"):
        sockets_at_run_time(checks, "--io", io)
    protected_mode(checks)
    rewrite(checks)
    judge_reads_it(checks)
    directory(checks)
    unix_socket(checks)
    service_manager(checks)
    background(checks)
    logs(checks)
    flush_of_figures(checks)
    shutdown_words(checks)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
