"""Vectors and scalars of sizes that a model computes twice, or in more steps than it needs."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from graphopt.ir import DType, Graph, Node, Value
from graphopt.ir.dim import Size
from graphopt.ir.graph import EXIT
from graphopt.passes.size_expressions import BUILT, Draft, Sizes, cost
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite.plan import shadowed
from graphopt.schema import facts

COUNTING: Final = frozenset({DType.int32, DType.int64})
MOST: Final = 40  # nodes of one chain that are looked at


class SimplifyShapeArithmetic(Pass):
    """Compute each size once, in as few steps as there are.

    Before:  n = Gather(Shape(x), 0); m = Gather(Shape(y), 0); s = Concat(n, m * 4)                        x: (N, 3), y: (N, 5)
    After:   n = Gather(Shape(x), 0); s = Concat(n, n * 4)
    Keeps:   element types; what is not known as an expression of the model's dimensions. Values that are provably the same numbers in
             every run become one; a chain is replaced when a shorter one makes the same elements. Exact.
    """

    name: ClassVar[str] = "simplify-shape-arithmetic"

    def run(self, graph: Graph, context: Context) -> int:
        """Merge first, so that what is built anew is built once; linear in the nodes."""
        merger = Merger(self.name, context)
        merger.visit(graph)
        if shadowed(graph) & BUILT:
            return merger.changes
        rebuilder = Rebuilder(self.name, context, Sizes(context.editor))
        rebuilder.visit(graph)
        return merger.changes + rebuilder.changes


def known(value: Value) -> tuple[Size, ...] | None:
    """The elements of a computed integer tensor when each is a number or a size, and not all are numbers: those are folded."""
    held = value.contents  # `elements` of what is no constant
    if held is None or value.tensor is not None or value.dtype not in COUNTING or value.producer is None:
        return None
    if not held or None in held or all(isinstance(size, int) for size in held):
        return None
    return held


def key_of(value: Value) -> Hashable | None:
    """What two values have in common exactly when they provably hold the same in every run."""
    held = known(value)
    return None if held is None or value.shape is None else (value.dtype, value.shape, held)


@dataclass
class Merger:
    """One run over a graph and the graphs inside it: what was computed before the current place."""

    source: str
    context: Context
    seen: dict[Hashable, Value] = field(default_factory=dict)
    changes: int = 0

    def visit(self, graph: Graph) -> None:
        """Go through a graph in its order; what a graph makes is forgotten where it ends."""
        before: dict[Hashable, Value | None] = {}  # what was known of a key where the graph began
        for node in graph:
            for inner in node.subgraphs:
                self.visit(inner)
            for value in node.outputs:
                key = key_of(value) if value.users else None
                if key is None:
                    continue
                first = self.seen.get(key)
                if first is None or first.producer is None or first.producer.graph is None:  # or it went with what read it
                    before.setdefault(key, first)
                    self.seen[key] = value
                else:
                    self.merge(first, value, node)
        for key, first in before.items():
            if first is None:
                del self.seen[key]
            else:
                self.seen[key] = first

    def merge(self, first: Value, second: Value, node: Node) -> None:
        if any(reader.op == EXIT for reader in second.users):
            return  # an Identity would have to keep its name
        if len(node.outputs) > 1 or not self.context.observer.may_apply(self.source, node):
            return
        self.context.editor.redirect(second, first)
        retire(node, self.context)
        self.changes += 1
        self.context.observer.applied(self.source, node, ())


@dataclass
class Rebuilder:
    """One run over a graph and the graphs inside it: what is read by more than arithmetic is made in the fewest steps known."""

    source: str
    context: Context
    sizes: Sizes
    changes: int = 0

    def visit(self, graph: Graph) -> None:
        """Go through a graph in its order, and the graphs inside it before the nodes that hold them."""
        for value in graph.inputs:
            self.sizes.note(value)
        for node in graph:
            for inner in node.subgraphs:
                self.visit(inner)
            if len(node.outputs) == 1 and is_root(node):
                self.rebuild(node)
            if node.graph is None:
                continue
            for value in node.outputs:
                self.sizes.note(value)
                if (held := known(value)) is not None:
                    self.sizes.note_contents(value, held)

    def rebuild(self, node: Node) -> None:
        """Replace the chain that ends here when a shorter one makes the same."""
        value = node.output
        chain = removable(node)
        held = known(value)
        if len(chain) < 2 or held is None or value.dtype is not DType.int64 or value.rank not in (0, 1):
            return
        answer = self.sizes.vector(held, node, chain) if value.rank else self.sizes.scalar(held[0], node, chain)
        if answer is None or cost(answer) >= len(chain):
            self.context.observer.declined(self.source, node, lambda: f"{len(chain)} nodes make {value!r}, and no fewer are known to")
            return
        if not self.context.observer.may_apply(self.source, node):
            return
        made: dict[Draft, Node] = {}
        new = self.sizes.build(answer, node, made)
        takes_over = bool(made) and not value.is_output
        self.context.editor.replace(value, new)
        if takes_over:
            self.context.editor.exchange_names(value, new)
        retire(node, self.context)
        self.changes += 1
        self.context.observer.applied(self.source, node, tuple(made.values()))


def is_root(node: Node) -> bool:
    """Whether something else than arithmetic on sizes reads what the node makes."""
    return known(node.output) is not None and any(
        reader.op == EXIT or len(reader.outputs) != 1 or known(reader.output) is None for reader in node.output.users
    )


def removable(node: Node) -> dict[Node, None]:
    """The nodes that would go with this one, were it not read any more; itself among them."""
    gone: dict[Node, None] = {}
    left: dict[Node, int] = {}
    edge = [node]
    while edge and len(gone) < MOST:
        here = edge.pop()
        gone[here] = None
        for value in dict.fromkeys(value for value in here.inputs if value is not None):
            maker = value.producer
            if maker is None or maker.graph is not node.graph or len(maker.outputs) != 1 or not facts.may_drop(maker):
                continue
            left[maker] = left.get(maker, len(value.users)) - 1
            if not left[maker] and maker.op != "Constant":
                edge.append(maker)
    return gone


def retire(node: Node, context: Context) -> None:
    """Erase a node that nobody reads, and what only it read."""
    if facts.may_drop(node):
        context.editor.erase_unread([node], facts.may_drop)
