"""The parameters of QuantizeLinear and DequantizeLinear, said in one way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from graphopt.ir import AttributeKind, DType, Node, Value
from graphopt.match import Declined, Match, any_of, const, opt, rule, tensor
from graphopt.patterns.quantization_calls import dequantize, quantize
from graphopt.quantization import Quantization, is_quantize, quantization_of
from graphopt.schema.spelling import neutral_attribute

x, scale, zero_point = tensor("x"), tensor("scale"), opt(tensor("zero_point"))


def examples(*calls: str, since: int = 10) -> Callable[[], list[str]]:
    """Models of x: (2, 3, 2) and q, uint8, of the same shape, for each of these calls, at several opsets."""
    scales = "float s = {0.1}, float[1] s1 = {0.1}, float[3] sc = {0.1, 0.2, 0.5}"
    zero_points = "uint8 z = {7}, uint8[1] z1 = {7}, uint8[3] zc = {7, 0, 255}"

    def texts() -> list[str]:
        return [
            f'<ir_version: 7, opset_import: ["" : {opset}, "com.microsoft" : 1]> g (float[2,3,2] x, uint8[2,3,2] q)'
            f" => ({'float' if 'Dequantize' in call else 'uint8'}[2,3,2] y) <{scales}, {zero_points}> {{ y = {call} }}"
            for opset in (10, 13, 21)
            for call in calls
            if opset >= since
        ]

    return texts


@rule(
    quantize(x, scale, name="node"),
    keeps_type=True,
    examples=examples("QuantizeLinear(x, s)", "QuantizeLinear(x, s1)", "com.microsoft.QuantizeLinear(x, s)"),
)
def quantize_without_zero_point(m: Match, node: Node, x: Value, scale: Value) -> Value | Declined:
    """QuantizeLinear(x, scale)  ->  QuantizeLinear(x, scale, 0)               0 of `output_dtype`, uint8 without

    Runtimes that look for equal parameters look for both.
    """
    wanted = neutral_attribute(node, "output_dtype")
    if not isinstance(wanted, int | None):
        return m.no("its output_dtype is for the function's caller to say")
    return with_zero_point(m, node, x, scale, DType(wanted) if wanted else DType.uint8)


@rule(
    dequantize(x, scale, name="node"),
    keeps_type=True,
    examples=examples("DequantizeLinear(q, s)", "DequantizeLinear(q, s1)", "com.microsoft.DequantizeLinear(q, s)"),
)
def dequantize_without_zero_point(m: Match, node: Node, x: Value, scale: Value) -> Value | Declined:
    """DequantizeLinear(q, scale)  ->  DequantizeLinear(q, scale, 0)           0 of q's type; int32 has none, by custom"""
    if x.dtype is None or x.dtype is DType.int32:
        return m.no("{} is {}", x, x.dtype or "of unknown type")
    return with_zero_point(m, node, x, scale, x.dtype)


def with_zero_point(m: Match, node: Node, x: Value, scale: Value, dtype: DType) -> Value | Declined:
    """The same call with zero points of 0."""
    if neutral_attribute(node, "block_size"):
        return m.no("it has a scale for each block, and as many zero points would take their bytes")
    sizes = [size for size in scale.shape or () if isinstance(size, int)]
    if scale.shape is None or len(scale.shape) > 1 or len(sizes) < len(scale.shape):
        return m.no("{} is {}, so that the shape of its zero points is not known", scale, scale.type or "of unknown type")
    zeros = m.constant(np.zeros(sizes, dtype.numpy), dtype, name=f"{scale.name}_zero_point")
    return same_operator(m, node, x, scale, zeros, telling_attributes(node))


vector = const("scale", shape=(1,))


