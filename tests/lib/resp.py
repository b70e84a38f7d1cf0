"""The RESP protocol from the client's side: what the tests send and how they read what comes back.

A reply is kept twice: as the exact bytes that came, which is what the tests compare, and as a tree of Reply for those
that must look inside.
"""

import socket
import time

WAIT_S = 30
RECEIVE_BYTES = 1 << 16


class ProtocolViolation(Exception):
    """The server sent bytes that are no RESP."""


class ConnectionClosed(Exception):
    """The server closed the connection where a reply was due; `rest` is what had come of it."""

    def __init__(self, rest=b""):
        super().__init__(f"closed by the server; unread: {rest[:80]!r}")
        self.rest = rest


class Reply:
    """One value: `kind` is its first byte, `value` an int, bytes, None, or a list of Reply (a map: keys and values in turn)."""

    __slots__ = ("kind", "value", "raw")

    def __init__(self, kind, value, raw):
        self.kind = kind
        self.value = value
        self.raw = raw

    def __repr__(self):
        return repr(self.plain())

    def is_error(self):
        return self.kind in b"-!"

    def plain(self):
        """Python values without the type bytes; errors as their text after a '-'."""
        if self.kind == b"-":
            return b"-" + self.value
        if self.kind == b"%":
            values = [item.plain() for item in self.value]
            return dict(zip(values[::2], values[1::2]))
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


def encode(*args):
    """One command as an array of bulk strings. Text goes as UTF-8, numbers in decimal."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        if isinstance(arg, str):
            arg = arg.encode()
        elif isinstance(arg, int):
            arg = b"%d" % arg
        parts.append(b"$%d\r\n%s\r\n" % (len(arg), arg))
    return b"".join(parts)


_LINES = b"+-:,(_#"
_BULKS = b"$=!"
_AGGREGATES = b"*~>%|"


class Reader:
    """Cuts a byte stream into replies. `receive` returns more bytes, or b'' at the end of the stream."""

    def __init__(self, receive):
        self._receive = receive
        self._buffer = bytearray()
        self._at = 0

    def rest(self):
        return bytes(self._buffer[self._at:])

    def reply(self):
        if self._at > 1 << 20:
            self._forget()
        begin = self._at
        try:
            value = self._value()
        except ConnectionClosed:
            self._at = begin
            raise ConnectionClosed(self.rest()) from None
        if self._at == len(self._buffer):
            self._forget()
        return value

    def _forget(self):
        del self._buffer[:self._at]
        self._at = 0

    def _more(self):
        data = self._receive()
        if not data:
            raise ConnectionClosed
        self._buffer += data

    def _line(self):
        searched = self._at
        while True:
            end = self._buffer.find(b"\r\n", searched)
            if end >= 0:
                line = bytes(self._buffer[self._at:end])
                self._at = end + 2
                return line
            searched = max(self._at, len(self._buffer) - 1)
            self._more()

    def _value(self):
        begin = self._at
        line = self._line()
        kind, text = line[:1], line[1:]
        if not kind or kind not in _LINES + _BULKS + _AGGREGATES:
            raise ProtocolViolation(f"no reply begins like this: {line[:80]!r}")
        if kind in _LINES:
            value = int(text) if kind == b":" else None if kind == b"_" else text
        elif kind in _BULKS:
            value = self._bulk(int(text))
        else:
            count = int(text)
            if kind in b"%|":
                count *= 2
            value = None if count < 0 else [self._value() for _ in range(count)]
        return Reply(kind, value, bytes(self._buffer[begin:self._at]))

    def _bulk(self, size):
        if size < 0:
            return None
        while len(self._buffer) < self._at + size + 2:
            self._more()
        value = bytes(self._buffer[self._at:self._at + size])
        if self._buffer[self._at + size:self._at + size + 2] != b"\r\n":
            raise ProtocolViolation(f"a bulk of {size} bytes does not end where it should")
        self._at += size + 2
        return value


class Connection:
    """A client's connection. `address`: a port of the loopback interface, or the path of a unix socket.

    Every wait is bounded by `wait_s`; what does not come in time raises socket.timeout."""

    def __init__(self, address, protocol=None, wait_s=WAIT_S):
        if isinstance(address, int):
            self.socket = socket.create_connection(("127.0.0.1", address), timeout=wait_s)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(wait_s)
            self.socket.connect(str(address))
        self.wait_s = wait_s
        self._reader = Reader(self._receive)
        if protocol == 3:
            hello = self.call("HELLO", 3)
            if hello.is_error():
                raise ProtocolViolation(f"HELLO 3 was refused: {hello}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def _receive(self):
        try:
            return self.socket.recv(RECEIVE_BYTES)
        except (ConnectionResetError, BrokenPipeError):
            return b""  # closed with our bytes unread: to a client it is a close like any other

    def send(self, data):
        """Raw bytes. False: the server has closed; what it said before can still be read."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def reply(self):
        return self._reader.reply()

    def call(self, *args):
        self.send(encode(*args))
        return self.reply()

    def pipeline(self, commands):
        self.send(b"".join(encode(*command) for command in commands))
        return [self.reply() for _ in commands]

    def until_closed(self):
        """Everything that still comes, up to the end of the stream."""
        data = bytearray(self._reader.rest())
        deadline = time.monotonic() + self.wait_s
        while True:
            more = self._receive()
            if not more:
                return bytes(data)
            data += more
            if time.monotonic() > deadline:
                raise socket.timeout("the server did not close the connection")
