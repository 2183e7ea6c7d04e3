"""Graphs of onnx-graphsurgeon: what comes back, what its graphs cannot hold, and that optimizing one gives one that computes the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_graphsurgeon as gs
import pytest
from onnx import AttributeProto, ModelProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator

import graphopt
from graphopt.errors import ModelError
from graphopt.interop import from_graphsurgeon, to_graphsurgeon
from graphopt.io import load, to_proto
from graphopt.ir import verify
from tests.interop.held import held_by_graphsurgeon as held
from tests.interop.kinds import CAPTURES, IDENTITY, kinds, parsed, with_attribute, with_function

DATA = Path(__file__).parent.parent / "data"
CASES = sorted((DATA / "cases").rglob("*.onnx"))
REFUSED = {"sparse_constant"}  # its weights are a sparse attribute
SKELETONS = sorted((DATA / "io").glob("*.onnx"))
HELD_KINDS = {name: message for name, message in kinds() if name not in ("overload", "optionals", "type-attribute", "ir-3")}


@pytest.mark.parametrize("path", [path for path in CASES if path.parent.name not in REFUSED], ids=lambda path: path.parent.name)
def test_a_model_comes_back_as_it_went(path: Path) -> None:
    before = onnx.load(path)
    model = from_graphsurgeon(to_graphsurgeon(load(path)))
    verify(model)
    assert held(to_proto(model)) == held(before)


@pytest.mark.parametrize("name", HELD_KINDS)
def test_every_kind_of_model_comes_back(name: str) -> None:
    before = HELD_KINDS[name]
    assert held(to_proto(from_graphsurgeon(to_graphsurgeon(load(before))))) == held(before)


def sequences(message: ModelProto) -> ModelProto:
    inner = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [3]))
    message.graph.input.append(helper.make_value_info("s", helper.make_sequence_type_proto(inner)))
    return message


def optional(message: ModelProto) -> ModelProto:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [3]))
    message.graph.input.append(helper.make_value_info("o", kind))
    return message


@pytest.mark.parametrize(("before", "words"), [
    (with_attribute(parsed(IDENTITY), AttributeProto.TYPE_PROTO, tp=helper.make_tensor_type_proto(1, [3])), "'more' of kind TYPE_PROTO"),
    (with_attribute(parsed(IDENTITY), AttributeProto.TENSORS, tensors=[TensorProto(data_type=1, dims=[0])]), "of kind TENSORS"),
    (with_attribute(parsed(IDENTITY), AttributeProto.STRING, s=b"\xff"), "cannot be imported by onnx-graphsurgeon: 'utf-8'"),
    (with_function(parsed(IDENTITY), "o"), "cannot hold the overload 'o' of the function own.scaled"),
    (sequences(parsed(IDENTITY)), "cannot hold the value 's', a sequence of something else"),
    (optional(parsed(IDENTITY)), "cannot hold the value 'o', of the kind optional_type"),
    (onnx.load(DATA / "cases/sparse_constant/model.onnx"), "of kind SPARSE_TENSOR"),
], ids=["type", "tensors", "bytes", "overload", "sequences", "optional", "sparse"])
def test_what_would_be_lost_without_a_word_is_refused(before: ModelProto, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        to_graphsurgeon(load(before))


def test_a_graph_that_graphsurgeon_cannot_write_is_the_models_fault() -> None:
    x = gs.Variable("x", np.dtype(np.float32), (3,))
    y = gs.Variable("y")
    with pytest.raises(ModelError, match=r"the graph 'untyped' cannot be exported by onnx-graphsurgeon: .* dtype"):
        from_graphsurgeon(gs.Graph([gs.Node("Identity", inputs=[x], outputs=[y])], [x], [y], name="untyped"))


def test_initializers_are_no_inputs_and_the_ir_version_allows_it() -> None:
    before = parsed("g (float[3] x, float[3] w) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }")
    before.ir_version = 3
    graph = to_graphsurgeon(load(before))
    assert [tensor.name for tensor in graph.inputs] == ["x"]
    after = to_proto(from_graphsurgeon(graph))
    assert after.ir_version >= 4
    onnx.checker.check_model(after, full_check=True)


def test_captured_initializers_are_stored_once() -> None:
    """graphsurgeon's exporter repeats them in every subgraph that reads them."""
    graph = to_graphsurgeon(load(parsed(CAPTURES)))
    model = from_graphsurgeon(graph)
    assert [name for each in model.graphs() for name in each.initializers] == ["both", "below", "v"]


