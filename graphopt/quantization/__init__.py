"""What quantized graphs mean: the parameters of QuantizeLinear and DequantizeLinear, their arithmetic, and what commutes with them."""

from graphopt.quantization.arithmetic import dequantize, limits, loses, quantize
from graphopt.quantization.commutation import COMMUTING, Commuted, across, are_equal, down, up
from graphopt.quantization.layout import simplest
from graphopt.quantization.nodes import like, plain_quantization
from graphopt.quantization.parameters import (
    DEQUANTIZE,
    QUANTIZE,
    Quantization,
    is_dequantize,
    is_quantize,
    quantization_of,
)

__all__ = [
    "COMMUTING",
    "DEQUANTIZE",
    "QUANTIZE",
    "Commuted",
    "Quantization",
    "across",
    "are_equal",
    "dequantize",
    "down",
    "is_dequantize",
    "is_quantize",
    "like",
    "limits",
    "loses",
    "plain_quantization",
    "quantization_of",
    "quantize",
    "simplest",
    "up",
]
