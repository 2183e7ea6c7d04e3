"""Observers for whoever works on a pass: what it changed, and whether it left the model whole."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from typing import final

from graphopt.ir.graph import Graph
from graphopt.ir.model import Model
from graphopt.ir.verify import verify
from graphopt.observe.observer import Observer

SHOWN = 3  # elements of a tensor or a list that is elided
MOST = 20  # elements that are shown all
WIDTH = 200  # letters of a line
LIST = re.compile(r"(?<=[{\[])[^][{}\n]*(?=[}\]])")
BETWEEN_INITIALIZERS = re.compile(r"(?<=\}), (?=[a-z0-9]+\[[^]\n]*\] |[a-z0-9]+ \S+ = )")


@final
class VerifyEach(Observer):
    """Checks the whole model after every run of a pass. Its InternalError reaches the user with the name of the pass."""

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        verify(graph.model)


@final
class PrintAfterChange(Observer):
    """Tells what each pass changed, as a unified diff of the model's text; for people: long lists are elided, and long lines cut.

    `text` prints a model, `tell` takes one diff.
    """

    def __init__(self, text: Callable[[Model], str], tell: Callable[[str], None]) -> None:
        self._text, self._tell = text, tell
        self._before: list[str] | None = None

    def pass_began(self, name: str, graph: Graph) -> None:
        if self._before is None:
            self._before = self._lines(graph.model)

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        if not changes or self._before is None:
            return
        before, self._before = self._before, self._lines(graph.model)
        where = f" in function {graph.name}" if graph.function is not None else ""
        after = f"after {name}{where}: {changes} changes"
        lines = difflib.unified_diff(before, self._before, "before", after, lineterm="", n=1)
        self._tell("\n".join(map(short, lines)))

    def _lines(self, model: Model) -> list[str]:
        return text_lines(self._text(model))


def text_lines(text: str) -> list[str]:
    """A model's text as lines, each initializer on one of its own."""
    return BETWEEN_INITIALIZERS.sub(",\n    ", text).splitlines()


def short(line: str) -> str:
    """A line to be read and not parsed: of a long list the first elements and how many there are, and no more than fits.

    >>> short(f"float[99] w = {{{','.join(map(str, range(99)))}}}")
    'float[99] w = {0, 1, 2, ... 99 elements}'
    """
    line = LIST.sub(_elided, line)
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 30]} ... {len(line)} characters"


def _elided(found: re.Match[str]) -> str:
    elements = found[0].split(",")
    if len(elements) <= MOST:
        return found[0]
    return f"{', '.join(element.strip() for element in elements[:SHOWN])}, ... {len(elements)} elements"
