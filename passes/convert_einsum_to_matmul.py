"""Einsum as MatMul."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.einsum import einsum_to_matmul
from graphopt.pipeline.base import RulePass


class ConvertEinsumToMatmul(RulePass):
    """Make a MatMul of an Einsum that is a product of matrices or of stacks of them, with Transposes where axes have to change places.

    Before:  y = Einsum<equation = "abcd,cde->abe">(x, w)                        x: (N, S, 6, 32)  w: (6, 32, 192)
    After:   y = MatMul(Reshape(x, [0, 0, 192]), Reshape(w, [192, 192]))
    Keeps:   equations that repeat a letter in one operand, sum over axes of one alone, or over several that do not meet; sizes that may
             broadcast; joined axes of unknown size; stacks that only one operand has; orders of axes from which moving them takes longer
             than the Einsum. Rounding: the product may be summed in another order.
    """

    name: ClassVar[str] = "convert-einsum-to-matmul"
    rules: ClassVar[tuple[Rule, ...]] = (einsum_to_matmul,)
