#!/usr/bin/env python3
"""ms-load against small servers that behave well or badly: a run must fail exactly when it should.

Usage: load_cli_test.py PATH_TO_MS_LOAD
"""
import json
import socket
import subprocess
import sys
import threading
import types


class Server(threading.Thread):
    """Answers each request of a connection with answer(words, n), n counting that connection's requests."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.seen = []
        self.start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        stream = client.makefile("rb")
        count = 0
        try:
            while True:
                header = stream.readline()
                if not header:
                    return
                words = []
                for _ in range(int(header[1:])):
                    length = int(stream.readline()[1:])
                    words.append(stream.read(length + 2)[:-2])
                self.seen.append(words)
                reply = self.answer(words, count)
                count += 1
                if reply is None:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(reply)
        except (OSError, ValueError):
            pass


def well_behaved():
    data = {}

    def answer(words, _):
        name = words[0]
        if name == b"SET":
            data[words[1]] = words[2]
            return b"+OK\r\n"
        if name == b"GET":
            value = data.get(words[1])
            return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
        if name == b"MGET":
            return b"*%d\r\n" % (len(words) - 1) + b"$-1\r\n" * (len(words) - 1)
        if name == b"DEL":
            return b":%d\r\n" % sum(data.pop(key, None) is not None for key in set(words[1:]))
        return b"+PONG\r\n"
    return answer


def run(load, server, *arguments):
    command = [load, "--port", str(server.port), "--clients", "3", "--pipeline", "4", "--requests", "40",
               "--keyspace", "50", "--patience", "1", "--spin", "no", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout) if done.stdout else None
    return done.returncode, report, done.stderr


failures = []


def expect(name, got, wanted, detail=""):
    if got == wanted:
        print(f"ok: {name}")
    else:
        failures.append(name)
        print(f"FAILED: {name}: got {got!r}, wanted {wanted!r} {detail}")


def good_runs(load):
    preloaded = server = Server(well_behaved())
    code, report, err = run(load, server, "--preload", "--verify")
    expect("get after preload: exit code", code, 0, err)
    expect("get after preload: all answered", (report["replies"], report["hits"], report["misses"]), (40, 40, 0))
    expect("preload sets every key once", sorted(w[1] for w in server.seen if w[0] == b"SET"),
           [b"key:%012d" % i for i in range(50)])
    for arguments in (("--spin", "yes"), ("--clients", "1", "--spin", "yes"), ("--threads", "2"), ("--rate", "400"),
                      ("--threads", "2", "--rate", "400"), ("--command", "mix:0.5", "--verify"),
                      ("--command", "mset:3", "--value-bytes", "20000"), ("--", "ECHO", "__data__")):
        code, report, err = run(load, Server(well_behaved()), *arguments)
        expect(f"{' '.join(arguments)}: exit code and replies", (code, report["replies"], report["errors"]), (0, 40, 0), err)
    server = Server(well_behaved())
    code, report, err = run(load, server, "--escapes", "--", "ECHO", r"\x00a\xffz")
    expect("--escapes", (code, server.seen[0]), (0, [b"ECHO", b"\x00a\xffz"]), err)
    code, report, err = run(load, Server(well_behaved()), "--escapes", "--", "ECHO", r"\x0")
    expect("--escapes of half a byte is refused", (code, report), (1, None), err)
    code, report, err = run(load, Server(well_behaved()), "--command", "mget:5")
    expect("mget counts missing keys", (code, report["hits"], report["misses"]), (0, 0, 200), err)
    code, report, err = run(load, preloaded, "--command", "del:10", "--dist", "seq", "--requests", "10", "--clients", "1")
    expect("del counts keys", (code, report["hits"], report["misses"]), (0, 50, 50), err)
    code, report, err = run(load, Server(well_behaved()), "--requests", "0", "--seconds", "0.3")
    expect("a run by time ends by itself", (code, report["replies"] == report["requests"] > 0), (0, True), err)
    expect("a run by time keeps its time", 0.25 < report["seconds"] < 2, True, report["seconds"])


def bad_servers(load):
    def at(count, reply, otherwise=b"$1\r\nx\r\n"):
        return lambda words, n: reply if n == count else otherwise

    code, report, err = run(load, Server(at(5, b"-ERR broken\r\n")))
    expect("error replies fail the run", (code, report["errors"], report["first_error"]), (3, 3, "ERR broken"), err)
    expect("the first error is printed", "ERR broken" in err, True, err)
    code, report, err = run(load, Server(at(5, b"-ERR broken\r\n")), "--allow-errors")
    expect("--allow-errors", (code, report["errors"]), (0, 3), err)
    code, report, err = run(load, Server(at(5, b":1\r\n")))
    expect("a reply of the wrong type", (code, report["errors"]), (3, 3), err)
    code, report, err = run(load, Server(at(5, b"")))
    expect("a missing reply", (code, "replies are missing" in err), (2, True), err)
    code, report, err = run(load, Server(at(5, None)))
    expect("a closed connection", (code, "closed" in err), (2, True), err)
    code, report, err = run(load, Server(at(5, b"$2\r\nabc\r\n")))
    expect("a length that lies", (code, "protocol" in err), (2, True), err)
    code, report, err = run(load, Server(at(3, b"$1\r\nx\r\n" * 2)))
    expect("one reply too many", (code, "nobody asked" in err), (2, True), err)
    code, report, err = run(load, Server(lambda w, n: b"*1\r\n$-1\r\n"), "--command", "mget:2")
    expect("an array of the wrong size", (code, report["errors"]), (3, 40), err)
    code, report, err = run(load, Server(lambda w, n: b"$32\r\n" + b"000000000000" + b"x" * 20 + b"\r\n"), "--verify")
    expect("the value of another key", (code, report["errors"] > 20), (3, True), err)
    with socket.socket() as bound:  # taken, but nobody listens
        bound.bind(("127.0.0.1", 0))
        gone = types.SimpleNamespace(port=bound.getsockname()[1])
        code, report, err = run(load, gone)
    expect("nobody listens", (code, report), (1, None), err)
    for arguments in (("--command", "nope"), ("--dist", "normal"), ("--threads", "9"), ("--nonsense",), ("--spin", "maybe")):
        code, report, err = run(load, gone, *arguments)
        expect(f"refused: {' '.join(arguments)}", (code, report), (1, None), err)


def open_loop_latency(load):
    """A server that sleeps once for 0.5 s must show it in the tail of an open loop, and not only once."""
    import time

    def answer(words, n):
        if n == 20:
            time.sleep(0.5)
        return b"$1\r\nx\r\n"
    code, report, err = run(load, Server(answer), "--clients", "1", "--requests", "100", "--rate", "100")
    expect("open loop: exit code", code, 0, err)
    expect("open loop: the stall is charged to all that waited", report["p90_us"] > 100_000, True, report["p90_us"])
    code, report, err = run(load, Server(answer), "--clients", "1", "--requests", "100", "--pipeline", "1")
    expect("closed loop: the stall is one request's", report["p90_us"] < 100_000 < report["max_us"], True, report["p90_us"])


def main():
    load = sys.argv[1]
    good_runs(load)
    bad_servers(load)
    open_loop_latency(load)
    print(f"{len(failures)} failure(s)")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
