"""What to try: structures, opsets, element types, ranks, sizes and forms, each at least once, mixed so that few models say much."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from graphopt.ir.dtype import DType
from graphopt.match.rule import Rule
from graphopt.schema import facts
from graphopt.schema.history import last_opset, versions
from graphopt.schema.versions import OLDEST
from graphopt.verify.selfcheck.cases import FORMS
from graphopt.verify.selfcheck.drawing import Setting
from graphopt.verify.selfcheck.structure import Structure

RUNNABLE: Final = 21  # an opset that every supported onnxruntime knows: tried more often than the others
DTYPES: Final = (
    DType.float32, DType.float32, DType.float64, DType.int64, DType.float32, DType.float16, DType.int32, DType.bool, DType.uint8,
    DType.bfloat16, DType.int8,
)  # fmt: skip
RANKS: Final = (None, None, 2, 3, None, 1, 4, 0)
SIZES: Final = ((2, 3), (3, 2, 1), (1,), (3,), (2, 4, 1), (0, 2, 3, 2), (5, 3, 1))


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is tried: variants, readings of the pattern, samples that near misses are made of, and near misses."""

    variants: int
    structures: int
    samples: int
    near_misses: int


EFFORTS: Final = {"normal": Effort(56, 28, 9, 180), "thorough": Effort(600, 300, 60, 6000)}
Option = TypeVar("Option")


class Rotation(Generic[Option]):
    """Options in turn, each round in another order: all of them come up, and two rotations never keep in step."""

    def __init__(self, options: Sequence[Option], chance: random.Random) -> None:
        self.options, self.chance = list(options), chance
        self.round = list(options)

    def next(self) -> Option:
        """The next option."""
        if not self.round:
            self.round = list(self.options)
            self.chance.shuffle(self.round)
        return self.round.pop(0)


def plans(rule: Rule, found: list[Structure], count: int, seed: int) -> Iterator[tuple[Structure, Setting, str, int]]:
    """(structure, setting, form, seed) of each variant to try."""
    chance = random.Random(f"{seed} {rule.name}")
    kinds = [dtype for dtype in DTYPES if rule.dtype is None or dtype in rule.dtype] or sorted(rule.dtype or ())
    structure = Rotation(found, chance)
    dtype, rank, sizes, form = (Rotation(kinds, chance), Rotation(RANKS, chance), Rotation(SIZES, chance), Rotation(FORMS, chance))
    rotations: dict[tuple[int, ...], Rotation[int]] = {}
    for i in range(max(count, len(found))):
        picked = structure.next()
        possible = tuple(opsets(rule, picked))
        if not possible:
            continue
        opset = rotations.setdefault(possible, Rotation(possible, chance)).next()
        share = chance.choice((0.0, 0.3, 1.0)) if i else 0.0
        yield picked, Setting(opset, dtype.next(), rank.next(), sizes.next(), share), form.next(), seed + i


def opsets(rule: Rule, structure: Structure) -> list[int]:
    """The opsets at which some operator of a structure changed, the oldest and the newest that the rule may see."""
    first, newest = first_opset(structure), facts.newest_opset()
    is_default = next(iter(structure.roots)).site.call.domain == ""
    low = max(first, rule.since if is_default else 1)
    high = min(newest, rule.until) if rule.until is not None and is_default else newest
    high = min([high, *(last_opset(site.call.domain, site.call.op_type) for site in structure.sites)])
    changes = {version for site in structure.sites for version in versions(site.call.domain, site.call.op_type)}
    steps = {low, high} | {version for version in changes if low < version <= high}
    steps |= {min(max(RUNNABLE, low), high)}
    return [min(max(RUNNABLE, low), high), *sorted(steps, reverse=True)] if low <= high else []


def first_opset(structure: Structure) -> int:
    """The oldest opset that has all operators of a structure."""
    firsts = [min(versions(site.call.domain, site.call.op_type), default=OLDEST) for site in structure.sites]
    return max([OLDEST, *firsts])