def test_no_array_is_made_and_nothing_is_shared() -> None:
    before = parsed("g (float[3] x) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add(x, w) }")
    model = load(before)
    graph = to_graphsurgeon(model)
    weight = graph.tensors()["w"]
    assert type(weight._values).__name__ == "LazyValues"
    back = from_graphsurgeon(graph)
    weight.values[:] = 0
    weight.name = "other"
    graph.nodes.clear()
    assert to_proto(model) == before
    assert held(to_proto(back)) == held(before)


@pytest.mark.parametrize("path", SKELETONS, ids=lambda path: path.stem)
def test_models_of_other_tools_come_back_as_well(path: Path) -> None:
    """Nested subgraphs, captures, doc strings everywhere; the weights lie in a file that is not there."""
    before = onnx.load(path, load_external_data=False)
    model = from_graphsurgeon(to_graphsurgeon(load(path, check_external=False)))
    verify(model)
    after = to_proto(model)
    assert held(after) == held(before)
    assert load(after).graph.size == len(before.graph.node)


def test_exporting_leaves_empty_lists_in_the_graph() -> None:
    graph = to_graphsurgeon(load(HELD_KINDS["empty-lists"]))
    from_graphsurgeon(graph)
    assert [dict(node.attrs) for node in graph.nodes] == [{"value_ints": []}, {"more": []}]


def run(message: ModelProto, feeds: dict[str, Any]) -> list[Any]:  # Any: arrays of any kind
    return list(ReferenceEvaluator(message).run(None, feeds))


def perceptron() -> gs.Graph:
    """Made by hand, as users of graphsurgeon do: MatMul and Add that make a Gemm, and an Identity in between."""
    draw = np.random.default_rng(0)
    x, y = gs.Variable("x", np.dtype(np.float32), (4, 8)), gs.Variable("y", np.dtype(np.float32), (4, 3))
    w = gs.Constant("w", draw.standard_normal((8, 3)).astype(np.float32))
    b = gs.Constant("b", draw.standard_normal(3).astype(np.float32))
    t, u = gs.Variable("t"), gs.Variable("u")
    nodes = [
        gs.Node("MatMul", inputs=[x, w], outputs=[t]),
        gs.Node("Identity", inputs=[t], outputs=[u]),
        gs.Node("Add", inputs=[u, b], outputs=[y]),
    ]
    return gs.Graph(nodes, [x], [y], opset=20, name="perceptron")


def test_optimizing_a_graph_gives_a_new_one_that_computes_the_same() -> None:
    """Tolerance 1e-5 of float32: a Gemm may add in another order."""
    given = perceptron()
    before = gs.export_onnx(given)
    result = graphopt.optimize(given, verify=True)
    assert isinstance(result, gs.Graph)
    assert result is not given
    assert len(result.nodes) < 3
    assert [node.op for node in given.nodes] == ["MatMul", "Identity", "Add"]
    assert gs.export_onnx(given) == before
    feeds = {"x": np.random.default_rng(1).standard_normal((4, 8)).astype(np.float32)}
    np.testing.assert_allclose(run(gs.export_onnx(result), feeds)[0], run(before, feeds)[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["if_const_branch_outputs_initializer", "matmul3d_add", "identity_fanout_outputs", "expand_rank_up"])
def test_optimized_graphs_of_models_compute_the_same(name: str) -> None:
    """Tolerance 1e-5 of float32."""
    folder = DATA / "cases" / name
    given = gs.import_onnx(onnx.load(folder / "model.onnx"))
    before, after = gs.export_onnx(given), gs.export_onnx(graphopt.optimize(given))
    feeds = dict(np.load(folder / "inputs.npz"))
    for got, expected in zip(run(after, feeds), run(before, feeds), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_with_output_a_graph_is_written(tmp_path: Path) -> None:
    assert graphopt.optimize(perceptron(), output=tmp_path / "out.onnx") == tmp_path / "out.onnx"
    assert len(onnx.load(tmp_path / "out.onnx").graph.node) < 3


def test_a_class_derived_from_graph_is_a_graph() -> None:
    mine = type("Mine", (gs.Graph,), {})
    given = perceptron()
    assert isinstance(graphopt.optimize(mine(given.nodes, given.inputs, given.outputs, opset=20)), gs.Graph)


def test_nothing_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, graphopt.interop, graphopt.api, graphopt.interop.networkx\n"
        "sys.exit(any(name in sys.modules for name in ('onnx_graphsurgeon', 'networkx')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
