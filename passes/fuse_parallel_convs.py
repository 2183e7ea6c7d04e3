"""Convolutions of one value with several filters as one convolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from graphopt.ir import Graph, Node, Value
from graphopt.match.rule import Exactness
from graphopt.passes.parallel_products import Branch, Joint, branches, grouped, is_vector, join, weights_of
from graphopt.pipeline.base import Context, Pass
from graphopt.schema.spelling import UNKNOWN, neutral_attribute

HOW: Final = ("auto_pad", "dilations", "group", "pads", "strides")


@dataclass(frozen=True)
class FuseParallelConvs(Pass):
    """Convolve once with all filters of one size that go over one value, and split the result.

    Before:  a = Conv(x, u, b); c = Conv(x, v, d)                                      u: (16, C, 3, 3)  v: (32, C, 3, 3)
    After:   a, c = Split<axis = 1>(Conv(x, w, e), [16, 32])                           w: u and v one after the other, e: b and d
    Keeps:   filters or biases that are not constant, filters that are read elsewhere and over 64 KiB (they would be stored twice);
             convolutions in groups, or with other strides, pads or dilations than the rest. Rounding: a runtime may choose another kernel.
    """

    name: ClassVar[str] = "fuse-parallel-convs"
    exactness: ClassVar[Exactness] = "rounding"

    def run(self, graph: Graph, context: Context) -> int:
        """Fuse in this graph and the graphs inside it; linear in the Convs."""
        changes = 0
        for group in grouped(self.name, branches(context.editor.calls(graph, ("Conv",)), branch_of), context):
            changes += join(self.name, group, Joint("Conv", dict(group[0].product.attributes), 0, 1), context)
        return changes


def branch_of(node: Node, x: Value) -> Branch | str:
    """What a convolution multiplies by and adds; why it is done by itself."""
    found = weights_of(node)
    if isinstance(found, str):
        return found
    weights, held = found
    given, bias = tuple(neutral_attribute(node, name) for name in (*HOW, "kernel_shape")), node.input(2)
    if len(held.shape) < 3 or UNKNOWN in given or given[-1] not in (None, held.shape[2:]):
        return "its filters and attributes do not say what it does"
    if given[HOW.index("group")] != 1:
        return "it works in groups"
    if bias is not None and not is_vector(bias, held.shape[0], held.dtype, 1):
        return "its bias is not constant"
    return Branch((x, node.graph, held.dtype, held.shape[1:], given[:-1]), node, weights, bias, None, held.shape[0])
