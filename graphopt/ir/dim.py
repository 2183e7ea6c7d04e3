"""Dimensions: a number, an expression that is linear in named symbols, or unknown (None).

Two dimensions are equal only when that is proved: the same number, or the same canonical expression over symbols of one model.
"""

from __future__ import annotations

from typing import Final, TypeAlias, final


@final
class Dim:
    """A dimension that is `constant + sum(coefficient * symbol)`; never a bare number (see `Dim.make`).

    Immutable and hashable; equal means the same expression, hence provably the same size in one model.
    """

    __slots__ = ("_hash", "constant", "terms")

    def __init__(self, terms: tuple[tuple[str, int], ...], constant: int = 0) -> None:
        self.terms: Final = terms
        self.constant: Final = constant
        self._hash: Final = hash((terms, constant))

    @staticmethod
    def symbol(name: str) -> Dim:
        """The dimension that the model calls `name`."""
        return Dim(((name, 1),))

    @staticmethod
    def make(terms: dict[str, int], constant: int) -> int | Dim:
        """The canonical form of a linear expression: a number when no symbol is left in it."""
        kept = tuple(sorted((name, factor) for name, factor in terms.items() if factor))
        return Dim(kept, constant) if kept else constant

    def __add__(self, other: int | Dim) -> int | Dim:
        terms, constant = dict(self.terms), self.constant
        if isinstance(other, int):
            return Dim.make(terms, constant + other)
        for name, factor in other.terms:
            terms[name] = terms.get(name, 0) + factor
        return Dim.make(terms, constant + other.constant)

    __radd__ = __add__

    def __mul__(self, factor: int) -> int | Dim:
        return Dim.make({name: k * factor for name, k in self.terms}, self.constant * factor)

    __rmul__ = __mul__

    def __neg__(self) -> int | Dim:
        return self * -1

    def __sub__(self, other: int | Dim) -> int | Dim:
        return self + -other

    def __rsub__(self, other: int) -> int | Dim:
        return -self + other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dim) and self.terms == other.terms and self.constant == other.constant

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        parts = [name if k == 1 else f"{k}*{name}" for name, k in self.terms]
        if self.constant or not parts:
            parts.append(str(self.constant))
        return " + ".join(parts).replace("+ -", "- ")

    def __repr__(self) -> str:
        return f"Dim({self})"


Size: TypeAlias = int | Dim | None
Shape: TypeAlias = tuple[Size, ...]


def element_count(shape: Shape | None) -> int | None:
    """How many elements a tensor of this shape has; None unless every dimension is a number."""
    if shape is None:
        return None
    count = 1
    for size in shape:
        if not isinstance(size, int):
            return None
        count *= size
    return count
