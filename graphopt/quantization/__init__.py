"""What quantized graphs mean: the parameters of QuantizeLinear and DequantizeLinear, their arithmetic, and what commutes with them."""

from graphopt.quantization.arithmetic import dequantize, limits, quantize
from graphopt.quantization.parameters import (
    DEQUANTIZE,
    QUANTIZE,
    Quantization,
    is_dequantize,
    is_quantize,
    quantization_of,
)

__all__ = ["DEQUANTIZE", "QUANTIZE", "Quantization", "dequantize", "is_dequantize", "is_quantize", "limits", "quantization_of", "quantize"]
