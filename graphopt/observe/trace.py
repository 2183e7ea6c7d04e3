"""Every rewrite of a run, numbered: which rule, at which node, what it replaced by what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from graphopt.ir.graph import Graph, Node
from graphopt.ir.model import Model
from graphopt.observe.observer import Observer


@final
class Link(str):
    """What `Provenance` lets a node carry in `Node.replaces`, one for all that it stands for: so it stays short however long a run is.

    `called` is the node, `rule` what made or changed it ("": nothing did in this run), `carried` what those carried whose place it took:
    names of the first model, and links. Numbers count up.
    """

    __slots__ = ("called", "carried", "number", "rule")

    number: int
    called: str
    rule: str
    carried: tuple[str, ...]

    def __new__(cls, number: int, called: str, rule: str, carried: tuple[str, ...]) -> Link:
        link = super().__new__(cls, f"\0{number}")  # which no name is, so that whoever tells names apart tells links apart
        link.number, link.called, link.rule, link.carried = number, called, rule, carried
        return link


def label(node: Node) -> str:
    """What a node is called: its name, or that of the first value it makes."""
    return node.name or next((value.name for value in node.outputs if value.name), node.op)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rewrite; numbers count from 1 over the whole run, as `Bisect` counts. `replaced` are those that it took out, not what they were
    made of before: `Origins` has that.
    """

    number: int
    pass_name: str
    graph: str
    rule: str
    root: str
    replaced: tuple[str, ...]
    made: tuple[str, ...]

    def __str__(self) -> str:
        made = f" -> {', '.join(self.made)}" if self.made else ""
        return f"{self.number}: {self.rule} at {self.root} in graph {self.graph!r}{made}"


@final
class Trace(Observer):
    """Remembers every rewrite, in order. A `Provenance` that listens too must be told first."""

    def __init__(self) -> None:
        self.rewrites: list[Rewrite] = []
        self._pass, self._graph = "", ""

    def pass_began(self, name: str, graph: Graph) -> None:
        self._pass, self._graph = name, graph.name

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        root = label(node)
        replaced = _replaced(replacement[0]) if replacement else ()
        made = tuple(map(label, replacement))
        self.rewrites.append(Rewrite(len(self.rewrites) + 1, self._pass, self._graph, source, root, replaced or (root,), made))


def _replaced(made: Node) -> tuple[str, ...]:
    carried = made.replaces
    if len(carried) == 1 and isinstance(carried[0], Link):
        carried = carried[0].carried
    return tuple(dict.fromkeys(each.called if isinstance(each, Link) else each for each in carried))


def node_names(model: Model) -> tuple[str, ...]:
    """What the nodes of a model are called, in their order; the start of `name_map`."""
    return tuple(label(node) for node in model.nodes())


def name_map(before: tuple[str, ...], model: Model) -> dict[str, list[str]]:
    """Each node that was there before and is not now -> the nodes that stand for it now; none when it only went away.

    A node that replaces another under the same name is listed too, with what it replaced.
    """
    found: dict[str, list[str]] = {}
    present: set[str] = set()
    for node in model.nodes():
        present.add(label(node))
        for old in node.replaces:
            found.setdefault(old, []).append(label(node))
    return {name: found.get(name, []) for name in dict.fromkeys(before) if name in found or name not in present}
