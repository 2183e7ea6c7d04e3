"""Verdicts against the numbers: random calls of all operators, in all three ways, with random parameters."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from graphopt.ir import DType
from tests.quantization.brute import Outcome, check_across, check_down, check_up, inputs_of, outputs_of
from tests.quantization.calls import NoKernel
from tests.quantization.movements import MAKERS

WAYS = ("down", "up", "across")
TYPES = ("uint8", "int8", "uint8", "int8", "int16", "int4")
WITHOUT_FLOATS = ("ArgMax", "ArgMin", "Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")


def outcome(name: str, way: str, turn: int) -> Outcome | None:
    """What becomes of one random call; None where it cannot be run, or makes nothing that could be quantized."""
    random = np.random.default_rng([turn, WAYS.index(way), sum(map(ord, name))])
    symbols = np.random.default_rng(turn) if random.random() < 0.2 else None
    dtype = DType[str(random.choice(TYPES))]
    call = MAKERS[name](random)
    try:
        if way == "down":
            return check_down(call, inputs_of(random, call, dtype), random, symbols, search=symbols is None)
        if way == "across":
            return check_across(call, inputs_of(random, call, dtype), random, symbols)
        if call.op in WITHOUT_FLOATS:
            return None
        return check_up(call, outputs_of(random, call, dtype), random, symbols, search=symbols is None and not turn % 3)
    except NoKernel:
        return None


def sweep(name: str, rounds: int) -> Counter[str]:
    counts: Counter[str] = Counter()
    for turn in range(rounds):
        for way in WAYS:
            found = outcome(name, way, turn)
            if found is not None:
                assert not found.differs, (name, way, turn)
                counts[f"{way}, {'legal' if found.verdict == 'legal' else 'refused'}"] += 1
                if found.found:
                    counts[f"missed: {found.verdict}"] += 1
    return counts


# Of refused ones, how many could have been allowed (some parameters do, for the sampled numbers), and why they are not looked for.
MISSED = {
    "elements with different parameters come together in one": "with these indices they do not: only those of Gather are looked at",
    "the last window may lie in the padding alone": "it does, and the parameters happen to give the same",
    "it fills with 0, and the zero point is not 0": "where it fills with nothing",
    "where it is cut or padded is not known": "CenterCropPad along the axis of the parameters is not followed",
    "a triangle is cut out": "where the triangle is all, or one channel",
    "the axis of the blocks is gone": "entries that are equal along the others",
    "a scale is negative, which turns the order round": "where there is one element to choose from, or all are equal",
    "an axis is cut where": "it is only known when it runs",
    "where axis": "it is cut at both ends as it happens",
    "Neg makes new numbers": "of a narrow range, with no saturation",
    "Abs makes new numbers": "where no number is below 0",
    "CumSum makes new numbers": "of one element",
    "the parameters differ along more than one axis": "entries that are equal where it matters, in these numbers",
    "an element goes where parameters differ": "the numbers do not show it",
    "quantizing makes elements equal, and which places they have is read": "the numbers do not show it",
    "the repeats are not constant": "where they are 1",
    "the pads are not constant": "where they are 0",
    "the extent of": "entries for axes that the result has not",
    "Resize by linear makes new numbers": "by a factor of 1",
    "axis": "Resize along the axis of the parameters is not followed",
    "the element types differ": "never",
}


def test_some_of_each() -> None:
    for name in MAKERS:
        sweep(name, 3)


@pytest.mark.slow
def test_ten_thousand() -> None:
    counts: Counter[str] = Counter()
    for name in MAKERS:
        counts += sweep(name, 110)
    tried = sum(count for what, count in counts.items() if not what.startswith("missed"))
    missed = {what.removeprefix("missed: "): count for what, count in counts.items() if what.startswith("missed")}
    print(tried, counts)  # the figures are what the sweep is run for
    assert tried >= 10_000
    assert sum(missed.values()) < tried / 20
    assert not [what for what in missed if not what.startswith(tuple(MISSED))]
