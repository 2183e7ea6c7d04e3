"""The scales of dynamically quantized products."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.integer_matmul import scales_first
from graphopt.pipeline.base import Level, RulePass


class FuseDynamicQuantization(RulePass):
    """Multiply the two scales of a dynamically quantized MatMul first, as onnxruntime looks for it to make one node of all.

    Before:  q, s, z = DynamicQuantizeLinear(x); i = MatMulInteger(q, w, z, k); f = Cast(i); t = Mul(f, s); u = Mul(t, v); y = Add(u, b)
    After:   ...; f = Cast(i); t = Mul(s, v); u = Mul(f, t); y = Add(u, b)
    Keeps:   products whose scale is not that of the same DynamicQuantizeLinear; scales of matrices. Rounding: each product rounds
             once, in another order.
    """

    name: ClassVar[str] = "fuse-dynamic-quantization"
    level: ClassVar[Level] = Level.EXTENDED
    rules: ClassVar[tuple[Rule, ...]] = (scales_first,)
