"""What may differ between the judge and our server: the whole list, each with its reason.

A case asks for one of these by name (`@canon NAME` before the request); any other name is an error, and so is an entry
that no case uses. An entry rewrites both replies before they are compared, and must leave everything in place that a
client could rely on. Without one, replies are equal byte for byte.
"""

import collections

from lib.resp import Reply


def _as_is(reply):
    return reply.raw


def sorted_elements(reply):
    """Redis promises no order here (hash order); the elements must be the same ones."""
    if not isinstance(reply.value, list):
        return _as_is(reply)
    return reply.kind, sorted(item.raw for item in reply.value)


def type_only(reply):
    """A number or text of this one process (client id, run id, figures); its type must be the same."""
    return reply.kind if not reply.is_error() else _as_is(reply)


def hello(reply):
    """The greeting carries the server's version and the client's id; all other fields are compared."""
    if reply.kind not in b"*%" or reply.value is None:
        return _as_is(reply)
    fields = list(reply.value)
    names = [field.value for field in fields[::2]]
    masked = []
    for name, field in zip(names, fields[1::2]):
        masked.append((name, field.kind if name in (b"version", b"id") else field.raw))
    return reply.kind, len(fields), masked


def full_second(reply):
    """Milliseconds that are left go down while the test runs: compared rounded up to a second."""
    if reply.kind != b":" or reply.value < 0:
        return _as_is(reply)
    return reply.kind, (reply.value + 999) // 1000


class Near:
    """Equal to every number at most `tolerance` away: for what depends on when it was asked."""

    __hash__ = None

    def __init__(self, number, tolerance):
        self.number = number
        self.tolerance = tolerance

    def __eq__(self, other):
        return isinstance(other, Near) and abs(self.number - other.number) <= self.tolerance

    def __repr__(self):
        return f"about {self.number}"


def _near(reply, tolerance):
    if reply.kind != b":" or reply.value < 0:
        return _as_is(reply)
    return Near(reply.value, tolerance)


def near_seconds(reply):
    """Seconds that are left, or a moment in seconds, of random commands: the servers run one after the other, so they may be
    up to four apart; -1 and -2 are exact. The deadlines that are drawn are ten apart."""
    return _near(reply, 4)


def near_milliseconds(reply):
    """The same in milliseconds."""
    return _near(reply, 4000)


def refcount(reply):
    """Of random commands. No value is shared here, and 2147483647 is what small integers answer, as those that Redis shares; but
    it shares no copy that COPY made. The cases compare the number."""
    if reply.kind != b":" or reply.value < 1:
        return _as_is(reply)
    return reply.kind


def own_cursor(reply):
    """The next cursor of a scan is each server's own (ours names a shard, so that it need not be 0 after an empty one); that
    there is one, and the elements of the call, are compared."""
    if reply.kind != b"*" or len(reply.value) != 2:
        return _as_is(reply)
    cursor, elements = reply.value
    return cursor.kind, cursor.value.isdigit(), elements.kind, sorted(item.raw for item in elements.value)


def shared_names(reply):
    """Each server lists the commands it knows; compared are those that both have had from the start."""
    if not isinstance(reply.value, list):
        return _as_is(reply)
    shared = {b"auth", b"client|id", b"config|get", b"config|set", b"dbsize", b"del", b"echo", b"exists", b"expire", b"get",
              b"hello", b"info", b"mget", b"mset", b"ping", b"pttl", b"quit", b"rename", b"scan", b"select", b"set",
              b"shutdown", b"type"}
    return reply.kind, sorted(item.raw for item in reply.value if item.value in shared)


def info_sections(reply):
    """Figures differ, and our server has fields of its own: compared are the sections asked for that both servers have."""
    if reply.kind not in b"$=":
        return _as_is(reply)
    shared = {b"# Server", b"# Clients", b"# Memory", b"# Persistence", b"# Stats", b"# Replication", b"# CPU", b"# Cluster",
              b"# Keyspace"}
    return reply.kind, [line for line in reply.value.split(b"\r\n") if line in shared]


def info_keyspace(reply):
    """avg_ttl is a sampled figure; keys and expires of every database are compared."""
    if reply.kind not in b"$=":
        return _as_is(reply)
    return reply.kind, [line.split(b",avg_ttl=")[0] for line in reply.value.split(b"\r\n")]


