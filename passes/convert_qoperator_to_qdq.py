"""Operators that are quantized inside, as float operators between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from graphopt.match.rule import Rule
from graphopt.patterns import integer_products, quantized_operators
from graphopt.pipeline.base import RulePass


@dataclass(frozen=True)
class ConvertQoperatorToQdq(RulePass):
    """Write operators that are quantized inside as what they stand for, which runtimes that fuse it, and other passes, understand.

    Before:  q = QLinearConv(x, sx, zx, w, sw, zw, sy, zy, b)
    After:   q = QuantizeLinear(Conv(DequantizeLinear(x, sx, zx), DequantizeLinear(w, sw, zw), DequantizeLinear(b, sx * sw)), sy, zy)
    Keeps:   scales that are computed, except those of a DynamicQuantizeLinear; weights whose zero points differ; channels that are the last
             axis. Of com.microsoft: QGemm, MatMulIntegerToFloat, DynamicQuantizeMatMul and QLinear- Add, Mul, Sigmoid, LeakyRelu, Softmax,
             AveragePool, GlobalAveragePool, Concat, Where. Rounding: the integers of both differ by one at most.
    """

    name: ClassVar[str] = "convert-qoperator-to-qdq"
    rules: ClassVar[tuple[Rule, ...]] = (
        quantized_operators.qlinearconv_to_conv,
        quantized_operators.qlinearmatmul_to_matmul,
        quantized_operators.qgemm_to_gemm,
        quantized_operators.qlinearadd_to_add,
        quantized_operators.qlinearmul_to_mul,
        quantized_operators.qlinearsigmoid_to_sigmoid,
        quantized_operators.qlinearleakyrelu_to_leakyrelu,
        quantized_operators.qlinearsoftmax_to_softmax,
        quantized_operators.qlinearaveragepool_to_averagepool,
        quantized_operators.qlinearglobalaveragepool_to_globalaveragepool,
        quantized_operators.qlinearconcat_to_concat,
        quantized_operators.qlinearwhere_to_where,
        integer_products.matmulinteger_to_matmul,
        integer_products.matmulinteger_mul_to_matmul,
        integer_products.convinteger_to_conv,
        integer_products.convinteger_mul_to_conv,
        integer_products.matmulintegertofloat_to_matmul,
        integer_products.dynamicquantizematmul_to_matmul,
    )
