#!/usr/bin/env python3
"""Where io_uring is not to be had (containers forbid it) the server says so in one line and works over epoll; told to use
io_uring and nothing else, it refuses to start; told to use epoll, it does."""

import ctypes
import errno
import os
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import servers  # noqa: E402
from lib.checks import Checks  # noqa: E402

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_SECCOMP_RET_ERRNO = 0x00050000
_SECCOMP_RET_ALLOW = 0x7FFF0000
_IO_URING_SETUP = 425  # the same number on every architecture
_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def forbid_io_uring(error):
    """A function for the child before exec: io_uring_setup answers `error` from then on."""
    def instruction(code, yes, no, value):
        return struct.pack("HBBI", code, yes, no, value)
    code = (instruction(_LOAD_WORD, 0, 0, 0) + instruction(_JUMP_IF_EQUAL, 0, 1, _IO_URING_SETUP) +
            instruction(_RETURN, 0, 0, _SECCOMP_RET_ERRNO | error) + instruction(_RETURN, 0, 0, _SECCOMP_RET_ALLOW))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(4, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER,
                                                                      ctypes.byref(program), 0, 0):
            os._exit(77)
        assert buffer  # the filter must live until here
    return install


def filter_works(error):
    """The filter really forbids it: a child that asks for a ring gets the error."""
    probe = ("import ctypes; libc = ctypes.CDLL(None, use_errno=True); "
             f"print(libc.syscall({_IO_URING_SETUP}, 1, ctypes.create_string_buffer(256)), ctypes.get_errno())")
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, preexec_fn=forbid_io_uring(error))
    return done.stdout.split() == ["-1", str(error)]


def exercise(checks, server, what):
    with server.connect() as client, server.connect(protocol=3) as other:
        for i in range(50):
            checks.expect(client.call("MSET", "a", i, "b", i, "c", i, "d", i).raw == b"+OK\r\n", f"{what}: MSET")
            values = other.call("MGET", "d", "c", "b", "a").plain()
            checks.expect(values == [b"%d" % i] * 4, f"{what}: MGET answers {values}")
        replies = client.pipeline([("INCR", "n")] * 1000)
        checks.expect([reply.value for reply in replies] == list(range(1, 1001)), f"{what}: a pipeline of INCRs")
        big = "x" * 3_000_000
        client.call("SET", "big", big)
        checks.expect(other.call("GET", "big").value == big.encode(), f"{what}: a value of 3 MB")


def main():
    checks = Checks("no_uring", least=300)
    for error in (errno.EPERM, errno.ENOSYS):
        name = errno.errorcode[error]
        checks.expect(filter_works(error), f"the filter does not forbid io_uring ({name})")
        for shards in (1, 4):
            with servers.ours(shards=shards, before_exec=forbid_io_uring(error)) as server:
                lines = [line for line in server.text().splitlines() if "io_uring" in line]
                checks.expect(len(lines) == 1 and "epoll" in lines[0], f"{name}, {shards} shards: lines about io_uring: {lines}")
                checks.expect(server.info("multiplexing_api") == "epoll", f"{name}: INFO says {server.info('multiplexing_api')}")
                exercise(checks, server, f"io_uring forbidden with {name}, {shards} shards")
        done = subprocess.run([servers.binary(), "--io", "uring", "--port", str(servers.free_port()), "--save", ""],
                              capture_output=True, text=True, timeout=30, preexec_fn=forbid_io_uring(error))
        checks.expect(done.returncode > 0, f"{name} and --io uring: exit status {done.returncode}")
        checks.expect(len(done.stderr.splitlines()) == 1 and "io_uring" in done.stderr,
                      f"{name} and --io uring: standard error says {done.stderr!r}")
    for shards in (1, 4):
        with servers.ours("--io", "epoll", shards=shards) as server:
            checks.expect(server.info("multiplexing_api") == "epoll", "--io epoll")
            exercise(checks, server, f"--io epoll, {shards} shards")
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
