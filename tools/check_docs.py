#!/usr/bin/env python3
"""Documents name only what exists: local links of every Markdown file, and each path in backticks in docs/tour.md; each C++
name there occurs in one of the files it names. The index of the decisions lists each of them, and each folder under src/ has
its README."""

import re

import check_lib

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
# A path of the tree in backticks: starts at a folder of the root and goes down at least one level.
TREE_PATH = re.compile(r"^(src|tools|tests|bench|docs|cmake|fuzz|web|model)/[\w./-]+$")
# A name of the code in backticks: a type or function, perhaps qualified. Commands are upper case throughout.
CXX_NAME = re.compile(r"^(?:\w+::)*([A-Z]\w*[a-z]\w*)$")
TOUR = "docs/tour.md"
DECISIONS = "docs/decisions"


def prose(text):
    """Fenced blocks blanked out: their brackets are not links."""
    return re.sub(r"^```.*?^```", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.DOTALL | re.MULTILINE)


def check(root):
    violations = []
    for path in check_lib.files(root):
        if path.suffix != ".md":
            continue
        text = prose(check_lib.read(root, path) or "")
        line_of = lambda match: text.count("\n", 0, match.start()) + 1
        for match in LINK.finditer(text):
            target = match.group(1).split("#")[0]
            if not target or re.match(r"^[a-z]+:", target):
                continue
            if not (root / path.parent / target).exists():
                violations.append(f"{path}:{line_of(match)}: links to {target}, which does not exist")
        if str(path) == TOUR:
            for match in CODE.finditer(text):
                if TREE_PATH.match(match.group(1)) and not (root / match.group(1)).exists():
                    violations.append(f"{path}:{line_of(match)}: names {match.group(1)}, which does not exist")
    if not (root / TOUR).is_file():
        violations.append(f"{TOUR}: missing")
    else:
        violations += strange_names(root)
    return violations + unlisted_decisions(root) + folders_without_readme(root)


def strange_names(root):
    """Names of the code in the tour that no file of the tour, nor the header or source beside it, has."""
    text = prose((root / TOUR).read_text())
    codes = list(CODE.finditer(text))
    paths = {root / match.group(1) for match in codes if TREE_PATH.match(match.group(1))}
    paths |= {path.with_suffix(suffix) for path in set(paths) for suffix in (".h", ".cc")}
    words = set(re.findall(r"\w+", "".join(path.read_text() for path in paths if path.is_file())))
    named = [(text.count("\n", 0, match.start()) + 1, CXX_NAME.match(match.group(1))) for match in codes]
    return [f"{TOUR}:{line}: names {name.group(0)}, which no file of the tour has" for line, name in named
            if name and name.group(1) not in words]


def unlisted_decisions(root):
    index = root / DECISIONS / "README.md"
    listed = index.read_text() if index.is_file() else ""
    pages = [path for path in check_lib.files(root) if str(path.parent) == DECISIONS and path.name[:4].isdigit()]
    return [f"{path}: not in {DECISIONS}/README.md" for path in pages if f"({path.name})" not in listed]


def folders_without_readme(root):
    folders = {path.parts[1] for path in check_lib.cxx_files(root) if len(path.parts) > 2}
    return [f"src/{folder}: has no README.md" for folder in sorted(folders) if not (root / "src" / folder / "README.md").is_file()]


if __name__ == "__main__":
    check_lib.main(check)
