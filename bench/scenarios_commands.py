"""Scenario `commands`: server CPU per request of each command at pipeline 16, beside the peer's, one shard.

A cell is (words, options): the command as the generator sends it, after the commands of `setup` were sent once to each
server. `__key__` and `__rand__` vary over the keyspace. The size says which pair of servers serves it: "big" holds the whole
keyspace, "small" has 100 keys, for commands that look at all of them.
"""
from harness import BenchError, interleave, progress, ratio
from report import Section, count, number, table

PIPELINE = 16
CLIENTS = 50
SMALL_KEYS = 100
VALUE_BYTES = 32
LIMIT = 0.9  # of the peer's CPU per request


class Cell:
    def __init__(self, words, *setup, size="big", clients=CLIENTS, escapes=False, name=None):
        self.words, self.setup, self.size, self.clients, self.escapes = words.split(" "), setup, size, clients, escapes
        self.name = name or words.replace("__key__", "KEY").replace("__rand__", "N").replace("__data__", "VALUE")


LONG = "x" * 1000
TEXT = "ohmytext" * 12
NEW_TEXT = "mynewtext" * 11

STRINGS = [
    Cell("GET __key__"), Cell("SET __key__ __data__"), Cell("SET __key__ __data__ EX 1000"), Cell("SET __key__ __data__ NX"),
    Cell("SET __key__ __data__ XX GET"), Cell("SETNX __key__ __data__"), Cell("SETEX __key__ 1000 __data__"),
    Cell("PSETEX __key__ 1000000 __data__"), Cell("GETSET __key__ __data__"), Cell("GETDEL gone:__rand__"),
    Cell("GETEX __key__ EX 1000"), Cell("MGET __key__ __key__ __key__ __key__"),
    Cell("MSET __key__ __data__ __key__ __data__"), Cell("MSETNX __key__ __data__ __key__ __data__"),
    Cell("APPEND app:__rand__ x"), Cell("STRLEN __key__"), Cell("SETRANGE __key__ 5 abc"), Cell("GETRANGE __key__ 3 12"),
    Cell("SUBSTR __key__ 3 12"), Cell("INCR n:__rand__"), Cell("DECR n:__rand__"), Cell("INCRBY n:__rand__ 5"),
    Cell("DECRBY n:__rand__ 5"), Cell("INCRBYFLOAT f:__rand__ 0.5"),
    Cell("LCS lcs:a lcs:b", f"SET lcs:a {TEXT}", f"SET lcs:b {NEW_TEXT}"),
    Cell("LCS lcs:a lcs:b LEN", f"SET lcs:a {TEXT}", f"SET lcs:b {NEW_TEXT}"),
]
BITMAPS = [
    Cell("SETBIT bits:__rand__ 77 1"), Cell("GETBIT __key__ 100"), Cell("BITCOUNT __key__"),
    Cell("BITCOUNT long:bits", f"SET long:bits {LONG}"), Cell("BITPOS __key__ 1"), Cell("BITPOS long:bits 0", f"SET long:bits {LONG}"),
    Cell("BITOP AND dest:__rand__ __key__ __key__"), Cell("BITOP NOT dest:__rand__ __key__"),
    Cell("BITFIELD bf:__rand__ INCRBY u8 0 1 GET i16 8"), Cell("BITFIELD_RO __key__ GET u8 0"),
]
KEYS = [
    Cell("DEL gone:__rand__"), Cell("UNLINK gone:__rand__"), Cell("EXISTS __key__ __key__"), Cell("TYPE __key__"), Cell("TOUCH __key__"),
    Cell("EXPIRE __key__ 1000"), Cell("PEXPIRE __key__ 1000000"), Cell("EXPIREAT __key__ 4000000000"),
    Cell("PEXPIREAT __key__ 4000000000000"), Cell("EXPIRE __key__ 1000 GT"), Cell("TTL __key__"), Cell("PTTL __key__"),
    Cell("EXPIRETIME __key__"), Cell("PEXPIRETIME __key__"), Cell("PERSIST __key__"), Cell("RENAME __key__ __key__", size="small"),
    Cell("RENAMENX one two", "SET one 1", "SET two 2"), Cell("COPY __key__ copy:__rand__ REPLACE"), Cell("MOVE gone:__rand__ 1"),
    Cell("SWAPDB 3 4"), Cell("DBSIZE"), Cell("RANDOMKEY"), Cell("KEYS key:*", size="small"), Cell("KEYS nothing*", size="small"),
    Cell("SCAN 0"), Cell("SCAN 0 MATCH nothing* COUNT 100"), Cell("OBJECT ENCODING __key__"), Cell("OBJECT IDLETIME __key__"),
    Cell("OBJECT REFCOUNT __key__"), Cell("DUMP __key__"), Cell("SORT gone:__rand__"), Cell("SORT_RO gone:__rand__"), Cell("WAIT 0 0"),
    Cell(r"RESTORE rest:__rand__ 0 \x00\xc0\x01\x0a\x00&x\xe7\xb6\xd1\x01\x11\xfc REPLACE", escapes=True, name="RESTORE of an integer"),
    Cell("FLUSHDB", size="small"), Cell("DEBUG STRINGMATCH-LEN 10 a*b"),
]
CONNECTION = [
    Cell("PING"), Cell("PING text"), Cell("ECHO text"), Cell("SELECT 0"), Cell("HELLO"), Cell("RESET"), Cell("AUTH nothing"), Cell("READONLY"),
    Cell("CLIENT ID"), Cell("CLIENT GETNAME"), Cell("CLIENT SETNAME me"), Cell("CLIENT SETINFO LIB-NAME me"), Cell("CLIENT INFO"),
    Cell("CLIENT LIST"), Cell("CLIENT LIST ID 1"), Cell("CLIENT KILL ID 99999999"), Cell("CLIENT NO-EVICT off"), Cell("CLIENT NO-TOUCH off"),
    Cell("CLIENT UNPAUSE"), Cell("CLIENT UNBLOCK 99999999"), Cell("CLIENT TRACKINGINFO"), Cell("CLIENT GETREDIR"), Cell("CLIENT REPLY ON"),
]
SERVER = [
    Cell("TIME"), Cell("COMMAND COUNT"), Cell("COMMAND INFO get"), Cell("COMMAND DOCS get"), Cell("COMMAND LIST"), Cell("COMMAND"),
    Cell("COMMAND GETKEYS mset a 1 b 2"), Cell("COMMAND GETKEYSANDFLAGS mset a 1 b 2"), Cell("CONFIG GET maxmemory"), Cell("CONFIG GET *"),
    Cell("CONFIG SET maxmemory-samples 5"), Cell("CONFIG RESETSTAT"), Cell("INFO"), Cell("INFO server"), Cell("INFO keyspace"),
    Cell("MEMORY USAGE __key__"), Cell("MEMORY STATS"), Cell("MEMORY DOCTOR"), Cell("SLOWLOG LEN"), Cell("SLOWLOG GET"), Cell("SLOWLOG RESET"),
    Cell("LATENCY LATEST"), Cell("LATENCY HISTORY command"), Cell("LATENCY RESET"), Cell("LATENCY HISTOGRAM get"), Cell("MODULE LIST"),
    Cell("LOLWUT"), Cell("ROLE"), Cell("LASTSAVE"), Cell("ACL WHOAMI"),
]
CELLS = STRINGS + BITMAPS + KEYS + CONNECTION + SERVER


