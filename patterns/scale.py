"""Factors after a product with constant weights, which the weights can hold: attention's scale, as exporters write it."""

from __future__ import annotations

from typing import Final, final

import numpy as np

from graphopt.ir import DType, Tensor, Value
from graphopt.ir.tensor import Array, raw
from graphopt.match import Declined, Match, any_of, const, op, rule, tensor

SMALLEST: Final = 2.0**-24  # a factor below could push ordinary weights out of the normal numbers

x, w, b, c = tensor("x"), const("w"), const("b"), const("c")
product, biased = op.MatMul(x, w), op.Add(op.MatMul(x, w), b)


@rule(any_of(op.Mul(product, c), op.Mul(biased, c)), dtype=(DType.float32, DType.float64), keeps_type=True, exactness="rounding")
def matmul_mul_to_matmul(m: Match, x: Value, w: Value, b: Value | None, c: Value) -> Value | Declined:
    """Mul(Add(MatMul(x, w), b), c)  ->  Add(MatMul(x, w * c), b * c)            rounding; also without b

    c: one element, at most 1 in magnitude, so that no weight overflows; w has no other reader. 16-bit floats lack the range.
    """
    return scaled(m, x, w, b, c, np.multiply)


@rule(any_of(op.Div(product, c), op.Div(biased, c)), dtype=(DType.float32, DType.float64), keeps_type=True, exactness="rounding")
def matmul_div_to_matmul(m: Match, x: Value, w: Value, b: Value | None, c: Value) -> Value | Declined:
    """Div(Add(MatMul(x, w), b), c)  ->  Add(MatMul(x, w / c), b / c)            rounding; also without b

    c: one element, at least 1 in magnitude, so that no weight overflows; w has no other reader. 16-bit floats lack the range.
    """
    return scaled(m, x, w, b, c, np.divide)


def scaled(m: Match, x: Value, w: Value, b: Value | None, c: Value, operation: np.ufunc) -> Value | Declined:
    """The product with the weights, and the term, that hold the factor."""
    factor = c.const
    if factor is None or factor.size != 1 or len(factor.shape) > 1 or x.const is not None:
        return m.no("{} is {}, not one element", c, c.type)
    size = abs(float(factor.numpy().astype(np.float64).reshape(-1)[0]))
    if not SMALLEST <= (size if operation is np.multiply else 1 / size if size else 0.0) <= 1:
        return m.no("{} would make weights bigger, or much smaller", c)
    if w.uses > 1:
        return m.no("{} is read elsewhere too", w)
    weights, term = lazily(w, factor, operation), None if b is None else lazily(b, factor, operation)
    if weights is None or (b is not None and term is None) or weights.dtype != factor.dtype or len(weights.shape) < 2:
        return m.no("{} and {} are not constants of the type of {}", w, b, c)
    result = m.op.MatMul(x, m.constant(weights, name=w.name))
    return result if b is None or term is None else m.op.Add(result, m.constant(term, name=b.name))


def lazily(value: Value, factor: Tensor, operation: np.ufunc) -> Tensor | None:
    """A constant with a factor, computed when somebody asks for it; None when the two are not of one type."""
    held = value.const
    if held is None or held.dtype != factor.dtype:
        return None
    return Tensor(held.dtype, held.shape, Scaled(held, factor, operation))


@final
class Scaled:
    """The bytes of a tensor with a factor: nothing is read to make it, and what was computed is not kept.

    In the element type itself, which rounds each product once.
    """

    __slots__ = ("_factor", "_operation", "_source", "nbytes")

    def __init__(self, source: Tensor, factor: Tensor, operation: np.ufunc) -> None:
        self.nbytes, self._source, self._factor, self._operation = source.nbytes, source, factor, operation

    def view(self) -> memoryview:
        """The bytes; they live as long as the view."""
        source = np.frombuffer(self._source.storage.view(), self._source.dtype.numpy)
        result: Array = self._operation(source, self._factor.numpy().reshape(-1))
        return raw(result)
