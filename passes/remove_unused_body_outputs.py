"""What branches and loops give to nobody, and states of loops that are carried for nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from graphopt.ir import Graph, Node, Value
from graphopt.ir.ports import remove_graph_input, remove_graph_output, remove_input, remove_output
from graphopt.passes.eliminate_dead_nodes import is_unread
from graphopt.passes.inline_loop import malformed
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts


@dataclass(frozen=True)
class RemoveUnusedBodyOutputs(Pass):
    """Take out of an If, a Loop or a Scan the outputs that nobody reads, and the states that no round needs for anything else.

    Before:  y, k, s = Loop(n, true, x, z) <body = (i, c, h, j) => (c, r, l, r) { r = Exp(h); l = Add(j, i) }>      k, s: unread
    After:   y = Loop(n, true, x) <body = (i, c, h) => (c, r) { r = Exp(h) }>
    Keeps:   states that others of the states or outputs are computed from; what an unknown operator in the body reads; the last
             output; loops whose body gives an input a default. Exact.
    """

    name: ClassVar[str] = "remove-unused-body-outputs"

    def run(self, graph: Graph, context: Context) -> int:
        """Look at each such node of this graph and the graphs inside it, inner ones last."""
        changes = 0
        for node in context.editor.calls(graph, ("If", "Loop", "Scan")):
            if context.editor.holds(node) and facts.of_node(node) is not None and not is_unread(node):
                changes += self.shrink(node, context)
        context.stale |= changes > 0
        return changes

    def shrink(self, node: Node, context: Context) -> int:
        """Take the unused outputs out of one node; returns how many there were."""
        if all(value.users for value in node.outputs):
            return 0
        loop = None if node.op == "If" else Loop.of(node)
        if loop is None:
            return 0 if node.op != "If" else self.shrink_if(node, context)
        needed, slots = loop.needed()
        unused = [index for index in range(len(node.outputs)) if index + loop.conditions not in slots]
        if not context.allows(self.name, node, None if unused else "what nobody reads of it is needed in its body"):
            return 0
        for index in reversed(unused):
            loop.remove_output(index, context)
        for held in reversed(loop.body):
            if held not in needed:
                context.editor.erase(held)
        for index in reversed(unused):
            if index < loop.states:
                remove_graph_input(loop.body, loop.body.inputs[loop.given + index])
                remove_input(context.editor, node, loop.given + index)
        context.observer.applied(self.name, node, ())
        return len(unused)

    def shrink_if(self, node: Node, context: Context) -> int:
        """Let both branches return only what somebody reads."""
        branches = node.attribute("then_branch"), node.attribute("else_branch")
        unused = [value.index for value in node.outputs if not value.users]
        count = len(node.outputs)
        if any(not isinstance(branch, Graph) or len(branch.outputs) != count for branch in branches):
            return 0
        if not context.observer.may_apply(self.name, node):
            return 0
        for index in reversed(unused):
            for branch in branches:
                if isinstance(branch, Graph):
                    remove_graph_output(context.editor, branch, index)
            remove_output(node, index)
        context.observer.applied(self.name, node, ())
        return len(unused)


@dataclass(frozen=True)
class Loop:
    """A Loop or a Scan. Its body returns `conditions` values before the first state, and is given `given` before it."""

    node: Node
    body: Graph
    states: int
    conditions: int
    given: int

    @classmethod
    def of(cls, node: Node) -> Loop | None:
        """The node as a loop; None when its parts do not fit together."""
        body = node.attribute("body")
        if not isinstance(body, Graph):
            return None
        if node.op == "Loop":
            return None if malformed(node, body) else cls(node, body, len(node.inputs) - 2, 1, 2)
        count = node.attribute("num_scan_inputs")
        if (node.opset or 0) < 9 or not isinstance(count, int) or any(value.overridable for value in body.inputs):
            return None
        fits = len(body.inputs) == len(node.inputs) and len(body.outputs) == len(node.outputs)
        return cls(node, body, len(node.inputs) - count, 0, 0) if fits else None

    def needed(self) -> tuple[set[Node], set[int]]:
        """The nodes of the body that something needs, and the places of the body's outputs that somebody does."""
        place = {value: index for index, value in enumerate(self.body.inputs[self.given : self.given + self.states])}
        slots = {index + self.conditions for index, value in enumerate(self.node.outputs) if value.users} | set(range(self.conditions))
        waiting = [self.body.outputs[slot] for slot in sorted(slots)]
        nodes: set[Node] = set()
        for node in self.body:
            if not facts.may_drop(node):
                nodes.add(node)
                waiting += reads(node)
        while waiting:
            value = waiting.pop()
            if value in place and place[value] + self.conditions not in slots:
                slots.add(place[value] + self.conditions)
                waiting.append(self.body.outputs[place[value] + self.conditions])
            producer = value.producer
            if producer is not None and producer.graph is self.body and producer not in nodes:
                nodes.add(producer)
                waiting += reads(producer)
        return nodes, slots

    def remove_output(self, index: int, context: Context) -> None:
        """Take one output out of the node and its body."""
        remove_graph_output(context.editor, self.body, index + self.conditions)
        remove_output(self.node, index)
        for name in ("scan_output_axes", "scan_output_directions"):
            held = self.node.attributes.get(name)
            if index >= self.states and held is not None and isinstance(held.value, tuple):
                place = index - self.states
                context.editor.set_attribute(self.node, name, (*held.value[:place], *held.value[place + 1 :]) or None)


def reads(node: Node) -> Iterator[Value]:
    """What a node reads, and what the graphs inside it do."""
    yield from present(node.inputs)
    for inner in node.subgraphs:
        for graph in inner.walk():
            for held in (*graph, graph.exit):
                yield from present(held.inputs)


def present(values: Iterable[Value | None]) -> Iterator[Value]:
    """Without those that are left out."""
    return (value for value in values if value is not None)
