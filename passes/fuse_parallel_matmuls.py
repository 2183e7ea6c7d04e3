"""Products of one value with several matrices as one product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt.ir import Graph, Node, Tensor, Value
from graphopt.match.rule import Exactness
from graphopt.passes.parallel_products import Branch, Joint, branches, grouped, is_vector, join, weights_of
from graphopt.pipeline.base import Context, Pass
from graphopt.schema import facts
from graphopt.schema.spelling import UNKNOWN, neutral_attribute


@dataclass(frozen=True)
class FuseParallelMatmuls(Pass):
    """Multiply by all matrices at once that one value is multiplied by, and split the product.

    Before:  q = Add(MatMul(x, u), b); k = Add(MatMul(x, v), c)                        u, v: (K, 64)
    After:   q, k = Split<axis = 2>(Add(MatMul(x, w), d), [64, 64])                    w: u and v side by side, d: b and c
    Keeps:   matrices that are not constant, or read elsewhere and over 64 KiB (they would be stored twice); an x of unknown rank; Gemms
             with another alpha, beta or transpose than the rest, or a c that is not one element per column. Gemm likewise. Rounding: a
             wider product may be summed in another order.
    """

    name: ClassVar[str] = "fuse-parallel-matmuls"
    exactness: ClassVar[Exactness] = "rounding"

    def run(self, graph: Graph, context: Context) -> int:
        """Fuse in this graph and the graphs inside it; linear in the MatMuls and Gemms."""
        changes = 0
        for group in grouped(self.name, branches(context.editor.calls(graph, ("MatMul", "Gemm")), branch_of), context):
            first = group[0].product
            rank = first.inputs[0].rank if first.inputs[0] is not None else None
            assert rank is not None  # a branch's is known
            turned = first.op == "Gemm" and bool(neutral_attribute(first, "transB"))
            changes += join(self.name, group, Joint(first.op_type, dict(first.attributes), 0 if turned else 1, rank - 1), context)
        return changes


def branch_of(node: Node, x: Value) -> Branch | str:
    """What a product multiplies by and adds; why it is computed by itself."""
    found = weights_of(node)
    if isinstance(found, str):
        return found
    weights, held = found
    if len(held.shape) != 2:
        return "its weights are no matrix"
    if not x.rank:
        return "the rank of what it multiplies is not known"
    return of_matmul(node, x, weights, held) if node.op == "MatMul" else of_gemm(node, x, weights, held)


def of_matmul(node: Node, x: Value, weights: Value, held: Tensor) -> Branch:
    """A MatMul with what an Add after it adds."""
    assert x.rank is not None  # branch_of looked
    count = held.shape[1]
    key = (x, node.graph, "MatMul", held.dtype, held.shape[0])
    add = next(iter(node.output.users)) if len(node.output.users) == 1 else None
    if add is None or add.op != "Add" or add.graph is not node.graph or facts.is_function_call(add):
        return Branch(key, node, weights, None, None, count)
    bias = add.inputs[1] if add.inputs[0] is node.output else add.inputs[0]
    if bias is None or not is_vector(bias, count, held.dtype, x.rank):
        return Branch(key, node, weights, None, None, count)
    return Branch(key, node, weights, bias, add, count)


def of_gemm(node: Node, x: Value, weights: Value, held: Tensor) -> Branch | str:
    """A Gemm with what it adds."""
    bias = node.input(2)
    given = tuple(neutral_attribute(node, name) for name in ("alpha", "beta", "transA", "transB"))
    if x.rank != 2 or UNKNOWN in given:
        return "its attributes do not say what it does"
    inner, count = held.shape[::-1] if given[-1] else held.shape
    if bias is not None and not is_vector(bias, count, held.dtype, 2):
        return "what it adds is no constant of one element for each column"
    return Branch((x, node.graph, "Gemm", held.dtype, inner, given), node, weights, bias, None, count)
