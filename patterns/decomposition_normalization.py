"""Normalizations written out in means, squares and roots, for runtimes that lack them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Final

from graphopt.ir import DType, Value
from graphopt.match import Declined, Match, attr, op, opt, rule, tensor

# In the halves the squares overflow; what float64 is computed in, the definitions leave open or say to be float32.
SINGLE: Final = DType.float32

x, scale, bias = tensor("x"), tensor("scale"), tensor("bias")


def averaged(m: Match, x: Value, axis: int) -> Value | Declined:
    """The axes from `axis` on, when there are elements to take the mean of.

    Of one element alone the mean is the element, and what runtimes compute is their own rounding.
    """
    sizes = () if x.shape is None or not -len(x.shape) <= axis < len(x.shape) else x.shape[axis:]
    known = [size for size in sizes if isinstance(size, int) and size > 0]
    if x.rank is None or len(known) < len(sizes) or prod(known) < 2:
        return m.no("{} may have no elements to take the mean of from axis {} on, or one", x, axis)
    return m.constant(list(range(axis % x.rank, x.rank)), DType.int64)


def normalized(m: Match, x: Value, axes: Value, epsilon: float) -> Value:
    """(x - mean) / sqrt(variance + epsilon)"""
    centred = m.op.Sub(x, m.op.ReduceMean(x, axes, keepdims=1))
    variance = m.op.ReduceMean(m.op.Mul(centred, centred), axes, keepdims=1)
    return m.op.Div(centred, m.op.Sqrt(m.op.Add(variance, m.constant(epsilon, SINGLE))))


def per_channel(m: Match, vector: Value, rank: int) -> Value:
    """A vector that broadcasts along axis 1 of something of this rank."""
    if rank < 3:
        return vector
    return m.op.Unsqueeze(vector, m.constant(list(range(1, rank - 1)), DType.int64))


@rule(
    op.LayerNormalization(x, scale, opt(bias), axis=attr("axis"), epsilon=attr("epsilon"), stash_type=1),
    dtype=SINGLE,
    exactness="rounding",
)
def layer_normalization_to_parts(m: Match, x: Value, scale: Value, bias: Value | None, axis: int, epsilon: float) -> Value | Declined:
    """LayerNormalization(x, scale, bias)  ->  (x - mean) / sqrt(variance + epsilon) * scale + bias

    Mean and variance along `axis` and all after it.
    """
    axes = averaged(m, x, axis)
    if isinstance(axes, Declined):
        return axes
    result = m.op.Mul(normalized(m, x, axes, epsilon), scale)
    return result if bias is None else m.op.Add(result, bias)


@rule(op.RMSNormalization(x, scale, axis=attr("axis"), epsilon=attr("epsilon"), stash_type=1), dtype=SINGLE, exactness="rounding")
def rms_normalization_to_parts(m: Match, x: Value, scale: Value, axis: int, epsilon: float) -> Value | Declined:
    """RMSNormalization(x, scale)  ->  x / sqrt(mean(x * x) + epsilon) * scale

    The mean along `axis` and all after it.
    """
    axes = averaged(m, x, axis)
    if isinstance(axes, Declined):
        return axes
    square = m.op.ReduceMean(m.op.Mul(x, x), axes, keepdims=1)
    return m.op.Mul(m.op.Div(x, m.op.Sqrt(m.op.Add(square, m.constant(epsilon, SINGLE)))), scale)


@rule(op.InstanceNormalization(x, scale, bias, epsilon=attr("epsilon")), dtype=SINGLE, exactness="rounding")
def instance_normalization_to_parts(m: Match, x: Value, scale: Value, bias: Value, epsilon: float) -> Value | Declined:
    """InstanceNormalization(x, scale, bias)  ->  (x - mean) / sqrt(variance + epsilon) * scale + bias        x: (N, C, ...)

    Mean and variance along all axes after the second; scale and bias along the second.
    """
    axes = averaged(m, x, 2)
    if isinstance(axes, Declined):
        return axes
    rank = x.rank or 0
    return m.op.Add(m.op.Mul(normalized(m, x, axes, epsilon), per_channel(m, scale, rank)), per_channel(m, bias, rank))


def groups_of(*shapes: str) -> Callable[[], list[str]]:
    """Models on which a rule proves itself: runtimes run this operator only where the shape is known. Scale and bias are inputs."""

    def texts() -> list[str]:
        return [
            f'<ir_version: 10, opset_import: ["" : 21]> g (float[{shape}] x, float[4] scale, float[4] bias) => (float[{shape}] y) '
            f"{{ y = GroupNormalization<num_groups = {groups}, epsilon = 0.001>(x, scale, bias) }}"
            for shape in shapes
            for groups in (1, 2, 4)
        ]

    return texts


@rule(
    op.GroupNormalization(x, scale, bias, num_groups=attr("groups"), epsilon=attr("epsilon"), stash_type=1),
    dtype=SINGLE,
    exactness="rounding",
    examples=groups_of("2,4,3", "1,4,2,5", "3,4,1,1"),
)
def group_normalization_to_parts(m: Match, x: Value, scale: Value, bias: Value, groups: int, epsilon: float) -> Value | Declined:
    """GroupNormalization(x, scale, bias)  ->  Reshape((g - mean) / sqrt(variance + epsilon)) * scale + bias        x: (N, C, ...)

    g = Reshape(x) of (N, groups, elements of a group); mean and variance along its last axis.
    """
    sizes = () if x.shape is None else tuple(size for size in x.shape[1:] if isinstance(size, int) and size > 0)
    if x.rank is None or x.rank < 2 or len(sizes) != x.rank - 1:
        return m.no("not all sizes of {} but the first are known", x)
    if groups < 1 or sizes[0] % groups or prod(sizes) < 2 * groups:
        return m.no("{} channels are no {} groups of several elements", sizes[0], groups)
    grouped = m.op.Reshape(x, m.constant([-1, groups, prod(sizes) // groups], DType.int64))
    result = m.op.Reshape(normalized(m, grouped, m.constant([2], DType.int64), epsilon), m.constant([-1, *sizes], DType.int64))
    return m.op.Add(m.op.Mul(result, per_channel(m, scale, x.rank)), per_channel(m, bias, x.rank))
