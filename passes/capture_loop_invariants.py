"""What a Loop carries from round to round without changing it."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph, Node, Value
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts


class CaptureLoopInvariants(Pass):
    """Let the body of a Loop read what no round changes from outside, where it may be a constant or have a known shape.

    Before:  y, v = Loop(n, true, x, w) <body = (i, c, h, k) => (c, r, k) { r = MatMul(h, k) }>; z = Relu(v)
    After:   y, v = Loop(n, true, x, w) <body = (i, c, h, k) => (c, r, k) { r = MatMul(h, w) }>; z = Relu(w)
    Keeps:   what the Loop takes and gives: the state is still carried, though nobody reads it. Exact.
    """

    name: ClassVar[str] = "capture-loop-invariants"

    def run(self, graph: Graph, context: Context) -> int:
        """Look at each Loop of this graph and the graphs inside it, outer ones first."""
        changes = 0
        for node in context.editor.calls(graph, ("Loop",)):
            body = node.attribute("body")
            if isinstance(body, Graph) and facts.of_node(node) is not None:
                changes += self.capture(node, body, context)
        context.stale |= changes > 0
        return changes

    def capture(self, node: Node, body: Graph, context: Context) -> int:
        """Redirect the readers of each state that stays what it was; returns of how many states there were any."""
        changes = 0
        for start, state, old, new in zip(node.inputs[2:], body.inputs[2:], node.outputs, body.outputs[1:], strict=False):
            if start is None or state.overridable or unchanged(new) is not state:
                continue
            readers = [user for user in state.users if user is not body.exit and user is not new.producer]
            is_read = bool(old.users) and not old.is_output  # an output would only get an Identity
            if not (readers or is_read) or not context.observer.may_apply(self.name, node):
                continue
            for user in readers:
                for slot, value in enumerate(user.inputs):
                    if value is state:
                        context.editor.set_input(user, slot, start)
            if is_read:
                context.editor.redirect(old, start)
            changes += 1
            context.observer.applied(self.name, node, ())
        return changes


def unchanged(value: Value) -> Value:
    """What a value is a copy of."""
    while value.producer is not None and value.producer.op == "Identity" and (source := value.producer.input(0)) is not None:
        value = source
    return value
