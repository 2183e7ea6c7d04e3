"""Operators that are quantized inside, in parts: DequantizeLinear, the float operator, QuantizeLinear.

The integers that both make differ by one at most: where one rounds a product of scales, the other rounds sums of floats.
"""

from __future__ import annotations

import numpy as np

from graphopt.ir import Node, Value
from graphopt.match import Declined, Match, attr, domain, op, opt, rest, rule, tensor
from graphopt.patterns.quantized_examples import models
from graphopt.patterns.quantized_parts import bias_of, dequantized, floats, integers, parameters, quantized, together

ms = domain("com.microsoft")
y = parameters("y")
unary, binary = (*integers("x"), *y), (*integers("a"), *integers("b"), *y)


@rule(
    op.QLinearConv(*integers("x"), *integers("w"), *y, opt(tensor("c"))).named("node"),
    exactness="rounding",
    keeps_type=True,
    examples=models("QLinearConv"),
)
def qlinearconv_to_conv(m: Match, node: Node, x_scale: Value, w_scale: Value, w_zero: Value, c: Value | None) -> Value | Declined:
    """QLinearConv(x, w, c)  ->  Quantize(Conv(Dequantize(x), Dequantize(w), Dequantize(c)))         within one integer

    c: int32 of scale x_scale * w_scale, one for each channel where w_scale is. The zero points of w are equal.
    """
    zeros = w_zero.const.numpy().astype(np.int64) if w_zero.const is not None else np.zeros(0)
    if not zeros.size or zeros.min() != zeros.max():
        return m.no("{} holds zero points that differ, which kernels refuse", w_zero)
    parts = [dequantized(m, node.inputs[:3]), dequantized(m, node.inputs[3:6], axis=0)]
    found = together([*parts, *([] if c is None else [bias_of(m, c, x_scale, w_scale)])])
    return found if isinstance(found, Declined) else quantized(m, node, 6, m.op.Conv(*found, **node.attributes))


@rule(op.QLinearMatMul(*binary).named("node"), exactness="rounding", keeps_type=True, examples=models("QLinearMatMul"))
def qlinearmatmul_to_matmul(m: Match, node: Node, b: Value) -> Value | Declined:
    """QLinearMatMul(a, b)  ->  Quantize(MatMul(Dequantize(a), Dequantize(b)))                       within one integer

    b may have one scale for each of its columns, if it is a matrix.
    """
    found = together([dequantized(m, node.inputs[:3]), dequantized(m, node.inputs[3:6], axis=1 if b.rank == 2 else None)])
    return found if isinstance(found, Declined) else quantized(m, node, 6, m.op.MatMul(*found))


@rule(
    ms.QGemm(
        *integers("a"), *integers("b"), opt(tensor("c")), *map(opt, y), alpha=attr("alpha"), transA=attr("transA"), transB=attr("transB")
    ).named("node"),
    exactness="rounding",
    keeps_type=True,
    examples=models("QGemm"),
)
def qgemm_to_gemm(
    m: Match, node: Node, a_scale: Value, b_scale: Value, c: Value | None, y_scale: Value | None,
    alpha: float | None, transA: int | None, transB: int | None,
) -> Value | Declined:  # fmt: skip
    """QGemm(a, b, c)  ->  Quantize(Gemm(Dequantize(a), Dequantize(b), Dequantize(c)))               within one integer

    c: int32 of scale alpha * a_scale * b_scale. b may have a scale per column of the product. Without y_scale the result is the Gemm's.
    """
    factor = 1.0 if alpha is None else alpha
    parts = [dequantized(m, node.inputs[:3]), dequantized(m, node.inputs[3:6], axis=0 if transB else 1)]
    found = together([*parts, *([] if c is None else [bias_of(m, c, a_scale, b_scale, factor)])])
    if isinstance(found, Declined):
        return found
    product = m.op.Gemm(*found, alpha=factor, transA=transA or 0, transB=transB or 0)
    return product if y_scale is None else quantized(m, node, 7, product)


@rule(ms.QLinearAdd(*binary).named("node"), exactness="rounding", keeps_type=True, examples=models("QLinearAdd"))
def qlinearadd_to_add(m: Match, node: Node) -> Value | Declined:
    """QLinearAdd(a, b)  ->  Quantize(Add(Dequantize(a), Dequantize(b)))                             within one integer"""
    found = floats(m, node, 0, 3)
    return found if isinstance(found, Declined) else quantized(m, node, 6, m.op.Add(*found))


@rule(ms.QLinearMul(*binary).named("node"), exactness="rounding", keeps_type=True, examples=models("QLinearMul"))
def qlinearmul_to_mul(m: Match, node: Node) -> Value | Declined:
    """QLinearMul(a, b)  ->  Quantize(Mul(Dequantize(a), Dequantize(b)))                             within one integer"""
    found = floats(m, node, 0, 3)
    return found if isinstance(found, Declined) else quantized(m, node, 6, m.op.Mul(*found))


