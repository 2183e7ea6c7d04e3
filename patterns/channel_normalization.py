"""Instance and group normalization: written out, and with the scale and the bias per channel that exporters put after them.

The scale is put in the place of ones and the bias in that of zeros: the operators have to have both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from graphopt.ir import DType, Node, Tensor, Value
from graphopt.match import Declined, Match, Pattern, any_of, attr, const, op, rule, tensor
from graphopt.patterns.moments import centered, epsilon_of, first_axis, normalized, x
from graphopt.patterns.noop import all_one, all_zero, same_shape
from graphopt.schema.spelling import neutral_attribute

unit, zero, scale, c = const("unit", where=all_one), const("zero", where=all_zero), tensor("scale"), const("c")


HEAD: Final = '<ir_version: 10, opset_import: ["" : 22]> g (float[N,4,H,W] x) => (float[N,4,H,W] y)'
PARAMETERS: Final = "float[4] one = {1, 1, 1, 1}, float[4] zero = {0, 0, 0, 0}, float[1,4,1,1] c = {1, -2, 0.5, 3}"


def written_out() -> list[str]:
    """Instance normalizations in single steps."""
    steps = "m = ReduceMean(x, axes) d = Sub(x, m) s = Mul(d, d) v = ReduceMean(s, axes) w = Add(v, e) r = Sqrt(w)"
    return [
        f"{HEAD} <int64[2] axes = {{{axes}}}, float e = {{0.00001}}> {{ {steps} {last} }}"
        for axes in ("2, 3", "-1, -2")
        for last in ("y = Div(d, r)", "q = Reciprocal(r) y = Mul(q, d)")
    ]


def followed_by(operator: str) -> Callable[[], list[str]]:
    """Factors or terms per channel after either operator."""
    norms = ("InstanceNormalization", "GroupNormalization<num_groups = 2>")
    return lambda: [f"{HEAD} <{PARAMETERS}> {{ t = {norm}(x, one, zero) y = {operator}(c, t) }}" for norm in norms]


def by_channel(scale: Pattern, bias: Pattern) -> Pattern:
    """The pattern of either operator."""
    instance = op.InstanceNormalization(x, scale, bias).named("norm")
    return any_of(instance, op.GroupNormalization(x, scale, bias, stash_type=1).named("norm"))


@rule(normalized(centered), dtype=DType.float32, exactness="rounding", examples=written_out)
def div_sqrt_to_instancenormalization(m: Match, x: Value) -> Value | Declined:
    """d / Sqrt(ReduceMean(d^2) + epsilon), d = x - ReduceMean(x)  ->  InstanceNormalization(x, 1, 0)   rounding    x: (N, C, H, W, ...)

    Along all axes from the third on; C is known. Of three axes the last is what a layer normalization works on.
    """
    epsilon, axis = epsilon_of(m), first_axis(m, x)
    if isinstance(epsilon, Declined):
        return epsilon
    if isinstance(axis, Declined):
        return axis
    if axis != 2 or x.shape is None or len(x.shape) < 4:
        return m.no("the means are along the axes from {} on of {}, not along two or more from 2 on", axis, x)
    found = ones_and_zeros(m, x)
    return found if isinstance(found, Declined) else m.op.InstanceNormalization(x, *found, epsilon=epsilon)


@rule(
    op.Reshape(op.InstanceNormalization(op.Reshape(x, tensor()), unit, zero, epsilon=attr("epsilon")).named("norm"), tensor()),
    dtype=DType.float32,
    since=21,
    exactness="rounding",
)
def reshaped_instancenormalization_to_groupnormalization(m: Match, norm: Node, x: Value, epsilon: float) -> Value | Declined:
    """Reshape(InstanceNormalization(Reshape(x, (N, G, ...)), 1, 0), s)  ->  GroupNormalization<G>(x, 1, 0)      rounding

    x: (N, C, ...), also that of the result; G divides C.
    """
    parted, result = norm.output.shape, m.root.output
    if x.shape is None or parted is None or len(x.shape) < 3 or not same_shape(x, result):
        return m.no("{} is {}, the result {}: not provably of one shape, of three axes or more", x, x.type, result.type)
    groups, channels = parted[1], x.shape[1]
    if not isinstance(groups, int) or not isinstance(channels, int) or parted[0] != x.shape[0] or not groups or channels % groups:
        return m.no("{} is normalized as {}: not its channels in groups of known size", x, norm.output.type)
    found = ones_and_zeros(m, x)
    return found if isinstance(found, Declined) else m.op.GroupNormalization(x, *found, num_groups=groups, epsilon=epsilon)


@rule(op.Mul(by_channel(unit, zero), c), exactness="rounding", examples=followed_by("Mul"))
def normalization_mul(m: Match, norm: Node, x: Value, unit: Value, zero: Value, c: Value) -> Value | Declined:
    """Mul(InstanceNormalization(x, 1, 0), c)  ->  InstanceNormalization(x, c, 0)          rounding         GroupNormalization likewise

    c: (C, 1, ...): one element per channel.
    """
    held = per_channel(m, x, c, unit)
    if isinstance(held, Declined) or held.const is None:
        return held if isinstance(held, Declined) else m.no("{} is not constant", c)
    # The runtime may multiply by c / sqrt(var + epsilon) at once: of a channel without variance that must be a number too.
    deviation = np.sqrt(float(neutral_attribute(norm, "epsilon")))
    greatest = np.abs(held.const.numpy().astype(np.float64)).max(initial=0)
    if not greatest <= finite_limit(held) * deviation:
        return m.no("{} over the root of epsilon is not finite", c)
    return rebuilt(m, norm, held, zero)


@rule(op.Add(by_channel(scale, zero), c), exactness="rounding", examples=followed_by("Add"))
def normalization_add(m: Match, norm: Node, x: Value, scale: Value, c: Value) -> Value | Declined:
    """Add(InstanceNormalization(x, scale, 0), c)  ->  InstanceNormalization(x, scale, c)  rounding         GroupNormalization likewise

    c: (C, 1, ...): one element per channel.
    """
    held = per_channel(m, x, c, scale)
    return held if isinstance(held, Declined) else rebuilt(m, norm, scale, held)


def finite_limit(value: Value) -> float:
    """The greatest number of a value's element type; 0 where that is unknown."""
    return 0.0 if value.dtype is None else float(value.dtype.info.max)