@rule(
    any_of(quantize(x, vector, zero_point, name="node"), dequantize(x, vector, zero_point, name="node")),
    keeps_type=True,
    examples=examples("QuantizeLinear(x, s1, z1)", "DequantizeLinear(q, s1, z1)", "QuantizeLinear(x, s1, z)"),
)
def parameter_vector_to_scalar(m: Match, node: Node, x: Value) -> Value | Declined:
    """QuantizeLinear(x, [scale], [zero_point])  ->  QuantizeLinear(x, scale, zero_point)       DequantizeLinear likewise

    One element of a vector serves the whole tensor.
    """
    found = quantization_of(node)
    if not isinstance(found, Quantization):
        return m.no(found)
    if found.granularity != "tensor":
        return m.no("it serves one block of a tensor, not all of it")
    scale, zero = node.inputs[1], node.input(2)
    held = m.constant(found.scale, found.scale_dtype, name=scale.name if scale is not None else "")
    zeros = None if zero is None else m.constant(found.zero_point, found.dtype, name=zero.name)
    return same_operator(m, node, x, held, zeros, telling_attributes(node))


@rule(
    any_of(quantize(x, scale, zero_point, name="node"), dequantize(x, scale, zero_point, name="node")),
    keeps_type=True,
    examples=examples(
        "QuantizeLinear<axis = 1>(x, s, z)", "DequantizeLinear<axis = 0>(q, s, z)", "DequantizeLinear<axis = -2>(q, sc, zc)", since=13
    ),
)
def parameters_without_idle_attributes(m: Match, node: Node, x: Value, scale: Value, zero_point: Value | None) -> Value | Declined:
    """QuantizeLinear<axis, output_dtype, ...>(x, scale, zero_point)  ->  the same without attributes that say nothing

    An `axis` where one scale serves the whole tensor; a `block_size` of 0; `saturate` for integers; an `output_dtype` that the zero point
    of a QuantizeLinear, or the scale of a DequantizeLinear, has anyway. A negative `axis` is counted from the front.
    """
    if not node.attributes or any(attribute.reference for attribute in node.attributes.values()):
        return m.no("it has no attributes, or a function's caller supplies them")
    attributes = telling_attributes(node)
    if attributes.keys() == node.attributes.keys() and attributes.get("axis") == node.attribute("axis"):
        return m.no("its attributes say something, all of them")
    return same_operator(m, node, x, scale, zero_point, attributes)


def telling_attributes(node: Node) -> dict[str, Any]:  # Any: an attribute may hold any kind
    """The attributes that say something."""
    scale = node.inputs[1]
    kinds = AttributeKind.int
    held = {name: attribute.value if attribute.kind is kinds else attribute for name, attribute in node.attributes.items()}
    is_scalar = scale is not None and (scale.rank == 0 or (scale.shape == (1,) and scale.const is not None))
    if held.get("block_size") == 0:
        del held["block_size"]
    if "axis" in held and "block_size" not in held and is_scalar:
        del held["axis"]
    data = node.inputs[0]
    if isinstance(axis := held.get("axis"), int) and axis < 0 and data is not None and data.rank is not None:
        held["axis"] = axis + data.rank
    if "saturate" in held and quantized_type(node) in _INTEGERS:
        del held["saturate"]
    if "output_dtype" in held and is_said_anyway(node, held["output_dtype"]):
        del held["output_dtype"]
    return held


_INTEGERS: Final = frozenset(dtype for dtype in DType if dtype.is_integer)


def quantized_type(node: Node) -> DType | None:
    """The element type of the quantized numbers, where types show it."""
    value = node.output if is_quantize(node) else node.inputs[0]
    return None if value is None else value.dtype


def is_said_anyway(node: Node, dtype: object) -> bool:
    """Whether an `output_dtype` repeats what an input has: it is the quantized type of a Q and the float type of a DQ."""
    if not dtype:
        return True
    says = node.input(2) if is_quantize(node) else node.inputs[1]
    if is_quantize(node) and says is None:
        return dtype == DType.uint8
    return says is not None and says.dtype == dtype


def same_operator(m: Match, node: Node, x: Value, scale: Value, zero: Value | None, attributes: dict[str, Any]) -> Value:  # Any: the same
    """The same operator on these."""
    if zero is not None and is_quantize(node):
        attributes = {name: value for name, value in attributes.items() if name != "output_dtype"}
    return m.call(node.op_type, (x, scale, zero), attributes, domain=node.domain)[0]