@rule(ms.QLinearSigmoid(*unary).named("node"), exactness="rounding", keeps_type=True, examples=models("QLinearSigmoid"))
def qlinearsigmoid_to_sigmoid(m: Match, node: Node) -> Value | Declined:
    """QLinearSigmoid(x)  ->  Quantize(Sigmoid(Dequantize(x)))                                       within one integer"""
    found = floats(m, node, 0)
    return found if isinstance(found, Declined) else quantized(m, node, 3, m.op.Sigmoid(*found))


@rule(
    ms.QLinearLeakyRelu(*unary, alpha=attr("alpha")).named("node"),
    exactness="rounding",
    keeps_type=True,
    examples=models("QLinearLeakyRelu"),
)
def qlinearleakyrelu_to_leakyrelu(m: Match, node: Node, alpha: float | None) -> Value | Declined:
    """QLinearLeakyRelu(x)  ->  Quantize(LeakyRelu(Dequantize(x)))                                   within one integer"""
    found = floats(m, node, 0)
    return found if isinstance(found, Declined) else quantized(m, node, 3, m.op.LeakyRelu(*found, alpha=alpha))


@rule(
    ms.QLinearSoftmax(*unary, axis=attr("axis"), opset=attr("opset")).named("node"),
    exactness="rounding",
    keeps_type=True,
    examples=models("QLinearSoftmax"),
)
def qlinearsoftmax_to_softmax(m: Match, node: Node, x: Value, axis: int | None, opset: int | None) -> Value | Declined:
    """QLinearSoftmax<axis>(x)  ->  Quantize(Softmax<axis>(Dequantize(x)))                           within one integer

    With opset below 13 the axis and all after it are one, which a Softmax can say of the last axis.
    """
    along = -1 if axis is None else axis
    if (opset or 0) < 13 and along not in (-1, (x.rank or 0) - 1):
        return m.no("the softmax is over all axes from {} on", along)
    found = floats(m, node, 0)
    return found if isinstance(found, Declined) else quantized(m, node, 3, m.op.Softmax(*found, axis=along))


@rule(ms.QLinearAveragePool(*unary).named("node"), exactness="rounding", keeps_type=True, examples=models("QLinearAveragePool"))
def qlinearaveragepool_to_averagepool(m: Match, node: Node) -> Value | Declined:
    """QLinearAveragePool(x)  ->  Quantize(AveragePool(Dequantize(x)))                               within one integer

    The channels are axis 1.
    """
    if node.attribute("channels_last", 0):
        return m.no("the channels are the last axis")
    attributes = {name: held for name, held in node.attributes.items() if name != "channels_last"}
    found = floats(m, node, 0)
    return found if isinstance(found, Declined) else quantized(m, node, 3, m.op.AveragePool(*found, **attributes))


@rule(
    ms.QLinearGlobalAveragePool(*unary).named("node"), exactness="rounding", keeps_type=True, examples=models("QLinearGlobalAveragePool")
)
def qlinearglobalaveragepool_to_globalaveragepool(m: Match, node: Node) -> Value | Declined:
    """QLinearGlobalAveragePool(x)  ->  Quantize(GlobalAveragePool(Dequantize(x)))                   within one integer

    The channels are axis 1.
    """
    if node.attribute("channels_last", 0):
        return m.no("the channels are the last axis")
    found = floats(m, node, 0)
    return found if isinstance(found, Declined) else quantized(m, node, 3, m.op.GlobalAveragePool(*found))


@rule(
    ms.QLinearConcat(*y, rest("xs"), axis=attr("axis")).named("node"),
    exactness="rounding",
    keeps_type=True,
    examples=models("QLinearConcat"),
)
def qlinearconcat_to_concat(m: Match, node: Node, axis: int) -> Value | Declined:
    """QLinearConcat(a, b, ...)  ->  Quantize(Concat(Dequantize(a), Dequantize(b), ...))             within one integer"""
    if len(node.inputs) % 3 != 2:
        return m.no("not every operand has a scale and a zero point")
    found = floats(m, node, *range(2, len(node.inputs), 3))
    return found if isinstance(found, Declined) else quantized(m, node, 0, m.op.Concat(*found, axis=axis))


@rule(
    ms.QLinearWhere(tensor("condition"), *binary).named("node"), exactness="rounding", keeps_type=True, examples=models("QLinearWhere")
)
def qlinearwhere_to_where(m: Match, node: Node, condition: Value) -> Value | Declined:
    """QLinearWhere(condition, a, b)  ->  Quantize(Where(condition, Dequantize(a), Dequantize(b)))   within one integer"""
    found = floats(m, node, 1, 4)
    return found if isinstance(found, Declined) else quantized(m, node, 7, m.op.Where(condition, *found))
