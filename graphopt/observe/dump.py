"""The whole model as text before and after passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from typing import Literal, final

from graphopt.ir.graph import Graph
from graphopt.ir.model import Model
from graphopt.observe.observer import Observer
from graphopt.observe.watch import short, text_lines

EVERY = ""  # stands for every pass


@final
class Dump(Observer):
    """Tells the text of the whole model before the passes `before` and after the passes `after`; EVERY among them stands for all.

    The text is for people: long lists are elided and long lines cut. One that is what was told last is not told again. `text` prints a
    model, `tell` takes one text with its heading.
    """

    def __init__(
        self, text: Callable[[Model], str], tell: Callable[[str], None], before: Collection[str] = (), after: Collection[str] = ()
    ) -> None:
        self._text, self._tell = text, tell
        self._before, self._after = before, after
        self._runs: Counter[str] = Counter()
        self._is_told = False  # the model as it is now

    def pass_began(self, name: str, graph: Graph) -> None:
        self._runs[_bare(name)] += 1
        if _is_among(name, self._before):
            self._show("before", name, graph)

    def pass_ended(self, name: str, graph: Graph, changes: int, seconds: float) -> None:
        self._is_told = self._is_told and not changes
        if _is_among(name, self._after):
            self._show("after", name, graph, f": {changes} change{'s' if changes > 1 else ''}" if changes else ": nothing changed")

    def _show(self, when: Literal["before", "after"], name: str, graph: Graph, what: str = "") -> None:
        where = f", function {graph.name}" if graph.function is not None else ""
        heading = f"# ----- {when} {name}, run {self._runs[_bare(name)]}{where}{what}"
        if self._is_told:
            self._tell(f"{heading}; the model is as above")
        else:
            self._tell("\n".join([heading, *map(short, text_lines(self._text(graph.model)))]))
            self._is_told = True


def _bare(name: str) -> str:
    """The name of a pass without its options."""
    return name.partition("{")[0]


def _is_among(name: str, wanted: Collection[str]) -> bool:
    return EVERY in wanted or _bare(name) in wanted
