"""Arithmetic in terms of Add and Mul, for runtimes and tools that know nothing else."""

from __future__ import annotations

from typing import Final

import numpy as np

from graphopt.ir import DType, Value
from graphopt.ir.tensor import Array
from graphopt.match import FLOATING, NUMERIC, Declined, Match, const, op, rule, tensor
from graphopt.patterns.noop import MOST_READ

UNSIGNED: Final = frozenset({DType.uint8, DType.uint16, DType.uint32, DType.uint64})
SMALLEST: Final = {DType.float16: 2.0**-14, DType.bfloat16: 2.0**-126, DType.float32: 2.0**-126, DType.float64: 2.0**-1022}

x = tensor("x")


@rule(op.Neg(x), dtype=FLOATING, keeps_type=True)
def neg_to_mul(m: Match, x: Value) -> Value | Declined:
    """Neg(x)  ->  Mul(x, -1)                          floats"""
    if x.dtype is None or x.const is not None:
        return m.no("{} is a constant", x)
    return m.op.Mul(x, m.constant(np.array(-1, x.dtype.numpy), x.dtype, name="minus_one"))


@rule(op.Sub(x, const("c")), dtype=NUMERIC - UNSIGNED, keeps_type=True)
def sub_to_add(m: Match, x: Value, c: Value) -> Value | Declined:
    """Sub(x, c)  ->  Add(x, -c)                       integers wrap around either way"""
    held = c.const
    if held is None or held.nbytes > MOST_READ or x.const is not None:
        return m.no("{} is {}, more than is computed here, or the other operand is constant as well", c, c.type)
    return m.op.Add(x, m.constant(np.negative(held.numpy()), held.dtype, name=c.name))


def quotient_examples() -> list[str]:
    """Models of quotients by powers of 2."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    held = ("float c = {8}", "float[3] c = {0.5, -4, 1}", "float c = {1.2e38}", "double[2,1] c = {1024, 0.125}", "float16 c = {16384}")
    return [f"{head} g{i} ({one.split('[')[0].split()[0]}[2,3] x) => ({one.split('[')[0].split()[0]}[2,3] y) <{one}> {{ y = Div(x, c) }}"
            for i, one in enumerate(held)]  # fmt: skip


@rule(op.Div(x, const("c")), dtype=FLOATING, keeps_type=True, examples=quotient_examples)
def div_to_mul(m: Match, x: Value, c: Value) -> Value | Declined:
    """Div(x, c)  ->  Mul(x, 1 / c)                    c: powers of 2, whose inverses are exact"""
    held = c.const
    if held is None or held.nbytes > MOST_READ or x.const is not None:
        return m.no("{} is {}, more than is computed here, or the other operand is constant as well", c, c.type)
    factors = held.numpy().astype(np.float64)
    if not is_power_of_two(factors, SMALLEST[held.dtype]):
        return m.no("not every element of {} is a power of 2 whose inverse is a normal number", c)
    return m.op.Mul(x, m.constant((1 / factors).astype(held.dtype.numpy), held.dtype, name=c.name))


def is_power_of_two(array: Array, smallest: float) -> bool:
    """Whether every element is a power of 2 that has a normal inverse, and is normal."""
    fractions, _ = np.frexp(array)
    sizes = np.abs(array)
    return bool(((np.abs(fractions) == 0.5) & (sizes >= smallest) & (sizes <= 1 / smallest)).all())
