"""Chains of one associative operator: their constant operands become one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from graphopt.ir import DType, Value
from graphopt.ir.tensor import Array
from graphopt.match import FLOATING, INTEGERS, NUMERIC, Call, Declined, Match, any_of, const, op, rule, tensor

Operation: TypeAlias = "Callable[[Array, Array], Array]"

MOST: Final = 1 << 16  # bytes of a constant that is computed here; no chain of bigger ones is worth reading weights

x, c, d = tensor("x"), const("c"), const("d")


def chain(op_type: str) -> Call:
    """The pattern of an operator applied to x and c, and then to d."""
    call = op[op_type]
    return call(call(x, c), d)


BITS: Final[dict[str, Operation]] = {
    "And": np.logical_and,
    "BitwiseAnd": np.bitwise_and,
    "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
}
BOUNDS: Final[dict[str, Operation]] = {"Max": np.maximum, "Min": np.minimum}
RING: Final[dict[str, Operation]] = {"Add": np.add, "Mul": np.multiply}


@rule(any_of(*map(chain, BITS)), keeps_type=True)
def bits_of_two_constants(m: Match, x: Value, c: Value, d: Value) -> Value | Declined:
    """And(And(x, c), d)  ->  And(x, And(c, d))                 Or, Xor, BitwiseAnd, BitwiseOr and BitwiseXor likewise"""
    return gathered(m, x, c, d, BITS)


@rule(any_of(*map(chain, BOUNDS)), dtype=NUMERIC, keeps_type=True)
def bounds_of_two_constants(m: Match, x: Value, c: Value, d: Value) -> Value | Declined:
    """Max(Max(x, c), d)  ->  Max(x, max(c, d))                 Min likewise

    c and d: no NaN, which runtimes treat differently, and no float 0, for of +0 and -0 either may come out.
    """
    return gathered(m, x, c, d, BOUNDS, unordered)


@rule(any_of(*map(chain, RING)), dtype=INTEGERS, keeps_type=True)
def integers_of_two_constants(m: Match, x: Value, c: Value, d: Value) -> Value | Declined:
    """Add(Add(x, c), d)  ->  Add(x, c + d)                     Mul likewise; integers, which wrap around."""
    return gathered(m, x, c, d, RING)


@rule(chain("Add"), dtype=FLOATING, keeps_type=True, exactness="rounding")
def terms_of_two_constants(m: Match, x: Value, c: Value, d: Value) -> Value | Declined:
    """Add(Add(x, c), d)  ->  Add(x, c + d)                     rounding

    No element of c has the other sign than one of d: with both, x + c may overflow, or lose x, where x + (c + d) does not.
    """
    return gathered(m, x, c, d, {"Add": np.add}, opposed)


@rule(chain("Mul"), dtype=FLOATING, keeps_type=True, exactness="rounding")
def factors_of_two_constants(m: Match, x: Value, c: Value, d: Value) -> Value | Declined:
    """Mul(Mul(x, c), d)  ->  Mul(x, c * d)                     rounding

    c and d are all at most 1 or all at least 1 in magnitude: otherwise x * c may overflow, or underflow, where x * (c * d) does not.
    """
    return gathered(m, x, c, d, {"Mul": np.multiply}, mixed)


@np.errstate(all="ignore")
def gathered(
    m: Match, x: Value, c: Value, d: Value, operations: dict[str, Operation], obstacle: Callable[[Array, Array], str] | None = None
) -> Value | Declined:
    """The operator applied to x and to what it makes of c and d. Of floats that is computed in float64 and rounded once."""
    first, second = c.const, d.const
    if first is None or second is None or first.dtype != second.dtype or x.const is not None:
        return m.no("{} and {} are not constants beside something that is none", c, d)
    if max(first.nbytes, second.nbytes) > MOST:
        return m.no("{} has {} bytes, {} has {}: more than is computed here", c, first.nbytes, d, second.nbytes)
    dtype = first.dtype
    one, other = (held.numpy().astype(np.float64) if dtype.is_float else held.numpy() for held in (first, second))
    if not broadcasts(one.shape, other.shape) and not broadcasts(other.shape, one.shape):
        return m.no("{} and {} would make a bigger constant", c.type, d.type)
    if obstacle is not None and (why := obstacle(one, other)):
        return m.no("{} in {} and {}", why, c, d)
    result = operations[m.root.op](one, other).astype(dtype.numpy)
    if dtype.is_float and not np.isfinite(result.astype(np.float64)).all():
        return m.no("{} and {} make what is not finite in {}", c, d, dtype)
    if m.root.op == "Mul" and dtype.is_float and is_imprecise(one, other, result):
        return m.no("{} and {} make what is too small for {}", c, d, dtype)
    return m.op[m.root.op_type](x, m.constant(result, dtype, name=c.name))


def broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether a shape broadcasts into another without growing it."""
    return len(shape) <= len(target) and all(size in (1, there) for size, there in zip(reversed(shape), reversed(target), strict=False))


def is_imprecise(one: Array, other: Array, product: Array) -> bool:
    """Whether some product that is not 0 by a factor of 0 lies below the normal numbers."""
    least = float(DType.of(product.dtype).info.smallest_normal)
    return bool(((np.abs(product.astype(np.float64)) < least) & (one != 0) & (other != 0)).any())


def unordered(one: Array, other: Array) -> str:
    """What makes Max and Min of two constants a matter of opinion."""
    if one.dtype.kind != "f":
        return ""
    if np.isnan(one).any() or np.isnan(other).any():
        return "a NaN"
    return "a zero, beside which x may be the zero of the other sign," if (one == 0).any() or (other == 0).any() else ""


def opposed(one: Array, other: Array) -> str:
    """What makes the order of additions matter for more than rounding."""
    signs = np.concatenate([one.reshape(-1), other.reshape(-1)])
    return "terms of either sign" if (signs > 0).any() and (signs < 0).any() else ""


def mixed(one: Array, other: Array) -> str:
    """What makes the order of multiplications matter for more than rounding."""
    sizes = np.abs(np.concatenate([one.reshape(-1), other.reshape(-1)]))
    return "" if (sizes <= 1).all() or (sizes >= 1).all() else "factors above and below 1"
