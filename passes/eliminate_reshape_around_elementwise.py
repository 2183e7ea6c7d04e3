"""Shapes that are said anew for a few elementwise operators, and taken back after them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from graphopt.ir import Graph, Node, Shape, TensorType, Value
from graphopt.match.conditions import is_private
from graphopt.patterns.reshape_family import RESHAPING
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite.guards import is_fully_known
from graphopt.schema import facts
from graphopt.schema.spelling import has_neutral_form
from graphopt.schema.traits import ELEMENTWISE_BINARY, ELEMENTWISE_UNARY

UNARY: Final = ELEMENTWISE_UNARY - {"BitCast"}  # which may make another number of elements
LONGEST: Final = 64  # operators between the two


@dataclass(frozen=True)
class Region:
    """A shape said anew, elementwise operators with the input that each continues, last first, and the first shape again."""

    first: Node
    steps: tuple[tuple[Node, int], ...]
    last: Node


@dataclass(frozen=True)
class EliminateReshapeAroundElementwise(Pass):
    """Remove two operators that say a shape anew and take it back, with nothing but elementwise operators between them.

    Before:  t = Unsqueeze(x, [1]); u = Cast(t); v = Mul(u, 2); y = Squeeze(v, [1])
    After:   u = Cast(x); y = Mul(u, 2)
    Keeps:   shapes that are not provably the same; what others read; operands that differ along other axes than the last, which both
             shapes have in common. Exact.
    """

    name: ClassVar[str] = "eliminate-reshape-around-elementwise"

    def run(self, graph: Graph, context: Context) -> int:
        """Remove in this graph and the graphs inside it; linear in the nodes, as no two chains share one."""
        return sum(
            self.remove(region, context)
            for node in context.editor.calls(graph, sorted(RESHAPING))
            if node.graph is not None and (region := region_before(node)) is not None and self.agrees(region, context)
        )

    def agrees(self, region: Region, context: Context) -> bool:
        """Whether both shapes are the same to what stands between them; why not is told."""
        why = refusal(region)
        if why is not None:
            context.observer.declined(self.name, region.last, why.__str__)
        return why is None

    def remove(self, region: Region, context: Context) -> bool:
        """Let the operators read what came before the first shape."""
        if not context.observer.may_apply(self.name, region.last):
            return False
        editor, x = context.editor, region.first.inputs[0]
        assert x is not None  # region_before looked
        node, slot = region.steps[-1]
        editor.set_input(node, slot, x)
        for node, _ in region.steps:
            type = node.output.type
            if isinstance(type, TensorType):
                editor.set_type(node.output, TensorType(type.dtype, x.shape))
        editor.replace(region.last.output, region.steps[0][0].output)
        editor.erase(region.last)
        editor.erase(region.first)
        context.observer.applied(self.name, region.last, tuple(node for node, _ in reversed(region.steps)))
        return True


def region_before(last: Node) -> Region | None:
    """The region that ends at a node; None when none does."""
    steps: list[tuple[Node, int]] = []
    value = None if facts.is_function_call(last) else last.inputs[0]
    while value is not None and len(steps) < LONGEST and last.graph is not None and is_private(value, last.graph):
        node = value.producer
        if node is None or facts.is_function_call(node) or not has_neutral_form(node):
            return None
        if node.op in RESHAPING:
            return Region(node, tuple(steps), last) if steps else None
        slot = 0 if node.op in UNARY else continued(node) if node.op in ELEMENTWISE_BINARY else None
        if slot is None:
            return None
        steps.append((node, slot))
        value = node.inputs[slot]
    return None


def continued(node: Node) -> int | None:
    """The one input that has the shape of what an elementwise operator makes, and is made by a node; None when there is not one."""
    shape = node.output.shape
    slots = [
        slot for slot, value in enumerate(node.inputs) if value is not None and value.producer is not None and value.shape == shape
    ]  # fmt: skip
    return slots[0] if len(slots) == 1 else None


def refusal(region: Region) -> str | None:
    """Why the operators of a region cannot run in the shape around it; None when they can."""
    x, inside = region.first.inputs[0], region.first.output
    if x is None or not (is_fully_known(x) and is_fully_known(inside)) or x.shape != region.last.output.shape:
        return "the shapes before and behind are not known to be the same"
    for node, slot in region.steps:
        others = [] if node.op in UNARY else [value for place, value in enumerate(node.inputs) if place != slot]
        if node.output.shape != inside.shape or not all(fits(value, x.shape, inside.shape) for value in others):
            return "an operand in between would meet other elements, or make the result bigger"
    return None


def fits(operand: Value | None, outside: Shape | None, inside: Shape | None) -> bool:
    """Whether an operand meets the same elements under both shapes: it is one element, or a row as long as the last axis of both."""
    shape = None if operand is None else operand.shape
    if shape is None or outside is None or inside is None or len(shape) > min(len(outside), len(inside)):
        return False
    if all(size == 1 for size in shape):
        return True
    return all(size == 1 for size in shape[:-1]) and shape[-1] is not None and shape[-1] == outside[-1] == inside[-1]
