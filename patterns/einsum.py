"""Sums of products in index notation that are matrix products."""

from __future__ import annotations

import numpy as np

from graphopt.ir import Value
from graphopt.match import FLOATING, Declined, Match, attr, op, rule, tensor

x, w = tensor("x"), tensor("w")


def examples() -> list[str]:
    """Einsums as attention layers write them."""
    head = '<ir_version: 10, opset_import: ["" : 20]>'
    return [
        f"""{head} output (float[N,S,2,3] x, float[2,3,4] w) => (float[N,S,4] y) {{ y = Einsum<equation = "abcd,cde->abe">(x, w) }}""",
        f"""{head} input (float[N,S,3] x, float[3,2,4] w) => (float[N,S,2,4] y) {{ y = Einsum<equation = "abc,cde->abde">(x, w) }}""",
        f"""{head}
        stacks (float[N,2,S,3] x, float[N,2,3,4] w) => (float[N,2,S,4] y) {{ y = Einsum<equation = "bhqd,bhdk->bhqk">(x, w) }}""",
    ]  # fmt: skip


@rule(op.Einsum(x, w, equation=attr("equation")), dtype=FLOATING, exactness="rounding", examples=examples)
def einsum_to_matmul(m: Match, x: Value, w: Value, equation: str) -> Value | Declined:
    """Einsum<"...k,kn->...n">(x, w)  ->  MatMul(x, w)                          rounding; also over several axes, of x the last

    "abcd,cde->abe": Reshape(x, [0, 0, K]), and w to (K, M).  "abc,cde->abde": the M columns made axes again. "bhqk,bhkd->bhqd": stacks,
    whose leading axes are the same.
    """
    terms = letters(equation)
    if terms is None or x.shape is None or w.shape is None or (len(x.shape), len(w.shape)) != tuple(map(len, terms[:2])):
        return m.no("{} is not the product of two tensors without repeated letters", equation)
    left, right, result = terms
    if result == left[:-1] + right[-1] and left[-1] == right[-2:-1] and left[:-2] == right[:-2] and len(left) > 2:
        is_same = x.shape[:-2] == w.shape[:-2] and x.shape[-1] == w.shape[-2] and None not in x.shape
        return m.op.MatMul(x, w) if is_same else m.no("the shapes {} and {} may broadcast", x.type, w.type)
    count = next((size for size in range(1, len(left)) if left[-size:] == right[:size] and result == left[:-size] + right[size:]), 0)
    if not count or count == len(right):
        return m.no("{} does not sum over the last axes of one and the first of the other alone", equation)
    inner, outer = w.shape[:count], w.shape[count:]
    depth, columns = known_product(inner), known_product(outer)
    if not depth or not columns or x.shape[-count:] != inner:
        return m.no("{} is {}: its axes cannot be joined, or may broadcast", w, w.type)
    kept = len(left) - count
    rows = x if count == 1 else m.op.Reshape(x, m.constant(np.array([*[0] * kept, depth], np.int64), name="shape"))
    matrix = w if len(right) == 2 else m.op.Reshape(w, m.constant(np.array([depth, columns], np.int64), name="shape"))
    product = m.op.MatMul(rows, matrix)
    if len(outer) == 1:
        return product
    return m.op.Reshape(product, m.constant(np.array([*[0] * kept, *outer], np.int64), name="shape"))


def known_product(sizes: tuple[object, ...]) -> int:
    """How many elements sizes make; 0 when one is not a number."""
    total = 1
    for size in sizes:
        total *= size if isinstance(size, int) else 0
    return total


def letters(equation: str) -> tuple[str, str, str] | None:
    """The two operands and the result of an equation; None when it has others, an ellipsis, or a letter twice in one of them."""
    operands, arrow, result = equation.replace(" ", "").partition("->")
    left, comma, right = operands.partition(",")
    terms = left, right, result
    if not arrow or not comma or not all(term.isalpha() and len(set(term)) == len(term) for term in terms):
        return None
    return terms
