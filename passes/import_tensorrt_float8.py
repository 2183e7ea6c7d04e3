"""TensorRT's own float8 operators as standard ONNX."""

from __future__ import annotations

from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns.tensorrt_float8 import tensorrt_float8_to_pair, tensorrt_float8_weights_to_dequantize
from graphopt.pipeline.base import RulePass


class ImportTensorrtFloat8(RulePass):
    """Write TensorRT's own float8 operators with the standard ones, which other runtimes have too.

    Before:  y = TRT_FP8DequantizeLinear(TRT_FP8QuantizeLinear(x, s), s)                domain trt
    After:   y = DequantizeLinear(QuantizeLinear(x, s, 0), s, 0)                        0: float8e4m3fn
    Before:  y = TRT_FP8DequantizeLinear(w, s)                                          w: constant, float8e4m3fn or its bits as uint8
    After:   y = DequantizeLinear(w, s, 0)
    Keeps:   opsets below 19; scales that are not constant, or of another type than what they scale; float8 that is read by anything
             else. Exact.
    """

    name: ClassVar[str] = "import-tensorrt-float8"
    rules: ClassVar[tuple[Rule, ...]] = (tensorrt_float8_to_pair, tensorrt_float8_weights_to_dequantize)
