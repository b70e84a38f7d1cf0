"""What may differ between the judge and our server: the whole list, each with its reason.

A case asks for one of these by name (`@canon NAME` before the request); any other name is an error, and so is an entry
that no case uses. An entry rewrites both replies before they are compared, and must leave everything in place that a
client could rely on. Without one, replies are equal byte for byte.
"""

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


def ten_seconds(reply):
    """A time that is left, of random commands, which give only times that end in 5 seconds: compared in steps of ten, so
    that no slow run can tell the servers apart. Milliseconds and seconds alike; -1 and -2 are exact."""
    if reply.kind != b":" or reply.value < 0:
        return _as_is(reply)
    return reply.kind, reply.value // (10_000 if reply.value >= 10_000_000 else 10)


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


NAMES = {function.__name__: function for function in (sorted_elements, type_only, hello, full_second, ten_seconds, own_cursor,
                                                      shared_names, info_sections, info_keyspace, command_names,
                                                      command_docs)}


def apply(name, reply: Reply):
    """What is compared in place of `reply`."""
    return _as_is(reply) if name is None else NAMES[name](reply)
