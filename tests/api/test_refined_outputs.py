"""What the file leaves open of an output is written once it is proved; what it declares stays as it is."""

from __future__ import annotations

import onnx
import pytest
from onnx import ModelProto

import graphopt
from graphopt.infer.model import infer_model
from graphopt.io import load, to_proto
from graphopt.ir.dim import Dim
from graphopt.ir.dtype import DType
from graphopt.ir.edit import Editor
from graphopt.ir.graph import Node, Value
from graphopt.ir.model import Model
from graphopt.ir.types import TensorType
from tests.api.models import model

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'


def output(message: ModelProto) -> list[int | str] | None:
    """The dimensions of the first output; None when there is no shape."""
    declared = message.graph.output[0].type.tensor_type
    if not declared.HasField("shape"):
        return None
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in declared.shape.dim]


@pytest.mark.parametrize(
    ("inputs", "declared", "made", "expected"),
    [
        ("float[n, 3] x", "float[?, ?] y", "Relu(x)", ["n", 3]),
        ("float[n, 3] x", "float[] y", "Relu(x)", ["n", 3]),
        ("float[n, 3] x", "float[m, ?] y", "Relu(x)", ["m", 3]),  # a declared name stays
        ("float[n, 3] x", "float[m, k] y", "Relu(x)", ["m", "k"]),
        ("float[n, 3] x", "float[?, ?] y", "Concat<axis = 0>(x, x)", ["", 3]),  # 2*n is no name
        ("float[n, 3] x", "float[] y", "Concat<axis = 0>(x, x)", ["", 3]),
        ("float[?, 3] x", "float[?, ?] y", "Relu(x)", ["", 3]),  # inference calls it ?x.0
        ("float[n, 3] x", "float[n, 4] y", "Relu(x)", ["n", 4]),  # declared falsely: not ours to mend
        ("float[n, 3] x", "float[?, 4] y", "Relu(x)", ["", 4]),
        ("float[n, 3] x", "float[?] y", "Relu(x)", [""]),
        ("float[n, 3] x", "float[?, ?] y", "Unknown(x)", ["", ""]),
        ("float[n, 3] x", "float[] y", "Unknown(x)", None),
    ],
)
def test_outputs(inputs: str, declared: str, made: str, expected: list[int | str] | None) -> None:
    given = model(HEADER + f"g ({inputs}) => ({declared}) {{ y = {made} }}")
    assert output(graphopt.optimize(given)) == expected
    assert to_proto(load(given)) == given


def test_a_size_of_minus_one_is_open() -> None:
    given = model(HEADER + "g (float[n, 3] x) => (float[?, ?] y) { y = Relu(x) }")
    for dim in given.graph.output[0].type.tensor_type.shape.dim:
        dim.dim_value = -1
    assert output(graphopt.optimize(given)) == ["n", 3]


def test_a_type_that_is_not_declared_stays_so() -> None:
    given = model(HEADER + "g (float[n, 3] x) => (float[?, ?] y) { y = Relu(x) }")
    given.graph.output[0].ClearField("type")
    assert not graphopt.optimize(given).graph.output[0].HasField("type")


def test_names_that_only_inner_values_have_are_not_written() -> None:
    body = "<float[k, 3] a> { b = Cast<to = 9>(m) a = Compress<axis = 0>(x, b) y = Relu(a) }"
    given = model(HEADER + f"g (float[n, 3] x, float[n] m) => (float[?, 3] y) {body}")
    assert output(graphopt.optimize(given)) == ["", 3]


def test_once_anything_is_frozen_the_names_that_follow_from_it_are_numbers() -> None:
    """A compiler for fixed shapes needs all of them, and the caller cannot name what only outputs have."""
    given = model(HEADER + "g (float[n, 3] x, float[k] w) => (float[rows, k] y) { t = Concat<axis = 0>(x, x) y = Add(t, w) }")
    assert output(graphopt.optimize(given)) == ["rows", "k"]
    assert output(graphopt.optimize(given, freeze={"n": 4})) == [8, "k"]


def test_subgraphs_stay_as_they_are_declared() -> None:
    branches = "then_branch = t () => (float[?, 3] u) { u = Relu(x) }, else_branch = e () => (float[?, 3] v) { v = Neg(x) }"
    given = model(HEADER + f"g (bool b, float[n, 3] x) => (float[?, ?] y) {{ y = If(b) <{branches}> }}")
    result = graphopt.optimize(given)
    assert output(result) == ["n", 3]
    assert [len(attribute.g.output[0].type.tensor_type.shape.dim[0].dim_param) for attribute in result.graph.node[0].attribute] == [0, 0]


def test_a_model_that_was_built_declares_no_formulas() -> None:
    built = Model("built", opsets={"": 17})
    x = Value("x", TensorType(DType.float32, (Dim.symbol("n"), 3)))
    x.graph = built.graph
    built.graph.inputs.append(x)
    editor = Editor(built)
    node = editor.insert(Node("Concat", (x, x)), built.graph)
    editor.set_attribute(node, "axis", 0)
    node.output.name = "y"
    editor.set_outputs(built.graph, [node.output])
    infer_model(built)
    assert str(node.output.type) == "float32[2*n, 3]"
    message = to_proto(built)
    assert output(message) == ["", 3]
    onnx.checker.check_model(message, full_check=True)
