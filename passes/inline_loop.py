"""Loops of which it is known that they run once or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from graphopt.infer import infer_node
from graphopt.ir import DType, Graph, Node, Tensor, TensorType, Value, element_count
from graphopt.passes.inline_if import decided
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite.inline import Inliner, output_refusal
from graphopt.schema import facts
from graphopt.schema.older import constant
from graphopt.schema.spelling import CannotSpell, spell


@dataclass(frozen=True)
class InlineLoop(Pass):
    """Replace a Loop that runs once by its body, and one that never runs by what it starts with.

    Before:  y, s = Loop(1, true, x) <body = (i, c, h) => (c, r, r) { r = Relu(h) }>
    After:   y = Relu(x); s = Unsqueeze(y, [0])
    Keeps:   loops of which the number of rounds is not known or greater than 1. Scan outputs of a loop that never runs are stored as
             empty tensors, if the body declares numbers for all their sizes but the first; otherwise the loop stays. Nodes keep their
             metadata, and their names, as what they make does, where nothing else has them. Exact.
    """

    name: ClassVar[str] = "inline-loop"

    def run(self, graph: Graph, context: Context) -> int:
        """Inline in this graph and the graphs inside it."""
        inliner = Inliner(graph, context.editor)
        changes = inliner.everywhere("Loop", lambda node: self.inline(node, inliner, context))
        context.stale |= changes > 0
        return changes

    def inline(self, node: Node, inliner: Inliner, context: Context) -> bool:
        """Inline one Loop if its rounds are known and at most 1."""
        body, rounds = node.attribute("body"), rounds_of(node)
        if not isinstance(body, Graph) or facts.of_node(node) is None:
            return False
        if rounds is None:
            context.observer.declined(self.name, node, "it is not known to run once or not at all".__str__)
            return False
        why = malformed(node, body) or (empty_refusal(node, body) if rounds == 0 else round_refusal(node, body, inliner))
        if not context.allows(self.name, node, why):
            return False
        made = never(node, body, inliner) if rounds == 0 else once(node, body, inliner)
        context.editor.erase(node)
        context.observer.applied(self.name, node, made)
        return True


def rounds_of(node: Node) -> int | None:
    """How often a Loop runs, if that is known to be 0 or 1; None otherwise."""
    count, condition = node.input(0), node.input(1)
    body = node.attribute("body")
    if facts.of_node(node) is None or not isinstance(body, Graph) or not body.outputs:
        return None
    most = decided(count)
    starts = 1 if condition is None else decided(condition)
    if starts == 0 or (most is not None and most <= 0):
        return 0
    if starts is None or (most is None and count is not None):
        return None
    # ONNX Loop: without an initial condition, what the body says of it is ignored.
    stops = condition is not None and decided(body.outputs[0]) == 0
    return 1 if most == 1 or stops else None


def malformed(node: Node, body: Graph) -> str | None:
    """Why a body does not fit its Loop; None when it does."""
    carried = node.inputs[2:]
    if len(body.inputs) != 2 + len(carried) or not len(carried) < len(body.outputs) or None in carried:
        return f"the body takes {len(body.inputs)} values and returns {len(body.outputs)}, the Loop carries {len(carried)}"
    if len(node.outputs) != len(body.outputs) - 1:
        return f"the body returns {len(body.outputs)} values, the Loop {len(node.outputs)}"
    overridable = next((value for value in body.inputs if value.overridable), None)
    return f"{overridable!r} of the body has a default" if overridable is not None else None


def scans(node: Node, body: Graph) -> list[tuple[Value, Value]]:
    """The scan outputs that somebody reads, each with what the body gives for it in one round."""
    first = len(node.inputs) - 2
    return [(old, new) for old, new in zip(node.outputs[first:], body.outputs[first + 1 :], strict=True) if old.users]


# ---- no round


def empty_refusal(node: Node, body: Graph) -> str | None:
    """Why a Loop that never runs must stay; None when it can go."""
    graph = node.graph
    starts = zip(node.outputs, (start for start in node.inputs[2:] if start is not None), strict=False)
    if (why := output_refusal(starts, body)) is not None:
        return why
    for old, _ in scans(node, body):
        type = old.type
        if not isinstance(type, TensorType) or element_count(type.shape) is None or not type.dtype:
            return f"{old!r} is empty, and its other sizes are not known: the body declares no numbers for them"
        if graph is not None and (why := facts.refuses_constant(graph, type)) is not None:
            return why
    return None


def never(node: Node, body: Graph, inliner: Inliner) -> tuple[Node, ...]:
    """Let the readers of a Loop's outputs read what it starts with, and empty tensors."""
    graph = node.graph
    assert graph is not None  # it is visited in its graph
    pairs = [(old, start) for old, start in zip(node.outputs, node.inputs[2:], strict=False) if start is not None]
    for old, _ in scans(node, body):
        type = old.type
        assert isinstance(type, TensorType)  # `empty_refusal` looked
        sizes = [size for size in type.shape or () if isinstance(size, int)]
        pairs.append((old, inliner.editor.add_constant(graph, Tensor.of(np.zeros(sizes), type.dtype), f"{old.name}_empty", node)))
    inliner.forget((body,))
    inliner.replace(pairs, ())
    return ()


