"""What every round of a loop computes again, though no round changes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from graphopt.ir import DType, Graph, Node, Shape
from graphopt.ir.graph import EXIT
from graphopt.passes.inline_if import decided
from graphopt.pipeline.base import Context, Pass
from graphopt.rewrite.inline import Inliner
from graphopt.schema import facts
from graphopt.schema.traits import COMPARISON, CONTROL_FLOW, ELEMENTWISE_UNARY, QUANTIZATION

# Cheap, and with operands that fit together they cannot fail: what a Cast makes of a text may.
SAFE_UNARY: Final = (ELEMENTWISE_UNARY - {"BitCast", "Clip"}) | {"Shape", "Size", "Transpose"}
SAFE_BINARY: Final = COMPARISON | {"Add", "And", "Mul", "Or", "Sub", "Where", "Xor"}


@dataclass(frozen=True)
class HoistLoopInvariants(Pass):
    """Compute before a Loop or a Scan what its body computes of values from outside alone.

    Before:  y = Loop(n, true, x) <body = (i, c, h) => (c, r) { t = Transpose(w); r = MatMul(h, t) }>
    After:   t = Transpose(w); y = Loop(n, true, x) <body = (i, c, h) => (c, r) { r = MatMul(h, t) }>
    Keeps:   what the body returns as it is; what is random, unknown, quantization or has a body of its own; what stands in a branch. Of
             loops that are not known to run at least once, nodes go that cannot fail and cost little: elementwise operators whose shapes
             are known to fit together, Transpose and Shape. Exact.
    """

    name: ClassVar[str] = "hoist-loop-invariants"

    def run(self, graph: Graph, context: Context) -> int:
        """Look at each loop of this graph and the graphs inside it, inner ones first, so that a node can go all the way."""
        loops = context.editor.calls(graph, ("Loop", "Scan"))
        inliner, changes = Inliner(graph, context.editor), 0
        for loop in reversed(loops):
            body = loop.attribute("body")
            if isinstance(body, Graph) and facts.of_node(loop) is not None:
                always = runs(loop)
                for node in body:
                    if reads_from_outside(node, body):
                        changes += self.hoist(node, loop, refusal(node, always=always), inliner, context)
        return changes

    def hoist(self, node: Node, loop: Node, why: str | None, inliner: Inliner, context: Context) -> bool:
        """Move a node before the loop, with copies of the constants that it reads inside, unless there is a reason why not."""
        if why is not None:
            context.observer.declined(self.name, node, why.__str__)
            return False
        graph, editor = loop.graph, context.editor
        assert graph is not None and node.graph is not None  # both are visited in their graphs
        held = [(slot, value, value.const) for slot, value in enumerate(node.inputs) if value is not None and value.scope is node.graph]
        for _, value, _ in held:
            if (why := facts.refuses_constant(graph, value.type)) is not None:
                context.observer.declined(self.name, node, why.__str__)
                return False
        if not context.observer.may_apply(self.name, node):
            return False
        for slot, value, tensor in held:
            if tensor is not None:
                editor.set_input(node, slot, editor.add_constant(graph, tensor, value.name, loop))
        inliner.move_node(node, loop)
        context.observer.applied(self.name, node, (node,))
        return True


def reads_from_outside(node: Node, body: Graph) -> bool:
    """Whether a node of a body reads the same in every round; nodes with bodies of their own are not looked into."""
    if node.op == "Constant" or node.op in CONTROL_FLOW:
        return False
    return not any(value.scope is body and value.const is None for value in node.inputs if value is not None)


def refusal(node: Node, *, always: bool) -> str | None:
    """Why a node that reads the same in every round may not stand before the loop; None when it may. `always`: the loop runs."""
    if node.op in QUANTIZATION:
        return "it belongs to quantization"
    if not facts.is_deterministic(node):
        return "it may give something else in each round"
    if any(user.op == EXIT for value in node.outputs for user in value.users):
        return "the body returns what it makes"
    return None if always or cannot_fail(node) else "the loop may never run, and this is expensive or may fail"


def runs(loop: Node) -> bool:
    """Whether a loop is known to run at least once."""
    if loop.op == "Scan":
        values = loop.inputs[-1:] if (loop.opset or 0) >= 9 and "scan_input_axes" not in loop.attributes else ()
        return any(value is not None and value.shape and isinstance(value.shape[0], int) and value.shape[0] > 0 for value in values)
    count, condition = loop.input(0), loop.input(1)
    most = decided(count)
    return (count is None or (most is not None and most > 0)) and (condition is None or decided(condition) == 1)


def cannot_fail(node: Node) -> bool:
    """Whether a node is cheap and comes to a result whatever the elements are."""
    if any(value is None or value.dtype in (None, DType.string) for value in (*node.inputs, *node.outputs)):
        return False
    if node.op in SAFE_UNARY:
        return len(node.inputs) == 1
    is_float = node.inputs[0] is not None and node.inputs[0].dtype is not None and node.inputs[0].dtype.is_float
    return (node.op in SAFE_BINARY or (node.op == "Div" and is_float)) and fit_together([value.shape for value in node.inputs if value])


def fit_together(shapes: list[Shape | None]) -> bool:
    """Whether shapes provably broadcast."""
    known = [shape for shape in shapes if shape is not None]
    if len(known) != len(shapes):
        return False
    for place in range(1, 1 + max(map(len, known))):
        sizes = [shape[-place] for shape in known if len(shape) >= place and shape[-place] != 1]
        if None in sizes or any(size != sizes[0] for size in sizes):
            return False
    return True
