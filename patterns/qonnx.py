"""The operators that QONNX adds (Brevitas writes them), as standard ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from graphopt.ir import DType, Node, Value
from graphopt.match import AnyOf, Declined, Match, Operand, any_of, const, domain, rule, tensor
from graphopt.patterns.quantization_pair import pair, rounding_grid
from graphopt.patterns.sign import number
from graphopt.schema.spelling import UNKNOWN, neutral_attribute

# The domain had other names in older releases of Brevitas and FINN.
DOMAINS: Final = tuple(map(domain, ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")))
ROUNDINGS: Final = {"ROUND": "Round", "FLOOR": "Floor", "CEIL": "Ceil"}

x, scale, zero = tensor("x", dtype=DType.float32), tensor("scale", dtype=DType.float32), tensor("zero", dtype=DType.float32)
bits = const("bits")


def calls(names: str, *inputs: Operand) -> AnyOf:
    """The pattern of a call of one of these operators."""
    return any_of(*(source[name](*inputs).named("node") for name in names.split() for source in DOMAINS))


def examples(*calls: str) -> Callable[[], list[str]]:
    """Models of x: (2, 3) for each of these calls."""
    held = "float s = {0.1}, float[3] sc = {0.1, 0.5, 2}, float z = {0}, float zz = {3}, float b = {4}, float bb = {8}"

    def texts() -> list[str]:
        return [
            f'<ir_version: 7, opset_import: ["" : {opset}, "qonnx.custom_op.general" : 1]> g (float[2,3] x) => (float[2,3] y)'
            f" <{held}> {{ y = qonnx.custom_op.general.{call} }}"
            for opset in (11, 13)
            for call in calls
        ]

    return texts


quant = calls("Quant IntQuant", x, scale, zero, bits)


@rule(quant, keeps_type=True, exactness="rounding", examples=examples("Quant<signed = 1, narrow = 0>(x, s, z, bb)"))
def quant_to_pair(m: Match, node: Node, x: Value, scale: Value, zero: Value, bits: Value) -> Value | Declined:
    """Quant(x, scale, 0, bits)  ->  DequantizeLinear(QuantizeLinear(x, scale, 0), scale, 0)                  rounding: 0 where -0 was

    scale: one number, or one for each index of an axis. A Clip of integers stands between where `bits` and `narrow` ask for it.
    """
    bounds = range_of(node, bits)
    if isinstance(bounds, str):
        return m.no(bounds)
    if rounding_of(node) != "Round":
        return m.no("it does not round to the nearest")
    if zero.const is None or zero.const.numpy().any():
        return m.no("it adds a zero point before it rounds: ties go elsewhere")
    if bounds[0] == bounds[1] or is_bipolar(node, bits):
        return m.no("of one bit it makes -1 and 1")
    found = rounding_grid(x, scale, zero, *bounds)
    return m.no(found) if isinstance(found, str) else pair(m, x, found, scale.name)


@rule(quant, keeps_type=True, examples=examples("Quant<signed = 1, narrow = 0>(x, s, zz, b)"))
def quant_to_arithmetic(m: Match, node: Node, x: Value, scale: Value, zero: Value, bits: Value) -> Value | Declined:
    """Quant(x, scale, zero, bits)  ->  (Round(Clip(x / scale + zero, least, most)) - zero) * scale

    Ceil or Floor instead of Round as `rounding_mode` says; -1 and 1 where there is one bit with a sign.
    """
    bounds, rounding = range_of(node, bits), rounding_of(node)
    if isinstance(bounds, str) or rounding is None:
        return m.no("{}", bounds if isinstance(bounds, str) else "its rounding_mode is none of ROUND, FLOOR and CEIL")
    shifted = m.op.Add(m.op.Div(x, scale), zero)
    if is_bipolar(node, bits):
        made = signs(m, shifted, DType.float32)
    else:
        made = m.call(rounding, (m.op.Clip(shifted, *(m.constant(np.float32(bound)) for bound in bounds)),), {})[0]
    return m.op.Mul(m.op.Sub(made, zero), scale)


@rule(calls("BipolarQuant", x, scale), keeps_type=True, examples=examples("BipolarQuant(x, s)"))
def bipolar_quant_to_dequantize(m: Match, x: Value, scale: Value) -> Value | Declined:
    """BipolarQuant(x, scale)  ->  DequantizeLinear(Where(x < 0, -1, 1), scale, 0)            int8

    A product instead where scales are not constant.
    """
    found = rounding_grid(x, scale, None, -1, 1)
    if isinstance(found, str) or (found.axis is not None and (m.opset() or 0) < 13):
        return m.op.Mul(signs(m, x, DType.float32), scale)
    zeros = m.constant(found.zero_point.astype(np.int8), DType.int8, name=f"{scale.name}_zero_point")
    return m.op.DequantizeLinear(signs(m, x, DType.int8), m.constant(found.scale, name=scale.name), zeros, axis=found.axis)


@rule(
    calls("Trunc", x, scale, zero, const("wide"), bits),
    keeps_type=True,
    examples=examples('Trunc<rounding_mode = "FLOOR">(x, s, z, bb, b)'),
)
def trunc_to_arithmetic(m: Match, node: Node, x: Value, scale: Value, zero: Value, wide: Value, bits: Value) -> Value | Declined:
    """Trunc(x, scale, zero, wide, bits)  ->  (Floor(Round(x / scale + zero) / 2^(wide - bits)) - zero) * scale

    Ceil or Round instead of Floor as `rounding_mode` says.
    """
    rounding = rounding_of(node, "FLOOR")
    before, after = number(wide), number(bits)
    if rounding is None or before is None or after is None:
        return m.no("its rounding_mode is none of ROUND, FLOOR and CEIL, or {} and {} are not two numbers", wide, bits)
    whole = m.op.Round(m.op.Add(m.op.Div(x, scale), zero))
    made = m.call(rounding, (m.op.Div(whole, m.constant(np.float32(2 ** (before - after)))),), {})[0]
    return m.op.Mul(m.op.Sub(made, zero), scale)


def signs(m: Match, x: Value, dtype: DType) -> Value:
    """-1 where x is negative, 1 elsewhere."""
    minus, plus = (m.constant(np.array(sign, dtype.numpy), dtype) for sign in (-1, 1))
    return m.op.Where(m.op.Less(x, m.constant(np.float32(0))), minus, plus)


def rounding_of(node: Node, default: str = "ROUND") -> str | None:
    """The operator that rounds as `rounding_mode` says; None where there is none."""
    mode = neutral_attribute(node, "rounding_mode")
    return ROUNDINGS.get(default if mode is None else str(mode).upper())


def range_of(node: Node, bits: Value) -> tuple[float, float] | str:
    """The least and the greatest integer; in words, why they are not known."""
    width, signed, narrow = number(bits), flag(node, "signed"), flag(node, "narrow")
    if width is None or not width.is_integer() or not 1 <= width <= 32:
        return f"{bits!r} is no number of bits from 1 to 32"
    if signed is None or narrow is None:
        return "signed or narrow is for the function's caller to say"
    if signed:
        return -(2 ** (width - 1)) + narrow, 2 ** (width - 1) - 1
    return 0.0, 2**width - 1 - narrow


def flag(node: Node, name: str) -> bool | None:
    """An attribute that is on unless it says otherwise; None when it is not known."""
    found = neutral_attribute(node, name)
    return None if found is UNKNOWN else found is None or bool(found)


def is_bipolar(node: Node, bits: Value) -> bool:
    """Whether there is one bit with a sign."""
    return number(bits) == 1 and bool(flag(node, "signed"))
