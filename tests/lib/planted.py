"""Servers that are wrong on purpose, to see that the tests notice: a proxy that alters replies, and a tiny server whose
commands are not atomic."""

import random
import socket
import threading
import time

from lib.resp import Connection, ConnectionClosed, Reader


class _Listening:
    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve_safely, args=(client,), daemon=True).start()

    def _serve_safely(self, client):
        try:
            self.serve(client)
        except (OSError, ConnectionClosed):
            pass
        try:
            client.shutdown(socket.SHUT_RDWR)  # a close alone waits for the thread that still reads
        except OSError:
            pass
        client.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class LyingProxy(_Listening):
    """Passes everything on; lie(reply bytes) may change a reply, drop it (b''), or close the connection (None)."""

    def __init__(self, port, lie):
        self.upstream = port
        self.lie = lie
        super().__init__()

    def serve(self, client):
        with Connection(self.upstream) as server:
            threading.Thread(target=self._forward, args=(client, server.socket), daemon=True).start()
            while True:
                told = self.lie(server.reply().raw)
                if told is None:
                    return
                client.sendall(told)

    @staticmethod
    def _forward(source, target):
        try:
            while True:
                data = source.recv(1 << 16)
                if not data:
                    break
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class TornServer(_Listening):
    """Strings in a dict, with a pause in the middle of every command over several keys, and sometimes an old value."""

    PAUSE_S = 0.0002

    def __init__(self):
        self.data = {}
        self.old = {}
        self.random = random.Random(1)
        super().__init__()

    def serve(self, client):
        reader = Reader(lambda: client.recv(1 << 16))
        while True:
            args = [item.value for item in reader.reply().value]
            client.sendall(getattr(self, args[0].lower().decode())(*args[1:]))

    @staticmethod
    def bulk(value):
        return b"$-1\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)

    @staticmethod
    def hello(*_):
        return b"*0\r\n"

    @staticmethod
    def info(*_):
        return b"$0\r\n\r\n"

    def flushall(self):
        for key in list(self.data):
            self.data.pop(key, None)
            time.sleep(self.PAUSE_S)
        return b"+OK\r\n"

    def set(self, key, value):
        if key in self.data:
            self.old[key] = self.data[key]
        self.data[key] = value
        return b"+OK\r\n"

    def get(self, key):
        stale = self.random.random() < 0.05 and self.old.get(key) is not None
        return self.bulk(self.old[key] if stale else self.data.get(key))

    def mset(self, *pairs):
        for key, value in zip(pairs[::2], pairs[1::2]):
            self.set(key, value)
            time.sleep(self.PAUSE_S)
        return b"+OK\r\n"

    def msetnx(self, *pairs):
        if any(key in self.data for key in pairs[::2]):
            return b":0\r\n"
        self.mset(*pairs)
        return b":1\r\n"

    def mget(self, *keys):
        found = []
        for key in keys:
            found.append(self.get(key))
            time.sleep(self.PAUSE_S)
        return b"*%d\r\n" % len(keys) + b"".join(found)

    def exists(self, *keys):
        return b":%d\r\n" % sum(key in self.data for key in keys)

    def delete(self, *keys):
        count = 0
        for key in keys:
            if key in self.data:
                self.old[key] = self.data.pop(key)
                count += 1
            time.sleep(self.PAUSE_S)
        return b":%d\r\n" % count

    unlink = delete

    def dbsize(self):
        return b":%d\r\n" % len(self.data)

    def rename(self, source, target):
        value = self.data.pop(source, None)
        if value is None:
            return b"-ERR no such key\r\n"
        time.sleep(self.PAUSE_S)
        self.data[target] = value
        return b"+OK\r\n"

    def incr(self, key):
        number = int(self.data.get(key, 0))
        time.sleep(self.PAUSE_S)
        self.data[key] = b"%d" % (number + 1)
        return b":%d\r\n" % (number + 1)


setattr(TornServer, "del", TornServer.delete)
