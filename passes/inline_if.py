"""Branches of which it is known that they are always taken, or that it does not matter which is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt.infer.elements import constant_ints
from graphopt.ir import Graph, Node, Value
from graphopt.passes.same_graphs import compute_the_same
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite.inline import Inliner, output_refusal
from graphopt.schema import facts


@dataclass(frozen=True)
class InlineIf(Pass):
    """Replace an If by the branch that is always taken, or by one of two that compute the same.

    Before:  y = If(true) <then_branch = { t = Exp(x); r = Relu(t) }, else_branch = { e = Abs(x) }>
    After:   t = Exp(x); y = Relu(t)
    Keeps:   an If whose condition a caller may decide (an initializer that is an input as well). Nodes keep their metadata, and
             their names, as what they make does, where nothing else has them. The condition may be a constant or follow from shapes. Two
             branches compute the same when they have the same nodes in the same order and equal constants. Exact.
    """

    name: ClassVar[str] = "inline-if"

    def run(self, graph: Graph, context: Context) -> int:
        """Inline in this graph and the graphs inside it."""
        inliner = Inliner(graph, context.editor)
        changes = inliner.everywhere("If", lambda node: self.inline(node, inliner, context))
        context.stale |= changes > 0
        return changes

    def inline(self, node: Node, inliner: Inliner, context: Context) -> bool:
        """Inline one If if its condition is known."""
        then, other = node.attribute("then_branch"), node.attribute("else_branch")
        if not isinstance(then, Graph) or not isinstance(other, Graph) or facts.of_node(node) is None:
            return False
        taken = taken_branch(node, then, other)
        if taken is None:
            why_not = "its condition is not known before the model runs, and its branches do not compute the same"
            context.observer.declined(self.name, node, why_not.__str__)
            return False
        branch, dropped = taken
        if len(branch.outputs) != len(node.outputs):
            why: str | None = f"the branch returns {len(branch.outputs)} values, the If {len(node.outputs)}"
        else:
            why = inliner.refusal(branch) or output_refusal(zip(node.outputs, branch.outputs, strict=True), branch)
        if not context.allows(self.name, node, why):
            return False
        inliner.forget((dropped,))
        moved = inliner.move_out(branch, node)
        inliner.replace(zip(node.outputs, branch.outputs, strict=True), moved)
        context.editor.erase(node)
        context.observer.applied(self.name, node, moved)
        return True


def taken_branch(node: Node, then: Graph, other: Graph) -> tuple[Graph, Graph] | None:
    """The branch of an If that is always taken (or either, where both compute the same), and the other one.

    None when its condition decides as the model runs.
    """
    decision = decided(node.input(0))
    if decision is None and not compute_the_same(then, other, {}):
        return None
    return (other, then) if decision == 0 else (then, other)


def decided(value: Value | None) -> int | None:
    """The one element of an integer or a bool (as 0 or 1), when it is known before the model runs."""
    elements = constant_ints(value)
    return elements[0] if elements is not None and len(elements) == 1 else None
