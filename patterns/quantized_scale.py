"""Constant factors beside QuantizeLinear and DequantizeLinear, which their scales can hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from graphopt.ir import DType, Node, Value
from graphopt.match import FLOATING, Declined, Match, any_of, const, op, rule, tensor
from graphopt.match.language import AnyOf, Operand
from graphopt.patterns.quantization_calls import called, dequantize, quantize
from graphopt.quantization import Quantization, limits
from graphopt.quantization.nodes import plain_quantization

Floats = npt.NDArray[np.float64]

BEYOND: Final = 2.0**32  # quotients from here on saturate, in every kernel alike

c = const("c", dtype=FLOATING)


def scaled(x: Operand) -> AnyOf:
    """A product with a constant, or a quotient."""
    return any_of(op.Mul(x, c).named("scaling"), op.Div(x, c).named("scaling"))


OF_Q: Final = (
    "(uint8[2,3,2] q) => (float[2,3,2] y)",
    *(f"d = DequantizeLinearAXIS(q, s, z) y = {call}" for call in ("Mul(d, c)", "Div(d, c)", "Mul(d, v)", "Div(c, d)")),
)
OF_X: Final = (
    "(float[2,3,2] x) => (uint8[2,3,2] y)",
    *(f"d = {call} y = QuantizeLinearAXIS(d, s, z)" for call in ("Mul(x, c)", "Div(x, c)", "Mul(v, x)", "Div(c, x)")),
)
SCALES: Final = {"": "float s = {0.25}, uint8 z = {3}", "<axis = 1>": "float[3] s = {0.25, 0.1, 3}, uint8[3] z = {0, 3, 255}"}


def examples(texts: tuple[str, ...], *given: float) -> Callable[[], list[str]]:
    """Models with each of these factors, for the whole tensor and along an axis."""
    signature, *bodies = texts

    def models() -> list[str]:
        return [
            f'<ir_version: 8, opset_import: ["" : 13]> g {signature} <float c = {{{factor}}}, '
            f"float[3,1] v = {{{factor}, {factor * 4}, {factor}}}, {held}> {{ {body.replace('AXIS', axis)} }}"
            for factor in given
            for axis, held in SCALES.items()
            for body in bodies
        ]

    return models


@rule(scaled(dequantize(tensor("x"))), examples=examples(OF_Q, 2, 0.25, 3))
def dequantize_mul_power(m: Match, scaling: Node, dq: Node, x: Value, c: Value) -> Value | Declined:
    """Mul(DequantizeLinear(q, s, z), c)  ->  DequantizeLinear(q, s * c, z)      c: a power of two, or one for each scale; Div likewise

    Exact while neither the scales nor the greatest numbers leave the normal range.
    """
    return into_dequantize(m, scaling, dq, x, c, is_exact=True)


@rule(scaled(dequantize(tensor("x"))), exactness="rounding", examples=examples(OF_Q, 2, 0.3, -3))
def dequantize_mul_factor(m: Match, scaling: Node, dq: Node, x: Value, c: Value) -> Value | Declined:
    """Mul(DequantizeLinear(q, s, z), c)  ->  DequantizeLinear(q, s * c, z)      rounding; c: positive; Div likewise"""
    return into_dequantize(m, scaling, dq, x, c, is_exact=False)


@rule(quantize(scaled(tensor("x", dtype=DType.float32))), examples=examples(OF_X, 2, 0.25, 3))
def quantize_mul_power(m: Match, scaling: Node, q: Node, x: Value, c: Value) -> Value | Declined:
    """QuantizeLinear(Mul(x, c), s, z)  ->  QuantizeLinear(x, s / c, z)          c: a power of two, or one for each scale; Div likewise

    Exact while the scales are such that what over- or underflows would be saturated, or rounded to 0, anyway.
    """
    return into_quantize(m, scaling, q, x, c, is_exact=True)


@rule(quantize(scaled(tensor("x", dtype=DType.float32))), exactness="approximate", examples=examples(OF_X, 2, 0.3, -3))
def quantize_mul_factor(m: Match, scaling: Node, q: Node, x: Value, c: Value) -> Value | Declined:
    """QuantizeLinear(Mul(x, c), s, z)  ->  QuantizeLinear(x, s / c, z)          approximate: one step near ties; c: positive; Div too"""
    return into_quantize(m, scaling, q, x, c, is_exact=False)


OF_SUM: Final = (
    OF_Q[0],
    *(f"d = DequantizeLinearAXIS(q, s, z) y = {call}" for call in ("Add(d, c)", "Sub(d, c)", "Add(v, d)", "Sub(c, d)")),
)


@rule(
    any_of(op.Add(dequantize(tensor("x")), c).named("adding"), op.Sub(dequantize(tensor("x")), c).named("adding")),
    exactness="rounding",
    examples=examples(OF_SUM, 0.5, -0.25, 0.3),
)
def dequantize_add_steps(m: Match, adding: Node, dq: Node, x: Value, c: Value) -> Value | Declined:
    """Add(DequantizeLinear(q, s, z), k * s)  ->  DequantizeLinear(q, s, z - k)   rounding; k: whole, one for each scale; Sub too"""
    by = plain_quantization(dq)
    if isinstance(by, str):
        return m.no("{}", by)
    term = for_each_scale(adding, c, by)
    if term is None or by.block or by.dtype.bits > 16 or not by.dtype.is_integer or not np.isfinite(term).all():
        return m.no("{} is {}, not one finite number for each scale", c, c.type)
    steps = term / by.scale.astype(np.float64)
    whole = np.rint(steps)
    if (np.abs(steps - whole) > np.abs(whole) * float(by.scale_dtype.info.eps)).any():
        return m.no("{} is no whole number of steps", c)
    zero = by.zero_point.astype(np.float64) + (whole if adding.op == "Sub" else -whole)
    least, most = limits(by.dtype)
    if (zero < least).any() or (zero > most).any():
        return m.no("the zero point would leave the range of {}", by.dtype)
    return called(m, dq, x, by.with_entries(by.scale, zero.astype(by.zero_point.dtype), by.axis))


def into_dequantize(m: Match, scaling: Node, dq: Node, x: Value, c: Value, *, is_exact: bool) -> Value | Declined:
    """A DequantizeLinear that scales as well."""
    found = factors(m, scaling, dq, c, is_exact=is_exact)
    if isinstance(found, Declined):
        return found
    by, factor = found
    scale = by.scale.astype(np.float64) * factor
    if not by.dtype.is_integer or not fits(by, scale, greatest=2.0**by.dtype.bits):
        return m.no("a product, or a scale, leaves the normal numbers of {}", by.scale_dtype)
    return called(m, dq, x, rescaled(by, scale))


def into_quantize(m: Match, scaling: Node, q: Node, x: Value, c: Value, *, is_exact: bool) -> Value | Declined:
    """A QuantizeLinear that scales as well."""
    found = factors(m, scaling, q, c, is_exact=is_exact)
    if isinstance(found, Declined):
        return found
    by, factor = found
    scale = by.scale.astype(np.float64) / factor
    if not by.dtype.is_integer or not fits(by, scale, greatest=BEYOND, least=4):
        return m.no("with such scales, what over- or underflows may matter")
    return called(m, q, x, rescaled(by, scale))


def rescaled(by: Quantization, scale: Floats) -> Quantization:
    """The same parameters with other scales."""
    return by.with_entries(scale.astype(by.scale.dtype), by.zero_point, by.axis, by.block)


def factors(m: Match, scaling: Node, node: Node, c: Value, *, is_exact: bool) -> tuple[Quantization, Floats] | Declined:
    """The parameters of a node, and what their scales are multiplied by: one number, or one for each of them."""
    by = plain_quantization(node)
    if isinstance(by, str):
        return m.no("{}", by)
    found = for_each_scale(scaling, c, by)
    if found is None:
        return m.no("{} is {}, not one number for each scale", c, c.type)
    if not (np.isfinite(found) & (found > 0)).all():
        return m.no("{} is not positive and finite", c)
    if (is_power := bool((np.frexp(found)[0] == 0.5).all())) is not is_exact:
        return m.no("{} is {} of two", c, "a power" if is_power else "no power")
    return by, 1 / found if scaling.op == "Div" else found


def for_each_scale(node: Node, c: Value, by: Quantization) -> Floats | None:
    """A constant operand as one number, or one for each scale; None where it is something else."""
    held, rank = c.const, node.output.rank
    if held is None:
        return None
    found: Floats = held.numpy().astype(np.float64)
    if held.size == 1:
        return found.reshape(())
    if rank is None or by.axis is None or by.block or len(held.shape) > rank:
        return None
    wide = (1,) * (rank - len(held.shape)) + held.shape
    return found.reshape(-1) if wide == tuple(by.scale.size if axis == by.axis else 1 for axis in range(rank)) else None


def fits(by: Quantization, scale: Floats, greatest: float, least: float = 1) -> bool:
    """Whether so many of each scale, old and new, are no more than the type has, and none is less than `least` smallest normal numbers."""
    info = by.scale_dtype.info
    both = np.concatenate([by.scale.astype(np.float64).reshape(-1), scale.reshape(-1)])
    return bool((np.abs(both) >= least * float(info.tiny)).all() and (np.abs(both) * greatest <= float(info.max)).all())
