"""Freezing dimensions: by name, by place, whole shapes; what stays dynamic keeps its name; wrong wishes are told in one sentence."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TypeProto

import graphopt
from graphopt.errors import InternalError, SpecError
from graphopt.infer.freeze import Wishes, freeze_dimensions
from graphopt.infer.model import infer_model
from graphopt.io import load, to_proto
from graphopt.ir.dim import Dim
from graphopt.ir.dtype import DType
from graphopt.ir.types import TensorType
from graphopt.observe.observer import Observer
from graphopt.pipeline.job import Job
from graphopt.pipeline.pipeline import Pipeline
from graphopt.pipeline.registry import installed
from graphopt.verify.comparison import Options, Original
from tests.api.models import BEFORE_IR_4, DYNAMIC, model, operators, write

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'


BATCH_OF_3 = {
    "x": [3, "seq", 8], "mask": [3, "seq"], "y": [3, "seq", 2, 4], "total": [3, "rows"], "shaped": [3, "seq", 2, 4],
}  # fmt: skip


def sizes(type: TypeProto) -> list[int | str]:
    """The dimensions of a tensor: numbers, names, "" for neither."""
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in type.tensor_type.shape.dim]


def declared(message: ModelProto) -> dict[str, list[int | str]]:
    """The dimensions of inputs, outputs and what is declared between."""
    return {info.name: sizes(info.type) for info in (*message.graph.input, *message.graph.output, *message.graph.value_info)}


class Heard(Observer):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warned(self, source: str, message: str) -> None:
        self.warnings.append(message)


def test_a_frozen_model_computes_no_shapes() -> None:
    result = graphopt.optimize(model(DYNAMIC), freeze={"batch": 3, "seq": 5}, verify=True)
    assert operators(result) == ["Reshape", "Relu", "Neg"]
    assert {name: shape for name, shape in declared(result).items() if name != "shaped"} == {
        "x": [3, 5, 8], "mask": [3, 5], "y": [3, 5, 2, 4], "total": [3, 5],
    }  # fmt: skip
    onnx.checker.check_model(result, full_check=True)


def test_what_is_not_frozen_keeps_its_name() -> None:
    result = graphopt.optimize(model(DYNAMIC), freeze={"batch": 3}, verify=True)
    assert declared(result) == BATCH_OF_3


def test_declarations_follow_where_nothing_is_inferred() -> None:
    result = graphopt.optimize(model(DYNAMIC), 0, freeze={"batch": 3})
    assert operators(result) == operators(model(DYNAMIC))
    assert declared(result) == BATCH_OF_3


def test_freezing_nothing_changes_nothing() -> None:
    given = model(DYNAMIC)
    assert graphopt.optimize(given, 0, freeze={}, input_shapes={}) == given
    assert graphopt.optimize(given, 0, input_shapes={"x": (None, "seq", 8)}) == given


def test_a_place_with_a_name_freezes_the_name_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "graphopt"):
        result = graphopt.optimize(model(DYNAMIC), freeze={"x:0": 2, "mask:1": 7})
    assert declared(result)["mask"] == [2, 7]
    assert declared(result)["x"] == [2, 7, 8]
    said = "freeze: a dimension with a name is frozen wherever the model uses the name: "
    assert [record.getMessage() for record in caplog.records] == [f"{said}'batch' (asked for as x:0), 'seq' (asked for as mask:1)"]


def test_a_place_without_a_name_is_frozen_alone() -> None:
    text = HEADER + "g (float[?, ?] x, float[?, 3] w) => (float[?, ?] y, float[?, 3] z) { y = Relu(x) z = Relu(w) }"
    result = graphopt.optimize(model(text), freeze={"x:0": 4}, verify=True)
    assert declared(result) == {"x": [4, ""], "w": ["", 3], "y": [4, ""], "z": ["", 3]}


def test_whole_shapes_give_numbers_and_names() -> None:
    text = HEADER + "g (float[?, ?, n] x, float[] w) => (float[?, ?, m] y, float[] z) { y = Relu(x) z = Relu(w) }"
    result = graphopt.optimize(model(text), input_shapes={"x": ("rows", 3, None), "w": (np.int64(2), "rows")}, verify=True)
    assert declared(result) == {"x": ["rows", 3, "n"], "w": [2, "rows"], "y": ["rows", 3, "m"], "z": [2, "rows"]}


def test_a_name_that_is_given_may_be_frozen() -> None:
    text = HEADER + "g (float[?, 3] x, float[?] w) => (float[?, 3] y, float[?] z) { y = Relu(x) z = Relu(w) }"
    result = graphopt.optimize(model(text), input_shapes={"x": ("n", None), "w": ["n"]}, freeze={"n": 6}, verify=True)
    assert declared(result) == {"x": [6, 3], "w": [6], "y": [6, 3], "z": [6]}


def test_names_of_inputs_may_hold_colons() -> None:
    message = model(HEADER + "g (float[n, 3] x) => (float[n, 3] y) { y = Relu(x) }")
    message.graph.input[0].name = message.graph.node[0].input[0] = "scope/input.1:0"
    assert declared(graphopt.optimize(message, freeze={"scope/input.1:0:0": 4}))["scope/input.1:0"] == [4, 3]
    with pytest.raises(SpecError, match=r"no input has a dimension 'scope/input.1:0'; did you mean 'scope/input.1:0:[01]'\?"):
        graphopt.optimize(message, freeze={"scope/input.1:0": 4})


SUBGRAPHS = (
    '<ir_version: 8, opset_import: ["" : 17, "local" : 1]>'
    """
