"""Biases that are stored as integers, as the floats that they stand for."""

from __future__ import annotations

from typing import ClassVar

from graphopt.ir import Graph, Node, Tensor
from graphopt.pipeline.base import Context, Level, Pass
from graphopt.quantization import dequantize, is_dequantize
from graphopt.quantization.nodes import plain_quantization
from graphopt.schema.older import constant

BIASED = ("Conv", "ConvTranspose", "Gemm")


class DequantizeBias(Pass):
    """Store the biases of Conv, ConvTranspose and Gemm as floats, for runtimes that take no int32 bias.

    Before:  y = Conv(x, w, DequantizeLinear(b, s))                   b: constant
    After:   y = Conv(x, w, b * s)
    Keeps:   biases that are not constant, or whose scales are not. Exact.
    """

    name: ClassVar[str] = "dequantize-bias"
    level: ClassVar[Level] = Level.EXTENDED

    def run(self, graph: Graph, context: Context) -> int:
        """Look at the products of this graph and the graphs inside it; linear in them."""
        return sum(self.store(node, context) for node in context.editor.calls(graph, BIASED))

    def store(self, node: Node, context: Context) -> bool:
        """Give one product its bias as floats, if it has a constant one of integers."""
        value = node.input(2)
        maker = None if value is None else value.producer
        stored = maker.inputs[0] if maker is not None and is_dequantize(maker) else None
        if maker is None or stored is None or stored.const is None or node.graph is None:
            return False
        found = self.refusal(node, maker) or floats_of(maker, stored.const)
        if not context.allows(self.name, node, found if isinstance(found, str) else None) or isinstance(found, str):
            return False
        made = constant(found, stored.name)
        context.editor.adopt_constant(node.graph, made, node)
        context.editor.set_input(node, 2, made)
        context.editor.erase_unread([maker])
        context.observer.applied(self.name, node, ())
        return True

    def refusal(self, node: Node, bias: Node) -> str:
        """Why a bias stays as it is; empty when it does not."""
        return ""


def floats_of(maker: Node, stored: Tensor) -> Tensor | str:
    """What a DequantizeLinear makes of a constant; in words, why that is not known."""
    by = plain_quantization(maker)
    return by if isinstance(by, str) else Tensor.of(dequantize(stored.numpy(), by), by.scale_dtype)
