#!/usr/bin/env python3
"""Folders under src/ form layers: a file includes files of its own folder or of a lower layer only. Two folders of one
layer do not include each other, and no chain of includes closes a circle."""

import re

import check_lib

# Low to high.
LAYERS = [
    ["base", "simd"],
    ["shard"],
    ["dash", "resp"],
    ["types", "vector", "graph", "search", "wal"],
    ["db"],
    ["lua", "tx"],
    ["command", "acl", "pubsub"],
    ["net"],
    ["commands", "repl", "cluster", "web"],
    ["server"],
]
LAYER_OF = {folder: index for index, layer in enumerate(LAYERS) for folder in layer}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def includes(text):
    """(line, included path) of every quoted include. Comments are gone, but the literals are what we look for."""
    commented = re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.DOTALL)
    for match in INCLUDE.finditer(commented):
        yield commented.count("\n", 0, match.start()) + 1, match.group(1)


def check(root):
    violations = []
    graph = {}
    known = {str(path.relative_to("src")) for path in check_lib.cxx_files(root)}
    for path in check_lib.cxx_files(root):
        inner = path.relative_to("src")
        folder = inner.parts[0] if len(inner.parts) > 1 else None  # src/main.cc stands above all folders
        if folder is not None and folder not in LAYER_OF:
            violations.append(f"{path}: src/{folder} has no layer; give it one in tools/check_layers.py")
            continue
        graph[str(inner)] = []
        for line, target in includes(check_lib.read(root, path)):
            target_folder = target.split("/")[0] if "/" in target else None
            if target_folder is None or target_folder not in LAYER_OF:
                violations.append(f'{path}:{line}: include "{target}" does not start at a folder of src/')
                continue
            if target in known:
                graph[str(inner)].append(target)
            if folder is None or target_folder == folder:
                continue
            if LAYER_OF[target_folder] == LAYER_OF[folder]:
                violations.append(f"{path}:{line}: {folder} and {target_folder} share a layer, so neither includes the other")
            elif LAYER_OF[target_folder] > LAYER_OF[folder]:
                violations.append(f"{path}:{line}: {folder} is below {target_folder} and must not include it")
    return violations + [f"src/{cycle[0]}: include cycle: {' -> '.join(cycle)}" for cycle in cycles(graph)]


def cycles(graph):
    """One cycle per back edge of a depth-first walk, without recursion."""
    found = []
    state = {}
    for start in sorted(graph):
        if start in state:
            continue
        path = [start]
        state[start] = "open"
        pending = [iter(graph[start])]
        while path:
            target = next(pending[-1], None)
            if target is None:
                state[path.pop()] = "done"
                pending.pop()
            elif state.get(target) == "open":
                found.append(path[path.index(target):] + [target])
            elif target not in state and target in graph:
                state[target] = "open"
                path.append(target)
                pending.append(iter(graph[target]))
    return found


if __name__ == "__main__":
    check_lib.main(check)
