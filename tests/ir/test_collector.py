"""Work on many objects is not followed by a look through all of them, and what nobody holds any more is freed in the end."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from graphopt.ir import collector
from graphopt.ir.collector import ENOUGH, MANY, collector_resting


class Part:
    """One object of a cycle of many."""

    def __init__(self, before: Part | None) -> None:
        self.beside = before or self


def chain(length: int) -> Part:
    """As many objects, none of which is freed while the garbage collector rests."""
    last = first = Part(None)
    for _ in range(length):
        last = Part(last)
    first.beside = last
    return last


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[collector._Waiting]:
    """Nothing waits yet, and the garbage collector is on."""
    fresh = collector._Waiting()
    monkeypatch.setattr(collector, "_waiting", fresh)
    was_on = gc.isenabled()
    gc.enable()
    gc.collect()
    yield fresh
    if not was_on:
        gc.disable()


def test_rests_inside_and_is_on_afterwards(waiting: collector._Waiting) -> None:
    with collector_resting():
        assert not gc.isenabled()
        with collector_resting():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_many_living_objects_are_not_looked_through_at_the_end(waiting: collector._Waiting) -> None:
    with collector_resting():
        held = chain(MANY)
    assert gc.get_count()[0] < MANY
    assert waiting.objects >= MANY
    assert held.beside is not held


def test_few_objects_stay_young(waiting: collector._Waiting) -> None:
    with collector_resting():
        held = chain(10)
    assert waiting.objects == 0
    assert held.beside is not held


def test_what_nobody_holds_is_freed_when_enough_waits(waiting: collector._Waiting) -> None:
    with collector_resting():
        held = chain(MANY)
    dropped = weakref.ref(held)
    del held
    waiting.objects += ENOUGH
    assert dropped() is not None
    with collector_resting():
        assert dropped() is None


def test_a_full_collection_in_between_counts(waiting: collector._Waiting) -> None:
    with collector_resting():
        held = chain(MANY)
    assert waiting.objects >= MANY
    gc.collect()
    with collector_resting():
        assert waiting.objects == 0
    assert held.beside is not held


def test_objects_that_somebody_froze_stay_frozen(waiting: collector._Waiting) -> None:
    gc.freeze()
    try:
        with collector_resting():
            held = chain(MANY)
        assert gc.get_freeze_count() > 0
        assert waiting.objects == 0
        assert held.beside is not held
    finally:
        gc.unfreeze()
