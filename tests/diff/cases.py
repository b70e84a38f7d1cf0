"""Reads case files. The format:

    # a comment
    == a sentence that names the case
    SET key "two words"             a request, in redis-cli's notation: words; "with \\x00 \\r\\n escapes"; 'plain'
    @canon type_only                the next reply is compared through this entry of canon.py
    CLIENT ID
    @end                            the last line of the file

Pragmas of a case, before its first request:

    @proto 2|3                      only in this protocol (else in both)
    @fresh                          no HELLO is sent first: the case has the connection from its first byte (once, in RESP2)
    @timing                         expects things to happen in time: on a difference it is run again, at most twice
    @let NAME TEXT*COUNT            the word $NAME stands for TEXT repeated COUNT times

Pragmas between requests:

    @canon NAME                     see above
    @conn NAME                      the following requests go over the connection NAME, opened at first use
    @admin REQUEST                  over a connection that was there before the case; for settings. Compared as well
    @sleep MS                       let time pass
    @raw "BYTES"                    sends the bytes as they are; what they provoke must be read by
    @half                           closes the sending side of the connection
    @read COUNT                     compares this number of replies
    @read close                     compares everything up to the end of the stream, and that both servers close
    @walk SCAN ...                  follows the cursor from 0 to the end and compares the set of elements

The fixtures of tests/fixtures have no judge: `> ...` lines after a request say what it must answer (fixtures/expected.py),
and `@source URL` names the page that says so, for all cases that follow in the file.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from diff import canon


class CaseError(Exception):
    """The case file is wrong."""


@dataclass(eq=False)
class Step:
    """`action`: request, raw, read, read_close, sleep, conn, admin, walk, half."""

    action: str
    line: int
    args: list = field(default_factory=list)
    canon: str = None
    expected: list = field(default_factory=list)  # the text of the '> ' lines of a fixture


@dataclass(eq=False)
class Case:
    family: str
    title: str
    line: int
    protocols: tuple = (2, 3)
    fresh: bool = False
    timing: bool = False
    source: str = None
    steps: list = field(default_factory=list)

    def requests(self):
        """How many replies it compares at least; read_close and walk count as one."""
        return sum(step.args[0] if step.action == "read" else step.action in ("request", "admin", "read_close", "walk")
                   for step in self.steps)


ANSWERED = ("request", "admin")  # the steps of a fixture that have an expected reply

_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b", "\\": b"\\", '"': b'"', "'": b"'"}
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"(?=\s|$)|\'([^\']*)\'(?=\s|$)|([^\s"\']\S*)')


def unescape(text):
    out = bytearray()
    at = 0
    while at < len(text):
        if text[at] != "\\":
            out += text[at].encode()
            at += 1
            continue
        letter = text[at + 1:at + 2]
        if letter == "x":
            out.append(int(text[at + 2:at + 4], 16))
            at += 4
        elif letter in _ESCAPES and letter:
            out += _ESCAPES[letter]
            at += 2
        else:
            raise CaseError(f"unknown escape \\{letter}")
    return bytes(out)


def words(text, names=None):
    """The arguments of a request line, as bytes."""
    found = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _WORD.match(text, at)
        if not match:
            raise CaseError(f"cannot read the words from here: {text[at:at + 40]!r}")
        double, single, bare = match.groups()
        if double is not None:
            found.append(unescape(double))
        elif single is not None:
            found.append(single.encode())
        elif bare.startswith("$") and bare[1:].isidentifier():
            if bare[1:] not in (names or {}):
                raise CaseError(f"{bare} was not defined by @let")
            found.append(names[bare[1:]])
        else:
            found.append(bare.encode())
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    return found


class _File:
    def __init__(self, path, fixture):
        self.family = path.stem
        self.fixture = fixture
        self.source = None
        self.cases = []
        self.names = {}
        self.canon = None
        self.ended = False

    def line(self, number, text):
        if self.ended:
            raise CaseError("text after @end")
        if text == "@end":
            self._finish()
            self.ended = True
        elif text.startswith("== "):
            self._finish()
            self.cases.append(Case(self.family, text[3:].strip(), number, source=self.source))
            self.names = {}
        elif self.fixture and text.startswith("@source "):
            self._finish()
            self.source = text[8:].strip()
            if not self.source.startswith("https://"):
                raise CaseError(f"no address of a page: {self.source}")
        elif not self.cases:
            raise CaseError("a request before the first '== title'")
        elif text.startswith(">"):
            if not self.fixture:
                raise CaseError("the judge says what is expected; only a fixture does so itself")
            if not self.cases[-1].steps or self.cases[-1].steps[-1].action not in ANSWERED:
                raise CaseError("an expected reply without a request before it")
            self.cases[-1].steps[-1].expected.append(text[1:].strip())
        elif text.startswith("@"):
            self._pragma(number, *(text[1:].split(None, 1) + [""])[:2])
        else:
            self._step("request", number, words(text, self.names))

    def _finish(self):
        if self.canon:
            raise CaseError("@canon without a request after it")
        if self.cases and not self.cases[-1].requests():
            raise CaseError(f"the case '{self.cases[-1].title}' compares nothing")
        if self.cases and self.fixture:
            for step in self.cases[-1].steps:
                if step.canon or step.action not in (*ANSWERED, "conn", "sleep"):
                    raise CaseError(f"line {step.line}: a fixture has requests, @admin, @conn and @sleep only")
                if step.action in ANSWERED and not step.expected:
                    raise CaseError(f"line {step.line}: no expected reply")
            if not self.cases[-1].source:
                raise CaseError(f"the case '{self.cases[-1].title}' comes before the first @source")

    def _step(self, action, number, args):
        self.cases[-1].steps.append(Step(action, number, args, self.canon))
        self.canon = None

    def _pragma(self, number, name, rest):
        case = self.cases[-1]
        if name in ("proto", "fresh", "timing") and case.steps:
            raise CaseError(f"@{name} belongs before the first request")
        if name == "proto" and rest in ("2", "3"):
            case.protocols = (int(rest),)
        elif name == "fresh":
            case.fresh, case.protocols = True, (2,)
        elif name == "timing":
            case.timing = True
        elif name == "let":
            key, text = rest.split(None, 1)
            unit, _, count = text.rpartition("*")
            self.names[key] = words(unit)[0] * int(count)
        elif name == "canon":
            if rest not in canon.NAMES:
                raise CaseError(f"canon.py has no entry '{rest}'")
            self.canon = rest
        elif name == "raw":
            self._step("raw", number, [b"".join(words(rest, self.names))])
        elif name == "read" and rest == "close":
            self._step("read_close", number, [])
        elif name == "read":
            self._step("read", number, [int(rest)])
        elif name in ("admin", "walk"):
            self._step(name, number, words(rest, self.names))
        elif name == "half":
            self._step("half", number, [])
        elif name == "sleep":
            self._step("sleep", number, [int(rest)])
        elif name == "conn":
            self._step("conn", number, [rest])
        else:
            raise CaseError(f"unknown pragma @{name} {rest}")


def load(path, fixture=False):
    """The cases of one file, in order."""
    path = Path(path)
    file = _File(path, fixture)
    for number, text in enumerate(path.read_text().splitlines(), 1):
        text = text.strip()
        if not text or text.startswith("#"):
            continue
        try:
            file.line(number, text)
        except (CaseError, ValueError) as error:
            raise CaseError(f"{path}:{number}: {error}") from None
    if not file.ended:
        raise CaseError(f"{path}: the last line must be @end: the file is cut short")
    titles = [case.title for case in file.cases]
    if len(set(titles)) != len(titles):
        raise CaseError(f"{path}: two cases have the same title: {sorted(t for t in titles if titles.count(t) > 1)[0]}")
    return file.cases
