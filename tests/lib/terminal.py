"""A program in a terminal of its own: what a person would type goes in, what a person would see comes out."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

ROWS, COLUMNS = 50, 400  # wide enough that no line of a hint is cut
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


class Terminal:
    """Every wait is bounded: what does not come within `wait_s` raises AssertionError with all that did."""

    def __init__(self, argv, wait_s=20, environment=None):
        self.wait_s = wait_s
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                        env={**os.environ, "TERM": "xterm-256color", "HOME": "/nonexistent", **(environment or {})})
        os.close(slave)
        self._raw = b""
        self._seen = 0  # of the text: what `expect` has passed

    @property
    def text(self):
        """All that was shown, without colours and movements of the cursor."""
        return _ESCAPES.sub(b"", self._raw).decode(errors="replace")

    def type(self, text):
        os.write(self._master, text.encode())

    def line(self, text):
        self.type(text + "\r")

    def expect(self, pattern):
        """Waits until `pattern` is shown after what was expected before; the match."""
        deadline = time.monotonic() + self.wait_s
        while True:
            text = self.text
            match = re.search(pattern, text[self._seen:])
            if match:
                self._seen += match.end()
                return match
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} was not shown within {self.wait_s} s; what was: {text[self._seen:][-1500:]!r}")

    def settle(self, quiet_s=0.15):
        """All that comes until nothing has come for a while; the text since the last call of `expect` or `settle`."""
        while self._read(time.monotonic() + quiet_s):
            pass
        text = self.text
        shown, self._seen = text[self._seen:], len(text)
        return shown

    def _read(self, deadline):
        ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 1 << 16)
        except OSError:  # the program has ended
            return False
        self._raw += data
        return bool(data)

    def watch(self, seconds):
        """Reads for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._read(deadline):
            pass
        return self.text

    def wait(self):
        """The exit status."""
        deadline = time.monotonic() + self.wait_s
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(min(deadline, time.monotonic() + 0.05))
        return self.process.poll()

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._master)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