g (bool b, float[n, 3] x) => (float[n, 3] y, float[n, 3] z) {
   y = If(b) <then_branch = t () => (float[n, 3] u) { u = Relu(x) }, else_branch = e () => (float[n, 3] v) { v = Neg(x) }>
   z = local.twice(x)
}
<domain: "local", opset_import: ["" : 17]>
twice (a) => (c) <float[n, 3] d> { d = Add(a, a) c = Relu(d) }
"""
)


def test_subgraphs_follow_and_local_functions_do_not() -> None:
    result = graphopt.optimize(model(SUBGRAPHS), 0, freeze={"n": 4})
    assert declared(result) == {"b": [], "x": [4, 3], "y": [4, 3], "z": [4, 3]}
    branches = [attribute.g for attribute in result.graph.node[0].attribute]
    assert [sizes(branch.output[0].type) for branch in branches] == [[4, 3], [4, 3]]
    assert [sizes(info.type) for info in result.functions[0].value_info] == [["n", 3]]


def test_elements_of_sequences_follow() -> None:
    message = model(HEADER + "g (float[n, 3] x) => (float[n, 3] y) { y = Relu(x) }")
    tensor = onnx.helper.make_tensor_type_proto(1, ["n", None])
    message.graph.input.append(onnx.helper.make_value_info("s", onnx.helper.make_sequence_type_proto(tensor)))
    result = graphopt.optimize(message, freeze={"n": 4})
    assert sizes(result.graph.input[1].type.sequence_type.elem_type) == [4, ""]


def test_a_model_that_was_inferred_before_is_frozen_through_and_through() -> None:
    loaded = load(model(HEADER + "g (float[?, n] x) => (float[?, k] y) { y = Concat<axis = 1>(x, x) }"))
    infer_model(loaded)
    frozen = freeze_dimensions(loaded, Wishes({"x:0": 4, "n": 3}))
    assert str(loaded.graph.outputs[0].type) == "float32[4, 6]"
    assert (frozen.names, frozen.places, frozen.left) == ({"n": 3}, {"x:0": 4}, ())
    assert declared(to_proto(loaded)) == {"x": [4, 3], "y": [4, 6]}


def test_elements_that_were_found_before_follow_and_no_size_gets_below_0() -> None:
    body = "<int64[1] start = {5}, int64[1] end = {99}> { s = Shape(x) y = Slice(x, start, end) }"
    loaded = load(model(HEADER + f"g (float[n] x) => (int64[1] s, float[k] y) {body}"))
    infer_model(loaded)
    assert str(loaded.graph.outputs[0].contents) == "(Dim(n),)"
    loaded.graph.outputs[1].type = TensorType(DType.float32, (Dim.symbol("n") - 5,))
    freeze_dimensions(loaded, Wishes({"n": 3}))
    assert loaded.graph.outputs[0].contents == (3,)
    assert loaded.graph.outputs[1].shape == (None,)


def test_a_second_wish_finds_what_the_first_left() -> None:
    loaded = load(model(DYNAMIC))
    graphopt.optimize(loaded, freeze={"batch": 3})
    with pytest.raises(SpecError, match=r"no input has a dimension 'batch'; dynamic dimensions: seq$"):
        graphopt.optimize(loaded, freeze={"batch": 4})
    graphopt.optimize(loaded, freeze={"seq": 5})
    assert declared(to_proto(loaded))["y"] == [3, 5, 2, 4]


def test_a_size_that_is_baked_in_elsewhere_is_pointed_out() -> None:
    text = HEADER + "g (float[n, 4] x) => (float[n, 4] z) <int64[2] s = {2, 4}, float[n, 4] y> { y = Reshape(x, s) z = Relu(y) }"
    heard = Heard()
    graphopt.optimize(model(text), freeze={"n": 3}, observer=heard)
    assert any("the model declares float32[3, 4], it comes out as float32[2, 4]" in warning for warning in heard.warnings)


def test_verification_feeds_the_frozen_sizes() -> None:
    """Also where the name of a size is a formula of a frozen one."""
    body = "<float[1] c = {1}> { t = Concat<axis = 0>(x, c) y = Add(t, w) }"
    message = model(HEADER + f"g (float[past] x, float[total] w) => (float[total] y) {body}")
    message.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "past + 1"
    loaded = load(message)
    frozen = freeze_dimensions(loaded, Wishes({"past": 5}))
    original = Original(message, Options(frozen=frozen))
    comparison = original.compare(loaded)
    assert comparison.agrees, str(comparison)
    fed = original.cases[0].feed.values
    assert {name: value.shape for name, value in fed.items() if isinstance(value, np.ndarray)} == {"x": (5,), "w": (6,)}
    assert Original(message, Options()).compare(loaded).signature  # without the wish an input has changed


def test_the_report_names_them(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + "g (float[n, ?, ?, k] x) => (float[n, ?, ?, k] y) { y = Relu(x) }")
    wishes = {"n": 2, "x:1": 3}
    graphopt.optimize(path, freeze=wishes, input_shapes={"x": (None, None, "wide", None)}, report=tmp_path / "report.json", verify=True)
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["dimensions"] == {"frozen": {"n": 2}, "set": {"x:2": "wide", "x:1": 3}, "dynamic": ["k", "wide"]}
    assert data["signature"]["unchanged"]
    assert data["signature"]["frozen"] == []
    assert data["verification"]["verdict"] == "equal bits"


def test_a_broken_pass_is_reported_with_the_wishes(tmp_path: Path) -> None:
    job = Job(write(tmp_path, DYNAMIC), Pipeline(), installed(), wishes=Wishes({"batch": 3}, {"mask": (None, 4)}))
    error = job._with_advice(InternalError("x"), "fuse-gemm")
    assert " --freeze=batch=3 '--set-input-shape=mask=?,4'" in str(error)


@pytest.mark.parametrize(
    ("freeze", "shapes", "says"),
    [
        ({"bacth": 4}, {}, "no input has a dimension 'bacth'; did you mean 'batch'?; dynamic dimensions: batch, seq"),
        ({"rows": 4}, {}, "no input has a dimension 'rows'; dynamic dimensions: batch, seq"),  # an output's alone: it follows
        ({"x": 4}, {}, "no input has a dimension 'x'; "),
        ({"x:3": 4}, {}, "the input 'x' (float32[batch, seq, 8]) has no dimension 'x:3': its last one is x:2"),
        ({"x:2": 4}, {}, "'x:2' cannot be 4, it is 8 in the input 'x' (float32[batch, seq, 8]); dynamic dimensions: batch, seq"),
        ({"batch": 4, "x:0": 5}, {}, "the dimension 'batch' cannot be both 4 and 5: a name means one size in the whole model"),
        ({"batch": -1}, {}, "freeze: batch must be a whole number from 0 on, not -1"),
        ({"batch": 1.5}, {}, "freeze: batch must be a whole number from 0 on, not 1.5"),
        ({"batch": True}, {}, "freeze: batch must be a whole number from 0 on, not True"),
        ({"batch": 1 << 63}, {}, "freeze: batch must be a whole number from 0 on, not 9223372036854775808"),
        (["batch"], {}, "freeze takes {name: size}, not ['batch']"),
        ({}, {"x": (1, 2)}, "the input 'x' (float32[batch, seq, 8]) has 3 dimensions, the shape asked for has 2"),
        ({}, {"x": (1, 2, 9)}, "'x:2' cannot be 9, it is 8 in the input 'x'"),
        ({}, {"x": ("rows", 2, 8)}, "'x:0' cannot be called 'rows', it is batch in the input 'x'"),
        ({}, {"x": (1, 2, "n")}, "'x:2' cannot be called 'n', it is 8 in the input 'x'"),
        ({}, {"x": (1, 2, -8)}, "input_shapes: x: a size must be a whole number from 0 on, not -8"),
        ({}, {"x": (1, "2x", 8)}, "input_shapes: x: a size is a whole number from 0 on, a name, or ?"),
        ({}, {"x": "1,2,8"}, "input_shapes of 'x' must be a shape, as (1, 3, None, 'width') is one, not '1,2,8'"),
        ({}, {"musk": (1, 2)}, "the shape of 'musk' cannot be set, no input is called 'musk'; did you mean 'mask'?; inputs: x, mask"),
    ],
)
def test_wrong_wishes(freeze: dict[str, int], shapes: dict[str, tuple[int, ...]], says: str) -> None:
    loaded = load(model(DYNAMIC))
    with pytest.raises(SpecError) as caught:
        graphopt.optimize(loaded, freeze=freeze, input_shapes=shapes)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert to_proto(loaded) == model(DYNAMIC)


def test_no_shape_no_tensor_no_fitting_default() -> None:
    unranked = model(HEADER + "g (float[] x) => (float[] y) { y = Relu(x) }")
    with pytest.raises(SpecError, match="the input 'x' is declared without a shape: give all of it"):
        graphopt.optimize(unranked, freeze={"x:0": 4})
    other = model(HEADER + "g (seq(float[n]) x) => (seq(float[n]) y) { y = Identity(x) }")
    with pytest.raises(SpecError, match=r"the shape of 'x' cannot be set: the input 'x' is seq\(float32\[n\]\), no tensor"):
        graphopt.optimize(other, input_shapes={"x": (1,)})
    stored = model(BEFORE_IR_4)
    stored.graph.input[1].type.tensor_type.shape.dim[0].dim_param = "n"
    with pytest.raises(SpecError, match=r"the input 'c' \(float32\[n\]\) cannot be frozen so: its stored default has the shape \[3\]"):
        graphopt.optimize(stored, freeze={"n": 4})
    assert declared(graphopt.optimize(stored, freeze={"n": 3}))["c"] == [3]