def command_names(reply):
    """Each server lists the commands it knows; compared is the shape of the first entry."""
    if reply.kind not in b"*~%" or not reply.value:
        return _as_is(reply)
    first = reply.value[0]
    return reply.kind, first.kind, len(first.value) if isinstance(first.value, list) else None


def command_docs(reply):
    """Summaries are our own words, and the history is that of Redis: compared are the names, and per command the fields
    since, group, complexity's presence, and the tree of arguments but for those that came after the judge."""
    return _docs(reply)


_FREE_TEXT = {b"summary", b"complexity", b"history", b"doc_flags", b"deprecated_since", b"replaced_by"}


def _docs(reply):
    if not isinstance(reply.value, list):
        return _as_is(reply)
    if reply.value and len(reply.value) % 2 == 0 and all(item.kind in b"$+" for item in reply.value[::2]):
        pairs = zip(reply.value[::2], reply.value[1::2])
        return reply.kind, sorted((name.value, _docs(value)) for name, value in pairs if name.value not in _FREE_TEXT)
    return reply.kind, [_docs(item) for item in reply.value if not _is_newer(item)]


def _is_newer(reply):
    """Whether it is an argument that the judge, 7.0.15, cannot know."""
    if not isinstance(reply.value, list):
        return False
    since = [value.value for name, value in zip(reply.value[::2], reply.value[1::2]) if name.value == b"since"]
    return bool(since) and tuple(map(int, since[0].split(b"."))) > (7, 0, 15)


def debug_object(reply):
    """Addresses, the clock of accesses and what derives from it are each server's own: compared are the words, the count of
    references, the encoding and the serialised length."""
    if reply.kind != b"+":
        return _as_is(reply)
    own = (b"at", b"lru", b"lru_seconds_idle")
    fields = [word.partition(b":") for word in reply.value.split(b" ")]
    return [(name, None if name in own else value) for name, _, value in fields]


def client_line(reply):
    """A line of CLIENT LIST: addresses, ages and buffer sizes are each server's own, and lib-name and lib-ver come from Redis
    7.2. Compared are the order of the other fields and the values of those that a client's doings decide."""
    if reply.kind not in b"$=":
        return _as_is(reply)
    fields = [field.partition(b"=") for field in reply.value.rstrip(b"\n").split(b" ")]
    names = [name for name, _, _ in fields if name not in (b"lib-name", b"lib-ver")]
    decided = {b"name", b"flags", b"db", b"sub", b"psub", b"ssub", b"multi", b"multi-mem", b"events", b"cmd", b"user", b"redir",
               b"resp"}
    return reply.kind, names, [(name, value) for name, _, value in fields if name in decided]


def slow_log(reply):
    """Numbers, times and durations of entries are each server's own; how many there are, their arguments and the client's name
    are compared."""
    if reply.kind != b"*" or not reply.value:
        return _as_is(reply)
    entries = []
    for entry in reply.value:
        number, time, duration, args, peer, name = entry.value
        entries.append((number.kind, time.kind, duration.kind, args.raw, peer.kind, name.raw))
    return reply.kind, entries


def memory_stats(reply):
    """Bytes are each server's own: compared are the names of the figures and the types of what stands beside them. Ours has
    one more, the number of shards."""
    if reply.kind not in b"*%":
        return _as_is(reply)
    pairs = zip(reply.value[::2], reply.value[1::2])
    return reply.kind, [(name.raw, value.kind) for name, value in pairs if name.value != b"shards.count"]


NAMES = {function.__name__: function for function in (
    sorted_elements, type_only, hello, full_second, near_seconds, near_milliseconds, own_cursor,
    refcount, shared_names, info_sections, info_keyspace, command_names, command_docs, client_line,
    slow_log, memory_stats, debug_object)}


USED = collections.Counter()  # name -> replies that were compared through it


def apply(name, reply: Reply):
    """What is compared in place of `reply`."""
    if name is None:
        return _as_is(reply)
    USED[name] += 1
    return NAMES[name](reply)


def used():
    """For the last line of a run. A reply counts for each server that gave it."""
    return ", ".join(f"{name} {count}" for name, count in sorted(USED.items())) or "none"
