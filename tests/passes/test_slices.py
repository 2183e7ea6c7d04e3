"""Cuts along an axis, by trying all of them."""

from __future__ import annotations

import itertools

from graphopt.ir import DType, TensorType, Value
from graphopt.ir.dim import Dim, Size
from graphopt.patterns.concat_parts import Borders, adjacent
from graphopt.patterns.slice import END, Cut, in_turn

STARTS = (-3, -1, 0, 1, 3)
ENDS = (-3, -1, 0, 2, 4, END)


def taken(places: list[int], cut: Cut) -> list[int]:
    """What a Slice takes of some places."""
    return places[cut.start : cut.end : cut.step]


def test_two_cuts_are_one() -> None:
    cuts = [Cut(*bounds) for bounds in itertools.product(STARTS, ENDS, (1, 2))]
    found = 0
    for first, second in itertools.product(cuts, cuts):
        for extent in (0, 1, 2, 5):
            places = list(range(extent))
            wanted = taken(taken(places, first), second)
            known = in_turn(first, second, extent)
            assert known is not None
            assert taken(places, known) == wanted
            whatever = in_turn(first, second, Dim.symbol("N"))
            if whatever is not None:
                found += 1
                assert taken(places, whatever) == wanted, (first, second, extent)
    assert found > 1000


def test_cuts_that_follow_each_other() -> None:
    cuts = [Cut(start, end, 1) for start, end in itertools.product(STARTS, ENDS)]
    found = 0
    for one, other in itertools.product(cuts, cuts):
        for extent in (0, 1, 2, 3, 5):
            places = list(range(extent))
            for size in (extent, Dim.symbol("N")):
                both = adjacent({0: one}, {0: other}, 0, size)
                if both is not None:
                    found += 1
                    assert taken(places, both[0]) == taken(places, one) + taken(places, other), (one, other, extent)
    assert found > 50


def test_the_operand_that_a_cut_lies_in() -> None:
    found = 0
    for extents in itertools.product((0, 1, 2, 3), repeat=3):
        for hidden in (None, 0, 1, 2):  # which extent is not known
            known: list[Size] = [None if place == hidden else extent for place, extent in enumerate(extents)]
            borders = Borders.of([Value(type=TensorType(DType.float32, (size,))) for size in known], 0)
            operands = [[(place, i) for i in range(extent)] for place, extent in enumerate(extents)]
            joined = [element for operand in operands for element in operand]
            for start, end in itertools.product(STARTS, ENDS):
                inside = borders.inside(start, end)
                if inside is not None:
                    found += 1
                    operand, first, stop = inside
                    assert operands[operand][first:stop] == joined[start:end], (extents, hidden, start, end)
    assert found > 500
