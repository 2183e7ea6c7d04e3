"""Every rewrite of a run, numbered: which rule, at which node, what it replaced by what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from graphopt.ir.graph import Graph, Node
from graphopt.ir.model import Model
from graphopt.observe.observer import Observer

MARK = "\0"  # what begins so in `Node.replaces` is no name: `Provenance` carries there what it wants to know later


def label(node: Node) -> str:
    """What a node is called: its name, or that of the first value it makes."""
    return node.name or next((value.name for value in node.outputs if value.name), node.op)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One rewrite; numbers count from 1 over the whole run, as `Bisect` counts."""

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
    """Remembers every rewrite, in order."""

    def __init__(self) -> None:
        self.rewrites: list[Rewrite] = []
        self._pass, self._graph = "", ""

    def pass_began(self, name: str, graph: Graph) -> None:
        self._pass, self._graph = name, graph.name

    def applied(self, source: str, node: Node, replacement: tuple[Node, ...]) -> None:
        root = label(node)
        replaced = tuple(name for name in replacement[0].replaces if not name.startswith(MARK)) if replacement else ()
        made = tuple(map(label, replacement))
        self.rewrites.append(Rewrite(len(self.rewrites) + 1, self._pass, self._graph, source, root, replaced or (root,), made))


def node_names(model: Model) -> tuple[str, ...]:
    """What the nodes of a model are called, in their order; the start of `name_map`."""
    return tuple(label(node) for graph in model.graphs() for node in graph)


def name_map(before: tuple[str, ...], model: Model) -> dict[str, list[str]]:
    """Each node that was there before and is not now -> the nodes that stand for it now; none when it only went away.

    A node that replaces another under the same name is listed too, with what it replaced.
    """
    found: dict[str, list[str]] = {}
    present: set[str] = set()
    for graph in model.graphs():
        for node in graph:
            present.add(label(node))
            for old in node.replaces:
                found.setdefault(old, []).append(label(node))
    return {name: found.get(name, []) for name in dict.fromkeys(before) if name in found or name not in present}
