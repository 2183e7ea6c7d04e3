"""Which rewrite broke a model: run with the first N rewrites only, and halve N."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar, final

from graphopt.ir.graph import Graph, Node
from graphopt.observe.observer import Observer
from graphopt.observe.trace import label

Result = TypeVar("Result")


@final
class Bisect(Observer):
    """Lets the first `limit` rewrites (or runs of a pass on a graph) through; None lets all through and counts them.

    `made` lists what it let through, in order; `last` is the last of them.
    """

    def __init__(self, limit: int | None = None, unit: Literal["rewrite", "pass"] = "rewrite") -> None:
        self.limit, self.unit = limit, unit
        self.made: list[Culprit] = []
        self._pass = ""

    @property
    def count(self) -> int:
        """How many it let through."""
        return len(self.made)

    @property
    def last(self) -> Culprit | None:
        """The last one that it let through."""
        return self.made[-1] if self.made else None

    def may_run(self, name: str, graph: Graph) -> bool:
        if self.unit == "rewrite":
            return True
        return self._next(Culprit(self.count + 1, "pass", name, "", "", graph.name))

    def pass_began(self, name: str, graph: Graph) -> None:
        self._pass = name

    def may_apply(self, source: str, node: Node) -> bool:
        if self.unit == "pass":
            return True
        if self.limit is not None and self.count >= self.limit:
            return False
        return self._next(Culprit(self.count + 1, "rewrite", self._pass, source, label(node), node.graph.name if node.graph else ""))

    def _next(self, candidate: Culprit) -> bool:
        if self.limit is not None and self.count >= self.limit:
            return False
        self.made.append(candidate)
        return True


@final
class Chosen(Observer):
    """Lets only the chosen rewrites (or runs of passes) through, each as often as it was chosen; `made` lists those that came.

    Numbers mean nothing here, since leaving one out renumbers those after it: a rewrite is known by its rule, its node and its graph, the
    run of a pass by the pass and the graph. One that is refused may come again and is refused again.
    """

    def __init__(self, chosen: Iterable[Culprit], unit: Literal["rewrite", "pass"] = "rewrite") -> None:
        self.unit = unit
        self.made: list[Culprit] = []
        self._left = Counter(one.key for one in chosen)
        self._pass = ""

    def may_run(self, name: str, graph: Graph) -> bool:
        return self.unit == "rewrite" or self._take(Culprit(len(self.made) + 1, "pass", name, "", "", graph.name))

    def pass_began(self, name: str, graph: Graph) -> None:
        self._pass = name

    def may_apply(self, source: str, node: Node) -> bool:
        if self.unit == "pass":
            return True
        where = node.graph.name if node.graph else ""
        return self._take(Culprit(len(self.made) + 1, "rewrite", self._pass, source, label(node), where))

    def _take(self, candidate: Culprit) -> bool:
        if not self._left[candidate.key]:
            return False
        self._left[candidate.key] -= 1
        self.made.append(candidate)
        return True


@dataclass(frozen=True, slots=True)
class Culprit:
    """The first rewrite, or run of a pass, that made a result bad. Number 0: it is bad before the first one."""

    number: int
    unit: Literal["rewrite", "pass", "none"]
    pass_name: str = ""
    rule: str = ""
    node: str = ""
    graph: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What it is known by in a run in which others are left out."""
        if self.unit == "rewrite":
            return self.unit, self.rule, self.node, self.graph
        return self.unit, self.pass_name, self.graph

    def __str__(self) -> str:
        if self.unit == "rewrite":
            return f"rewrite {self.number}: the rule {self.rule} at {self.node} in graph {self.graph!r}, in the pass {self.pass_name}"
        if self.unit == "pass":
            return f"run {self.number} of a pass: {self.pass_name} on graph {self.graph!r}"
        return "no pass: the result is bad with none at all"


def bisect(
    run: Callable[[Observer], Result],
    is_good: Callable[[Result], bool],
    baseline: Callable[[], Result] | None = None,
) -> Culprit | None:
    """The first rewrite that turns a good result bad; None when the whole run is good.

    `run(observer)` does the whole work from the start, telling the observer; it must do the same each time. `baseline()` is the result of
    the empty pipeline: when that is bad, no pass is to blame. Some passes edit without asking for each rewrite; when those did it the
    culprit is a run of a pass. Takes about log2(rewrites) runs.
    """
    whole = Bisect()
    if is_good(run(whole)):
        return None
    if baseline is not None and not is_good(baseline()):
        return Culprit(0, "none")
    if is_good(run(Bisect(0))):
        return _search("rewrite", whole.count, run, is_good)
    runs = Bisect(unit="pass")
    run(runs)
    if baseline is None and not is_good(run(Bisect(0, "pass"))):
        return Culprit(0, "none")
    return _search("pass", runs.count, run, is_good)


def _search(
    unit: Literal["rewrite", "pass"], count: int, run: Callable[[Observer], Result], is_good: Callable[[Result], bool]
) -> Culprit:
    """The first bad one, when 0 of them are good and all `count` are bad."""
    good, bad = 0, count
    while bad - good > 1:
        middle = (good + bad) // 2
        if is_good(run(Bisect(middle, unit))):
            good = middle
        else:
            bad = middle
    last = Bisect(bad, unit)
    run(last)
    return last.last if last.last is not None else Culprit(0, "none")
