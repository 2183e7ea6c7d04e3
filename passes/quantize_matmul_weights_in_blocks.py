"""Weights of products stored in few bits, with a scale for each block of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import ClassVar, Literal

from graphopt.ir import DType, Graph, Tensor, Value
from graphopt.match import Declined, Match, const, op, rule, tensor
from graphopt.match.rule import Exactness, Rule
from graphopt.passes.quantize_matmul_dynamically import floats_of
from graphopt.pipeline.base import Context, Pass
from graphopt.quantization import quantize
from graphopt.quantization.ranges import of_blocks
from graphopt.rewrite import apply_rules

SMALLEST_BLOCK = 16  # onnxruntime's kernel takes powers of two from here on


@dataclass(frozen=True)
class QuantizeMatmulWeightsInBlocks(Pass):
    """Store the constant weights of MatMul in 4 or 8 bits, dequantized where they are multiplied; nothing else is quantized.

    Before:  y = MatMul(x, w)                                                                            w: (K, N)
    After:   y = MatMul(x, DequantizeLinear<axis = 0, block_size = 32>(w4, s, z))                        s, z: (K / 32, N)
    Keeps:   weights that are not constant matrices of float32, not finite, or no longer than a block; opsets below 21, which know no
             blocks. Approximate: the weights are rounded.
    """

    name: ClassVar[str] = "quantize-matmul-weights-in-blocks"
    exactness: ClassVar[Exactness] = "approximate"
    type: Literal["uint4", "int4", "uint8", "int8"] = field(
        default="uint4", metadata={"doc": "what the weights become: with zero points if unsigned, around 0 if not"}
    )
    block: int = field(default=32, metadata={"doc": f"weights of a column that share a scale: a power of two, {SMALLEST_BLOCK} or more"})

    def __post_init__(self) -> None:
        if self.block < SMALLEST_BLOCK or self.block & (self.block - 1):
            raise ValueError(f"block is a power of two, {SMALLEST_BLOCK} or more, not {self.block}")

    def run(self, graph: Graph, context: Context) -> int:
        """Quantize in this graph and the graphs inside it."""
        return apply_rules(graph, (_rule(DType.of(self.type), self.block),), context.editor, context.observer)


@cache  # so that it is compiled once
def _rule(dtype: DType, block: int) -> Rule:
    """The rule of a pass with these options."""

    @rule(
        op.MatMul(tensor("x", dtype=DType.float32), const("w", dtype=DType.float32, rank=2)),
        name=QuantizeMatmulWeightsInBlocks.name,
        exactness="approximate",
    )
    def matmul_to_blocks(m: Match, x: Value, w: Value) -> Value | Declined:
        """MatMul(x, w)  ->  MatMul(x, DequantizeLinear<axis = 0, block_size>(w4, s, z))"""
        if w.const is not None and w.const.shape[0] <= block:
            return m.no("{} is {}, no longer than a block of {}", w, w.type, block)
        weights = floats_of(m, w)
        if isinstance(weights, Declined):
            return weights
        by = of_blocks(weights, dtype, block, symmetric=dtype.name.startswith("int"))
        parts = (Tensor.of(quantize(weights, by), dtype), Tensor.of(by.scale), Tensor.of(by.zero_point, dtype))
        names = (f"{w.name}_quantized", f"{w.name}_scale", f"{w.name}_zero_point")
        stored = [m.constant(part, name=name) for part, name in zip(parts, names, strict=True)]
        return m.op.MatMul(x, m.op.DequantizeLinear(*stored, axis=0, block_size=block))

    return matmul_to_blocks
