"""Bisection finds the first rewrite, or run of a pass, that makes a good result bad."""

from __future__ import annotations

import math

import pytest

from graphopt.ir import Graph, Node
from graphopt.observe.bisect import Bisect, Culprit, bisect
from graphopt.observe.observer import Observer, Observers
from tests.ir.graphs import relu_chain


def empty() -> list[int]:
    """The result of the empty pipeline."""
    return []


class Work:
    """A run of two passes that each make rewrites; the result is what was made."""

    def __init__(self, count: int, *, asks: bool = True) -> None:
        self.model, _, self.nodes = relu_chain(count)
        self.asks = asks
        self.runs = 0

    def __call__(self, observer: Observer) -> list[int]:
        self.runs += 1
        made = []
        for name, half in (("first-pass", 0), ("second-pass", 1)):
            if not observer.may_run(name, self.model.graph):
                continue
            observer.pass_began(name, self.model.graph)
            for index, node in enumerate(self.nodes):
                if index % 2 == half and (not self.asks or observer.may_apply(f"rule-{index}", node)):
                    made.append(index)
                    observer.applied(f"rule-{index}", node, ())
            observer.pass_ended(name, self.model.graph, len(made), 0.0)
        return made


@pytest.mark.parametrize("bad", range(10))
def test_the_first_bad_rewrite_is_found(bad: int) -> None:
    work = Work(10)
    culprit = bisect(work, lambda made: bad not in made)
    assert culprit is not None
    assert culprit.rule == f"rule-{bad}"
    assert culprit.pass_name == ("second-pass" if bad % 2 else "first-pass")
    assert culprit.node == work.nodes[bad].output.name
    assert culprit.number == (bad // 2 + 1 if bad % 2 == 0 else bad // 2 + 6)
    assert work.runs <= 3 + math.ceil(math.log2(10))


def test_a_good_run_has_no_culprit() -> None:
    assert bisect(Work(5), lambda made: True) is None


def test_a_bad_baseline_is_nobodys_fault() -> None:
    culprit = bisect(Work(5), lambda made: False, baseline=empty)
    assert culprit == Culprit(0, "none")
    assert str(culprit) == "no pass: the result is bad with none at all"


def test_passes_that_do_not_ask_are_found_as_a_whole() -> None:
    culprit = bisect(Work(6, asks=False), lambda made: 3 not in made, baseline=empty)
    assert culprit == Culprit(2, "pass", "second-pass", "", "", "chain")
    assert str(culprit) == "run 2 of a pass: second-pass on graph 'chain'"


def test_without_a_baseline_the_run_without_passes_is_one() -> None:
    assert bisect(Work(6, asks=False), lambda made: False) == Culprit(0, "none")


def test_every_observer_is_asked() -> None:
    first, second = Bisect(1), Bisect(3)
    made = Work(6)(Observers(first, second))
    assert made == [0]
    assert first.count == 1
    assert second.count == 3


def test_one_observer_is_not_wrapped_and_none_hears_nothing() -> None:
    only = Bisect()
    assert Observers.of(None, only) is only
    assert Observers.of().may_run("any", relu_chain(1)[0].graph)


class Refuses(Observer):
    """Says no."""

    def may_apply(self, source: str, node: Node) -> bool:
        return False

    def may_run(self, name: str, graph: Graph) -> bool:
        return False


def test_all_observers_must_agree() -> None:
    model, _, (node,) = relu_chain(1)
    both = Observers(Observer(), Refuses())
    assert not both.may_apply("rule", node)
    assert not both.may_run("pass", model.graph)
