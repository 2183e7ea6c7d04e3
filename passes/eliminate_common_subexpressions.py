"""Nodes that compute what another node has computed already."""

from __future__ import annotations

import struct
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import ClassVar, Final

from graphopt.ir import Attribute, AttributeKind, Graph, Node, Tensor, Value
from graphopt.ir.graph import EXIT
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts
from graphopt.schema.rare import refuses_identity

# Both orders of two operands give the same bits. Not Max and Min: of +0 and -0, or of two NaNs, either may come out.
# Not Mean and Sum either: two operands of Sum are an Add, but what a runtime does with the rest it keeps in its own order.
UNORDERED: Final = frozenset({"Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Equal", "Mul", "Or", "Xor"})
# The bodies of these may read what enclosing graphs make; of other operators with subgraphs nobody knows.
CAPTURING: Final = frozenset({"If", "Loop", "Scan"})
# Whether these may be merged depends on the node: they are random, or have a second meaning, in training.
MODAL: Final = frozenset({"BatchNormalization", "Dropout"})


class EliminateCommonSubexpressions(Pass):
    """Compute once what is computed twice.

    Before:  a = Exp(x); b = Exp(x); y = Add(a, b)
    After:   a = Exp(x); y = Add(a, a)
    Keeps:   what is random or unknown, QuantizeLinear and DequantizeLinear (runtimes expect one per reader), nodes with subgraphs.
             Equal means: the same operator, the same inputs (two operands of a commutative operator in either order), attributes equal bit
             by bit, a default equal to its absence. A node inside a subgraph may give way to one around it, made before. Of two graph
             outputs that are equal the second becomes an Identity of the first. Metadata: the first node's stays. Exact.
    """

    name: ClassVar[str] = "eliminate-common-subexpressions"

    def run(self, graph: Graph, context: Context) -> int:
        """Merge equal nodes of this graph and the graphs inside it; linear in the nodes."""
        merger = Merger(self.name, context)
        merger.visit(graph)
        for first, names in merger.merged.items():
            first.replaces = (*first.replaces, *names)
        return merger.changes


@dataclass
class Merger:
    """One run: what was seen in the graphs around the current place, and what was merged into what."""

    source: str
    context: Context
    seen: dict[Hashable, Node] = field(default_factory=dict)
    known: dict[tuple[str, str], tuple[bool, dict[str, Hashable]]] = field(default_factory=dict)
    merged: dict[Node, list[str]] = field(default_factory=dict)
    changes: int = 0

    def visit(self, graph: Graph) -> None:
        """Go through a graph in its order; what a graph makes is forgotten where it ends."""
        added: list[Hashable] = []
        for node in graph:
            if node.attributes and (inner := node.subgraphs):
                self.enter(node, inner)
                continue
            key = self.key_of(node)
            if key is None:
                continue
            first = self.seen.get(key)
            if first is None:
                self.seen[key] = node
                added.append(key)
            else:
                self.merge(first, node)
        for key in added:
            del self.seen[key]

    def enter(self, node: Node, graphs: tuple[Graph, ...]) -> None:
        outer = self.seen
        if node.op not in CAPTURING or facts.is_function_call(node):
            self.seen = {}
        for inner in graphs:
            self.visit(inner)
        self.seen = outer

    def key_of(self, node: Node) -> Hashable | None:
        """What two nodes have in common exactly when one may stand for the other; None when it must stay."""
        is_mergeable, defaults = self.known_of(node)
        if not is_mergeable:
            return None
        attributes = []
        for name, attribute in node.attributes.items():
            content = content_of(attribute)
            if content is None:
                return None
            if content != defaults.get(name):
                attributes.append((name, content))
        inputs: Hashable = node.inputs
        if len(node.inputs) == 2 and not node.attributes and node.op in UNORDERED:  # with attributes: broadcasts as opset 6 did
            inputs = frozenset(node.inputs)
        named = True if len(node.outputs) == 1 else tuple(bool(value.name) for value in node.outputs)
        return node.op, node.overload, tuple(sorted(attributes)), inputs, named

    def known_of(self, node: Node) -> tuple[bool, dict[str, Hashable]]:
        """Whether such a node may be merged, and the defaults of its attributes: asked once per operator, for all have the same opsets."""
        operator = node.op, node.overload
        found = self.known.get(operator)
        if found is None:
            stated = facts.of_node(node)
            defaults = {} if stated is None else {
                name: content_of(Attribute(attribute.kind, attribute.default))
                for name, attribute in stated.attributes.items()
                if attribute.default is not None
            }  # fmt: skip
            is_mergeable = node.op != "Constant" and facts.is_mergeable(node)
            found = is_mergeable, defaults
            if node.op not in MODAL:
                self.known[operator] = found
        return found

    def merge(self, first: Node, second: Node) -> None:
        pairs = list(zip(second.outputs, first.outputs, strict=True))
        why = obstacle(pairs, second)
        if why is not None:
            self.context.observer.declined(self.source, second, why.__str__)
            return
        if not self.context.observer.may_apply(self.source, second):
            return
        for old, new in pairs:
            if old.users:
                if new.type is None and old.type is not None:
                    self.context.editor.set_type(new, old.type)
                self.context.editor.replace(old, new)
        self.context.editor.erase(second)
        self.merged.setdefault(first, []).extend(name for name in (*second.replaces, second.name) if name)
        self.changes += 1
        self.context.observer.applied(self.source, second, ())


def obstacle(pairs: list[tuple[Value, Value]], second: Node) -> str | None:
    """Why the outputs of `second` cannot give way to others; None when they can."""
    graph = second.graph
    for old, new in pairs:
        if any(node.op == EXIT and node.graph is not graph for node in old.users):
            return f"a subgraph returns {old!r} under its name"
        if old.is_output and (new.is_output or new.scope is not graph):
            why = "it would gain nothing" if second.op == "Identity" or graph is None else refuses_identity(graph, old.type)
            if why is not None:
                return f"{old!r} is an output, and an Identity of {new!r} would have to keep its name: {why}"
    return None


def content_of(attribute: Attribute) -> Hashable | None:
    """An attribute as something that is equal exactly when kind and bits are; None for graphs and for what is carried unread.

    A reference to an attribute of the enclosing function is the same unknown value wherever it stands in that function.
    """
    kind, value = attribute.kind, attribute.value
    if attribute.reference:
        return int(kind), "reference", attribute.reference
    if kind in (AttributeKind.int, AttributeKind.ints):
        return int(kind), value
    if kind in (AttributeKind.float, AttributeKind.floats):  # +0 and -0 are equal numbers and different bits, a NaN equals itself
        floats = value if isinstance(value, tuple) else (value,)
        return int(kind), struct.pack(f"<{len(floats)}d", *floats)
    if kind in (AttributeKind.string, AttributeKind.strings):
        texts = value if isinstance(value, tuple) else (value,)
        return int(kind), tuple(text.encode() if isinstance(text, str) else text for text in texts)
    if isinstance(value, Tensor):
        return int(kind), value.digest()
    if kind in (AttributeKind.type, AttributeKind.types):
        return int(kind), value
    return None
