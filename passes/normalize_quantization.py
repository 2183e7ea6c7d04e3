"""The parameters of QuantizeLinear and DequantizeLinear, said in one way."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.quantization_parameters import (
    dequantize_without_zero_point,
    parameter_vector_to_scalar,
    parameters_without_idle_attributes,
    quantize_without_zero_point,
)
from graphopt.pipeline.base import RulePass


class NormalizeQuantization(RulePass):
    """Say the parameters of QuantizeLinear and DequantizeLinear in one way: zero points that are there, scalars for a whole tensor.

    Before:  q = QuantizeLinear<axis = 1>(x, s); y = DequantizeLinear<axis = 1>(q, s)          s: (1,)
    After:   q = QuantizeLinear(x, t, z); y = DequantizeLinear(q, t, z)                        t, z: (); z = 0, uint8
    Keeps:   scales for blocks, and zero points that are missing there or at int32; vectors of one element that are not constant;
             attributes that say something, `axis` counted from the front. Exact.
    """

    name: ClassVar[str] = "normalize-quantization"
    rules: ClassVar[tuple[Rule, ...]] = (
        quantize_without_zero_point,
        dequantize_without_zero_point,
        parameter_vector_to_scalar,
        parameters_without_idle_attributes,
    )
