"""Passes of other libraries that go wrong: no change of theirs is lost, what they break is their fault, and they have names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from onnx import ModelProto, numpy_helper

import graphopt
from graphopt import Pipeline
from graphopt.errors import InternalError, SpecError
from graphopt.interop import graphsurgeon_pass, onnx_ir_pass
from graphopt.pipeline.base import Pass
from graphopt.pipeline.culprits import Bisection
from graphopt.pipeline.job import Job
from graphopt.pipeline.registry import installed
from tests.interop.kinds import parsed

ir = pytest.importorskip("onnx_ir")

CHAIN = "g (float[3] x) => (float[3] y) { a = Neg(x) b = Exp(a) y = Relu(b) }"
TWINS = """g (bool c, float[3] x, float[3] z) => (float[3] y) {
    a = If (c) <then_branch = t () => (float[3] r) { r = Neg(x) }, else_branch = e () => (float[3] r) { r = Neg(x) }>
    b = If (c) <then_branch = t () => (float[3] r) { r = Neg(x) }, else_branch = e () => (float[3] r) { r = Neg(x) }>
    y = Add(a, b)
}"""


def twins(name: str, names: tuple[str, str] = ("then_branch", "else_branch")) -> ModelProto:
    """Two Ifs of one name whose branches look alike."""
    message = parsed(TWINS)
    for node in message.graph.node[:2]:
        node.name = name
        for attribute, called in zip(node.attribute, names, strict=True):
            attribute.name = called
    return message


def optimized(message: ModelProto, step: Pass) -> ModelProto:
    return graphopt.optimize(message, pipeline=Pipeline([step]), verify_each=True)


def read_inside(message: ModelProto) -> list[list[str]]:
    """What the first node reads in the then_branch and the else_branch of each If."""
    ifs = [{each.name: each.g for each in node.attribute} for node in message.graph.node if node.op_type == "If"]
    return [[branches[name].node[0].input[0] for name in ("then_branch", "else_branch")] for branches in ifs]


# ---- every change is seen


@pytest.mark.parametrize("name", ["If_0", ""])
@pytest.mark.parametrize("which", [0, 1])
def test_a_change_inside_one_of_two_nodes_of_one_name_is_seen(name: str, which: int) -> None:
    @graphsurgeon_pass
    def rewire(graph: gs.Graph) -> None:
        for branch in graph.nodes[which].attrs.values():
            branch.nodes[0].inputs[0] = graph.inputs[2]

    def rewire_too(model: Any) -> None:
        for attribute in model.graph[which].attributes.values():
            attribute.value[0].replace_input_with(0, model.graph.inputs[2])

    expected = [["x", "x"], ["x", "x"]]
    expected[which] = ["z", "z"]
    assert read_inside(optimized(twins(name), rewire())) == expected
    assert read_inside(optimized(twins(name), onnx_ir_pass(rewire_too))) == expected


def test_branches_that_change_places_are_seen() -> None:
    """Attributes have names: where they stand in a list says nothing."""

    @graphsurgeon_pass
    def swap(graph: gs.Graph) -> None:
        held = graph.nodes[0].attrs
        one, other = held.pop("then_branch"), held.pop("else_branch")
        one.name, other.name = other.name, one.name
        held["else_branch"], held["then_branch"] = one, other

    message = twins("")
    first = message.graph.node[0]
    first.attribute[1].g.node[0].input[0] = "z"
    first.attribute[0].g.name = first.attribute[1].g.name = "branch"
    before = read_inside(message)
    assert before[0][0] != before[0][1]
    assert read_inside(optimized(message, swap())) == [before[0][::-1], before[1]]


@pytest.mark.parametrize("reader", ["Neg", ""])
def test_other_weights_under_a_name_that_graphs_side_by_side_share_are_seen(reader: str) -> None:
    """The third branch takes the weight of the second: each of them is still stored somewhere."""
    message = twins("")
    for number, graph in enumerate(attribute.g for node in message.graph.node[:2] for attribute in node.attribute):
        graph.initializer.append(numpy_helper.from_array(np.full(3, number % 2, np.float32), "w"))
        if reader:
            graph.node[0].input[0] = "w"
        else:
            del graph.node[0]
            graph.output[0].name = "w"

    def take(model: Any) -> None:
        stored = model.graph[1].attributes["then_branch"].value.initializers["w"]
        stored.const_value = ir.tensor(np.ones(3, np.float32), name="w")

    assert message.graph.node[1].attribute[0].name == "then_branch"
    result = optimized(message, onnx_ir_pass(take))
    kept = [attribute.g.initializer[0] for node in result.graph.node[:2] for attribute in node.attribute]
    assert [numpy_helper.to_array(tensor)[0] for tensor in kept] == [0, 1, 1, 1]


# ---- a model that is none is the pass's fault


@graphsurgeon_pass
def ring_of_surgeon(graph: gs.Graph) -> None:
    """Let the first node read what the last one makes."""
    graph.nodes[0].inputs[0] = graph.nodes[-1].outputs[0]


@graphsurgeon_pass
def twice_of_surgeon(graph: gs.Graph) -> None:
    """Let two nodes make one name."""
    graph.nodes[0].outputs[0].name = "b"


def ring(model: Any) -> None:
    model.graph[0].replace_input_with(0, model.graph[-1].outputs[0])


def twice(model: Any) -> None:
    model.graph[0].outputs[0].name = "b"


FAULTS = [
    (ring_of_surgeon(), "in a ring"),
    (twice_of_surgeon(), "'b' is made twice"),
    (onnx_ir_pass(ring), "in a ring"),
    (onnx_ir_pass(twice), "'b' is made twice"),
]


@pytest.mark.parametrize(("step", "words"), FAULTS)
def test_what_is_no_model_is_the_fault_of_the_pass_that_made_it(step: Pass, words: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.onnx"
    message = parsed(CHAIN)
    with pytest.raises(InternalError, match=f"the pass {step.name} failed on graph 'g': what it made is no valid model: .*{words}"):
        graphopt.optimize(message, pipeline=Pipeline(["eliminate-identity", step]), reproducer=kept)
    assert onnx.load(kept).graph == message.graph


@pytest.mark.parametrize(("step", "words"), FAULTS)
def test_bisection_blames_it(step: Pass, words: str) -> None:
    account = Bisection(Job(parsed(CHAIN), Pipeline(["eliminate-identity", step]), installed())).run()
    assert [culprit.pass_name for culprit in account.bisected.culprits] == [step.name]
    assert Path(account.where[step.name].rpartition(":")[0]) == Path(__file__)
    assert isinstance(account.evidence, InternalError) and words in str(account.evidence)


# ---- names


def add_nothing(given: Any, *, size: int = 3) -> None:
    """Change nothing."""


@pytest.mark.parametrize("function", [lambda given: None, partial(add_nothing, size=4)])
def test_what_has_no_name_is_given_one(function: Any) -> None:
    for make in (onnx_ir_pass, graphsurgeon_pass(), graphsurgeon_pass):
        with pytest.raises(SpecError, match=r"a (lambda|functools\.partial) has no name .* name='my-pass'"):
            make(function)
    surgeon = graphsurgeon_pass(name="surgeon")(function)
    for step in (onnx_ir_pass(function, name="of-ir"), surgeon()):
        assert str(step) in ("of-ir", "surgeon")
        assert optimized(parsed(CHAIN), step) == parsed(CHAIN)
    assert isinstance(function, partial) == ("Change nothing." in str(surgeon.__doc__))


@pytest.mark.parametrize("make", [graphsurgeon_pass, partial(onnx_ir_pass, ir.from_proto)])
def test_what_is_no_fact_of_a_pass_is_said_where_it_is_written(make: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match="a pass has no 'exactnes'; did you mean 'exactness'"):
        make(name="mine", exactnes="exact")