def rebuilt(m: Match, norm: Node, scale: Value, bias: Value) -> Value:
    """The same operator with another scale or bias."""
    return m.op[norm.op](norm.inputs[0], scale, bias, **norm.attributes)


def ones_and_zeros(m: Match, x: Value) -> tuple[Value, Value] | Declined:
    """A scale and a bias that change nothing."""
    channels = None if x.shape is None else x.shape[1]
    if not isinstance(channels, int) or x.dtype is None:
        return m.no("the number of channels of {} is unknown", x)
    kind = x.dtype.numpy
    return m.constant(np.ones(channels, kind), x.dtype, name="scale"), m.constant(np.zeros(channels, kind), x.dtype, name="bias")


def per_channel(m: Match, x: Value, c: Value, scale: Value) -> Value | Declined:
    """c as a vector of one element per channel, as the scale is."""
    rank, channels = x.rank or 0, x.shape[1] if x.shape is not None and len(x.shape) > 1 else None
    wanted = (channels, *[1] * (rank - 2))
    if c.const is None or not isinstance(channels, int) or c.const.shape not in (wanted, (1, *wanted)):
        return m.no("{} is {}, not one element per channel of {}", c, c.type, x.type)
    if scale.shape != (channels,):  # GroupNormalization-18 has one element per group
        return m.no("the scale {} is {}, not one element per channel", scale, scale.type)
    return m.constant(Tensor.of(c.const.numpy().reshape(channels), c.const.dtype), name=c.name)
