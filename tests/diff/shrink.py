"""Takes away what a sequence does not need to differ, and prints what is left in the notation of the case files."""

from dataclasses import replace

from diff.generate import Pipeline

# A difference that depends on timing may not show at every try.
SHRINK_TRIES = 3
SHRINK_RUNS_MAX = 600
LONG_WORD_BYTES = 12


class Shrinker:
    def __init__(self, differs):
        self.differs = differs  # pipelines -> Difference or None
        self.runs = 0

    def fails(self, pipelines):
        if not pipelines:
            return False
        for _ in range(SHRINK_TRIES):
            if self.runs >= SHRINK_RUNS_MAX:
                return False
            self.runs += 1
            if self.differs(pipelines):
                return True
        return False

    def shrink(self, pipelines):
        """A sequence that still differs and from which nothing can be taken away."""
        while True:
            before = sum(len(pipeline.commands) for pipeline in pipelines), len(pipelines)
            pipelines = self._fewer(pipelines, lambda kept: kept)
            for at in range(len(pipelines) - 1, -1, -1):
                pipelines = self._fewer_commands(pipelines, at)
            after = sum(len(pipeline.commands) for pipeline in pipelines), len(pipelines)
            if after == before or self.runs >= SHRINK_RUNS_MAX:
                return self._one_at_a_time(self._shorter_arguments(pipelines))

    def _fewer_commands(self, pipelines, at):
        if at >= len(pipelines):
            return pipelines
        pipeline = pipelines[at]

        def whole(commands):
            middle = [Pipeline(pipeline.connection, tuple(commands))] if commands else []
            return pipelines[:at] + middle + pipelines[at + 1:]
        return whole(list(self._fewer(list(pipeline.commands), whole, bare=True)))

    def _fewer(self, items, whole, bare=False):
        """Takes pieces away from `items`, halves first, as long as whole(items) still fails."""
        size = max(1, len(items) // 2)
        while size:
            at = 0
            while at < len(items):
                kept = items[:at] + items[at + size:]
                if (kept or not bare) and self.fails(whole(kept)):
                    items = kept
                else:
                    at += size
            size //= 2
        return items

    def _shorter_arguments(self, pipelines):
        """Pairs and single arguments away, then long ones short."""
        for at, pipeline in enumerate(pipelines):
            for index in range(len(pipeline.commands)):
                for step in (2, 1):
                    place = len(pipeline.commands[index].args) - step
                    while place > 0:
                        pipelines = self._with_arguments(pipelines, at, index, lambda args: args[:place] + args[place + step:])
                        place -= step
                for place in range(1, len(pipelines[at].commands[index].args)):
                    if len(pipelines[at].commands[index].args[place]) > LONG_WORD_BYTES:
                        pipelines = self._with_arguments(pipelines, at, index, lambda args: (*args[:place], b"v", *args[place + 1:]))
        return pipelines

    def _with_arguments(self, pipelines, at, index, change):
        commands = list(pipelines[at].commands)
        commands[index] = replace(commands[index], args=tuple(change(commands[index].args)))
        changed = [*pipelines[:at], replace(pipelines[at], commands=tuple(commands)), *pipelines[at + 1:]]
        return changed if self.fails(changed) else pipelines

    def _one_at_a_time(self, pipelines):
        single = [Pipeline(pipeline.connection, (command,)) for pipeline in pipelines for command in pipeline.commands]
        return single if len(single) > len(pipelines) and self.fails(single) else pipelines


def quoted(word):
    text = word.decode("latin-1")
    if text and all(char.isalnum() or char in "{}:-_." for char in text) and text.isascii():
        return text
    special = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r"}
    return '"' + "".join(special.get(char) or (char if " " <= char <= "~" else f"\\x{ord(char):02x}") for char in text) + '"'


def as_case(pipelines):
    lines = []
    for pipeline in pipelines:
        lines.append(f"@conn {'abc'[pipeline.connection]}" +
                     (f"        # {len(pipeline.commands)} commands in one pipeline" if len(pipeline.commands) > 1 else ""))
        for command in pipeline.commands:
            if command.canon:
                lines.append(f"@canon {command.canon}")
            lines.append(("@walk " if command.walk else "") + " ".join(quoted(word) for word in command.args))
    return "\n".join(lines)
