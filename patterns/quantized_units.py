"""Float operators between DequantizeLinear and QuantizeLinear, as one operator that is quantized inside.

The integers that both make differ by one at most: where one rounds a product of scales, the other rounds sums of floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from graphopt.ir import DType, Node, Value
from graphopt.match import AnyOf, Call, Declined, Match, any_of, attr, const, each, op, opt, rule, tensor
from graphopt.patterns.quantized_examples import models
from graphopt.patterns.quantized_parts import are_scales
from graphopt.quantization.nodes import plain_quantization
from graphopt.quantization.parameters import INT8_TYPES, Quantization

MICROSOFT: Final = "com.microsoft"


def floats(name: str) -> Call:
    """The pattern of numbers that are dequantized."""
    held = op.DequantizeLinear(tensor(name), const(f"{name}_scale"), opt(const(f"{name}_zero")))
    return held.kept().named(f"of_{name}")


def quantized(value: Call | AnyOf) -> Call:
    """The pattern of a value that is quantized."""
    return op.QuantizeLinear(value, const("y_scale"), opt(const("y_zero"))).named("y")


a, b, c, x = floats("a"), floats("b"), floats("c"), floats("x")


@rule(
    quantized(any_of(op.Conv(a, b).named("node"), op.Conv(a, b, c).named("node"))),
    exactness="rounding",
    keeps_type=True,
    examples=models("Conv"),
)
def conv_to_qlinearconv(m: Match, y: Node, node: Node, of_a: Node, of_b: Node, of_c: Node | None) -> Value | Declined:
    """Quantize(Conv(Dequantize(a), Dequantize(b), Dequantize(c)))  ->  QLinearConv(a, b, c)         within one integer

    b may have one scale per channel; its zero points are equal. c: int32 of scale a_scale * b_scale.
    """
    found = parameters_of(m, (of_a, of_b, y), axes=(None, 0, None))
    if isinstance(found, Declined):
        return found
    if np.unique(found[1].zero_point).size > 1:
        return m.no("the zero points of {} differ", of_b.inputs[0])
    operands = [*triple(m, of_a, found[0]), *triple(m, of_b, found[1]), *triple(m, y, found[2])[1:]]
    if of_c is not None:
        if (refused := not_the_scale(m, of_c, found[0], found[1])) is not None:
            return refused
        operands.append(of_c.inputs[0])
    return m.op.QLinearConv(*operands, **node.attributes)


@rule(quantized(op.MatMul(a, b)), exactness="rounding", keeps_type=True, examples=models("MatMul"))
def matmul_to_qlinearmatmul(m: Match, y: Node, of_a: Node, of_b: Node, b: Value) -> Value | Declined:
    """Quantize(MatMul(Dequantize(a), Dequantize(b)))  ->  QLinearMatMul(a, b)                       within one integer

    b may have one scale for each of its columns, if it is a matrix.
    """
    found = parameters_of(m, (of_a, of_b, y), axes=(None, 1 if b.rank == 2 else None, None))
    if isinstance(found, Declined):
        return found
    return m.op.QLinearMatMul(*triple(m, of_a, found[0]), *triple(m, of_b, found[1]), *triple(m, y, found[2])[1:])


@rule(
    quantized(
        any_of(
            op.Gemm(a, b, alpha=attr("alpha"), transA=attr("transA"), transB=attr("transB")),
            op.Gemm(a, b, c, alpha=1, beta=1, transA=attr("transA"), transB=attr("transB")),
        )
    ),
    exactness="rounding",
    keeps_type=True,
    examples=models("Gemm"),
)
def gemm_to_qgemm(
    m: Match, y: Node, of_a: Node, of_b: Node, of_c: Node | None, alpha: float | None, transA: int, transB: int
) -> Value | Declined:
    """Quantize(Gemm(Dequantize(a), Dequantize(b), Dequantize(c)))  ->  QGemm(a, b, c)               within one integer

    c: int32 of scale a_scale * b_scale, and then alpha is 1. b may have one scale for each column of the product.
    """
    found = parameters_of(m, (of_a, of_b, y), axes=(None, 0 if transB else 1, None))
    if isinstance(found, Declined):
        return found
    bias = None
    if of_c is not None:
        if (refused := not_the_scale(m, of_c, found[0], found[1])) is not None:
            return refused
        bias = of_c.inputs[0]
    operands = (*triple(m, of_a, found[0]), *triple(m, of_b, found[1]), bias, *triple(m, y, found[2])[1:])
    return m.domain(MICROSOFT).QGemm(*operands, alpha=1.0 if alpha is None else alpha, transA=transA, transB=transB)


@rule(
    quantized(any_of(op.Add(a, b).named("node"), op.Mul(a, b).named("node"))),
    exactness="rounding",
    keeps_type=True,
    examples=models("Add", "Mul"),
)
def elementwise_to_qlinear(m: Match, y: Node, node: Node, of_a: Node, of_b: Node) -> Value | Declined:
    """Quantize(Add(Dequantize(a), Dequantize(b)))  ->  QLinearAdd(a, b), and Mul likewise           within one integer"""
    return united(m, f"QLinear{node.op_type}", y, (of_a, of_b), {})


@rule(
    quantized(any_of(op.Sigmoid(x), op.LeakyRelu(x, alpha=attr("alpha")))),
    exactness="rounding",
    keeps_type=True,
    examples=models("Sigmoid", "LeakyRelu"),
)
def activation_to_qlinear(m: Match, y: Node, of_x: Node, alpha: float | None) -> Value | Declined:
    """Quantize(Sigmoid(Dequantize(x)))  ->  QLinearSigmoid(x), and LeakyRelu likewise               within one integer"""
    return united(m, "QLinearSigmoid" if alpha is None else "QLinearLeakyRelu", y, (of_x,), {"alpha": alpha})


@rule(quantized(op.Softmax(x, axis=attr("axis"))), exactness="rounding", keeps_type=True, examples=models("Softmax"))
def softmax_to_qlinearsoftmax(m: Match, y: Node, of_x: Node, axis: int) -> Value | Declined:
    """Quantize(Softmax<axis>(Dequantize(x)))  ->  QLinearSoftmax<axis, opset = 13>(x)               within one integer"""
    return united(m, "QLinearSoftmax", y, (of_x,), {"axis": axis, "opset": 13})


@rule(
    quantized(any_of(op.AveragePool(x, ceil_mode=0).named("node"), op.GlobalAveragePool(x).named("node"))),
    exactness="rounding",
    keeps_type=True,
    examples=models("AveragePool", "GlobalAveragePool"),
)
def pool_to_qlinear(m: Match, y: Node, node: Node, of_x: Node) -> Value | Declined:
    """Quantize(AveragePool(Dequantize(x)))  ->  QLinearAveragePool(x), and the global one likewise  within one integer

    Without dilations.
    """
    attributes = {name: held for name, held in node.attributes.items() if name != "dilations"}
    dilations = node.attributes.get("dilations")
    if dilations is not None and (not isinstance(dilations.value, tuple) or any(step != 1 for step in dilations.value)):
        return m.no("a quantized pool has no dilations")
    return united(m, f"QLinear{node.op_type}", y, (of_x,), attributes)


@rule(quantized(op.Concat(each(x), axis=attr("axis"))), exactness="rounding", keeps_type=True, examples=models("Concat"))
def concat_to_qlinearconcat(m: Match, y: Node, of_x: tuple[Node, ...], axis: int) -> Value | Declined:
    """Quantize(Concat(Dequantize(a), Dequantize(b), ...))  ->  QLinearConcat(a, b, ...)             within one integer

    Not in a local function, where onnxruntime takes the type of the scale for that of the result.
    """
    if m.graph.root.function is not None:
        return m.no("onnxruntime takes no QLinearConcat in a function")
    found = parameters_of(m, (*of_x, y))
    if isinstance(found, Declined):
        return found
    operands = [value for part, by in zip(of_x, found, strict=False) for value in triple(m, part, by)]
    return m.domain(MICROSOFT).QLinearConcat(*triple(m, y, found[-1])[1:], *operands, axis=axis)


@rule(quantized(op.Where(tensor("condition"), a, b)), exactness="rounding", keeps_type=True, examples=models("Where"))
def where_to_qlinearwhere(m: Match, y: Node, condition: Value, of_a: Node, of_b: Node) -> Value | Declined:
    """Quantize(Where(condition, Dequantize(a), Dequantize(b)))  ->  QLinearWhere(condition, a, b)   within one integer"""
    found = parameters_of(m, (of_a, of_b, y))
    if isinstance(found, Declined):
        return found
    operands = (*triple(m, of_a, found[0]), *triple(m, of_b, found[1]), *triple(m, y, found[2])[1:])
    return m.domain(MICROSOFT).QLinearWhere(condition, *operands)


def united(m: Match, op_type: str, y: Node, parts: Sequence[Node], attributes: Mapping[str, object]) -> Value | Declined:
    """One operator of onnxruntime in the place of an operator between pairs of parameters."""
    found = parameters_of(m, (*parts, y))
    if isinstance(found, Declined):
        return found
    operands = [value for part, by in zip(parts, found, strict=False) for value in triple(m, part, by)]
    return m.domain(MICROSOFT)[op_type](*operands, *triple(m, y, found[-1])[1:], **attributes)


def parameters_of(m: Match, nodes: Sequence[Node], axes: Sequence[int | None] = ()) -> list[Quantization] | Declined:
    """The parameters of some DequantizeLinears and, last, the QuantizeLinear; or why no kernel takes them together.

    All have one element type, of 8 bits, and one scale; but an operand that may have scales along an axis may be int8 beside uint8 too.
    """
    found: list[Quantization] = []
    for node, axis in zip(nodes, axes or [None] * len(nodes), strict=True):
        by = plain_quantization(node)
        if isinstance(by, str):
            return m.no("{}: {}", node, by)
        if by.dtype not in INT8_TYPES or by.scale_dtype is not DType.float32 or by.block or not are_scales(by.scale):
            return m.no("{} is quantized as {}", node.output, by)
        if by.axis not in (None, axis):
            return m.no("the scales of {} differ along axis {}", node.inputs[0], by.axis)
        if axis is None and found and by.dtype is not found[0].dtype:
            return m.no("{} and {} are not of one type", nodes[0], node)
        if axis is not None and found[0].dtype is DType.int8 and by.dtype is not DType.int8:
            return m.no("no kernel takes int8 and {}", by.dtype)
        found.append(by)
    return found


def triple(m: Match, node: Node, by: Quantization) -> tuple[Value | None, Value, Value]:
    """What a node reads: numbers, scale and zero point, the last two as kernels want them."""
    parts = [by.scale, by.zero_point]
    given = [node.input(slot) for slot in (1, 2)]
    scale, zero = (
        value if value is not None and value.shape == part.shape else m.constant(part) for value, part in zip(given, parts, strict=True)
    )
    return node.inputs[0], scale, zero


def not_the_scale(m: Match, bias: Node, first: Quantization, second: Quantization) -> Declined | None:
    """Why a bias cannot be added to the sums of products of two operands as it is; None when it can."""
    by = plain_quantization(bias)
    value = bias.inputs[0]
    if isinstance(by, str) or value is None or value.rank is None:
        return m.no("{}: {}", bias, by)
    wanted = first.scale.astype(np.float64) * second.scale.astype(np.float64)
    is_last = by.axis in (None, value.rank - 1) and (by.axis is None or by.scale.shape == wanted.shape)
    if by.dtype is not DType.int32 or not by.is_symmetric or by.block or not is_last:
        return m.no("{} is quantized as {}", value, by)
    # two roundings to float32 lie between the product and the scale that was stored for it
    if not np.allclose(by.scale.astype(np.float64), wanted, rtol=2.0**-22, atol=0):
        return m.no("the scale of {} is not that of the products", value)
    return None