def measure_cell(bench, servers, cell, keys):
    for server in servers:
        with server.client() as client:
            for line in cell.setup:
                client.command(*line.split(" "))
    arguments = ["--keyspace", keys, "--value-bytes", VALUE_BYTES, "--clients", cell.clients, "--pipeline", PIPELINE,
                 "--seconds", bench.seconds, "--allow-errors"]
    if cell.escapes:
        arguments.append("--escapes")
    return interleave(cell.name, servers, bench.rounds,
                      lambda server: bench.generator.run(server, *arguments, "--", *cell.words))


def failed_share(samples):
    """0 none, 1 all, 0.5 some of the replies were errors."""
    failed, replies = samples.total("errors"), samples.total("replies")
    return 0 if failed == 0 else 1 if failed == replies else 0.5


def row_of(cell, left, right):
    each = ["/".join(f"{r['server_us_per_request']:.2f}" for r in s.rounds) if not s.error else s.error for s in (left, right)]
    mine, theirs = left.median("server_us_per_request"), right.median("server_us_per_request")
    share = ratio(mine, theirs)
    if left.error or right.error or failed_share(left) != failed_share(right):
        share, over = "not comparable", True
    else:
        over = mine > LIMIT * theirs
    return [cell.name, *each, f"**{share}**" if over else share, number(left, "p99_us") + " / " + number(right, "p99_us"),
            f"{count(left.total('errors'))} / {count(right.total('errors'))} of {count(left.total('replies'))}"], over


def commands(bench):
    wanted = bench.args.filter.lower() if bench.args.filter else ""
    chosen = [cell for cell in CELLS if wanted in cell.name.lower()]
    if not chosen:
        raise BenchError(f"no command contains '{wanted}'")
    section, over_limit, rows = None, [], {}
    for size, keys in (("big", bench.keys), ("small", SMALL_KEYS)):
        cells = [cell for cell in chosen if cell.size == size]
        if not cells:
            continue
        servers = bench.pair()
        section = section or Section(bench.section_name("commands"), f"CPU per request of each command, pipeline {PIPELINE} ({bench.config})",
                                     servers)
        with servers[0], servers[1]:
            for server in servers:
                progress(f"loading {keys} keys of {VALUE_BYTES} B into {server.label}")
                bench.generator.preload(server, keys, VALUE_BYTES)
            for cell in cells:
                samples = measure_cell(bench, servers, cell, keys)
                rows[cell], over = row_of(cell, *(samples[s.label] for s in servers))
                if over:
                    over_limit.append(cell.name)
    a, b = servers
    section.add(table(["command", f"{a.label} us/request, each round", f"{b.label}", f"{a.label} / {b.label}", "p99 us", "errors"],
                      [rows[cell] for cell in chosen]))
    section.add(f"Server time per request (user + system of the whole process) in windows of {bench.seconds:g} s, {bench.rounds} interleaved rounds, "
                f"{CLIENTS} connections, pipeline {PIPELINE}, one shard; bold: above {LIMIT} of the peer's, or one failed where "
                "the other did not.")
    section.add(f"Above {LIMIT} or not comparable: {', '.join(over_limit) or 'none'}.")
    progress(f"above {LIMIT} or not comparable: {', '.join(over_limit) or 'none'}")
    return section