# ---- one round


def round_refusal(node: Node, body: Graph, inliner: Inliner) -> str | None:
    """Why a Loop that runs once must stay; None when its body can stand in its place."""
    graph = node.graph
    if graph is None or (why := inliner.refusal(body)) is not None:
        return why
    return rounds_refusal(node, body, graph)


def rounds_refusal(node: Node, body: Graph, graph: Graph) -> str | None:
    """Why `graph` cannot hold what a round reads of the Loop itself, or what the rounds give; None when it can."""
    for value in unpassed(body):
        if value.shape not in ((), (1,)):
            return f"the rank of {value!r} is not known"
        if (why := facts.refuses_constant(graph, value.type)) is not None:
            return why
    try:
        for _, new in scans(node, body):
            stacked(new, graph)
    except CannotSpell as reason:
        return str(reason)
    return output_refusal(zip(node.outputs, body.outputs[1 : len(node.inputs) - 1], strict=False), body)


def unpassed(body: Graph) -> list[Value]:
    """The number of the round and the condition, as far as the body reads them (to pass a condition on is not to read it)."""
    number, condition = body.inputs[:2]
    is_read = any(user is not body.exit for user in condition.users) or condition in body.outputs[1:]
    return ([number] if number.users else []) + ([condition] if is_read else [])


def once(node: Node, body: Graph, inliner: Inliner) -> tuple[Node, ...]:
    """Move the body of a Loop into its place; returns the nodes that stand there now."""
    graph, editor, first = node.graph, inliner.editor, len(node.inputs) - 2
    assert graph is not None  # it is visited in its graph
    for value in unpassed(body):
        content = int(value is body.inputs[1])  # the first round is number 0, and the condition holds
        tensor = Tensor.of([content] if value.rank else content, DType.bool if content else DType.int64)
        editor.redirect(value, editor.add_constant(graph, tensor, value.name, node))
    for value, start in zip(body.inputs[2:], node.inputs[2:], strict=True):
        if start is not None:
            editor.redirect(value, start)
    moved = list(inliner.move_out(body, node))
    pairs = list(zip(node.outputs[:first], body.outputs[1:], strict=False))
    for old, new in scans(node, body):
        stack = stacked(new, graph)
        editor.insert(stack, graph, node)
        stack.output.type = infer_node(stack)[0] or old.type
        moved.append(stack)
        pairs.append((old, stack.output))
    inliner.replace(pairs, moved)
    return tuple(moved)


def stacked(value: Value, graph: Graph) -> Node:
    """The node that makes a scan output of what one round gives. Raises CannotSpell where there is no Unsqueeze."""
    return spell("Unsqueeze", (value, constant(Tensor.of([0], DType.int64), "axes")), {}, graph)
