"""Types of matrix products."""

from __future__ import annotations

from graphopt.infer.call import InferenceRule, NotKnown, TooHard, Types, data, integer, one, tensor, text
from graphopt.infer.shapes import broadcast
from graphopt.ir.dim import Shape
from graphopt.ir.graph import Node


def matmul(node: Node) -> Types:
    """MatMul as numpy's: vectors are padded, leading axes broadcast."""
    a, b = data(node), tensor(node.input(1))
    if a.dtype != b.dtype:
        raise NotKnown
    if a.shape is None or b.shape is None:
        return one(a.dtype, None)
    if not a.shape or not b.shape:
        raise NotKnown
    left = (1, *a.shape) if len(a.shape) == 1 else a.shape
    right = (*b.shape, 1) if len(b.shape) == 1 else b.shape
    batch = broadcast(left[:-2], right[:-2])
    if batch is None or (isinstance(left[-1], int) and isinstance(right[-2], int) and left[-1] != right[-2]):
        raise NotKnown
    rows = () if len(a.shape) == 1 else (left[-2],)
    columns = () if len(b.shape) == 1 else (right[-1],)
    return one(a.dtype, (*batch, *rows, *columns))


def gemm(node: Node) -> Types:
    """Gemm: (M, K) by (K, N), each possibly transposed."""
    a, b = data(node), tensor(node.input(1))
    if a.dtype != b.dtype:
        raise NotKnown
    rows = columns = None
    if a.shape is not None:
        if len(a.shape) != 2:
            raise NotKnown
        rows = a.shape[1 if integer(node, "transA") else 0]
    if b.shape is not None:
        if len(b.shape) != 2:
            raise NotKnown
        columns = b.shape[0 if integer(node, "transB") else 1]
    return one(a.dtype, (rows, columns))


def einsum(node: Node) -> Types:
    """Einsum: each letter is a size, operands broadcast over it; without "->" the letters that stand once, in alphabetical order."""
    types = [tensor(value) for value in node.inputs]
    if any(type.shape is None for type in types):
        return one(types[0].dtype, None)
    sizes = einsum_sizes(node)
    given, arrow, wanted = text(node, "equation").replace(" ", "").partition("->")
    if not arrow:
        letters = given.replace(",", "").replace("...", "")
        wanted = ("..." if "..." in sizes else "") + "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
    result: Shape = ()
    for letter in _letters(wanted):
        result += sizes.get(letter, ()) if letter == "..." else sizes[letter]
    return one(types[0].dtype, result)


def einsum_sizes(node: Node) -> dict[str, Shape]:
    """The size of each letter of an Einsum, and the sizes of "...". Raises NotKnown, TooHard."""
    shapes = [tensor(value).shape for value in node.inputs]
    terms = text(node, "equation").replace(" ", "").partition("->")[0].split(",")
    if len(terms) != len(shapes):
        raise NotKnown
    sizes: dict[str, Shape] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if shape is None:
            raise NotKnown
        for letter, part in _lettered(term, shape):
            both = broadcast(sizes.get(letter, ()), part)
            if both is None:
                raise NotKnown
            sizes[letter] = both
    return sizes


def _letters(term: str) -> list[str]:
    before, dots, after = term.partition("...")
    letters = [*before, *([dots] if dots else []), *after]
    if not all(letter == "..." or letter.isalpha() for letter in letters):
        raise TooHard
    return letters


def _lettered(term: str, shape: Shape) -> list[tuple[str, Shape]]:
    """The sizes of an operand by the letters of its term."""
    letters = _letters(term)
    extra = len(shape) - len(letters)
    if "..." not in letters:
        if extra:
            raise NotKnown
        return [(letter, (size,)) for letter, size in zip(letters, shape, strict=True)]
    if extra < -1:
        raise NotKnown
    place = letters.index("...")
    end = place + extra + 1
    spread = [*letters[:place], *letters[place + 1 :]]
    return [("...", shape[place:end]), *((letter, (size,)) for letter, size in zip(spread, shape[:place] + shape[end:], strict=True))]


RULES: dict[str, InferenceRule] = {"Einsum": einsum, "Gemm": gemm, "MatMul": matmul}
