"""Whether the order of passes matters: pairs of passes in both orders, and a level in random orders, over small models."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import onnx
from onnx import ModelProto

from graphopt import io
from graphopt.errors import GraphoptError
from graphopt.observe.statistics import Statistics
from graphopt.pipeline.base import Pass
from graphopt.pipeline.pipeline import Fixpoint, Pipeline
from graphopt.pipeline.registry import installed
from graphopt.pipeline.runner import run_pipeline
from tests.sweeps.canonical import Canonical, canonical
from tests.sweeps.truth import Truth, said

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Finding:
    """Two orders that lead to different graphs, or one that leads to a wrong one."""

    kind: str  # "differs" or "wrong"
    model: str
    orders: str
    said: str

    def __str__(self) -> str:
        return f"{self.kind.upper():8} {self.model}\n         {self.orders}\n         {self.said}"


@dataclass
class Subject:
    """One model, and what passes make of it; each different result is compared with the original once."""

    name: str
    proto: ModelProto
    wrong: dict[Canonical, str] = field(default_factory=dict)  # result -> what is wrong with it, "" when nothing is

    @cached_property
    def truth(self) -> Truth:
        """The original, run."""
        return Truth(self.proto)

    def after(self, steps: Sequence[Pass], observer: Statistics | None = None) -> tuple[Canonical, str]:
        """What the fixpoint of some passes makes of the model, and what is wrong with it."""
        model = io.load(self.proto)
        run_pipeline(Pipeline([Fixpoint(tuple(steps))]), model, observer)
        made = io.to_proto(model)
        found = canonical(made)
        if found not in self.wrong:
            self.wrong[found] = self.truth.wrong(made)
        return found, self.wrong[found]

    def changing(self) -> list[Pass]:
        """The passes of level 1 that change something on the way through the level."""
        level = passes()
        statistics = Statistics()
        self.after(level, statistics)
        return [step for step in level if (count := statistics.passes.get(str(step))) is not None and count.changes]

    def both(self, one: Sequence[Pass], other: Sequence[Pass]) -> Iterator[Finding]:
        """Compare two orders of the same passes."""
        words = f"{_listed(one)}   against   {_listed(other)}"
        results = []
        for steps in (one, other):
            try:
                found, wrong = self.after(steps)
            except GraphoptError as error:
                yield Finding("wrong", self.name, _listed(steps), said(error))
                return
            if wrong:
                yield Finding("wrong", self.name, _listed(steps), wrong)
            results.append(found)
        if results[0] != results[1]:
            yield Finding("differs", self.name, words, difference(*results))


def passes() -> list[Pass]:
    """Those of level 1, in their order."""
    registry = installed()
    return [registry.pass_named(name)() for name in registry.level(1)]


def pairs(subject: Subject) -> Iterator[Finding]:
    """The fixpoint of (p, q) against that of (q, p), for all pairs of passes that change something in the model."""
    for one, other in itertools.combinations(subject.changing(), 2):
        yield from subject.both((one, other), (other, one))


def shuffled(subject: Subject, rounds: int, seed: int) -> Iterator[Finding]:
    """Level 1 in its own order against random ones. Only what matters of an order is told: passes that change something, in that order."""
    level = passes()
    for round_ in range(rounds):
        order = random.Random(f"{seed} {subject.name} {round_}").sample(level, len(level))
        for finding in subject.both(level, order):
            words = f"level 1 in another order: {_listed(essential(subject, order, finding.kind))}"
            yield Finding(finding.kind, finding.model, words, finding.said)


def essential(subject: Subject, order: Sequence[Pass], kind: str) -> list[Pass]:
    """As few passes of an order as still show what the whole shows."""

    def shows(steps: Sequence[Pass]) -> bool:
        in_level = [step for step in passes() if step in steps]
        return any(finding.kind == kind for finding in subject.both(in_level, steps))

    return fewest(list(order), shows)


def fewest(items: list[Item], shows: Callable[[list[Item]], bool]) -> list[Item]:
    """A list without the parts that it does not need for `shows` to hold: halves, quarters, ... and single ones."""
    size = max(len(items) // 2, 1)
    while True:
        start = 0
        while start < len(items):
            fewer = items[:start] + items[start + size :]
            if shows(fewer):
                items = fewer
            else:
                start += size
        if size == 1:
            return items
        size //= 2


@dataclass(frozen=True, slots=True)
class Task:
    """One model, and how much is to be done with it."""

    name: str
    model: bytes
    rounds: int
    seed: int


def all_orders(task: Task) -> list[Finding]:
    """What both sweeps find in one model."""
    subject = Subject(task.name, onnx.load_from_string(task.model))
    found = [*pairs(subject), *shuffled(subject, task.rounds, task.seed)]
    return list({(finding.kind, finding.orders): finding for finding in found}.values())


def difference(one: Canonical, other: Canonical) -> str:
    """What the two graphs have that the other lacks, by operators."""
    if str(one) == str(other):
        return f"the same operators, in other places: {one}"
    return f"{one}   against   {other}"


def _listed(steps: Sequence[Pass]) -> str:
    return ", ".join(map(str, steps))
