"""The type of what Reshape gives, when sizes may be 0 and 0 has a meaning of its own."""

from __future__ import annotations

from collections.abc import Sequence

from graphopt.infer.call import InferenceRule, NotKnown, Types, data, integer, one, shape_of
from graphopt.infer.elements import Elements, elements
from graphopt.infer.positive import is_positive
from graphopt.infer.shapes import is_size, quotient
from graphopt.ir.dim import Dim, Factor, Least, Shape, Size
from graphopt.ir.graph import Node


def reshape(node: Node) -> Types:
    """Reshape(x, shape): 0 copies a size (unless allowzero), -1 takes what is left.

    d_i are the sizes of x, e_i the entries of `shape`, r_i the sizes of the result. A run comes to a result only if prod(r) = prod(d), and,
    where an entry is -1, only if no other r_i is 0 (with allowzero onnxruntime goes on, see `_left_over`). `_claimed` says when an
    entry that is no number is the size of the result.
    """
    x = data(node)
    wanted = elements(node.input(1))
    if wanted is None:
        length = shape_of(node.input(1))
        return one(x.dtype, (None,) * length[0] if length is not None and len(length) == 1 and isinstance(length[0], int) else None)
    if all(isinstance(entry, int) and entry > 0 for entry in wanted):
        return one(x.dtype, wanted)
    copies = not integer(node, "allowzero")
    sizes = [_claimed(node, axis, wanted, x.shape, copies=copies) for axis in range(len(wanted))]
    if -1 in wanted:
        place = wanted.index(-1)
        others = sizes[:place] + sizes[place + 1 :]
        if x.shape is not None and -1 not in others:
            sizes[place] = quotient(x.shape, others) if copies else _left_over(node, x.shape, others)
    elif sizes.count(None) == 1 and x.shape is not None:  # of what the others leave, if none of them can be 0
        place = sizes.index(None)
        others = sizes[:place] + sizes[place + 1 :]
        if all(is_positive(size, node) for size in others):
            sizes[place] = quotient(x.shape, others)
    if any(isinstance(size, int) and size < 0 for axis, size in enumerate(sizes) if wanted[axis] != -1) or sizes.count(-1) > 1:
        raise NotKnown
    return one(x.dtype, tuple(None if size == -1 else size for size in sizes))


def _claimed(node: Node, axis: int, wanted: Elements, given: Shape | None, *, copies: bool) -> Size:
    """The size of the result at an axis whose entry is not -1; -1 for one that is; None where it is not known.

    A symbolic entry e >= 0 gives r = e when e > 0. When e = 0 comes out, r is d, the size of x at the same axis; so r = e if

    1. d = e, or e is never 0; or x has no such axis: then the run fails;
    2. d is 0 whenever e is 0: e = 12 N and d = N S;
    3. no entry is -1, e = 0 makes prod(d) = 0, and no other r can be 0: with d > 0 the products would differ, and the run fails.

    Where e could be below 0 it may come out as -1, and nothing is known; but for d = e, a size, which is not below 0.
    """
    entry = wanted[axis]
    own = given[axis] if given is not None and axis < len(given) else None
    if entry is None:
        return None
    if isinstance(entry, int):
        if entry or not copies:
            return entry
        if given is not None and axis >= len(given):
            raise NotKnown
        return own
    if entry == own or is_positive(entry, node):
        return entry
    if not is_size(entry):
        return None
    if not copies or given is None:
        return None if copies else entry
    if axis >= len(given) or _vanishes(entry, (own,), node):
        return entry
    return entry if _vanishes(entry, given, node) and _must_differ(node, axis, wanted, given) else None


def _must_differ(node: Node, axis: int, wanted: Elements, given: Shape) -> bool:
    """Whether all sizes of the result but that at `axis` are never 0, and no entry takes what is left."""
    for place, entry in enumerate(wanted):
        if place == axis:
            continue
        own = given[place] if place < len(given) else 1  # where x has no axis, a run with 0 fails
        is_number = isinstance(entry, int)
        if entry is None or entry == -1 or not (is_positive(entry, node) or (is_positive(own, node) and (is_number or is_size(entry)))):
            return False
    return True


def _vanishes(entry: Size, sizes: Sequence[Size], node: Node) -> bool:
    """Whether the product of sizes is 0 whenever an entry, which is never below 0, is.

    A sum of terms that are never below 0 is 0 only when each of them is, and a term only when one of its factors is: it is enough that
    for one term each factor makes one of the sizes 0. The smallest of some operands is 0 only when one of them is.
    """
    if not isinstance(entry, Dim) or entry.constant or any(coefficient < 0 for _, coefficient in entry.terms):
        return False
    return any(all(_makes_0(factor, sizes, node) for factor in product) for product, _ in entry.terms)


def _makes_0(factor: Factor, sizes: Sequence[Size], node: Node) -> bool:
    for size in sizes:
        if size == 0 or (isinstance(size, Dim) and not size.constant and all(factor in product for product, _ in size.terms)):
            return True
    if not isinstance(factor, Least):
        return False
    return all(is_positive(operand, node) or (is_size(operand) and _vanishes(operand, sizes, node)) for operand in factor.operands)


def _left_over(node: Node, given: Shape, others: Sequence[Size]) -> Size:
    """What -1 comes out as with allowzero.

    onnxruntime then leaves sizes of 0 out of both products when an entry is 0 (the operator's text forbids such a shape). What is left
    is the same as without them if the entries that may be 0 are sizes of x themselves, and no other size of x can be 0.
    """
    if all(is_positive(size, node) for size in others):
        return quotient(given, others)
    left, right = list(given), list[Size]()
    for size in others:
        if size is not None and size in left:
            left.remove(size)
        else:
            right.append(size)
    return quotient(left, right) if all(is_positive(size, node) for size in (*left, *right)) else None


RULES: dict[str, InferenceRule] = {"Reshape": reshape}
