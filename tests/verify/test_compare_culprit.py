"""The rewrite that broke a model is found among many, and a fault of reading and writing is not put on a rewrite."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from onnx import ModelProto, parser

from graphopt.ir.graph import Graph, Node
from graphopt.ir.model import Model
from graphopt.observe.observer import Observer
from graphopt.verify import find_culprit
from graphopt.verify.comparison import Options, Original

STEPS = 40


def chain(wrong: frozenset[int], done: Callable[[int], bool]) -> ModelProto:
    """x -> Relu -> Relu -> ...; a step that is done becomes Identity, right after a first Relu, or Neg if it is wrong."""
    nodes = ["v0 = Relu(x)"]
    for number in range(1, STEPS + 1):
        op = "Relu" if not done(number) else "Neg" if number in wrong else "Identity"
        nodes.append(f"v{number} = {op}(v{number - 1})")
    text = f"g (float[N] x) => (float[N] y) {{ {' '.join(nodes)} y = Identity(v{STEPS}) }}"
    return parser.parse_model(f'<ir_version: 10, opset_import: ["" : 20]>\n{text}')


class Optimizer:
    """Makes STEPS rewrites, asking the observer for each; `wrong` ones change what the model computes."""

    def __init__(self, *wrong: int) -> None:
        self.wrong = frozenset(wrong)
        self.runs = 0

    def __call__(self, observer: Observer) -> ModelProto:
        self.runs += 1
        graph = Graph("g", Model())
        observer.pass_began("turn-relu", graph)
        allowed = {number for number in range(1, STEPS + 1) if observer.may_apply(f"rule-{number}", node_in(graph))}
        return chain(self.wrong, lambda number: number in allowed)


def node_in(graph: Graph) -> Node:
    node = Node("Relu")
    node.graph = graph
    return node


ORIGINAL = chain(frozenset(), lambda number: False)


@pytest.mark.parametrize("number", [1, 2, 23, STEPS])
def test_one_wrong_rewrite_among_forty_is_named(number: int) -> None:
    optimizer = Optimizer(number)
    culprit = find_culprit(ORIGINAL, optimizer)
    assert culprit is not None
    assert (culprit.number, culprit.rule, culprit.pass_name) == (number, f"rule-{number}", "turn-relu")
    assert optimizer.runs <= 12  # the whole, none, log2(40), and once more for the name


def test_the_first_of_two_wrong_rewrites_that_do_not_cancel_is_enough() -> None:
    culprit = find_culprit(ORIGINAL, Optimizer(7, 8, 9))
    assert culprit is not None and culprit.rule in {"rule-7", "rule-9"}  # 7 and 8 cancel


def test_nothing_is_accused_where_nothing_differs() -> None:
    assert find_culprit(ORIGINAL, Optimizer()) is None


def test_a_fault_without_any_rewrite_is_no_rewrites_fault() -> None:
    other = parser.parse_model('<ir_version: 10, opset_import: ["" : 20]>\ng (float[N] x) => (float[N] y) { y = Neg(x) }')
    culprit = find_culprit(ORIGINAL, lambda observer: other, baseline=lambda: other)
    assert culprit is not None and culprit.number == 0
    assert "no pass" in str(culprit)


def test_only_the_feeds_that_showed_the_difference_are_run_again() -> None:
    original = Original(ORIGINAL, Options())
    found = original.compare(Optimizer(3)(Observer()))
    assert found.differs and len(found.feeds) == 5
    narrowed = original.narrowed(found)
    assert [str(case.feed) for case in narrowed.cases] == [found.outputs[0].feed]
    assert len(original.cases) == 5
    culprit = find_culprit(original, Optimizer(3), found=found)
    assert culprit is not None and culprit.number == 3
