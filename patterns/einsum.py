"""Sums of products in index notation that are matrix products."""

from __future__ import annotations

from dataclasses import dataclass

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
        f"""{head}
        scores (float[N,S,2,3] x, float[N,T,2,3] w) => (float[N,2,S,T] y) {{ y = Einsum<equation = "bqhd,bkhd->bhqk">(x, w) }}""",
        f"""{head}
        swapped (float[N,2,3] x, float[4,3,5] w) => (float[N,4,5,2] y) {{ y = Einsum<equation = "abc,dce->adeb">(x, w) }}""",
    ]  # fmt: skip


@rule(op.Einsum(x, w, equation=attr("equation")), dtype=FLOATING, exactness="rounding", examples=examples)
def einsum_to_matmul(m: Match, x: Value, w: Value, equation: str) -> Value | Declined:
    """Einsum<"...k,kn->...n">(x, w)  ->  MatMul(x, w)                          rounding; also over several axes, of x the last

    "abcd,cde->abe": Reshape(x, [0, 0, K]), and w to (K, M).  "abc,cde->abde": the M columns made axes again. "bhqk,bhkd->bhqd": stacks,
    whose leading axes are the same.  "bqhd,bkhd->bhqk": MatMul(Transpose(x), Transpose(w)), where one axis is summed over.
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
        return transposed(m, x, w, terms)
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


@dataclass(frozen=True)
class Plan:
    """In which order the letters of both operands have to stand for a MatMul, and those of what it makes."""

    left: str
    right: str
    result: str
    rows: str
    is_swapped: bool

    def moves(self, left: str, right: str, result: str) -> int:
        """How many Transposes that takes."""
        first, second = (right, left) if self.is_swapped else (left, right)
        return (self.left != first) + (self.right != second) + (self.result != result)

    def is_fast(self, left: str, right: str, result: str) -> bool:
        """Whether turning the product costs less than an Einsum: rows are moved whole, or the matrices turned of operands that stay."""
        if self.result == result:
            return True
        operands = self.moves(left, right, self.result)
        if operands > 1:
            return False
        return self.result[-1] == result[-1] or (not operands and self.result == result[:-2] + result[:-3:-1])


def plans(terms: tuple[str, str, str]) -> list[Plan]:
    """The ways to make a product of two stacks of it: one axis is summed over, and one of one operand only makes the columns.

    Of the other operand's own axes the last makes the rows; more than one it has only where the product is by one matrix. Nothing where
    moving the axes takes longer than an Einsum of onnxruntime does: axes that are in all three do not come first, come last or in
    another order, as do those of one operand in the result, or more than a matrix begins with the axis that is summed over.
    """
    left, right, result = terms
    shared = "".join(letter for letter in result if letter in left and letter in right)
    inner = [letter for letter in left if letter in right and letter not in result]
    in_turn = all([letter for letter in term if letter in shared] == list(shared) and term.startswith(shared[:1]) for term in terms)
    if len(inner) != 1 or not in_turn or any(term[-1] in shared for term in terms):
        return []
    if any(len(term) > 2 and term[0] == inner[0] for term in (left, right)) or not set(result) <= set(left + right):
        return []
    found = []
    for first, second, is_swapped in ((left, right, False), (right, left, True)):
        own = [letter for letter in first if letter not in second]
        columns = [letter for letter in second if letter not in first]
        if len(columns) != 1 or not own or not set(columns) <= set(result) or own != [letter for letter in result if letter in own]:
            continue
        if shared and len(own) > 1:
            continue
        stack, rows = shared + "".join(own[:-1]), own[-1]
        found.append(Plan(stack + rows + inner[0], shared + inner[0] + columns[0], stack + rows + columns[0], rows, is_swapped))
    return [plan for plan in found if plan.is_fast(*terms)]


def transposed(m: Match, x: Value, w: Value, terms: tuple[str, str, str]) -> Value | Declined:
    """MatMul of operands whose axes have changed places, with the fewest Transposes."""
    ways = plans(terms)
    if not ways:
        return m.no("{},{}->{} is no product of matrices or of stacks of them, or turning them would take too long", *terms)
    plan = min(ways, key=lambda way: way.moves(*terms))
    sizes = [dict(zip(term, value.shape or (), strict=False)) for term, value in zip(terms, (x, w), strict=False)]
    if any(sizes[0][letter] is None or sizes[0][letter] != sizes[1][letter] for letter in terms[0] if letter in terms[1]):
        return m.no("the shapes {} and {} may broadcast", x.type, w.type)
    extents = {**sizes[0], **sizes[1]}
    if plan.moves(*terms) and 1 in (extents[plan.rows], extents[plan.right[-2]], extents[plan.right[-1]]):
        return m.no("{},{}->{} multiplies a matrix by a vector, which an Einsum does without moving axes", *terms)
    (first, before), (second, after) = ((w, terms[1]), (x, terms[0])) if plan.is_swapped else ((x, terms[0]), (w, terms[1]))
    product = m.op.MatMul(in_order(m, first, before, plan.left), in_order(m, second, after, plan.right))
    return in_order(m, product, plan.result, terms[2])


def in_order(m: Match, value: Value, letters: str, wanted: str) -> Value:
    """A value with its axes in another order."""
    return value if letters == wanted else m.op.Transpose(value, perm=tuple(map(letters.index, wanted)))


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
