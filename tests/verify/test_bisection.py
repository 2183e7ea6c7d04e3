"""The smallest set of rewrites that is bad together is found, whatever lies between, and with few runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import pytest

from graphopt.ir import Graph
from graphopt.observe.observer import Observer
from graphopt.verify import bisect
from tests.ir.graphs import relu_chain

COUNT = 60
Needs = dict[int, set[int]]


class Work:
    """Makes rewrites 1 to COUNT in two passes, each at a node of its own; `needs` says which others one needs to be possible."""

    def __init__(self, needs: Needs | None = None, *, asks: bool = True) -> None:
        self.model, _, self.nodes = relu_chain(COUNT)
        self.needs, self.asks = needs or {}, asks
        self.runs = 0

    def __call__(self, observer: Observer) -> set[int]:
        self.runs += 1
        made: set[int] = set()
        for name, numbers in (("early", range(1, COUNT // 2 + 1)), ("late", range(COUNT // 2 + 1, COUNT + 1))):
            self.one(observer, name, self.model.graph, numbers, made)
        return made

    def one(self, observer: Observer, name: str, graph: Graph, numbers: Iterable[int], made: set[int]) -> None:
        if observer.may_run(name, graph):
            observer.pass_began(name, graph)
            for number in numbers:
                possible = self.needs.get(number, set()) <= made
                if possible and (not self.asks or observer.may_apply("rule", self.nodes[number - 1])):
                    made.add(number)
            observer.pass_ended(name, graph, len(made), 0.0)


def good_without(*sets: set[int]) -> Callable[[set[int]], bool]:
    """A result is bad that has all of one of these sets."""
    return lambda made: not any(bad <= made for bad in sets)


@pytest.mark.parametrize("bad", [{1}, {COUNT}, {17}, {3, 41}, {1, COUNT}, {5, 6, 7}, {2, 30, 31, 59}])
def test_the_smallest_set_is_found(bad: set[int]) -> None:
    work = Work()
    found = bisect(work, good_without(bad))
    assert {one.number for one in found.culprits} == bad
    assert found.last.number == max(bad)
    assert found.is_smallest and found.alone and not found.is_good
    assert found.number == COUNT
    assert found.runs == work.runs <= 6 + 2 * len(bad) + len(bad) * math.ceil(math.log2(COUNT))


def test_what_makes_the_culprit_possible_is_told_from_what_is_wrong_with_it() -> None:
    found = bisect(Work({50: {12}, 12: {4}}), good_without({50}))
    assert [one.number for one in found.culprits] == [4, 12, 50]
    assert not found.alone
    assert found.is_smallest


def test_of_two_sets_the_one_that_is_complete_first_is_found() -> None:
    found = bisect(Work(), good_without({9, 50}, {20, 30}))
    assert [one.number for one in found.culprits] == [20, 30]


def test_nothing_is_wrong() -> None:
    found = bisect(Work(), lambda made: True)
    assert found.is_good and not found.culprits
    assert found.runs == 1


def test_the_empty_pipeline_is_the_baseline() -> None:
    found = bisect(Work(), lambda made: False, set)
    assert found.is_baseline_bad and not found.is_good
    assert not found.culprits


def test_passes_that_do_not_ask_are_found_as_a_whole() -> None:
    found = bisect(Work(asks=False), good_without({3, 41}))
    assert [(one.unit, one.pass_name, one.number) for one in found.culprits] == [("pass", "early", 1), ("pass", "late", 2)]
    found = bisect(Work(asks=False), good_without({41}))
    assert [one.pass_name for one in found.culprits] == ["late"]


def test_results_that_cannot_be_judged_are_gone_around() -> None:
    found = bisect(Work(), lambda made: None if len(made) in (29, 30, 31) else 17 not in made)
    assert [one.number for one in found.culprits] == [17]
    assert found.between is None


def test_where_no_result_between_can_be_judged_the_range_is_told() -> None:
    found = bisect(Work(), lambda made: None if 10 <= len(made) < 40 else 40 not in made and len(made) != 40)
    assert found.between is not None
    assert found.between[0] <= 40 <= found.between[1]


def test_runs_are_limited() -> None:
    said: list[str] = []
    found = bisect(Work(), good_without({2, 30, 31, 59}), most=12, told=lambda run, words: said.append(f"{run} {words}"))
    assert found.runs == 12
    assert not found.is_smallest
    assert found.last.number == 59
    assert said[0] == "1 everything" and said[1] == "2 nothing"


def test_a_rewrite_is_known_when_others_are_left_out_though_its_number_changes() -> None:
    """The same rule three times at one node: each counts."""
    model, _, nodes = relu_chain(3)

    def run(observer: Observer) -> int:
        observer.pass_began("again", model.graph)
        return sum(observer.may_apply("rule", node) for node in (nodes[0], nodes[1], nodes[0], nodes[2], nodes[0]))

    found = bisect(run, lambda made: made < 4, lambda: 0)
    assert len(found.culprits) == 4
    assert found.is_smallest
