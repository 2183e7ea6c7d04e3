"""BatchNormalization as a product and a sum."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.channel_affine import bn_to_mul_add
from graphopt.pipeline.base import RulePass


class ConvertBnToMulAdd(RulePass):
    """Multiply and add per channel instead of a BatchNormalization.

    Before:  y = BatchNormalization(x, scale, shift, mean, var)
    After:   y = Add(Mul(x, k), shift - mean * k)          k = scale / sqrt(var + epsilon)
    Keeps:   BatchNormalization in training, or with parameters that are not constant; tensors of unknown rank; factors that overflow or
             lose precision. After a convolution fuse-conv-bn leaves nothing of it, and fuse-conv-scale nothing of Mul and Add. Rounding:
             factor and term are computed in float64 and rounded once.
    """

    name: ClassVar[str] = "convert-bn-to-mul-add"
    rules: ClassVar[tuple[Rule, ...]] = (bn_to_mul_add,)
